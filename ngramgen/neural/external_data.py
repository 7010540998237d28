"""The files that an ONNX model wants opened beside itself, found without opening them and without the onnx package.

A model may keep weights in other files and name them by any path. They are found by walking through the protocol
buffers' wire format (https://protobuf.dev/programming-guides/encoding), of which four field types are in use.
"""

from __future__ import annotations

import mmap
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from ngramgen.errors import ModelFormatError

_DEEPEST = 100  # messages inside messages, as protobuf's own limit
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MEMORY = "_ORT_MEM_ADDR_"  # to ONNX Runtime a place in its own memory

# The fields of onnx.proto through which a tensor can be reached.
_FIELDS = {
    "Model": {7: "Graph", 20: "Training", 25: "Function"},
    "Training": {1: "Graph", 2: "Graph"},
    "Function": {7: "Node", 11: "Attribute"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "SparseTensor", 23: "SparseTensor"},
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Tensor": {13: "Entry"},
}


def external_locations(path: Path) -> set[str]:
    """The names of other files that an ONNX file gives as places of its weights.

    Raises ModelFormatError where it is no ONNX file or breaks off, OSError where it cannot be read.
    """
    with path.open("rb") as file:
        if not path.stat().st_size:
            raise ModelFormatError(f"{path} is empty; it should be an ONNX file")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return set(_Walk(path, data).locations())


def check_external_data(path: Path) -> list[Path]:
    """The other files that an ONNX file needs, each a plain one in its folder or below.

    Raises ModelFormatError for any other, as `external_locations` does, and OSError.
    """
    return [_checked(path, location) for location in sorted(external_locations(path))]


def _checked(path: Path, location: str) -> Path:
    where = f"{path} keeps weights in {location!r}"
    parts = PurePosixPath(location).parts
    odd = "\\" in location or "\0" in location or PureWindowsPath(location).drive or _MEMORY in location
    if not parts or odd or ".." in parts or PurePosixPath(location).is_absolute():
        raise ModelFormatError(f"{where}, which is no file of its folder; such a model is not opened")
    found = path.parent
    for i, part in enumerate(parts):
        found = found / part
        try:
            status = found.lstat()
        except OSError:
            raise ModelFormatError(f"{where}, which is missing") from None
        is_last = i == len(parts) - 1
        if not (stat.S_ISREG(status.st_mode) if is_last else stat.S_ISDIR(status.st_mode)):
            raise ModelFormatError(f"{where}, which is no plain file (a link?); copy the file itself into the folder")
        if is_last and status.st_nlink > 1:
            raise ModelFormatError(f"{where}, which is a file of another folder too; copy it instead of linking it")
    return found


class _Walk:
    """A walk through the messages of a file, with no more in memory than where they lie."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path, self.data = path, data

    def locations(self) -> Iterator[str]:
        waiting = [("Model", 0, len(self.data), 0)]
        graphs = 0
        while waiting:
            kind, begin, end, depth = waiting.pop()
            if depth > _DEEPEST:
                raise ModelFormatError(f"{self.path} is damaged: its parts lie too deep inside each other")
            graphs += kind == "Graph"
            inner = _FIELDS[kind]
            for number, first, last in self._fields(begin, end):
                if number not in inner:
                    continue
                if inner[number] == "Entry":
                    yield from self._location(first, last)
                else:
                    waiting.append((inner[number], first, last, depth + 1))
        if not graphs:
            raise ModelFormatError(f"{self.path} is no ONNX file: it holds no graph")

    def _location(self, begin: int, end: int) -> Iterator[str]:
        entry = {number: self.data[first:last] for number, first, last in self._fields(begin, end)}
        if entry.get(1) == b"location":
            yield entry.get(2, b"").decode("utf-8", "surrogateescape")

    def _fields(self, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Number, begin and end of every field of a message that has a length."""
        data, place = self.data, begin
        while place < end:
            key, place = self._varint(place, end)
            wire = key & 7
            if wire == _VARINT:
                _, place = self._varint(place, end)
            elif wire == _BYTES:
                size, place = self._varint(place, end)
                if size > end - place:
                    raise self._damaged(place)
                yield key >> 3, place, place + size
                place += size
            elif wire in (_FIXED64, _FIXED32):
                place += 8 if wire == _FIXED64 else 4
                if place > end:
                    raise self._damaged(len(data))
            else:
                raise self._damaged(place)

    def _varint(self, place: int, end: int) -> tuple[int, int]:
        result = 0
        for shift in range(0, 70, 7):
            if place >= end:
                raise self._damaged(place)
            byte = self.data[place]
            place += 1
            result |= (byte & 127) << shift
            if byte < 128:
                return result, place
        raise self._damaged(place)

    def _damaged(self, place: int) -> ModelFormatError:
        return ModelFormatError(
            f"{self.path} is no ONNX file, or a damaged one: it breaks off or is wrong at byte {place}"
        )
