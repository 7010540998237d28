"""A regular expression as a nondeterministic automaton over sets of characters (Thompson 1968).

The syntax tree is that of Python's `re`, so that a pattern means here what it means there. What needs a memory of the
text before, or sight of the text behind, is refused with a sentence that names it.

>>> nfa = build_nfa("ab*", sets := {})
>>> nfa.reads, nfa.empty, nfa.accept, len(sets)
([[(0, 1)], [], [(1, 3)], []], [[], [2], [], [2]], 2, 2)
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

from ngramgen.errors import OptionError
from ngramgen.sampling.codepoints import CharacterSet

MAX_NFA_STATES = 200_000

_REFUSED = {
    "ASSERT": "a look-ahead or look-behind",
    "ASSERT_NOT": "a look-ahead or look-behind",
    "FAILURE": "a look-ahead or look-behind",
    "GROUPREF": "a back-reference",
    "GROUPREF_EXISTS": "a condition on a group",
    "POSSESSIVE_REPEAT": "a possessive quantifier",
    "ATOMIC_GROUP": "an atomic group",
    "AT_BOUNDARY": r"the word boundary \b",
    "AT_NON_BOUNDARY": r"the word boundary \B",
}
_WAYS_OUT = {
    "AT_BOUNDARY": r"a text with one word in it is (.*\W)?word(\W.*)?",
    "AT_NON_BOUNDARY": r"say with \w which characters may stand there",
    "POSSESSIVE_REPEAT": "write it without the second +",
    "ATOMIC_GROUP": "write (?:...)",
}
_BEGINNINGS = ("AT_BEGINNING", "AT_BEGINNING_STRING")


@dataclass
class Nfa:
    """States 0 (the start) and on, and where each leads."""

    reads: list[list[tuple[int, int]]] = field(default_factory=list)  # (number of a set, state behind it)
    empty: list[list[int]] = field(default_factory=list)  # states reached without a character,
    at_begin: list[list[int]] = field(default_factory=list)  # so at the beginning of the text only,
    at_end: list[list[int]] = field(default_factory=list)  # or at its end only
    accept: int = 0

    def new(self) -> int:
        """Another state, which leads nowhere yet."""
        for edges in (self.reads, self.empty, self.at_begin, self.at_end):
            edges.append([])
        return len(self.reads) - 1


def build_nfa(pattern: str, sets: dict[CharacterSet, int]) -> Nfa:
    """The automaton of a pattern; the sets of characters that it reads are numbered in ``sets``, which grows.

    Raises OptionError for what is no regular expression, for a construct that no automaton has, and beyond
    `MAX_NFA_STATES`.
    """
    try:
        tree = _parsed(pattern)
        return _Builder(pattern, sets).run(tree, tree.state.flags)
    except RecursionError:
        raise too_large(pattern) from None


def _parsed(pattern: str) -> Any:
    try:
        return parser.parse(pattern)
    except (re.error, OverflowError, ValueError) as error:
        raise OptionError(f"The pattern {_shown(pattern)} is no regular expression: {error}.") from None


def too_large(pattern: str) -> OptionError:
    """The error for a pattern whose automaton would not fit into memory or time."""
    return OptionError(f"The pattern {_shown(pattern)} is too large: shorten it, or make its {{m,n}} smaller.")


def _shown(pattern: str) -> str:
    clipped = pattern if len(pattern) <= 80 else pattern[:77] + "..."
    return repr(clipped).replace("\\\\", "\\")  # as a person has written it


class _Builder:
    def __init__(self, pattern: str, sets: dict[CharacterSet, int]) -> None:
        self._pattern = pattern
        self._sets = sets
        self._nfa = Nfa()

    def run(self, tree: Any, flags: int) -> Nfa:
        self._nfa.accept = self._sequence(tree, self._new(), flags)
        return self._nfa

    def _new(self) -> int:
        if len(self._nfa.reads) >= MAX_NFA_STATES:
            raise too_large(self._pattern)
        return self._nfa.new()

    def _sequence(self, tree: Any, state: int, flags: int) -> int:
        """Adds the elements of a sequence behind ``state``; gives the state behind them."""
        for operator, value in tree:
            state = self._element(operator.name, value, state, flags)
        return state

    def _element(self, name: str, value: Any, state: int, flags: int) -> int:
        if name in ("LITERAL", "NOT_LITERAL", "IN", "ANY"):
            return self._read(_character_set(name, value, flags), state)
        if name == "BRANCH":
            return self._branch(value[1], state, flags)
        if name == "SUBPATTERN":
            _, added, removed, tree = value
            return self._sequence(tree, state, _combined(flags, added, removed))
        if name in ("MAX_REPEAT", "MIN_REPEAT"):
            least, most, tree = value
            return self._repeat(tree, least, most, state, flags)
        if name == "AT" and value.name not in _REFUSED:
            return self._anchor(value.name, state, flags)
        raise self._refusal(value.name if name == "AT" else name)

    def _read(self, characters: CharacterSet, state: int) -> int:
        number = self._sets.setdefault(characters, len(self._sets))
        self._nfa.reads[state].append((number, behind := self._new()))
        return behind

    def _branch(self, trees: Any, state: int, flags: int) -> int:
        behind = self._new()
        for tree in trees:
            self._nfa.empty[state].append(inside := self._new())
            self._nfa.empty[self._sequence(tree, inside, flags)].append(behind)
        return behind

    def _repeat(self, tree: Any, least: int, most: int, state: int, flags: int) -> int:
        for _ in range(least):
            before, state = state, self._sequence(tree, state, flags)
            if state == before:  # nothing, however often
                return state
        behind = self._new()
        self._nfa.empty[state].append(behind)
        if most == parser.MAXREPEAT:
            self._nfa.empty[self._sequence(tree, behind, flags)].append(behind)
            return behind
        for _ in range(least, most):
            before, state = state, self._sequence(tree, state, flags)
            if state == before:
                break
            self._nfa.empty[state].append(behind)
        return behind

    def _anchor(self, name: str, state: int, flags: int) -> int:
        if flags & re.M and name in ("AT_BEGINNING", "AT_END"):
            raise OptionError(
                f"The pattern {_shown(self._pattern)} has (?m) with ^ or $, but a text is one line: leave it out."
            )
        edges = self._nfa.at_begin if name in _BEGINNINGS else self._nfa.at_end
        edges[state].append(behind := self._new())
        return behind

    def _refusal(self, name: str) -> OptionError:
        construct = _REFUSED.get(name, f"the construct {name.lower()}")
        way_out = _WAYS_OUT.get(name, "write it without")
        return OptionError(f"The pattern {_shown(self._pattern)} has {construct}, which no automaton knows: {way_out}.")


def _combined(flags: int, added: int, removed: int) -> int:
    if added & re.ASCII:
        flags &= ~re.UNICODE
    elif added & re.UNICODE:
        flags &= ~re.ASCII
    return (flags | added) & ~removed


def _character_set(name: str, value: Any, flags: int) -> CharacterSet:
    if name == "ANY":
        return CharacterSet(True, () if flags & re.S else (("LITERAL", ord("\n")),))
    kept = int(flags) & int(re.I | re.A)
    if name in ("LITERAL", "NOT_LITERAL"):
        return CharacterSet(name == "NOT_LITERAL", (("LITERAL", value),), kept)
    items = tuple((kind.name, getattr(item, "name", item)) for kind, item in value)
    negated = items[0][0] == "NEGATE"
    return CharacterSet(negated, items[negated:], kept)
