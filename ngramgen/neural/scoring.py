"""Whole texts in one pass, window by window."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.neural.key_values import KeyValues
from ngramgen.neural.reading import LOGITS_TOGETHER, Network
from ngramgen.neural.session import HIDDEN
from ngramgen.neural.windows import windows

Ids = NDArray[np.integer[Any]]
Window = tuple[int, int, int]


def text_logprobs(network: Network, ids: Ids) -> NDArray[np.float64]:
    """Natural log-probabilities (T - 1,) of the ids (T,) but the first, each behind those that its window shows."""
    result = np.zeros(len(ids) - 1)
    values: dict[int, KeyValues] = {}  # by the number of windows; runs use the same buffers again
    for some in _batches(windows(len(ids) - 1, network.context), network.context * network.head.vocab_size):
        _score(network, ids, some, values.setdefault(len(some), network.key_values()), result)
    return result


def _batches(found: list[Window], logits: int) -> Iterator[list[Window]]:
    """Windows of one form, as many together as their logits allow."""
    together = max(1, LOGITS_TOGETHER // logits)
    for _, same in groupby(found, key=lambda window: (window[1] - window[0], window[2] - window[0])):
        alike = list(same)
        for first in range(0, len(alike), together):
            yield alike[first : first + together]


def _score(network: Network, ids: Ids, some: list[Window], values: KeyValues, result: NDArray[np.float64]) -> None:
    session, head = network.sessions.get(), network.head
    starts = np.array([start for start, _, _ in some])
    length, skipped = some[0][1] - some[0][0], some[0][2] - some[0][0]
    rows = head.inputs(ids[starts[:, None] + np.arange(length)])
    step = max(1, LOGITS_TOGETHER // (len(some) * head.vocab_size))
    for first in range(0, length, step):
        end = min(length, first + step)
        wanted = min(end - first, end - skipped)
        logits = values.run(session, rows[:, first:end], first, max(1, wanted))
        if wanted > 0:
            places = starts[:, None] + np.arange(end - wanted, end)
            out = np.empty((len(some), wanted, head.vocab_size), np.float32)
            head.logprobs(logits, out)
            result[places] = np.take_along_axis(out, ids[places + 1][..., None].astype(np.int64), axis=-1)[..., 0]


def mean_hidden(network: Network, ids: Ids, first: int) -> NDArray[np.float32]:
    """The mean (W,) of the last hidden states of ids (T,) from ``first`` on, each as its window shows it."""
    session, total = network.sessions.get(), np.zeros(0)
    for start, end, counted in windows(len(ids), network.context):
        states = session.run(network.head.inputs(ids[None, start:end]), HIDDEN)[0, max(first, counted) - start :]
        total = total + states.sum(axis=0, dtype=np.float64) if len(total) else states.sum(axis=0, dtype=np.float64)
    mean: NDArray[np.float32] = (total / (len(ids) - first)).astype(np.float32)
    return mean
