"""Well-formed UTF-8 as an automaton over bytes, and where the tokens of a vocabulary lead in it.

A state says which bytes the character under way still needs. `BORDER` is the one between two characters, `DEAD` the one
from which no text comes back: behind overlong forms, surrogates, and what lies beyond U+10FFFF, too.

>>> follow(BORDER, "é".encode()), follow(BORDER, "é".encode()[:1]), follow(BORDER, b"\\xc0")
(0, 1, -1)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BORDER, DEAD = 0, -1
_ONE, _TWO, _THREE, _E0, _ED, _F0, _F4 = range(1, 8)  # bytes 80 to BF that are needed, or the first byte that was read
_EDGES = (  # from, first byte, last byte, to: table 3-7 of the Unicode Standard
    (BORDER, 0x00, 0x7F, BORDER),
    (BORDER, 0xC2, 0xDF, _ONE),
    (BORDER, 0xE0, 0xEF, _TWO),
    (BORDER, 0xE0, 0xE0, _E0),
    (BORDER, 0xED, 0xED, _ED),
    (BORDER, 0xF0, 0xF0, _F0),
    (BORDER, 0xF1, 0xF3, _THREE),
    (BORDER, 0xF4, 0xF4, _F4),
    (_ONE, 0x80, 0xBF, BORDER),
    (_TWO, 0x80, 0xBF, _ONE),
    (_THREE, 0x80, 0xBF, _TWO),
    (_E0, 0xA0, 0xBF, _ONE),
    (_ED, 0x80, 0x9F, _ONE),
    (_F0, 0x90, 0xBF, _TWO),
    (_F4, 0x80, 0x8F, _TWO),
)
STATES = 8


def _table() -> NDArray[np.int8]:
    table = np.full((STATES + 1, 256), DEAD, np.int8)  # row -1 is that of the dead state
    for before, first, last, behind in _EDGES:
        table[before, first : last + 1] = behind
    return table


_TABLE = _table()
_ROWS = [row.tolist() for row in _TABLE]


def follow(state: int, text: bytes) -> int:
    """The state behind some bytes.

    >>> follow(follow(BORDER, b"\\xe2\\x82"), b"\\xac")
    0
    """
    for byte in text:
        state = _ROWS[state][byte]
    return state


def are_whole(data: NDArray[np.uint8], offsets: NDArray[np.integer[Any]]) -> bool:
    """Whether every token is whole characters; token v is ``data[offsets[v]:offsets[v + 1]]``, (V + 1,).

    >>> are_whole(np.frombuffer("aé".encode(), np.uint8), np.array([0, 1, 2, 3]))
    False
    """
    places = offsets.astype(np.int64)
    begins = places[:-1][np.diff(places) > 0]
    if ((data.take(begins) & 0xC0) == 0x80).any():
        return False
    try:
        data[: places[-1]].tobytes().decode()
    except UnicodeDecodeError:
        return False
    return True


def token_states(data: NDArray[np.uint8], offsets: NDArray[np.integer[Any]]) -> NDArray[np.int8]:
    """The state behind each token in each state, (STATES, V) int8; a token without bytes comes at a border alone.

    >>> token_states(np.frombuffer("aé".encode(), np.uint8), np.array([0, 1, 2, 3]))[:2].tolist()
    [[0, 1, -1], [-1, -1, 0]]
    """
    begins = offsets[:-1].astype(np.int64)
    lengths = offsets[1:].astype(np.int64) - begins
    order = np.argsort(-lengths, kind="stable")
    counts = np.cumsum(np.bincount(lengths)[::-1])[::-1]  # tokens of so many bytes or more
    states = np.tile(np.arange(STATES, dtype=np.int8), (len(begins), 1))
    for depth, count in enumerate(counts[1:].tolist()):
        longer = order[:count]
        states[longer] = _TABLE[states[longer], data.take(begins.take(longer) + depth)[:, None]]
    states[lengths == 0, BORDER + 1 :] = DEAD
    return np.ascontiguousarray(states.T)
