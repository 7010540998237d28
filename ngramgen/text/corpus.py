"""Corpus readers: files, streams and lists of sentences as blocks of whole UTF-8 lines.

>>> list(read_blocks([["one sentence", "another"]]))
[b'one sentence\\nanother\\n']

What comes out is defined for every input:

====================================  ==========================================================
input                                 result
====================================  ==========================================================
UTF-8 byte order mark at the start    dropped
UTF-16 or UTF-32 byte order mark      CorpusError
CR LF                                 a line break, LF
lone CR, NUL                          a character of the line
VT, FF, U+0085, U+2028, U+2029        a character of the line
empty line                            kept: an empty sentence
last line without LF                  gets one
invalid UTF-8, encoded surrogates     CorpusError, or U+FFFD with ``errors="replace"``
line of any length                    one line, in linear time
blank line in JSON Lines or CSV       skipped
====================================  ==========================================================

The suffix of a path tells its format, in any case of letters: ``.jsonl`` and ``.ndjson`` hold a JSON object a line,
``.csv`` and ``.tsv`` a table with a header, and anything else is plain text. Each may be followed by ``.gz``,
``.bz2``, ``.xz`` or ``.zst``. Standard input and open files have no suffix: they are plain text, or JSON Lines
where ``field`` is given.
"""

from __future__ import annotations

import io
import os
import re
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias, cast

import numpy as np

from ngramgen.errors import CorpusError, OptionError
from ngramgen.text.packed import split_suffixes, unpacked_chunks
from ngramgen.text.records import RECORD_SUFFIXES, record_texts

Source: TypeAlias = "str | os.PathLike[str] | BinaryIO | Iterable[str]"
"""A path, ``"-"`` for standard input, a file opened in binary mode, or sentences."""

_STDIN = "-"
_DEFAULT_FIELD = "text"
_BOM = b"\xef\xbb\xbf"
_WIDE_BOMS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
_SURROGATES = re.compile("[\ud800-\udfff]")


class CountedBlocks:
    """Blocks that are passed on, and how many bytes they had."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self.blocks, self.size = blocks, 0

    def __iter__(self) -> Iterator[bytes]:
        for block in self.blocks:
            self.size += len(block)
            yield block


@dataclass(frozen=True)
class _Options:
    field: str | None
    errors: str
    block_size: int
    progress: Callable[[int], None]


def read_blocks(
    sources: Sequence[Source],
    *,
    field: str | None = None,
    errors: Literal["strict", "replace"] = "strict",
    block_size: int = 1 << 20,
    progress: Callable[[int], None] | None = None,
) -> Iterator[bytes]:
    r"""Blocks of about ``block_size`` bytes of valid UTF-8, each of whole lines that end in ``b"\n"``.

    >>> list(read_blocks([["first", "second\nthird"]]))
    [b'first\nsecond\nthird\n']

    ``field`` names the text of each record of JSON Lines, CSV and TSV (default ``"text"``); line breaks inside it
    part lines. ``progress`` is called with the number of raw (still compressed) bytes read since its last call.
    Raises OptionError for arguments out of range, CorpusError for a source that cannot be read (files that are not
    there before the first block), and MissingDependencyError for ``.zst`` without a zstd module.
    """
    if errors not in ("strict", "replace"):
        raise OptionError(f"errors must be 'strict' or 'replace', not {errors!r}.")
    if block_size < 1:
        raise OptionError(f"block_size must be at least 1 byte, not {block_size}.")
    listed = _listed(sources)
    if field is not None and listed and not any(_has_fields(source) for source in listed):
        formats = ", ".join(RECORD_SUFFIXES)
        raise OptionError(f"field={field!r} needs a source with fields: {formats} or a stream of JSON Lines.")
    for source in listed:
        _file_size(source)
    options = _Options(field, errors, block_size, progress or (lambda count: None))
    return (block for source in listed for block in _source_blocks(source, options))


def corpus_bytes(sources: Sequence[Source]) -> int | None:
    """The total raw size of the sources in bytes, for a progress bar; None where one of them is not a plain file.

    >>> corpus_bytes(["-"]) is None
    True

    Raises CorpusError for a path that is not there or is a folder.
    """
    sizes = [_file_size(source) for source in _listed(sources)]
    return None if None in sizes else sum(cast("list[int]", sizes))


def _listed(sources: Sequence[Source]) -> list[Source]:
    # A lone path is a sequence too (of its letters), and never meant as one.
    return [cast(Source, sources)] if isinstance(sources, (str, os.PathLike)) else list(sources)


def _is_path(source: Source) -> bool:
    return isinstance(source, os.PathLike) or (isinstance(source, str) and source != _STDIN)


def _is_stream(source: Source) -> bool:
    # A file opened as text is an iterable of lines instead.
    if isinstance(source, str):
        return source == _STDIN
    return hasattr(source, "read") and not isinstance(source, io.TextIOBase)


def _has_fields(source: Source) -> bool:
    return _is_stream(source) or (
        _is_path(source) and split_suffixes(os.fspath(cast(str, source)))[0] in RECORD_SUFFIXES
    )


def _file_size(source: Source) -> int | None:
    if not _is_path(source):
        return None
    path = Path(cast(str, source))
    try:
        status = path.stat()
    except FileNotFoundError:
        raise CorpusError(f"There is no file {path}.") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise CorpusError(f"{path} cannot be read: {_reason(error)}.") from None
    if stat.S_ISDIR(status.st_mode):
        raise CorpusError(f"{path} is a folder; name the files in it.")
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def _source_blocks(source: Source, options: _Options) -> Iterator[bytes]:
    if _is_path(source):
        path = os.fspath(cast(str, source))
        kind, packing = split_suffixes(path)
        with _opened(path) as file:
            if packing:
                chunks = unpacked_chunks(file, path, packing, options.block_size, options.progress)
            else:
                chunks = _chunks(file, path, options)
            yield from _format_blocks(chunks, path, kind, options)
    elif _is_stream(source):
        stream = sys.stdin.buffer if isinstance(source, str) else cast(BinaryIO, source)
        name = "standard input" if isinstance(source, str) else str(getattr(source, "name", "the stream"))
        kind = ".txt" if options.field is None else ".jsonl"
        yield from _format_blocks(_chunks(stream, name, options), name, kind, options)
    else:
        for block in _joined(_sentences(source), "the list of sentences, item", options):
            options.progress(len(block))
            yield block


def _format_blocks(chunks: Iterator[bytes], name: str, kind: str, options: _Options) -> Iterator[bytes]:
    lines = _valid_lines(chunks, name, options)
    if kind not in RECORD_SUFFIXES:
        return lines
    field = _DEFAULT_FIELD if options.field is None else options.field
    return _joined(record_texts(lines, name, kind, field), f"{name}, line", options)


def _opened(path: str) -> BinaryIO:
    try:
        return open(path, "rb")
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {_reason(error)}.") from None


# Bytes in


def _chunks(file: BinaryIO, name: str, options: _Options) -> Iterator[bytes]:
    while True:
        try:
            chunk = file.read(options.block_size)
        except OSError as error:
            raise CorpusError(f"{name} cannot be read: {_reason(error)}.") from None
        if not chunk:
            return
        if isinstance(chunk, str):
            raise OptionError(f"{name} is open as text; open it in binary mode.")
        options.progress(len(chunk))
        yield bytes(chunk)


# Whole lines of valid UTF-8


def _valid_lines(chunks: Iterator[bytes], name: str, options: _Options) -> Iterator[bytes]:
    line = 1
    for block in _whole_lines(_without_bom(chunks, name)):
        yield _line_breaks(_valid(block, name, line, options.errors))
        line += int(np.count_nonzero(np.frombuffer(block, np.uint8) == ord("\n")))  # bytes.count takes twice as long


def _without_bom(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    start = b""
    for chunk in chunks:
        start += chunk
        if not any(bom.startswith(start) for bom in (_BOM, *_WIDE_BOMS)):
            break  # an open pipe may bring no more for a while
    if start.startswith(_WIDE_BOMS):
        raise CorpusError(f"{name} is UTF-16 or UTF-32; convert it to UTF-8, for instance with iconv -t UTF-8.")
    if start := start.removeprefix(_BOM):
        yield start
    yield from chunks


def _whole_lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    pieces: list[bytes | memoryview] = []  # joined once a line, so that long lines take linear time
    for chunk in chunks:
        cut = chunk.rfind(b"\n") + 1
        if not cut:
            pieces.append(chunk)
            continue
        yield b"".join([*pieces, memoryview(chunk)[:cut]])
        pieces = [chunk[cut:]] if cut < len(chunk) else []
    if pieces:
        yield b"".join(pieces)


def _valid(block: bytes, name: str, line: int, errors: str) -> bytes:
    if block.isascii():
        return block
    try:
        block.decode()
    except UnicodeDecodeError as error:
        if errors == "replace":
            return block.decode(errors="replace").encode()
        line += block.count(b"\n", 0, error.start)
        offset = error.start - (block.rfind(b"\n", 0, error.start) + 1)
        raise CorpusError(
            f"{name}, line {line}: byte 0x{block[error.start]:02x} at offset {offset} of the line is not UTF-8; "
            f"convert the file to UTF-8, or let train replace what is not (--errors replace)."
        ) from None
    return block


def _line_breaks(block: bytes) -> bytes:
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n")
    return block if block.endswith(b"\n") else block + b"\n"


# Texts with their numbers to blocks of lines


def _sentences(source: Source) -> Iterator[tuple[int, str]]:
    if isinstance(source, (bytes, bytearray)) or not isinstance(source, Iterable):
        raise OptionError(f"A source is a path, a binary file or an iterable of str, not {type(source).__name__}.")
    for number, text in enumerate(source, start=1):
        if not isinstance(text, str):
            raise OptionError(f"Item {number} of the sentences is {type(text).__name__}, and must be str.")
        yield number, text


def _joined(texts: Iterable[tuple[int, str]], name: str, options: _Options) -> Iterator[bytes]:
    pieces: list[bytes] = []
    size = 0
    for number, text in texts:
        pieces.append(_line_breaks(_encoded(text, name, number, options.errors)))
        size += len(pieces[-1])
        if size >= options.block_size:
            yield from _cut(b"".join(pieces), options.block_size)
            pieces, size = [], 0
    if pieces:
        yield from _cut(b"".join(pieces), options.block_size)


def _encoded(text: str, name: str, number: int, errors: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        if errors == "replace":
            return _SURROGATES.sub("\ufffd", text).encode()
        found = f"U+{ord(text[error.start]):04X}"
        raise CorpusError(
            f"{name} {number}: character {error.start} is a lone surrogate, {found}, which is no text; "
            f"mend it or replace it (--errors replace, errors='replace' in Python)."
        ) from None


def _cut(lines: bytes, size: int) -> Iterator[bytes]:
    start = 0
    while len(lines) - start >= 2 * size:
        end = (lines.rfind(b"\n", start, start + size) + 1) or (lines.find(b"\n", start + size) + 1)
        yield lines[start:end]
        start = end
    if start < len(lines):
        yield lines[start:]
