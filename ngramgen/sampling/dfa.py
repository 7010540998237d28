"""Deterministic automata over the pieces of `ngramgen.sampling.codepoints.cut`: made, crossed, trimmed, minimised.

State 0 is the start; an automaton that accepts nothing has no state at all.

>>> from ngramgen.sampling.codepoints import cut
>>> from ngramgen.sampling.nfa import build_nfa
>>> nfa = build_nfa("(a|b)*", sets := {})
>>> minimise(determinise(nfa, cut(list(sets)).sets)).table.tolist()
[[-1, 0]]
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ngramgen.sampling.nfa import Nfa
from ngramgen.sampling.reach import UNREACHABLE, steps_to

MAX_STATES = 50_000
_MAX_CELLS = 20_000_000  # of a table
_MAX_MEMBERS = 2_000_000  # states of the nondeterministic automaton, in all states made of them
_MAX_VISITS = 5_000_000  # of such states

States = frozenset[int]


class TooLargeError(Exception):
    """An automaton passes a limit."""


@dataclass(frozen=True)
class Dfa:
    """Where each state leads with each piece."""

    table: NDArray[np.int32]  # (S, K), -1 where nowhere
    accepts: NDArray[np.bool_]  # (S,)


def determinise(nfa: Nfa, sets_of_piece: Sequence[tuple[int, ...]]) -> Dfa:
    """The same language without choices (Rabin and Scott 1959). Raises TooLargeError.

    Args:
        nfa: An automaton over sets of characters.
        sets_of_piece: The sets that hold each of K pieces, piece 0 being in none.
    """
    closures = _Closures(nfa)
    groups = _Groups(sets_of_piece)
    start = closures.of([0], begin=True)
    accepts = [nfa.accept in closures.of([0], begin=True, end=True)]
    waiting, members = [start], len(start)
    rows: list[NDArray[np.int32]] = []
    numbers: dict[States, int] = {}
    while len(rows) < len(waiting):
        row = np.full(len(sets_of_piece), -1, np.int32)
        for pieces, targets in groups.of(_targets(nfa, closures, waiting[len(rows)])):
            if targets not in numbers:
                numbers[targets] = len(waiting)
                waiting.append(targets)
                accepts.append(closures.accept(targets))
                members += len(targets)
            row[pieces] = numbers[targets]
        rows.append(row)
        if members > _MAX_MEMBERS:
            raise TooLargeError
        _check_size(len(waiting), len(sets_of_piece))
    return Dfa(np.array(rows), np.array(accepts))


class _Closures:
    """Where states lead without a character, of that only the states that read, end a text or accept."""

    def __init__(self, nfa: Nfa) -> None:
        self._nfa = nfa
        self._counting = {s for s in range(len(nfa.reads)) if nfa.reads[s] or nfa.at_end[s]} | {nfa.accept}
        self._has_end = any(nfa.at_end)
        self._known: dict[States, States] = {}
        self._visits = 0

    def behind(self, seeds: Iterable[int]) -> States:
        """As `of`, once for each set of seeds: a pattern with many alternatives comes back to the same ones."""
        key = frozenset(seeds)
        if key not in self._known:
            self._known[key] = self.of(key)
        return self._known[key]

    def of(self, seeds: Iterable[int], *, begin: bool = False, end: bool = False) -> States:
        nfa = self._nfa
        found = set(seeds)
        waiting = list(found)
        while waiting:
            state = waiting.pop()
            reached = nfa.empty[state]
            if begin or end:
                reached = reached + nfa.at_begin[state] * begin + nfa.at_end[state] * end
            for target in reached:
                if target not in found:
                    found.add(target)
                    waiting.append(target)
        self._visits += len(found)
        if self._visits > _MAX_VISITS:
            raise TooLargeError
        return frozenset(found & self._counting)

    def accept(self, states: States) -> bool:
        """Whether the text may end here."""
        return self._nfa.accept in (self.of(states, end=True) if self._has_end else states)


class _Groups:
    """Pieces that lead from a state to the same states: it reads some sets, and they are in the same of those."""

    def __init__(self, sets_of_piece: Sequence[tuple[int, ...]]) -> None:
        self._pieces: defaultdict[int, list[int]] = defaultdict(list)
        for piece, sets in enumerate(sets_of_piece):
            for number in sets:
                self._pieces[number].append(piece)
        self._known: dict[tuple[int, ...], list[tuple[NDArray[np.int64], list[int]]]] = {}
        self._unions: dict[tuple[States, ...], States] = {}

    def of(self, targets: dict[int, States]) -> Iterable[tuple[NDArray[np.int64], States]]:
        key = tuple(sorted(targets))
        if key not in self._known:
            self._known[key] = self._grouped(key)
        for pieces, sets in self._known[key]:
            yield pieces, self._union(tuple(targets[number] for number in sets))

    def _union(self, parts: tuple[States, ...]) -> States:
        """Made once, since large sets are slow to make, and a set is compared with itself at once."""
        if len(parts) == 1:
            return parts[0]
        if parts not in self._unions:
            self._unions[parts] = frozenset().union(*parts)
        return self._unions[parts]

    def _grouped(self, sets: tuple[int, ...]) -> list[tuple[NDArray[np.int64], list[int]]]:
        held: defaultdict[int, list[int]] = defaultdict(list)
        for number in sets:
            for piece in self._pieces[number]:
                held[piece].append(number)
        groups: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
        for piece, numbers in held.items():
            groups[tuple(numbers)].append(piece)
        return [(np.array(pieces), list(numbers)) for numbers, pieces in groups.items()]


def _targets(nfa: Nfa, closures: _Closures, states: States) -> dict[int, States]:
    """The states behind each set of characters that some of the states read."""
    found: defaultdict[int, list[int]] = defaultdict(list)
    for state in states:
        for number, target in nfa.reads[state]:
            found[number].append(target)
    return {number: closures.behind(targets) for number, targets in found.items()}


def intersect(first: Dfa, second: Dfa) -> Dfa:
    """What both accept; their pieces are the same. Raises TooLargeError."""
    if not len(first.table) or not len(second.table):
        return first if not len(first.table) else second
    width = len(second.table)
    numbers = {0: 0}
    rows = []
    frontier = np.zeros(1, np.int64)
    while len(frontier):
        one, other = first.table[frontier // width], second.table[frontier % width]
        pairs = np.where((one < 0) | (other < 0), -1, one.astype(np.int64) * width + other)
        found, inverse = np.unique(pairs, return_inverse=True)
        new = [pair for pair in found.tolist() if pair >= 0 and pair not in numbers]
        numbers.update(zip(new, range(len(numbers), len(numbers) + len(new)), strict=True))
        _check_size(len(numbers), first.table.shape[1])
        rows.append(
            np.array([numbers.get(pair, -1) for pair in found.tolist()], np.int32)[inverse.reshape(pairs.shape)]
        )
        frontier = np.array(new, np.int64)
    listed = np.array(list(numbers), np.int64)
    return Dfa(np.concatenate(rows), first.accepts[listed // width] & second.accepts[listed % width])


def _check_size(states: int, pieces: int) -> None:
    if states > MAX_STATES or states * pieces > _MAX_CELLS:
        raise TooLargeError


def minimise(dfa: Dfa) -> Dfa:
    """The smallest automaton of the same language; states from which nothing is accepted are gone (Hopcroft 1971)."""
    sources, pieces = np.nonzero(dfa.table >= 0)
    left = steps_to(dfa.accepts, sources, dfa.table[sources, pieces])
    if not len(left) or left[0] == UNREACHABLE:
        return Dfa(np.zeros((0, dfa.table.shape[1]), np.int32), np.zeros(0, bool))
    useful = left != UNREACHABLE
    kept = np.flatnonzero(useful)
    table = np.append(np.where(useful, np.cumsum(useful) - 1, -1), -1)[dfa.table[kept]].astype(np.int32)
    # equal states are equally far from acceptance, so that is where the splitting may begin
    block_of = _split(table, left[kept])
    first, inverse = np.unique(block_of, return_index=True, return_inverse=True)[1:]
    order = np.argsort(first)  # the start stays 0
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    merged = np.append(rank[inverse.reshape(-1)], -1)[table[first[order]]]
    return Dfa(merged.astype(np.int32), dfa.accepts[kept][first[order]])


def _split(table: NDArray[np.int32], first_blocks: NDArray[np.int64]) -> NDArray[np.int64]:
    """The block of each state, (S,): blocks are split until all states of one lead to the same blocks."""
    before: list[list[tuple[int, int]]] = [[] for _ in range(len(table))]
    sources, pieces = np.nonzero(table >= 0)
    for source, piece, target in zip(sources.tolist(), pieces.tolist(), table[sources, pieces].tolist(), strict=True):
        before[target].append((piece, source))
    block_of = np.unique(first_blocks, return_inverse=True)[1].reshape(-1).tolist()
    blocks: list[set[int]] = [set() for _ in range(max(block_of) + 1)]
    for state, block in enumerate(block_of):
        blocks[block].add(state)
    waiting = set(range(len(blocks)))
    while waiting:
        by_piece: defaultdict[int, list[int]] = defaultdict(list)
        for target in blocks[waiting.pop()]:
            for piece, source in before[target]:
                by_piece[piece].append(source)
        for leading in by_piece.values():
            touched: defaultdict[int, set[int]] = defaultdict(set)
            for state in leading:
                touched[block_of[state]].add(state)
            for block, part in touched.items():
                if len(part) == len(blocks[block]):
                    continue
                blocks[block] -= part
                blocks.append(part)
                for state in part:
                    block_of[state] = len(blocks) - 1
                smaller = len(blocks) - 1 if len(part) <= len(blocks[block]) else block
                waiting.add(len(blocks) - 1 if block in waiting else smaller)
    return np.array(block_of)
