"""The .ngram container: what is written comes back, and what is wrong is refused."""

from __future__ import annotations

import os
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ngramgen.errors import ModelFormatError, ModelNotFoundError
from ngramgen.ngram import file
from ngramgen.ngram.file import MAGIC, Arrays

DTYPES = ["u1", "i1", "<i2", "<i4", "<u4", "<u8", "<f4"]
META: dict[str, Any] = {"kind": "test", "number": 1.5, "list": [1, None, True], "about": {"a": "é"}}
ARRAYS: Arrays = {
    "bytes": np.arange(70, dtype=np.uint8),
    "none": np.zeros((0, 2), np.float32),
    "pairs": np.array([[1, 2], [3, 4]], np.float32),
    "last": np.zeros(0, np.uint64),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A small file."""
    path = tmp_path / "small.ngram"
    file.write(path, META, ARRAYS)
    return path


def parts(path: Path) -> tuple[dict[str, Any], bytes]:
    """The header and the body of a file."""
    data = path.read_bytes()
    length = struct.unpack_from("<I", data, 12)[0]
    begin = 20 + length
    return msgpack.unpackb(data[20:begin]), data[begin + -begin % 64 :]


def put(path: Path, header: Any, body: bytes = b"") -> None:
    """A file with this header, its sum right, whatever it claims."""
    packed = header if isinstance(header, bytes) else msgpack.packb(header)
    begin = struct.pack("<8sIII", MAGIC, 1, len(packed), zlib.crc32(packed)) + packed
    path.write_bytes(begin + bytes(-len(begin) % 64) + body)


def same(some: Arrays, others: Arrays) -> bool:
    return some.keys() == others.keys() and all(
        some[k].dtype == others[k].dtype and some[k].shape == others[k].shape and (some[k] == others[k]).all()
        for k in some
    )


def test_round_trip(path: Path) -> None:
    """Meta data and arrays come back as they were, aligned and not to be written to."""
    meta, arrays = file.read(path, verify=True)
    assert meta == META
    assert list(arrays) == list(ARRAYS)
    assert same(arrays, ARRAYS)
    for array in arrays.values():
        assert not array.flags.writeable
        assert array.ctypes.data % 64 == 0


@given(
    st.lists(
        st.sampled_from(DTYPES).flatmap(
            lambda kind: hnp.arrays(kind, hnp.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=9))
        ),
        max_size=5,
    )
)
def test_any_arrays(tmp_path_factory: pytest.TempPathFactory, arrays: list[np.ndarray[Any, Any]]) -> None:
    """Arrays of every type and of one or two axes come back to the bit, views and empty ones too; twice is one file."""
    folder = tmp_path_factory.mktemp("any")
    named = {f"section {i}": array[::-1] for i, array in enumerate(arrays)}
    for name in ("a", "b"):
        file.write(folder / name, {}, named)
    assert (folder / "a").read_bytes() == (folder / "b").read_bytes()
    _, found = file.read(folder / "a", verify=True)
    assert list(found) == list(named)
    for name, array in named.items():
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()


def test_types_that_could_not_be_read(tmp_path: Path) -> None:
    """What `read` would refuse is not written."""
    for array in (np.zeros(3), np.zeros(3, np.int64), np.zeros((1, 1, 1), np.uint8), np.array(["a"])):
        with pytest.raises(AssertionError):
            file.write(tmp_path / "x", {}, {"a": array})
    with pytest.raises(ModelFormatError, match="over the limit"):
        file.write(tmp_path / "x", {"about": "x" * (1 << 20)}, {})
    assert list(tmp_path.iterdir()) == []


def test_every_changed_byte_is_found(path: Path) -> None:
    """A change of any byte is refused, or it lies between the sections and changes nothing."""
    data = path.read_bytes()
    harmless = 0
    for place in range(len(data)):
        for flip in (0x01, 0x80, 0xFF):
            path.write_bytes(data[:place] + bytes([data[place] ^ flip]) + data[place + 1 :])
            try:
                meta, arrays = file.read(path, verify=True)
            except ModelFormatError as error:
                assert str(path) in str(error)  # noqa: PT017
            else:
                assert meta == META
                assert same(arrays, ARRAYS)
                harmless += 1
    used = 20 + struct.unpack_from("<I", data, 12)[0] + sum(array.nbytes for array in ARRAYS.values())
    assert harmless == 3 * (len(data) - used)


def test_every_length_but_one_is_refused(path: Path) -> None:
    """A file that is cut anywhere, or goes on, is refused without reading its sections."""
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(ModelFormatError, match=r"small\.ngram"):
            file.read(path)
    for more in (b"\0", bytes(64)):
        path.write_bytes(data + more)
        with pytest.raises(ModelFormatError, match=r"the sections end at byte \d+, but the file has"):
            file.read(path)


CLAIMS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "length beyond the file": lambda s: s.update(length=1 << 40, shape=[1 << 40]),
    "length of 2**63": lambda s: s.update(length=(1 << 63) - 1, shape=[(1 << 63) - 1]),
    "negative length": lambda s: s.update(length=-64, shape=[-64]),
    "negative offset": lambda s: s.update(offset=-64),
    "offset that overlaps": lambda s: s.update(offset=64),
    "offset beyond the file": lambda s: s.update(offset=1 << 62),
    "two negative extents": lambda s: s.update(shape=[-7, -10]),
    "huge extents": lambda s: s.update(shape=[1 << 63, 1 << 63]),
    "huge product that wraps to the length": lambda s: s.update(shape=[(1 << 63) + 35, 2]),
    "nothing of huge size": lambda s: s.update(shape=[0, (1 << 63) - 1], length=0),
    "no extent": lambda s: s.update(shape=[]),
    "three extents": lambda s: s.update(shape=[7, 5, 2]),
    "thousands of extents": lambda s: s.update(shape=[(1 << 62)] * 60_000),
    "an extent that is no number": lambda s: s.update(shape=["70"]),
    "an extent that is a bool": lambda s: s.update(shape=[True]),
    "a float for a length": lambda s: s.update(length=70.0),
    "another type of the same size": lambda s: s.update(dtype="|S1"),
    "a type of objects": lambda s: s.update(dtype="|O"),
    "a type with fields": lambda s: s.update(dtype="u1,u1"),
    "a wider type": lambda s: s.update(dtype="<f4"),
    "a name of bytes": lambda s: s.update(name=b"bytes"),
    "a long name": lambda s: s.update(name="x" * 1000),
    "a long type": lambda s: s.update(dtype="x" * 100_000),
    "the name of another": lambda s: s.update(name="pairs"),
    "an unknown key": lambda s: s.update(more=1),
    "a missing key": lambda s: s.pop("crc32"),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_wrong_claims(name: str, path: Path) -> None:
    """A header whose sum is right but whose first section claims what cannot be is refused in a short message."""
    header, body = parts(path)
    CLAIMS[name](header["sections"][0])
    put(path, header, body)
    with pytest.raises(ModelFormatError, match=r"small\.ngram") as caught:
        file.read(path)
    assert len(str(caught.value)) < len(str(path)) + 300


BOMBS: dict[str, bytes] = {
    "nothing": b"",
    "nil": b"\xc0",
    "a list": msgpack.packb([]),
    "a map of other keys": msgpack.packb({"meta": {}}),
    "meta that is no map": msgpack.packb({"meta": [], "sections": []}),
    "sections that are no list": msgpack.packb({"meta": {}, "sections": {}}),
    "a section that is no map": msgpack.packb({"meta": {}, "sections": [1]}),
    "rest behind the map": msgpack.packb({"meta": {}, "sections": []}) + b"\xc0",
    "a map that breaks off": msgpack.packb({"meta": {}, "sections": []})[:-1],
    "lists in lists": b"\x91" * 1_000_000 + b"\xc0",
    "maps in maps": b"\x81\xa1a" * 300_000 + b"\xc0",
    "a list of 4 G entries": b"\xdd\xff\xff\xff\xff",
    "a map of 4 G entries": b"\xdf\xff\xff\xff\xff",
    "a text of 4 GB": b"\xdb\xff\xff\xff\xff",
    "an extension of 4 GB": b"\xc9\xff\xff\xff\xff\x01",
    "a million small lists": msgpack.packb({"meta": {"a": [[[]] * 60_000] * 8}, "sections": [0]}),
    "keys that are numbers": msgpack.packb({1: 2}),
    "text that is no UTF-8": b"\x82\xa4\xff\xff\xff\xff\x80\xa8sections\x90",
    "all bytes that are no type": b"\xc1" * 100,
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(name: str, path: Path) -> None:
    """A header that is no header, or would unpack to gigabytes, is refused within bounded memory and time."""
    put(path, BOMBS[name])
    tracemalloc.start()
    begin = time.perf_counter()
    try:
        with pytest.raises(ModelFormatError, match="the header at byte 20"):
            file.read(path)
        assert tracemalloc.get_traced_memory()[1] < 200 << 20
        assert time.perf_counter() - begin < 5
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (0, b"\x88", "not an ngramgen model file"),
        (6, b"\n\n", "not an ngramgen model file"),  # what a transfer as text does
        (8, b"\3\0\0\0", "version 3 of the format"),
        (8, b"\0\0\0\0", "version 0 of the format"),
        (12, b"\xff\xff\xff\xff", "claims 4294967295 bytes"),
        (12, b"\0\0\x11\0", "claims 1114112 bytes"),
        (12, b"\0\0\0\0", "the header at byte 20 is damaged"),
        (16, b"\0\0\0\0", "the header at byte 20 is damaged"),
    ],
)
def test_wrong_beginning(place: int, value: bytes, message: str, path: Path) -> None:
    """Another kind of file, another version and a wrong header are told apart."""
    data = path.read_bytes()
    path.write_bytes(data[:place] + value + data[place + len(value) :])
    with pytest.raises(ModelFormatError, match=message):
        file.read(path)


def test_no_file(tmp_path: Path) -> None:
    """What is not there, a folder and a pipe are no model files; an empty file is a damaged one."""
    (tmp_path / "empty").touch()
    with pytest.raises(ModelFormatError, match="0 bytes are too few"):
        file.read(tmp_path / "empty")
    places = [tmp_path / "none", tmp_path, tmp_path / "empty" / "below"]
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        places.append(tmp_path / "pipe")
    for place in places:
        with pytest.raises(ModelNotFoundError, match=str(place)):
            file.read(place)


def test_opening_does_not_read(tmp_path: Path) -> None:
    """A file of ten gigabytes opens as fast as a small one."""
    path, size = tmp_path / "large", 10 << 30
    section = {"name": "a", "dtype": "|u1", "shape": [size], "offset": 0, "length": size, "crc32": 0}
    put(path, {"meta": {}, "sections": [section]})
    begin = path.stat().st_size
    try:
        os.truncate(path, begin + size)
    except OSError:
        pytest.skip("the file system has no sparse files")
    start = time.perf_counter()
    _, arrays = file.read(path)
    assert time.perf_counter() - start < 0.5
    assert arrays["a"].shape == (size,)
    assert arrays["a"][-1] == 0


def test_failure_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where writing fails, the old file is still whole, and readers that have it open keep theirs when it succeeds."""
    _, mapped = file.read(path)

    def failing(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        with pytest.raises(OSError, match="Input/output error") as caught:
            file.write(path, {}, {})
        assert caught.value.filename == str(path)
    assert file.read(path, verify=True)[0] == META
    file.write(path, {}, {})
    assert file.read(path) == ({}, {})
    assert same(mapped, ARRAYS)


def test_compressed(tmp_path: Path) -> None:
    """A compressed file says that it is of version 2, gives the same arrays, and is refused where it is damaged."""
    plain, small = tmp_path / "plain.ngram", tmp_path / "small.ngram"
    arrays: Arrays = {**ARRAYS, "children.2": np.arange(5000, dtype=np.uint32)}
    file.write(plain, META, arrays)
    file.write(small, META, arrays, compress=True)
    assert (plain.read_bytes()[8], small.read_bytes()[8]) == (1, 2)
    assert small.stat().st_size < plain.stat().st_size / 4
    meta, found = file.read(small, verify=True)
    assert meta == META
    assert same(found, arrays)


def test_compressed_and_damaged(tmp_path: Path) -> None:
    """A compressed file with any byte turned is refused, or its sums tell, or the byte was padding."""
    path, damaged = tmp_path / "small.ngram", tmp_path / "damaged.ngram"
    file.write(path, META, ARRAYS, compress=True)
    whole = path.read_bytes()
    told = 0
    for place in range(len(whole)):
        damaged.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        try:
            found = file.read(damaged, verify=True)[1]
        except ModelFormatError:
            told += 1
        else:
            assert same(found, ARRAYS)
            assert whole[place] == 0
    assert told > 100


def test_unknown_packing(path: Path) -> None:
    """A way of packing that is not known, and one in a file of version 1, are refused."""
    header, body = parts(path)
    for section in header["sections"]:
        section["packing"] = "zip"
    put(path, header, body)
    with pytest.raises(ModelFormatError, match="form of version 1"):
        file.read(path)
    data = bytearray(path.read_bytes())
    data[8] = 2
    path.write_bytes(data)
    with pytest.raises(ModelFormatError, match="unknown way 'zip'"):
        file.read(path)
