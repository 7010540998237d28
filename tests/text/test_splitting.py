"""The splitters, against oracles in plain Python."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ngramgen.text.splitting import (
    PADDING,
    Spans,
    pieces,
    split_bytes,
    split_characters,
    split_strings,
    split_whitespace,
    split_words,
)

Split = Callable[[bytes], Spans]

SPLITTERS = [split_whitespace, split_bytes, split_characters, split_words]

# What splitters trip over: all five separators, their look-alikes, marks, signs outside the first plane.
PIECES = [
    *" \t\r\0\v\f'’.,-!_aZ9é",
    "\u00a0",
    "\u3000",
    "\u2028",
    "\x85",
    "\u0301",
    "\u200d",
    "\ufeff",
    "中",
    "ก",
    "😀",
    "\U0010ffff",
]
LINE = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=12),
)
LINES = st.lists(LINE, max_size=6)


def block_of(lines: list[str]) -> bytes:
    return "".join(line + "\n" for line in lines).encode()


def by_line(spans: Spans) -> list[list[bytes]]:
    tokens = spans.tokens()
    ends = spans.line_ends.tolist()
    assert ends == sorted(ends)
    assert (ends[-1] if ends else 0) == len(tokens)
    return [tokens[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


@given(LINES)
@example([""])
@example(["", "a", "", "", " b "])
@example([" \t\r\0"])
def test_whitespace(lines: list[str]) -> None:
    """Tokens lie between space, tab, CR, NUL and line end, and at no other sign, as lmplz splits."""
    expected = [[part for part in re.split(rb"[ \t\r\0]", line.encode()) if part] for line in lines]
    assert by_line(split_whitespace(block_of(lines))) == expected


@given(LINES)
def test_bytes(lines: list[str]) -> None:
    """Each byte but the line end is a token."""
    expected = [[bytes([byte]) for byte in line.encode()] for line in lines]
    assert by_line(split_bytes(block_of(lines))) == expected


@given(st.lists(st.binary(max_size=20), max_size=5))
def test_any_bytes(lines: list[bytes]) -> None:
    """The splitters at bytes and at white space take bytes that are no UTF-8."""
    lines = [line.replace(b"\n", b"\xff") for line in lines]
    block = b"".join(line + b"\n" for line in lines)
    assert [b"".join(tokens) for tokens in by_line(split_bytes(block))] == lines
    expected = [[part for part in re.split(rb"[ \t\r\0]", line) if part] for line in lines]
    assert by_line(split_whitespace(block)) == expected


@given(LINES)
def test_characters(lines: list[str]) -> None:
    """Each Unicode scalar value but the line end is a token."""
    expected = [[character.encode() for character in line] for line in lines]
    assert by_line(split_characters(block_of(lines))) == expected


def spaced(line: str) -> str:
    """The line as `split_words` sees it: a space before it, but for letters that are tokens of their own."""
    return line if not line or line[0] in "中ก" or "\u3400" <= line[0] <= "\u9fff" else " " + line


@given(LINES)
@example(["a\rb", "\0", "e\u0301e\u0301", "👩\u200d👩", " 中文", "  a", "a  ", "'", "a'", "'a'b'c'", "a''b"])
def test_words_joined_are_the_line(lines: list[str]) -> None:
    """A line's words joined are the line, in whole characters, with a space before it that no other line can have."""
    found = ["".join(token.decode() for token in tokens) for tokens in by_line(split_words(block_of(lines)))]
    assert [text.removeprefix(" ") for text in found] == lines
    assert all(text == spaced(line) or line[0] > "\u0e00" for text, line in zip(found, lines, strict=True))


@given(LINES)
def test_space_before_a_word(lines: list[str]) -> None:
    """A token holds a plain space only as its first sign; one that ends in a space is that space alone."""
    for token in split_words(block_of(lines)).tokens():
        assert b" " not in token[1:]


@given(LINES, LINES)
def test_lines_are_split_one_by_one(some: list[str], others: list[str]) -> None:
    """A block is split as its lines are, whatever lines lie beside them: ASCII or not, empty or not."""
    for split in SPLITTERS:
        together = by_line(split(block_of(some + others)))
        assert together == by_line(split(block_of(some))) + by_line(split(block_of(others)))


@pytest.mark.parametrize(
    ("line", "tokens"),
    [
        ("don't stop", [" don't", " stop"]),
        ("’tis 'so'", [" ’", "tis", " '", "so", "'"]),
        ("a... -- b", [" a", "...", " --", " b"]),
        ("x,y", [" x", ",", "y"]),
        ("?!", [" ?", "!"]),
        ("a  b", [" a", " ", " b"]),
        (" \tb ", [" ", " ", "\t", "b", " "]),
        ("a\u00a0b", [" a", "\u00a0", "b"]),
        ("中文 ok", ["中", "文", " ok"]),
        (" 中", [" ", " 中"]),
        ("", []),
        ("naïve", [" naïve"]),
        ("snake_case", [" snake_case"]),
        ("3.5", [" 3", ".", "5"]),
    ],
)
def test_words_by_hand(line: str, tokens: list[str]) -> None:
    """A word has the space before it, also where a line begins; marks and ideographs stand alone."""
    assert [token.decode() for token in split_words(block_of([line])).tokens()] == tokens


@given(st.lists(st.lists(st.text(max_size=4), max_size=4), max_size=4))
def test_strings(lines: list[list[str]]) -> None:
    """Tokens cut elsewhere come back as they are, but for empty ones."""
    expected = [[token.encode("utf-8", "surrogatepass") for token in line if token] for line in lines]
    assert by_line(split_strings(lines)) == expected


@pytest.mark.parametrize("split", SPLITTERS)
@given(lines=LINES)
def test_buffer_is_padded(split: Split, lines: list[str]) -> None:
    """Behind every buffer are the zero bytes that reading it in words asks for; offsets are int64 and in order."""
    block = block_of(lines)
    spans = split(block)
    assert spans.buffer.size % 8 == 0
    end = int(spans.starts[-1] + spans.lengths[-1]) + 1 if len(spans.starts) else len(block)
    assert spans.buffer.size >= max(end, len(block)) + PADDING
    assert not spans.buffer[max(end, len(block) + len(lines)) :].any()
    assert spans.starts.dtype == spans.lengths.dtype == spans.line_ends.dtype == np.int64
    assert (spans.lengths > 0).all()
    assert (np.diff(spans.starts) > 0).all()


@pytest.mark.parametrize("split", SPLITTERS)
@pytest.mark.parametrize("unit", ["a", "é", "a ", "'", " ", "中", "\0"])
def test_long_lines_take_linear_time(split: Split, unit: str) -> None:
    """A line of a million signs, be it one token or a million, is split in a moment."""
    block = (unit * 1_000_000 + "\n").encode()
    begin = time.perf_counter()
    spans = split(block)
    assert time.perf_counter() - begin < 3
    if split is not split_whitespace:
        assert spans.lengths.sum() - len(block) + 1 == (split is split_words and unit != "中")


@settings(max_examples=60, deadline=None)
@given(lines=st.lists(st.text("ab \té", max_size=8), max_size=12), size=st.integers(1, 40))
def test_pieces_are_whole_lines(lines: list[str], size: int) -> None:
    """Joined they are the block; each ends with its last line, and none is empty."""
    block = "".join(f"{line}\n" for line in lines).encode()
    found = list(pieces(block, size))
    assert b"".join(found) == block
    assert all(piece.endswith(b"\n") for piece in found)
    assert all(len(piece) <= size or piece.count(b"\n") == 1 for piece in found)
