"""From pieces of all characters to bytes: UTF-8 as a tree of blocks of 64 code points.

The last byte of a character chooses within a block of 64 code points, the byte before it chooses among 64 such blocks,
and so on. Equal blocks are one, at each level, so the whole of Unicode is a few hundred rows; and a state of the
automaton turns each block into a row of states, of which equal ones are one again. The outcome is the smallest
automaton over bytes if the one over pieces was the smallest.

>>> blocks = encode_blocks(np.ones(0x110000, np.int32))  # only how long a character is makes a difference
>>> [len(rows) for rows in blocks.levels]
[1, 2, 3]
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ngramgen.sampling.codepoints import END
from ngramgen.sampling.dfa import Dfa, TooLargeError

MAX_BYTE_STATES = 100_000
_CHUNK = 4_000_000  # cells worked on at a time

Rows = NDArray[np.int32]


class Blocks(NamedTuple):
    """UTF-8 over pieces. ``levels[0]`` has rows of pieces, ``levels[n]`` rows of row numbers of level n - 1.

    A number of -1 is a byte that cannot come.
    """

    ascii: Rows  # (128,) pieces
    levels: tuple[Rows, Rows, Rows]  # (N, 64) each
    leads: tuple[Rows, Rows, Rows]  # (32,), (16,), (8,): the row that each first byte from C0, E0 and F0 leads to


def encode_blocks(pieces: Rows) -> Blocks:
    """The blocks of all characters, given the piece of each code point, (0x110000,); piece 0 is never accepted."""
    pieces = np.where(pieces > 0, pieces, -1).astype(np.int32)
    ascii_pieces = pieces[:128].copy()
    pieces[:128] = -1  # one byte is enough
    last, block = _distinct(pieces.reshape(-1, 64))
    three = block[: 16 * 64].copy()
    three[:32] = -1  # two bytes are enough
    four = np.full(8 * 64 * 64, -1, np.int32)
    four[: END // 64] = block
    four[: 16 * 64] = -1  # three bytes are enough
    middle, parent = _distinct(np.concatenate([three, four]).reshape(-1, 64))
    first, grandparent = _distinct(parent[16:].reshape(-1, 64))
    return Blocks(ascii_pieces, (last, middle, first), (block[:32], parent[:16], grandparent))


def _distinct(rows: Rows) -> tuple[Rows, Rows]:
    """The rows that are not all -1, each once, and the number of every row among them, -1 for those."""
    numbers: dict[bytes, int] = {}
    inverse = _number(rows, numbers, 0)
    return np.frombuffer(b"".join(numbers), np.int32).reshape(-1, rows.shape[1]), inverse


def _number(rows: Rows, numbers: dict[bytes, int], begin: int) -> Rows:
    """The number of every row, (N,) int32, -1 where it is all -1; new ones are taken in, numbered on from ``begin``."""
    data, size = np.ascontiguousarray(rows).tobytes(), rows.shape[1] * rows.itemsize
    dead = b"\xff" * size
    found = np.empty(len(rows), np.int32)
    for i in range(len(rows)):
        row = data[i * size : (i + 1) * size]
        found[i] = -1 if row == dead else numbers.setdefault(row, begin + len(numbers))
    return found


def over_bytes(dfa: Dfa, blocks: Blocks) -> tuple[Rows, Rows]:
    """Where each state leads with each byte: (S, 256) int32, and for those within characters (N, 64) int32.

    The states within characters come behind the others, from S on; bytes 80 to BF lead on from them, and from no other.
    Raises TooLargeError beyond `MAX_BYTE_STATES`.
    """
    states = len(dfa.table)
    inside: dict[bytes, int] = {}
    table = np.full((states, 256), -1, np.int32)
    step = max(1, _CHUNK // 64 // max(1, *map(len, blocks.levels)))
    for begin in range(0, states, step):
        chunk = slice(begin, begin + step)
        behind = np.pad(dfa.table[chunk], ((0, 0), (0, 1)), constant_values=-1)  # number -1 is the last column
        table[chunk, :128] = behind[:, blocks.ascii]
        for rows, lead, (first, count) in zip(blocks.levels, blocks.leads, _LEADS, strict=True):
            behind = _step_back(behind, rows, inside, states)
            table[chunk, first : first + count] = behind[:, lead]
        if states + len(inside) > MAX_BYTE_STATES:
            raise TooLargeError
    return table, np.frombuffer(b"".join(inside), np.int32).reshape(-1, 64)


_LEADS = ((0xC0, 32), (0xE0, 16), (0xF0, 8))


def _step_back(behind: Rows, rows: Rows, inside: dict[bytes, int], states: int) -> Rows:
    """From where states lead with the numbers that ``rows`` hold to where they lead with the numbers of ``rows``."""
    found = np.full((len(behind), len(rows) + 1), -1, np.int32)
    reached = behind[:, rows]  # (states, rows, 64)
    live = (reached >= 0).any(axis=2)
    found[:, :-1][live] = _number(reached[live], inside, states)
    return found
