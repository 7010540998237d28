"""Packed grams, and the shifts that turn a guessed place into the right one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ngramgen.ngram import table
from ngramgen.ngram.table import GramOrder, code_bits, pack, place_shifts

BITS = 10
LISTS = st.lists(st.sets(st.integers(0, (1 << BITS) - 1), max_size=40), max_size=12)
# most words at one end, so that guesses are far off
SKEWED = st.lists(st.sets(st.integers(0, 60) | st.integers(1000, 1023), max_size=40), max_size=12)


def assert_exact(lists: list[list[int]], bits: int) -> NDArray[Any]:
    """The grams whose guess is j are those from j + shifts[j] up to j + 1 + shifts[j + 1], no more and no fewer."""
    words = np.array([word for some in lists for word in some], np.int64)
    children = np.cumsum([0, *map(len, lists)])
    shifts = place_shifts(words, children, bits)
    assert len(shifts) == len(words) + 1
    guesses = [
        begin + (word * len(some) >> bits)
        for begin, some in zip(children.tolist(), lists, strict=False)
        for word in some
    ]
    for j in range(len(words)):
        first, end = j + int(shifts[j]), j + 1 + int(shifts[j + 1])
        assert [i for i, guess in enumerate(guesses) if guess == j] == list(range(first, end))
    return shifts


@pytest.mark.parametrize("contexts", [1, 2, 1 << 15])
@settings(max_examples=40, deadline=None)
@given(lists=LISTS | SKEWED)
def test_shifts_are_exact(contexts: int, lists: list[set[int]]) -> None:
    """For any lists of successors, and wherever the work is cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "_CONTEXTS", contexts)
        assert_exact([sorted(some) for some in lists], BITS)


@pytest.mark.parametrize(("size", "kind"), [(100, np.int8), (128, np.int8), (400, np.int16), (40_000, np.int32)])
@pytest.mark.parametrize("at_the_end", [False, True])
def test_shifts_are_as_narrow_as_they_can_be(size: int, kind: type, at_the_end: bool) -> None:
    """All words at one end of their space: the farthest guess is off by almost the size of the list."""
    bits = 26
    words = np.arange(size, dtype=np.int64) + ((1 << bits) - size if at_the_end else 0)
    children = np.array([0, size])
    shifts = place_shifts(words, children, bits)
    assert shifts.dtype == kind
    guesses = words * size >> bits
    counts = np.bincount(guesses, minlength=size)
    begins = np.arange(size + 1) + shifts
    assert np.array_equal(np.diff(begins), counts)
    assert begins[0] == 0


def test_no_grams_have_one_shift() -> None:
    """A table of contexts without any successor."""
    assert place_shifts(np.zeros(0, np.int64), np.zeros(5, np.int64), 7).tolist() == [0]


@settings(max_examples=40, deadline=None)
@given(
    bits=st.tuples(st.integers(1, 31), st.integers(0, 20), st.integers(0, 13)),
    data=st.data(),
)
def test_what_is_packed_is_unpacked(bits: tuple[int, int, int], data: st.DataObject) -> None:
    """Word, value code and context code come back, from uint32 where they fit in 32 bits and else from uint64."""
    rows = data.draw(st.lists(st.tuples(*(st.integers(0, (1 << b) - 1) for b in bits)), min_size=1, max_size=20))
    words, values, contexts = np.array(rows, np.int64).T
    packed = pack(words, values, contexts, bits)
    assert packed.dtype == (np.uint32 if sum(bits) <= 32 else np.uint64)
    order = GramOrder(
        packed, np.zeros(1, np.uint32), np.zeros(1, np.int8), np.zeros(0, np.float32), np.zeros((0, 2)), *bits[1:]
    )
    assert np.array_equal(order.words_of(packed), words)
    assert np.array_equal(order.value_codes_of(packed), values)
    assert np.array_equal(order.context_codes_of(packed), contexts)


def test_more_than_64_bits_are_refused() -> None:
    """31 + 20 + 14 bits."""
    with pytest.raises(ValueError, match="65 bits"):
        pack(np.zeros(1, np.int64), np.zeros(1, np.int64), None, (31, 20, 14))


@pytest.mark.parametrize(("codes", "bits"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (1 << 20, 20)])
def test_bits_of_codes(codes: int, bits: int) -> None:
    """Just as many bits as the highest code needs."""
    assert code_bits(codes) == bits
