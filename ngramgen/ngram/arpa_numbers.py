"""Decimal numbers in bulk: from bytes to floats and back, a column of characters at a time.

>>> text = np.frombuffer(b"-1.25 7" + bytes(32), np.uint8)
>>> parse_numbers(text, np.array([0, 6]), np.array([5, 1])).tolist()
[-1.25, 7.0]
>>> digits, lengths = format_numbers(np.array([-0.30103, 0], np.float32))
>>> [row[WIDTH - n :].tobytes() for row, n in zip(digits, lengths)]
[b'-0.30103', b'0']
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Offsets = NDArray[np.int64]

WIDTH = 17
"""Characters that the longest formatted number takes: sign, nought, point and 14 decimals."""

LOG_ZERO = -99.0
"""What ARPA files say for the logarithm of 0."""

_LONGEST = 18  # characters; more digits than that could overflow an int64
_POWERS = 10.0 ** np.arange(23)  # exact in float64
_SMALLEST, _LARGEST = 1e-6, 1e9  # sizes written without an exponent
_MINUS, _POINT, _ZERO = b"-.0"


def parse_numbers(buffer: Bytes, starts: Offsets, lengths: Offsets) -> NDArray[np.float64]:
    """The numbers that begin at ``starts`` and have these lengths, (N,); NaN for what is no number.

    Plain decimals are read in bulk, and correctly rounded up to 15 digits; exponents, infinities and very long numbers
    one by one. The buffer needs 18 bytes behind the last number, or any content there.
    """
    mantissa = np.zeros(len(starts), np.int64)
    digits = np.zeros(len(starts), np.int8)
    decimals = np.zeros(len(starts), np.int8)
    points = np.zeros(len(starts), np.int8)
    negative = buffer.take(starts) == _MINUS
    for column in range(min(int(lengths.max(initial=0)), _LONGEST)):
        characters = buffer.take(starts + column, mode="clip")
        inside = lengths > column
        points += (characters == _POINT) & inside
        characters -= np.uint8(_ZERO)
        is_digit = (characters < 10) & inside
        digits += is_digit
        decimals += is_digit & (points > 0)
        mantissa *= 1 + 9 * is_digit.view(np.int8)
        mantissa += characters * is_digit
    values = mantissa / _POWERS.take(decimals)
    np.negative(values, out=values, where=negative)
    plain = (digits > 0) & (points <= 1) & (digits + points + negative == lengths) & (digits <= 15)
    for i in np.flatnonzero(~plain).tolist():
        values[i] = _one_number(buffer[starts[i] : starts[i] + lengths[i]].tobytes())
    return values


def _one_number(text: bytes) -> float:
    if b"_" in text:  # Python would read 1_000
        return float("nan")
    try:
        return float(text)
    except ValueError:
        return float("nan")


def format_numbers(values: NDArray[np.float32]) -> tuple[Bytes, Offsets]:
    """The fewest digits that give each float32 back, as lmplz prints them: right-aligned (N, `WIDTH`), and the lengths.

    Sizes below 1e-6 and from 1e9 are rare, and formatted one by one; infinities and NaN are not for this function.
    """
    size = np.abs(values.astype(np.float64))
    usual = (size >= _SMALLEST) & (size < _LARGEST)
    mantissa, decimals = _shortest(np.where(usual, size, 1.0), values)
    mantissa[~usual] = 0
    negative = values < 0
    rows = np.empty((len(values), WIDTH), np.uint8)
    lengths = np.zeros(len(values), np.int64)
    for i in range(WIDTH):
        # the point stands before the last `decimals` digits; at least one digit comes before it
        point = (decimals == i) & (decimals > 0)
        higher = mantissa // 10
        digit = (mantissa - 10 * higher).astype(np.uint8)
        digit += np.uint8(_ZERO)
        digit[point] = _POINT
        written = (mantissa > 0) | (i <= decimals + (decimals > 0))
        sign = ~written & negative
        negative = negative & written
        digit[sign] = _MINUS
        rows[:, WIDTH - 1 - i] = digit
        lengths += written | sign
        mantissa = np.where(point, mantissa, higher)
    for i in np.flatnonzero(~usual & (size > 0)).tolist():
        text = str(values[i]).encode()
        rows[i, WIDTH - len(text) :] = np.frombuffer(text, np.uint8)
        lengths[i] = len(text)
    return rows, lengths


def _shortest(size: NDArray[np.float64], values: NDArray[np.float32]) -> tuple[Offsets, Offsets]:
    """The integers m and q with the fewest digits for which m / 10**q is the float32."""
    target = np.abs(values)
    exponents = np.floor(np.log10(size)).astype(np.int64)
    decimals = 8 - exponents
    mantissa = np.rint(size * _POWERS.take(decimals, mode="clip")).astype(np.int64)
    for digits in (8, 7, 6):
        fewer = digits - 1 - exponents
        scale = 10.0**fewer
        rounded = np.rint(size * scale)
        same = (rounded / scale).astype(np.float32) == target
        mantissa[same] = rounded[same].astype(np.int64)
        decimals[same] = fewer[same]
    left = np.arange(len(size))
    while len(left):
        left = left[(decimals.take(left) > 0) & (mantissa.take(left) % 10 == 0)]
        mantissa[left] //= 10
        decimals[left] -= 1
    return mantissa, decimals
