"""The .ngram file, versions 1 and 2: a checked header and raw little-endian arrays that are mapped, not read.

    offset 0   8 bytes   magic b"\\x89NGRAM\\r\\n"
           8   4 bytes   version, uint32
          12   4 bytes   length of the header, uint32
          16   4 bytes   CRC-32 of the header, uint32
          20   ...       the header: msgpack of a map with an exact schema
           .   ...       zero bytes up to a multiple of 64, then the sections, each 64-byte aligned, tiling the file

The header lists each section's dtype, shape, offset, length and CRC-32. Opening reads the header alone and checks its
sum and that all sizes fit the file before a view is made, so it takes the same time for a file of any size; `verify`
reads all and checks the other sums. Nothing is unpickled, and the same arrays give the same bytes.

In version 2 a section may be compressed (`ngramgen.ngram.packing`): then it is read and unpacked as the file is opened.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from collections.abc import Collection, Mapping
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from ngramgen.atomic import replacing
from ngramgen.errors import ModelFormatError, ModelNotFoundError
from ngramgen.ngram.packing import MOST_COMPRESSED, PACKINGS, packed, packing_of, unpacked

Arrays = dict[str, NDArray[Any]]

MAGIC = b"\x89NGRAM\r\n"
VERSION, COMPRESSED = 1, 2
"""Versions of the format: without and with sections that are compressed."""
_PREFIX = struct.Struct("<8sIII")
_ALIGN = 64
_HEADER_LIMIT = 1 << 20
_DTYPES = ("|u1", "|i1", "<i2", "<i4", "<u4", "<u8", "<f4")
_CHUNK = 1 << 24
_LONGEST_NAME = 100


def write(path: str | os.PathLike[str], meta: Mapping[str, Any], arrays: Arrays, compress: bool = False) -> None:
    """Write a model file, or leave what was there: a temporary file in the same folder, synced and renamed.

    ``meta`` holds plain values that msgpack knows. Raises OSError where the folder cannot be written.
    """
    assert all(array.ndim in (1, 2) and array.dtype.newbyteorder("<").str in _DTYPES for array in arrays.values())
    sections = []
    contents: list[memoryview | bytes] = []
    offset = 0  # within the body
    for name, array in arrays.items():
        little = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))
        packing = packing_of(name) if compress else None
        content = _bytes_of(little) if packing is None else packed(little, packing)
        section = {
            "name": name,
            "dtype": little.dtype.str,
            "shape": list(array.shape),
            "offset": offset,
            "length": len(content),
            "crc32": zlib.crc32(content),
        }
        sections.append(section | ({"packing": packing} if compress else {}))
        contents.append(content)
        offset += len(content) + -len(content) % _ALIGN
    header = msgpack.packb({"meta": dict(meta), "sections": sections}, use_bin_type=True)
    if len(header) > _HEADER_LIMIT:
        raise ModelFormatError(f"{path}: a header of {len(header)} bytes is over the limit of {_HEADER_LIMIT}")
    with replacing(path) as file:
        file.write(_PREFIX.pack(MAGIC, COMPRESSED if compress else VERSION, len(header), zlib.crc32(header)))
        file.write(header)
        file.write(bytes(-(_PREFIX.size + len(header)) % _ALIGN))
        for data in contents:
            for begin in range(0, len(data), _CHUNK):
                file.write(data[begin : begin + _CHUNK])
            file.write(bytes(-len(data) % _ALIGN))


def _bytes_of(array: NDArray[Any]) -> memoryview:
    return memoryview(array.reshape(-1).view(np.uint8).data) if array.size else memoryview(b"")


def read(
    path: str | os.PathLike[str], verify: bool = False, always: Collection[str] = ()
) -> tuple[dict[str, Any], Arrays]:
    """The meta data and the mapped arrays of a model file.

    Raises ModelNotFoundError where there is none, ModelFormatError where it is not a whole ngramgen file of a version
    that is known; with ``verify`` also where a section's checksum is wrong. That of the sections in ``always`` is
    checked anyway.
    """
    mapped = _mapped(path)
    size = len(mapped)
    magic, version, length, crc32 = _PREFIX.unpack_from(mapped, 0)
    if magic != MAGIC:
        raise ModelFormatError(f"{path}: this is not an ngramgen model file (byte 0 does not begin its signature)")
    if version not in (VERSION, COMPRESSED):
        raise ModelFormatError(
            f"{path}: version {version} of the format is not known; this ngramgen reads {VERSION} and {COMPRESSED}"
        )
    if length > _HEADER_LIMIT or _PREFIX.size + length > size:
        raise ModelFormatError(f"{path}: the header (byte 12) claims {length} bytes, more than there can be")
    data = mapped[_PREFIX.size : _PREFIX.size + length]
    if zlib.crc32(data) != crc32:
        raise ModelFormatError(f"{path}: the header at byte {_PREFIX.size} is damaged (checksum)")
    header = _unpack(path, data, version)
    body = _PREFIX.size + length
    body += -body % _ALIGN
    arrays: Arrays = {}
    end = body
    for section in header["sections"]:
        name = section["name"]
        count = _count(path, size, body, end, section)
        if name in arrays:
            raise ModelFormatError(f"{path}: the header names section {name!r} twice")
        content = memoryview(mapped)[end : end + section["length"]]
        if (verify or name in always) and zlib.crc32(content) != section["crc32"]:
            raise ModelFormatError(f"{path}: section {name!r} at byte {end} is damaged (checksum)")
        dtype = np.dtype(section["dtype"])
        if packing := section.get("packing"):
            try:
                array = unpacked(content, dtype, count, packing)
            except ValueError:
                raise ModelFormatError(f"{path}: section {name!r} at byte {end} is damaged (compression)") from None
        else:
            array = np.frombuffer(content, dtype, count)
        arrays[name] = array.reshape(section["shape"]).astype(dtype.newbyteorder("="), copy=False)
        end += section["length"] + -section["length"] % _ALIGN
    if end != size:
        raise ModelFormatError(f"{path}: the sections end at byte {end}, but the file has {size}")
    return header["meta"], arrays


def _mapped(path: str | os.PathLike[str]) -> mmap.mmap:
    if os.path.exists(path) and not os.path.isfile(path):  # opening a pipe would wait for its writer
        raise ModelNotFoundError(f"{path} is not a file; name a .ngram file")
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < _PREFIX.size:
                raise ModelFormatError(f"{path}: {size} bytes are too few for a model file")
            return mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
    except (FileNotFoundError, NotADirectoryError):
        raise ModelNotFoundError(f"there is no model file {path}") from None


def _unpack(path: str | os.PathLike[str], data: bytes, version: int) -> dict[str, Any]:
    try:
        header = msgpack.unpackb(data, strict_map_key=True, max_map_len=4096, max_array_len=1 << 16)
    except Exception as error:  # msgpack raises many kinds, some of them built-ins
        raise ModelFormatError(
            f"{path}: the header at byte {_PREFIX.size} is damaged ({type(error).__name__})"
        ) from None
    whole, text = (int,), (str,)
    keys: dict[str, tuple[type, ...]] = {
        "name": text,
        "dtype": text,
        "shape": (list,),
        "offset": whole,
        "length": whole,
        "crc32": whole,
    }
    if version == COMPRESSED:
        keys["packing"] = (str, type(None))
    right = isinstance(header, dict) and set(header) == {"meta", "sections"}
    right = right and isinstance(header["meta"], dict) and isinstance(header["sections"], list)
    right = right and all(
        isinstance(s, dict) and set(s) == set(keys) and all(type(s[k]) in kinds for k, kinds in keys.items())
        for s in header["sections"]
    )
    # messages show these
    right = right and all(len(s["name"]) <= _LONGEST_NAME and len(s["shape"]) in (1, 2) for s in header["sections"])
    if not right:
        raise ModelFormatError(f"{path}: the header at byte {_PREFIX.size} does not have the form of version {version}")
    return header  # type: ignore[no-any-return]


def _count(path: str | os.PathLike[str], size: int, body: int, end: int, section: dict[str, Any]) -> int:
    """How many items a section has; its place and size are checked, in Python's unbounded integers."""
    offset, length, packing = body + section["offset"], section["length"], section.get("packing")
    where = f"{path}: section {section['name']!r} at byte {offset}"
    if section["dtype"] not in _DTYPES:
        raise ModelFormatError(f"{where} has the unknown type {section['dtype'][:8]!r}")
    if offset != end or length < 0 or offset + length > size:
        raise ModelFormatError(f"{where} does not lie in the file (it has {length} bytes, the file {size})")
    if packing is not None and packing not in PACKINGS:
        raise ModelFormatError(f"{where} is packed in the unknown way {packing[:20]!r}")
    most = size if packing is None else size * MOST_COMPRESSED
    count = 1
    for extent in section["shape"]:
        if type(extent) is not int or not 0 <= extent <= most:
            raise ModelFormatError(f"{where} has an impossible shape")
        count *= extent
    unpacked_length = count * np.dtype(section["dtype"]).itemsize
    if unpacked_length != length if packing is None else unpacked_length > length * MOST_COMPRESSED:
        raise ModelFormatError(f"{where} has {length} bytes, which its shape {section['shape']} does not fill")
    return count
