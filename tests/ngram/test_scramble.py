"""The bijection that spreads word ids."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngramgen.ngram.scramble import Scramble


@given(st.integers(1, 5000))
def test_bijection(size: int) -> None:
    """Every id has a place of its own in the smallest power of two that holds the vocabulary, and comes back."""
    scramble = Scramble(size)
    assert scramble.size >= max(size, 2)
    assert size == 1 or scramble.size < 2 * size
    everything = np.arange(scramble.size)
    forward = scramble.forward(everything)
    assert np.array_equal(np.sort(forward), everything)
    assert np.array_equal(scramble.inverse(forward), everything)
    assert np.array_equal(scramble.forward(scramble.inverse(everything)), everything)


@given(st.integers(1, 2**31), st.data())
def test_large_vocabularies(size: int, data: st.DataObject) -> None:
    """The same holds for ids of any integer type up to 2**31: no product overflows."""
    scramble = Scramble(size)
    ids = data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=20))
    for kind in (np.int32, np.int64, np.uint32, np.uint64):
        forward = scramble.forward(np.array(ids, kind))
        assert forward.dtype == np.int64
        assert forward.tolist() == [i * scramble.factor % scramble.size for i in ids]
        assert scramble.inverse(forward.astype(kind)).tolist() == ids


@pytest.mark.parametrize("bits", range(1, 32))
def test_depends_on_the_power_of_two_alone(bits: int) -> None:
    """A table knows only its bits a word, so all vocabularies of as many bits are scrambled alike."""
    assert Scramble(1 << bits) == Scramble(1 << bits)
    assert (Scramble((1 << (bits - 1)) + 1).factor, bits) == (Scramble(1 << bits).factor, Scramble(1 << bits).bits)


def test_spreads_neighbours() -> None:
    """The first ids of a large vocabulary fall evenly: no gap between a thousand is thrice as wide as the mean."""
    scramble = Scramble(1 << 20)
    gaps = np.diff(np.sort(scramble.forward(np.arange(1000))))
    assert gaps.max() < 3 * scramble.size / 1000
