"""Compressed arrays come back bit for bit, and damaged ones are refused without much memory."""

from __future__ import annotations

import tracemalloc
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from ngramgen.ngram.packing import packed, packing_of, unpacked

DTYPES = ["u1", "i1", "<i2", "<i4", "<u4", "<u8", "<f4"]


@given(
    hnp.arrays(st.sampled_from(DTYPES).map(np.dtype), hnp.array_shapes(max_dims=2, min_side=0, max_side=30)),
)
def test_planes(array: NDArray[Any]) -> None:
    """What was packed as planes comes back bit for bit."""
    found = unpacked(packed(array, "planes"), array.dtype, array.size, "planes")
    assert found.dtype == array.dtype
    assert found.tobytes() == array.tobytes()


@given(hnp.arrays(st.sampled_from([np.dtype("<u4"), np.dtype("<u8")]), st.integers(0, 40)))
def test_steps(array: NDArray[Any]) -> None:
    """What was packed as steps comes back bit for bit, even where it falls."""
    assert unpacked(packed(array, "steps"), array.dtype, array.size, "steps").tobytes() == array.tobytes()


def test_rising_offsets_are_packed_as_steps() -> None:
    """The offsets of successors are packed as steps, which takes less than half; all else as planes."""
    offsets = np.cumsum(np.random.default_rng(1).integers(0, 3, 10_000)).astype(np.uint32)
    assert packing_of("children.3") == "steps"
    assert packing_of("packed.3") == packing_of("shifts.2") == "planes"
    assert 2 * len(packed(offsets, "steps")) < len(packed(offsets, "planes"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not compressed",
        packed(np.arange(9, dtype="<u4"), "planes"),
        packed(np.arange(11, dtype="<u4"), "planes"),
        packed(np.arange(10, dtype="<u4"), "planes")[:-5],
        zlib.compress(bytes(39)),
    ],
)
def test_what_does_not_give_the_array_is_refused(data: bytes) -> None:
    """Bytes that are not compressed, are cut short, or give too few or too many bytes are a ValueError."""
    with pytest.raises(ValueError, match=r"."):
        unpacked(data, np.dtype("<u4"), 10, "planes")


def test_a_bomb_takes_no_memory() -> None:
    """Data that would give 100 MB are refused after the few bytes that were expected."""
    bomb = zlib.compress(bytes(100_000_000), 9)
    tracemalloc.start()
    with pytest.raises(ValueError, match="expected"):
        unpacked(bomb, np.dtype("u1"), 1000, "planes")
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()
