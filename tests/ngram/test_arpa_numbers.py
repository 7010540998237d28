"""Decimal numbers in bulk, against Python's and numpy's own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngramgen.ngram.arpa_numbers import WIDTH, format_numbers, parse_numbers


def parsed(texts: list[bytes]) -> list[float]:
    """The texts parsed side by side, each with other bytes behind it."""
    lengths = np.array(list(map(len, texts)), np.int64)
    starts = np.cumsum(lengths + 1) - lengths - 1
    buffer = np.frombuffer(b"\t".join([*texts, b"12345678901234567890"]), np.uint8)
    return list(parse_numbers(buffer, starts, lengths))


def formatted(values: list[float]) -> list[bytes]:
    rows, lengths = format_numbers(np.array(values, np.float32))
    return [row[WIDTH - n :].tobytes() for row, n in zip(rows, lengths, strict=True)]


@given(st.lists(st.floats(-1e6, 1e6) | st.integers(-1000, 1000).map(float), min_size=1))
def test_what_python_prints_is_read_exactly(values: list[float]) -> None:
    """A printed float is read as the same float, with or without an exponent."""
    assert parsed([repr(value).encode() for value in values]) == values


@given(st.lists(st.decimals(-999, 999, places=6, allow_nan=False), min_size=1))
def test_short_decimals_are_rounded_correctly(values: list[object]) -> None:
    """Numbers with few digits are read as Python reads them."""
    texts = [str(value).encode() for value in values]
    assert parsed(texts) == [float(text) for text in texts]


@pytest.mark.parametrize("text", [b"", b"-", b".", b"1.2.3", b"1-2", b"--1", b"1_000", b"abc", b"0x10", b"1e", b"nan"])
def test_what_is_no_number_is_nan(text: bytes) -> None:
    """Anything but a number gives NaN, and does not disturb its neighbours."""
    before, found, behind = parsed([b"-1.5", text, b"2"])
    assert (before, behind) == (-1.5, 2)
    assert np.isnan(found)


@pytest.mark.parametrize(
    ("text", "value"),
    [(b"-99", -99), (b"-0.0", 0), (b".5", 0.5), (b"-5.", -5), (b"+2", 2), (b"1e-3", 1e-3), (b"-INF", -np.inf)],
)
def test_every_spelling_of_a_number_is_read(text: bytes, value: float) -> None:
    """Signs, missing digits, exponents and infinities are read."""
    assert parsed([text]) == [value]


def test_more_digits_than_fit_are_read_one_by_one() -> None:
    """Numbers of any length are rounded correctly."""
    texts = [b"-1.2345678901234567890123", b"0." + b"0" * 40 + b"1", b"9" * 30]
    assert parsed(texts) == [float(text) for text in texts]


@given(st.lists(st.floats(-9999, 9999, width=32), min_size=1))
def test_formatted_numbers_give_the_float32_back(values: list[float]) -> None:
    """Every float32 is read back as itself, from at most nine digits."""
    texts = formatted(values)
    assert [np.float32(text) for text in texts] == values
    plain = [text for text in texts if b"e" not in text]
    assert all(len(text.lstrip(b"-0.").replace(b".", b"")) <= 9 for text in plain)


@given(st.lists(st.floats(-99, -(2.0**-13), width=32), min_size=1))
def test_formatted_numbers_are_as_short_as_numpys(values: list[float]) -> None:
    """Logarithms have the fewest digits that tell them apart, as in numpy and in lmplz."""
    expected = [np.format_float_positional(np.float32(value), unique=True, trim="-").encode() for value in values]
    assert formatted(values) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, b"0"),
        (-99, b"-99"),
        (-0.30103, b"-0.30103"),
        (-0.068, b"-0.068"),
        (-0.124077894, b"-0.124077894"),
        (1, b"1"),
    ],
)
def test_numbers_look_as_in_lmplz_files(value: float, text: bytes) -> None:
    """No trailing zeros, no plus, and no point without decimals."""
    assert formatted([value]) == [text]
