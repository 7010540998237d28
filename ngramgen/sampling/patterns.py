r"""Regular expressions as automata over the bytes of UTF-8.

An automaton of bytes does not care how a tokenizer cuts a text, not even where a token is a part of a character.

>>> date = compile_pattern(r"\d{4}-\d{2}-\d{2}")
>>> date.matches("1865-11-26"), date.matches("1865-11")
(True, False)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from ngramgen.errors import OptionError
from ngramgen.sampling.codepoints import CharacterSet, cut
from ngramgen.sampling.dfa import Dfa, TooLargeError, determinise, intersect, minimise
from ngramgen.sampling.nfa import build_nfa, too_large
from ngramgen.sampling.utf8 import encode_blocks, over_bytes


@dataclass(frozen=True, eq=False)
class Automaton:
    """A deterministic automaton over bytes, the smallest of its language; from each state acceptance can be reached.

    >>> int(compile_pattern("a*").table[0, 1])
    0
    """

    table: NDArray[np.int32]  # (S, C): the state behind each state and class of bytes, -1 where there is none
    class_of_byte: NDArray[np.uint8]  # (256,): bytes of one class lead to the same state from every state
    accepts: NDArray[np.bool_]  # (S,)
    start: int  # -1 where nothing is accepted

    @property
    def is_empty(self) -> bool:
        """Whether no text is accepted.

        >>> compile_pattern("a+", "b+").is_empty
        True
        """
        return self.start < 0

    def walk(self, state: int, data: bytes) -> int:
        """The state behind some bytes, -1 where they lead nowhere.

        >>> compile_pattern("ab").walk(0, b"b")
        -1
        """
        for byte in data:
            if state < 0:
                break
            state = int(self.table[state, self.class_of_byte[byte]])
        return state

    def matches(self, text: str) -> bool:
        """Whether the whole text is accepted; never one with a lone surrogate, which UTF-8 does not know.

        >>> compile_pattern("(?i)straße").matches("STRAßE")
        True
        """
        state = self.walk(self.start, text.encode("utf-8", "surrogatepass"))
        return state >= 0 and bool(self.accepts[state])


def compile_pattern(*patterns: str) -> Automaton:
    r"""The automaton of the texts in which every pattern matches the whole text, as `re.fullmatch` says.

    A pattern is a regular expression of Python's `re` without look-around, word boundaries, back-references, atomic
    groups and possessive quantifiers. A text is one line: ``.`` is any character but a newline unless ``(?s)`` says
    otherwise, ``^`` and ``$`` are its begin and end. Lazy quantifiers and captures change nothing.

    Raises OptionError for a pattern that is none, has a construct that no automaton knows, or is too large.

    >>> both = compile_pattern(".*king.*", r"\w+( \w+){2}")
    >>> both.matches("the king slept"), both.matches("king")
    (True, False)
    """
    if not patterns or not all(isinstance(pattern, str) for pattern in patterns):
        raise OptionError(f"A pattern must be a string, or several strings, not {patterns!r}.")
    sets: dict[CharacterSet, int] = {}
    machines = [build_nfa(pattern, sets) for pattern in patterns]
    pieces = cut(list(sets))
    parts: list[Dfa] = []
    for pattern, machine in zip(patterns, machines, strict=True):
        try:
            parts.append(minimise(determinise(machine, pieces.sets)))
        except TooLargeError:
            raise too_large(pattern) from None
    try:
        dfa = reduce(lambda a, b: minimise(intersect(a, b)), parts)
        outside, within = over_bytes(dfa, encode_blocks(pieces.of_code))
    except TooLargeError:
        raise too_large(" & ".join(patterns)) from None
    return _automaton(dfa, outside, within)


def _automaton(dfa: Dfa, outside: NDArray[np.int32], within: NDArray[np.int32]) -> Automaton:
    """Bytes that lead to the same states are one class; states within a character come last and never accept."""
    nowhere = np.full((len(outside), 1), -1, np.int32), np.full((len(within), 1), -1, np.int32)
    numbers: dict[tuple[bytes, bytes], int] = {}
    class_of_byte = np.zeros(256, np.uint8)
    columns: list[NDArray[np.int32]] = []
    for byte in range(256):
        inner = byte & 0xC0 == 0x80
        column = nowhere[0] if inner else outside[:, byte, None], within[:, byte & 0x3F, None] if inner else nowhere[1]
        number = numbers.setdefault((column[0].tobytes(), column[1].tobytes()), len(numbers))
        if number == len(columns):
            columns.append(np.concatenate(column))
        class_of_byte[byte] = number
    accepts = np.zeros(len(outside) + len(within), bool)
    accepts[: len(outside)] = dfa.accepts
    return Automaton(np.concatenate(columns, axis=1), class_of_byte, accepts, 0 if len(outside) else -1)
