"""Packed files: ``.gz``, ``.bz2``, ``.xz`` and ``.zst`` as a stream of unpacked bytes.

>>> split_suffixes("corpus.JSONL.gz")
('.jsonl', '.gz')
"""

from __future__ import annotations

import importlib
import io
import os
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, TypeAlias, cast

from ngramgen.errors import CorpusError, MissingDependencyError

PACKINGS = (".gz", ".bz2", ".xz", ".zst")

_Unpacker: TypeAlias = tuple[Callable[[int], bytes], tuple[type[Exception], ...]]
"""How to read unpacked bytes, and what a damaged file raises then."""

_ZSTD_WINDOW_LOG = 31  # the largest window there is: what `zstd --long=31` writes
_ZSTD_STEP = 1 << 14  # zstd packs up to some thousand times, so a small step bounds what one step unpacks to


def split_suffixes(path: str) -> tuple[str, str]:
    """The format and the packing that a path's suffixes tell, in lower case, each ``""`` where there is none."""
    stem, suffix = os.path.splitext(path.lower())
    return (os.path.splitext(stem)[1], suffix) if suffix in PACKINGS else (suffix, "")


def unpacked_chunks(
    file: BinaryIO, name: str, packing: str, size: int, progress: Callable[[int], None]
) -> Iterator[bytes]:
    """The unpacked bytes of an open packed file, in chunks of about ``size`` bytes, never empty.

    Members or frames one after another are one file. ``progress`` is called with the number of packed bytes read
    since its last call. Raises CorpusError naming the file where it is damaged, cut short or empty, and
    MissingDependencyError for ``.zst`` without a zstd module.
    """
    counted = _Counted(file)
    reported = 0
    buffered = cast(BinaryIO, io.BufferedReader(counted, max(size, io.DEFAULT_BUFFER_SIZE)))
    read, failures = _unpacker(buffered, packing)
    while True:
        try:
            chunk = read(size)
            if not chunk and not counted.count:
                raise EOFError("it is empty")
        except failures as error:
            reason = str(error) or type(error).__name__
            raise CorpusError(f"{name} is damaged or cut short ({reason}); get or pack it again.") from None
        if counted.count > reported:
            progress(counted.count - reported)
            reported = counted.count
        if not chunk:
            return
        yield chunk


class _Counted(io.RawIOBase):
    """A raw file that knows how many bytes were read from it."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = cast(io.BufferedReader, file)
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self.file.readinto(buffer)
        self.count += count
        return count


def _unpacker(file: BinaryIO, packing: str) -> _Unpacker:
    # bz2 and lzma are missing from some builds of Python, so they are imported only where they are needed.
    if packing == ".gz":
        gzip = importlib.import_module("gzip")
        return gzip.GzipFile(fileobj=file, mode="rb").read, (OSError, EOFError, zlib.error)
    if packing == ".bz2":
        bz2 = importlib.import_module("bz2")
        return bz2.BZ2File(file).read, (OSError, EOFError, ValueError)
    if packing == ".xz":
        lzma = importlib.import_module("lzma")
        return lzma.LZMAFile(file).read, (OSError, EOFError, lzma.LZMAError)
    return _zstd_unpacker(file)


def _zstd_unpacker(file: BinaryIO) -> _Unpacker:
    try:
        zstd = importlib.import_module("compression.zstd")  # Python 3.14
    except ImportError:
        return _zstandard_unpacker(file)
    window = {zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}
    return zstd.ZstdFile(file, options=window).read, (OSError, EOFError, zstd.ZstdError)


def _zstandard_unpacker(file: BinaryIO) -> _Unpacker:
    try:
        zstandard = importlib.import_module("zstandard")
    except ImportError:
        raise MissingDependencyError("Reading .zst files needs the zstandard package: pip install zstandard") from None
    chunks = _zstandard_chunks(zstandard.ZstdDecompressor(max_window_size=1 << _ZSTD_WINDOW_LOG), file)
    return lambda size: next(chunks, b""), (OSError, EOFError, zstandard.ZstdError)


def _zstandard_chunks(decompressor: Any, file: BinaryIO) -> Iterator[bytes]:
    # The package's own stream reader takes a file cut short for a whole one.
    frame = None
    while data := file.read(_ZSTD_STEP):
        while data:
            frame = frame or decompressor.decompressobj()
            if chunk := frame.decompress(data):
                yield chunk
            data = frame.unused_data if frame.eof else b""
            frame = None if frame.eof else frame
    if frame:
        raise EOFError("it ends inside a frame")
