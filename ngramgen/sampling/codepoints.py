r"""Sets of characters as ranges of code points, and the pieces into which several sets cut all characters.

Python's own `re` says what ``\w`` or ``(?i)k`` are: it is asked once for every character, and the answer is kept.

>>> ranges_of(CharacterSet(False, (("RANGE", (97, 122)), ("LITERAL", 95)))).tolist()
[[95, 95], [97, 122]]
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Ranges: TypeAlias = NDArray[np.int64]  # (R, 2): first and last code point, ascending, with gaps between

END = 0x110000  # of the code points
_CASED_END = 0x20000  # no letter from here on has two cases
_SURROGATES = (0xD800, 0xDFFF)  # no UTF-8 text holds them

_CATEGORIES = {
    f"CATEGORY_{prefix}{name}": (letter.upper() if prefix else letter)
    for name, letter in (("DIGIT", r"\d"), ("SPACE", r"\s"), ("WORD", r"\w"))
    for prefix in ("", "NOT_")
}


class CharacterSet(NamedTuple):
    """A set as `re`'s parser sees it: whether it is the others that count, its items and flags (``re.I``, ``re.A``)."""

    negated: bool
    items: tuple[tuple[str, Any], ...]  # ("LITERAL", code), ("RANGE", (first, last)), ("CATEGORY", name)
    flags: int = 0


class Pieces(NamedTuple):
    """All characters, cut where a set begins or ends; characters of the same sets are one piece."""

    of_code: NDArray[np.int32]  # (0x110000,): the piece of each code point; piece 0 is in no set
    sets: list[tuple[int, ...]]  # of each piece


@lru_cache(maxsize=1024)
def ranges_of(characters: CharacterSet) -> Ranges:
    r"""The code points of a set, (R, 2) int64, surrogates perhaps among them.

    >>> ranges_of(CharacterSet(False, (("CATEGORY", "CATEGORY_DIGIT"),), re.A)).tolist()
    [[48, 57]]
    """
    if characters.flags & re.I:
        return _ask_re(_source(characters), characters.flags)
    parts = [_item_ranges(kind, value, characters.flags) for kind, value in characters.items]
    union = _merged(np.concatenate([np.zeros((0, 2), np.int64), *parts]))
    return _others(union) if characters.negated else union


def _item_ranges(kind: str, value: Any, flags: int) -> Ranges:
    if kind == "CATEGORY":
        return _ask_re(_CATEGORIES[value], flags)
    return np.array([value if kind == "RANGE" else (value, value)], np.int64)


def _merged(ranges: Ranges) -> Ranges:
    ranges = ranges[np.argsort(ranges[:, 0], kind="stable")]
    reach = np.maximum.accumulate(ranges[:, 1])
    begins = np.flatnonzero(np.r_[True, ranges[1:, 0] > reach[:-1] + 1][: len(ranges)])
    return np.stack([ranges[begins, 0], reach[np.r_[begins[1:] - 1, len(ranges) - 1][: len(begins)]]], axis=1)


def _others(ranges: Ranges) -> Ranges:
    gaps = np.stack([np.r_[0, ranges[:, 1] + 1], np.r_[ranges[:, 0] - 1, END - 1]], axis=1)
    return gaps[gaps[:, 0] <= gaps[:, 1]]


def _source(characters: CharacterSet) -> str:
    items = "".join(map(_item_source, characters.items))
    return f"[{'^' if characters.negated else ''}{items}]"


def _item_source(item: tuple[str, Any]) -> str:
    kind, value = item
    if kind == "CATEGORY":
        return _CATEGORIES[value]
    return "-".join(f"\\U{code:08x}" for code in (value if kind == "RANGE" else (value,)))


@lru_cache(maxsize=1024)
def _ask_re(source: str, flags: int) -> Ranges:
    """Where the characters lie that one set of a regular expression matches: each run of them is a range."""
    one_letter = source.startswith(r"[\U") and len(source) == len(r"[\U00000000]")
    runs = re.compile(f"{source}+", flags).finditer(_all_characters(_CASED_END if one_letter else END))
    found = [(run.start(), run.end() - 1) for run in runs]
    if one_letter and (code := int(source[3:-1], 16)) >= _CASED_END:
        found.append((code, code))
    return np.array(found, np.int64).reshape(-1, 2)


@cache
def _all_characters(end: int) -> str:
    return np.arange(end, dtype="<u4").tobytes().decode("utf-32-le", "surrogatepass")


def cut(sets: Sequence[CharacterSet]) -> Pieces:
    """The pieces that sets cut all characters into.

    >>> cut([CharacterSet(False, (("RANGE", (97, 122)),)), CharacterSet(False, (("LITERAL", 101),))]).sets
    [(), (0,), (0, 1)]
    """
    borders: dict[int, list[int]] = {0: [], END: [], _SURROGATES[0]: [], _SURROGATES[1] + 1: []}
    for number, characters in enumerate(sets):
        for first, last in ranges_of(characters).tolist():
            borders.setdefault(first, []).append(number)
            borders.setdefault(last + 1, []).append(number)
    starts = sorted(borders)
    numbers: dict[tuple[int, ...], int] = {(): 0}
    pieces = np.array([_numbered(numbers, held) for held in _held(starts[:-1], borders)], np.int32)
    return Pieces(np.repeat(pieces, np.diff(starts)), list(numbers))


def _held(starts: list[int], borders: dict[int, list[int]]) -> Iterable[tuple[int, ...]]:
    """The sets that hold the code points from each start to the next."""
    open_sets: set[int] = set()
    for start in starts:
        for number in borders[start]:
            open_sets ^= {number}
        yield () if start == _SURROGATES[0] else tuple(sorted(open_sets))


def _numbered(numbers: dict[tuple[int, ...], int], key: tuple[int, ...]) -> int:
    return numbers.setdefault(key, len(numbers))
