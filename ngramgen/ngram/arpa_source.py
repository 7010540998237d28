"""An ARPA file as a stream: single lines of its head, and megabytes of n-grams at a time."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from ngramgen.errors import ArpaError, ModelNotFoundError

_CHUNK = 1 << 22  # bytes read at a time
_LONGEST_LINE = 1 << 24
_BOM = b"\xef\xbb\xbf"
GZIP = b"\x1f\x8b"


class ArpaSource:
    """What is left to read of a file, and the number of the line that was read last."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.line = 0
        self._stream = stream
        self._name = name
        self._buffer = b""
        self._at = 0
        self._more()
        if self._buffer.startswith(_BOM):
            self._at = len(_BOM)

    def refusal(self, line: int, what: str) -> ArpaError:
        """The error to raise for something wrong in a line."""
        return ArpaError(f"{self._name}, line {line}: {what}")

    def filled_line(self) -> bytes | None:
        """The next line that is not blank, without the white space around it; None at the end of the file."""
        while (line := self._raw_line()) is not None:
            if stripped := line.strip():
                return stripped
        return None

    def grams(self) -> bytes:
        """Whole lines, some megabytes of them, up to the next that begins with a backslash; empty where one comes."""
        while True:
            buffer, at = self._buffer, self._at
            if buffer.startswith(b"\\", at):
                return b""
            end = buffer.find(b"\n\\", at)
            end = (end if end >= 0 else buffer.rfind(b"\n", at)) + 1
            if end > at:
                self._at = end
                return self._checked(buffer[at:end])
            if not self._more():
                self._at = len(buffer)
                return self._checked(buffer[at:] + b"\n") if at < len(buffer) else b""

    def _raw_line(self) -> bytes | None:
        while (end := self._buffer.find(b"\n", self._at) + 1) == 0:
            if not self._more():
                end = len(self._buffer)
                break
        if end == self._at:
            return None
        line = self._buffer[self._at : end]
        self._at = end
        self.line += 1
        return line

    def _more(self) -> bool:
        """Read on; whether there was anything."""
        left = self._buffer[self._at :]
        if len(left) > _LONGEST_LINE:
            raise self.refusal(self.line + 1, f"the line is longer than {_LONGEST_LINE} bytes; is it an ARPA file?")
        try:
            data = self._stream.read(_CHUNK)
        except EOFError:
            what = "the compressed file breaks off after this line; fetch or make it anew"
            raise self.refusal(self.line + left.count(b"\n"), what) from None
        except (zlib.error, gzip.BadGzipFile) as error:
            what = f"the compressed file is damaged after this line ({error}); fetch or make it anew"
            raise self.refusal(self.line + left.count(b"\n"), what) from None
        self._buffer, self._at = left + data, 0
        return bool(data)

    def _checked(self, block: bytes) -> bytes:
        """The block, counted and found to be UTF-8."""
        try:
            block.isascii() or block.decode()
        except UnicodeDecodeError as error:
            line = self.line + block.count(b"\n", 0, error.start) + 1
            raise self.refusal(line, "the line is not UTF-8; convert the file, with iconv for example") from None
        self.line += block.count(b"\n")
        return block


@contextmanager
def open_arpa(path: str | os.PathLike[str]) -> Iterator[ArpaSource]:
    """Open a plain or gzipped file. Raises ModelNotFoundError."""
    try:
        file = Path(path).open("rb")  # noqa: SIM115  # closed below; the except is for opening alone
    except FileNotFoundError:
        raise ModelNotFoundError(f"there is no file {os.fspath(path)}; check the path") from None
    with file:
        packed = file.peek(len(GZIP)).startswith(GZIP)
        stream = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if packed else file
        yield ArpaSource(stream, os.fspath(path))
