"""Bits of a network in training, against a loop over all places."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from ngramgen.neural.config import NetworkConfig  # noqa: E402
from ngramgen.neural.measuring import mean_bits  # noqa: E402
from ngramgen.neural.network import Network  # noqa: E402
from ngramgen.neural.windows import window_start  # noqa: E402


@pytest.mark.parametrize("context", [1, 2, 5, 6])
@pytest.mark.parametrize("length", [2, 3, 7, 8, 41])
def test_each_place(context: int, length: int) -> None:
    """The mean is that of -log2 p of every token but the first, each after the tokens that the finished model sees."""
    torch.manual_seed(0)
    network = Network(NetworkConfig(13, layers=1, width=32, heads=2, kv_heads=2, hidden=8, context=context))
    for parameter in network.matrices():
        torch.nn.init.normal_(parameter)
    tokens = np.random.default_rng(1).integers(0, 13, length).astype(np.uint16)
    bits = []
    for place in range(1, length):
        seen = torch.from_numpy(tokens[window_start(place, context) : place].astype(np.int64))
        assert 1 <= len(seen) <= context
        with torch.no_grad():
            row = torch.log_softmax(network(seen[None])[0, -1], -1)
        bits.append(-float(row[int(tokens[place])]) / math.log(2))
    found = mean_bits(network, network.hidden, tokens, torch.device("cpu"))
    assert found == pytest.approx(np.mean(bits), rel=1e-5)


def test_same_shapes() -> None:
    """All calls have the shape (8, context), so that a compiled network is compiled once."""
    network = Network(NetworkConfig(13, layers=1, width=32, heads=2, kv_heads=2, hidden=8, context=4))
    shapes = []

    def hidden(ids):  # type: ignore[no-untyped-def]
        shapes.append(tuple(ids.shape))
        return network.hidden(ids)

    mean_bits(network, hidden, np.zeros(30, np.uint16), torch.device("cpu"))
    assert shapes == [(8, 4), (8, 4)]
