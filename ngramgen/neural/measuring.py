"""Bits per byte of a network in training, on windows as the finished model reads them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from ngramgen.neural.network import Network
from ngramgen.neural.windows import windows

_TOGETHER = 8  # windows at a time


def mean_bits(network: Network, hidden: Any, tokens: NDArray[Any], device: torch.device) -> float:
    """Bits a token of a row of tokens (T,), the first of which is only read; ``hidden`` is the network's, or as fast a
    form of it."""
    context = network.config.context
    total = 0.0
    read = windows(len(tokens) - 1, context)  # the last token is only a target
    table = network.embedding.detach()
    with torch.no_grad():
        for begin in range(0, len(read), _TOGETHER):
            some = read[begin : begin + _TOGETHER]
            rows = np.zeros((_TOGETHER, context + 1), np.int64)  # always as many, since a new shape is compiled anew
            for row, (start, end, _) in enumerate(some):
                part = tokens[start : end + 1]
                rows[row, : len(part)] = part
            batch = torch.from_numpy(rows).to(device)
            states = hidden(batch[:, :-1])
            for row, (start, end, counted) in enumerate(some):
                logits = F.linear(states[row, counted - start : end - start].float(), table)
                targets = batch[row, counted - start + 1 : end - start + 1]
                total += float(F.cross_entropy(logits, targets, reduction="sum"))
    return total / (len(tokens) - 1) / math.log(2)
