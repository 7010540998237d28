"""Where the tokens of a block of text begin and end, found for all of it at once.

A block is UTF-8 text of whole lines, each ended by ``\\n``; a line is a sentence. Every splitter gives `Spans`: offsets
into a buffer of bytes, so that one piece of code turns tokens into keys whatever the tokenizer.

>>> spans = split_whitespace(b"a bc\\n\\nd\\n")
>>> spans.tokens(), spans.line_ends.tolist()
([b'a', b'bc', b'd'], [2, 2, 3])
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Offsets = NDArray[np.int64]

PADDING = 16
"""Zero bytes behind every buffer, so that reading it in 8-byte words never runs over its end."""

PIECE = 1 << 18
"""Bytes of text treated at a time, so that what belongs to them stays in the cache."""


@dataclass(frozen=True, slots=True)
class Spans:
    """Tokens as offsets: token t is ``buffer[starts[t]:][:lengths[t]]``; line l ends before token ``line_ends[l]``."""

    buffer: Bytes  # padded by at least PADDING zero bytes, its size a multiple of 8
    starts: Offsets  # (T,)
    lengths: Offsets  # (T,), all positive
    line_ends: Offsets  # (L,)

    def tokens(self) -> list[bytes]:
        """The tokens as bytes, in order."""
        data = self.buffer.tobytes()
        return [data[s : s + n] for s, n in zip(self.starts.tolist(), self.lengths.tolist(), strict=True)]


def padded(block: bytes) -> Bytes:
    """The block as an array of bytes with the padding that `Spans` asks for."""
    return np.frombuffer(block + bytes(PADDING + -len(block) % 8), dtype=np.uint8)


def pieces(block: bytes, size: int = PIECE) -> Iterator[bytes]:
    """A block of whole lines in pieces of about ``size`` bytes, cut at line ends."""
    begin = 0
    while begin < len(block):
        end = block.rfind(b"\n", begin, begin + size) + 1 or block.find(b"\n", begin) + 1 or len(block)
        yield block[begin:end]
        begin = end


def split_whitespace(block: bytes) -> Spans:
    """Tokens between space, tab, carriage return, NUL and newline: the five that KenLM's lmplz knows, and no others."""
    buffer = padded(block)
    separators = np.flatnonzero(buffer[: len(block)] <= 32)
    kinds = buffer.take(separators)
    real = _SEPARATORS.take(kinds)
    if not real.all():
        separators, kinds = separators[real], kinds[real]
    lengths = np.diff(separators, prepend=-1)
    lengths -= 1
    starts = separators - lengths
    newlines = kinds == 10
    if lengths.all():
        line_ends = np.flatnonzero(newlines)
        line_ends += 1
    else:
        present = lengths > 0
        line_ends = np.cumsum(present)[newlines]
        starts, lengths = starts[present], lengths[present]
    return Spans(buffer, starts, lengths, line_ends)


def split_bytes(block: bytes) -> Spans:
    """One token a byte; a newline only ends the line."""
    starts = np.arange(len(block), dtype=np.int64)  # an older numpy counts in 32 bits on Windows
    return _drop_newlines(padded(block), starts, np.ones_like(starts))


def split_characters(block: bytes) -> Spans:
    """One token a Unicode scalar value; a newline only ends the line."""
    if block.isascii():
        return split_bytes(block)
    buffer = padded(block)
    starts = np.flatnonzero((buffer[: len(block)] & 0xC0) != 0x80)
    return _drop_newlines(buffer, starts, np.diff(starts, append=len(block)))


def split_words(block: bytes) -> Spans:
    """Words with the space before them, marks one by one; joined, they are the line with a space before it.

    The space that a line begins with makes a word the same token there as in the middle of a line. A line that begins
    with an ideograph or another letter that stands alone has none; that its first sign is no space then tells.

    A word is a run of letters, digits and everything that is not white space, punctuation or a symbol; an apostrophe
    between two such characters belongs to it. Ideographs, kana and Thai, Lao, Khmer and Burmese letters are tokens of
    their own. Runs of one mark ("...", "--") are one token. One plain space goes with the token behind it; other white
    space stands alone.
    """
    ascii_only = block.isascii()
    encoded = block if ascii_only else block.decode().encode("utf-32-le")
    codes = np.frombuffer(encoded, dtype=np.uint8 if ascii_only else "<u4").astype(np.int64)
    codes = np.insert(codes, _spaced_lines(codes), 32)
    spaced = (
        codes.astype(np.uint8).tobytes() if ascii_only else codes.astype("<u4").tobytes().decode("utf-32-le").encode()
    )
    classes = _class_table().take(codes)
    inside = (classes == _APOSTROPHE)[1:-1] & (classes[:-2] == _WORD) & (classes[2:] == _WORD)
    classes[1:-1][inside] = _WORD
    classes[classes == _APOSTROPHE] = _MARK
    begins = np.ones(len(codes), bool)
    same = (classes[1:] == _WORD) & (classes[:-1] == _WORD)
    same |= (classes[1:] == _MARK) & (codes[1:] == codes[:-1])
    begins[1:] = ~same
    # a plain space that is followed by a token is the beginning of that token
    spaces = np.flatnonzero(codes[:-1] == 32)
    followed = classes[spaces + 1] >= _WORD
    begins[spaces[followed] + 1] = False
    starts = np.flatnonzero(begins)
    if not ascii_only:
        widths = 1 + (codes >= 0x80) + (codes >= 0x800) + (codes >= 0x10000)
        offsets = np.zeros(len(codes) + 1, np.int64)
        np.cumsum(widths, out=offsets[1:])
        starts = offsets.take(starts)
    return _drop_newlines(padded(spaced), starts, np.diff(starts, append=len(spaced)))


def _spaced_lines(codes: Offsets) -> Offsets:
    """Where the lines begin that a space is put before: not empty ones, nor those with a letter that stands alone."""
    begins = np.roll(np.flatnonzero(codes == 10) + 1, 1)
    begins[:1] = 0
    firsts = codes.take(begins)
    return begins.compress((firsts != 10) & (_class_table().take(firsts) != _ALONE))


def split_strings(lines: list[list[str]]) -> Spans:
    """Spans of tokens that another tokenizer has cut; empty tokens are dropped."""
    encoded = [[token.encode("utf-8", "surrogatepass") for token in line if token] for line in lines]
    flat = [token for line in encoded for token in line]
    lengths = np.fromiter(map(len, flat), np.int64, len(flat))
    starts = np.cumsum(lengths) - lengths
    line_ends = np.cumsum(np.fromiter(map(len, encoded), np.int64, len(encoded)))
    return Spans(padded(b"".join(flat)), starts, lengths, line_ends)


def _drop_newlines(buffer: Bytes, starts: Offsets, lengths: Offsets) -> Spans:
    newlines = buffer.take(starts) == 10
    keep = ~newlines
    line_ends = np.cumsum(keep)[newlines]
    return Spans(buffer, starts[keep], lengths[keep], line_ends)


_SEPARATORS = np.zeros(256, bool)
_SEPARATORS[[0, 9, 10, 13, 32]] = True

_SPACE, _WORD, _MARK, _ALONE, _APOSTROPHE = range(5)

_SPACES: tuple[tuple[int, int], ...] = (
    (0x00, 0x20),
    (0x7F, 0xA0),
    (0x1680, 0x1680),
    (0x2000, 0x200A),
    (0x2028, 0x2029),
    (0x202F, 0x202F),
)
_SPACES += (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF)
_MARKS: tuple[tuple[int, int], ...] = (
    (0x21, 0x2F),
    (0x3A, 0x40),
    (0x5B, 0x5E),
    (0x60, 0x60),
    (0x7B, 0x7E),
    (0xA1, 0xA9),
    (0xAB, 0xB1),
    (0xB4, 0xB4),
)
_MARKS += (0xB6, 0xB8), (0xBB, 0xBB), (0xBF, 0xBF), (0xD7, 0xD7), (0xF7, 0xF7), (0x55A, 0x55F), (0x589, 0x58A)
_MARKS += (0x5BE, 0x5BE), (0x5F3, 0x5F4), (0x60C, 0x60D), (0x61B, 0x61F), (0x66A, 0x66D), (0x6D4, 0x6D4)
_MARKS += (0x964, 0x965), (0xE4F, 0xE4F), (0x10FB, 0x10FB), (0x104A, 0x104F), (0x17D4, 0x17DA), (0x2010, 0x2027)
_MARKS += (0x2030, 0x205E), (0x20A0, 0x20CF), (0x2100, 0x214F), (0x2190, 0x2BFF), (0x2E00, 0x2E7F), (0x3001, 0x3004)
_MARKS += (0x3008, 0x3020), (0x3030, 0x3030), (0x303D, 0x303F), (0x30FB, 0x30FB), (0xFE10, 0xFE1F), (0xFE30, 0xFE6F)
_MARKS += (0xFF01, 0xFF0F), (0xFF1A, 0xFF20), (0xFF3B, 0xFF40), (0xFF5B, 0xFF65), (0xFFE0, 0xFFEE), (0xFFFD, 0xFFFD)
_MARKS += ((0x1F000, 0x1FAFF),)
_ALONES: tuple[tuple[int, int], ...] = (
    (0xE01, 0xE30),
    (0xE32, 0xE33),
    (0xE40, 0xE46),
    (0xE81, 0xEB0),
    (0xEC0, 0xEC6),
    (0x1000, 0x102A),
)
_ALONES += (0x1780, 0x17B3), (0x3005, 0x3007), (0x3040, 0x30FA), (0x3100, 0x312F), (0x31F0, 0x31FF), (0x3400, 0x4DBF)
_ALONES += (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF)


@cache
def _class_table() -> NDArray[np.uint8]:
    """The class of every code point, (0x110000,); all that no range names is part of a word."""
    table = np.full(0x110000, _WORD, np.uint8)
    for kind, ranges in ((_SPACE, _SPACES), (_MARK, _MARKS), (_ALONE, _ALONES)):
        for first, last in ranges:
            table[first : last + 1] = kind
    table[[0x27, 0x2019]] = _APOSTROPHE
    return table
