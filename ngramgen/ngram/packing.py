"""Sections of a .ngram file in a fourth of their size, for models that are sent about more than they are opened.

An array's bytes are sorted by their rank, all lowest first ("planes"), since like compresses well beside like; one that
never falls becomes its steps before ("steps"). Both are compressed by zlib, and come back bit for bit.

>>> array = np.array([0, 0, 3, 700], np.uint32)
>>> unpacked(packed(array, "steps"), array.dtype, 4, "steps").tolist()
[0, 0, 3, 700]
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

PACKINGS = ("planes", "steps")
MOST_COMPRESSED = 1033
"""Bytes that one byte of zlib can stand for at most, rounded up."""
_LEVEL = 9
_RISING = "children."


def packing_of(section: str) -> str:
    """How a section is packed, by its name."""
    return "steps" if section.startswith(_RISING) else "planes"


def packed(array: NDArray[Any], packing: str) -> bytes:
    """An array of little-endian items, compressed."""
    flat = array.reshape(-1)
    if packing == "steps":
        flat = np.diff(flat, prepend=flat.dtype.type(0))
    planes = flat.view(np.uint8).reshape(-1, flat.itemsize).T
    return zlib.compress(planes.tobytes(), _LEVEL)


def unpacked(data: bytes | memoryview, dtype: np.dtype[Any], count: int, packing: str) -> NDArray[Any]:
    """The array (count,) that `packed` was given. Raises ValueError where the data are damaged."""
    size = count * dtype.itemsize
    stream = zlib.decompressobj()
    try:
        planes = stream.decompress(data, size + 1)  # no more than is expected, whatever the data claim
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if len(planes) != size or not (stream.eof or stream.decompress(stream.unconsumed_tail, 1) == b""):
        raise ValueError(f"{len(planes)} bytes came out where {size} were expected")
    array = np.ascontiguousarray(np.frombuffer(planes, np.uint8).reshape(dtype.itemsize, count).T)
    items: NDArray[Any] = array.reshape(-1).view(dtype)
    return np.cumsum(items, dtype=dtype) if packing == "steps" else items
