r"""Regular expressions over the tokens of a vocabulary: which tokens may come next, and how far it is to an end.

>>> from ngramgen.sampling.patterns import compile_pattern
>>> from ngramgen.text.vocabulary import Vocabulary
>>> words = Vocabulary.from_tokens([b"a", b"ro", b"rose", b"se"])
>>> tokens = TokenAutomaton(compile_pattern("(rose)+"), words.data, words.offsets)
>>> ids, states = tokens.live(tokens.start)
>>> ids.tolist(), [tokens.distance(state) for state in states.tolist()]
([4, 5], [1, 0])
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.model import BOS, EOS, UNK
from ngramgen.sampling.patterns import Automaton
from ngramgen.sampling.reach import UNREACHABLE, ranges, steps_to
from ngramgen.sampling.trie import build_trie

__all__ = ["UNREACHABLE", "TokenAutomaton"]

_KEPT_TOKENS = 4_000_000  # in all rows that are kept, 12 bytes each
_FEW = 8  # of so many nodes one is reached, or less: then only the reached ones are followed
_CELLS = 2_000_000  # nodes that are walked through at a time, all states together

Ids = NDArray[np.int64]
States = NDArray[np.int32]


class TokenAutomaton:
    """The language of an automaton over bytes, spoken in tokens.

    A state is one of the automaton's, 0 to S - 1, after some tokens, or `start`, before the first. At `start` a text
    begins: no separator is put before its first token, and a space that the token begins with is skipped where
    ``strip_first_space`` says so. A text that goes on behind another begins in the automaton's own start instead.
    State -1 leads nowhere. What is found is kept, so an object serves one thread at a time.

    >>> from ngramgen.sampling.patterns import compile_pattern
    >>> from ngramgen.text.vocabulary import Vocabulary
    >>> words = Vocabulary.from_tokens([b"be", b"or", b"not"])
    >>> tokens = TokenAutomaton(compile_pattern("or( not)?"), words.data, words.offsets, separator=b" ")
    >>> tokens.step(tokens.step(tokens.start, 4), 5) >= 0
    True

    Args:
        automaton: See `ngramgen.sampling.patterns.compile_pattern`.
        data: The bytes of all tokens, uint8.
        offsets: Token v is ``data[offsets[v]:offsets[v + 1]]``, (V + 1,); one without bytes, or with more
            than `ngramgen.sampling.trie.LONGEST`, never comes.
        separator: The bytes that decoding puts between tokens.
        strip_first_space: Whether a text loses the space that its first token begins with.
    """

    def __init__(
        self,
        automaton: Automaton,
        data: NDArray[np.uint8],
        offsets: NDArray[np.integer[Any]],
        separator: bytes = b"",
        *,
        strip_first_space: bool = False,
    ) -> None:
        self.automaton = automaton
        self.vocab_size = len(offsets) - 1
        self.start = self._dead = len(automaton.table)  # outside, the dead state is -1
        self._data, self._offsets = data, offsets
        self._separator, self._strips = separator, strip_first_space
        class_of_byte, columns = automaton.class_of_byte.astype(np.int64), automaton.table
        self._space = columns.shape[1]
        if strip_first_space:  # a space needs a class of its own
            columns = np.concatenate([columns, columns[:, class_of_byte[ord(" "), None]]], axis=1)
            class_of_byte[ord(" ")] = self._space
        self._shift = (columns.shape[1] - 1).bit_length()
        self._table = _row_beginnings(columns, self._shift)
        self._trie = build_trie(data, offsets, class_of_byte)
        self._never = len(self._trie.parents)  # the node of tokens that never come
        self._ends = self._trie.node_of_token.copy()
        self._ends[[i for i in (UNK, BOS, EOS) if i < self.vocab_size]] = self._never
        self._distinct_ends = np.unique(self._ends)
        self._goals = np.append(automaton.accepts, not automaton.is_empty and automaton.accepts[automaton.start])
        self._rows: dict[int, tuple[Ids, States]] = {}
        self._kept = 0
        self._explored = np.zeros(self._dead + 1, bool)
        self._edges: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        self._distances: NDArray[np.int64] | None = None

    def next_states(self, state: int) -> States:
        """Where each token leads, (V,) int32, -1 where to nothing that could still match; so always with specials.

        >>> from ngramgen.sampling.patterns import compile_pattern
        >>> tokens = TokenAutomaton(compile_pattern("a"), np.frombuffer(b"ab", np.uint8), np.array([0, 0, 0, 0, 1, 2]))
        >>> tokens.next_states(tokens.start).tolist()
        [-1, -1, -1, 1, -1]
        """
        ids, states = self.live(state)
        found = np.full(self.vocab_size, -1, np.int32)
        found[ids] = states
        return found

    def live(self, state: int) -> tuple[Ids, States]:
        """The tokens that lead on, ascending, (N,) int64, and the state behind each, (N,) int32; both read-only.

        >>> from ngramgen.sampling.patterns import compile_pattern
        >>> tokens = TokenAutomaton(compile_pattern("a"), np.frombuffer(b"ab", np.uint8), np.array([0, 0, 0, 0, 1, 2]))
        >>> tokens.live(tokens.start)[0].tolist()
        [3]
        """
        if state in self._rows:
            self._rows[state] = row = self._rows.pop(state)  # the last in order is the last used
            return row
        behind = self._walk([state])[0].take(self._ends)
        ids = np.flatnonzero(behind < self._dead << self._shift)
        row = ids, (behind.take(ids) >> self._shift).astype(np.int32)
        for array in row:
            array.flags.writeable = False
        self._rows[state] = row
        self._kept += len(ids)
        while self._kept > _KEPT_TOKENS and len(self._rows) > 1:
            self._kept -= len(self._rows.pop(next(iter(self._rows)))[0])
        return row

    def step(self, state: int, token: int) -> int:
        """The state behind one token, -1 where it leads nowhere.

        >>> from ngramgen.sampling.patterns import compile_pattern
        >>> tokens = TokenAutomaton(compile_pattern("a"), np.frombuffer(b"ab", np.uint8), np.array([0, 0, 0, 0, 1, 2]))
        >>> tokens.step(tokens.start, 3), tokens.step(tokens.start, 4)
        (1, -1)
        """
        if self._ends[token] == self._never:
            return -1
        text = self._data[int(self._offsets[token]) : int(self._offsets[token + 1])].tobytes()
        if state == self.start and self._strips:
            text = text.removeprefix(b" ")
        return self.automaton.walk(self._before(state), text)

    def accepts(self, state: int) -> bool:
        """Whether the text may end here.

        >>> from ngramgen.sampling.patterns import compile_pattern
        >>> tokens = TokenAutomaton(compile_pattern("a*"), np.frombuffer(b"ab", np.uint8), np.array([0, 0, 0, 0, 1, 2]))
        >>> tokens.accepts(tokens.start)
        True
        """
        return state >= 0 and bool(self._goals[state])

    def distance(self, state: int) -> int:
        """The fewest tokens from a state to one that accepts; `UNREACHABLE` where the vocabulary has no way there.

        >>> from ngramgen.sampling.patterns import compile_pattern
        >>> tokens = TokenAutomaton(compile_pattern("aa"), np.frombuffer(b"ab", np.uint8), np.array([0, 0, 0, 0, 1, 2]))
        >>> tokens.distance(tokens.start)
        2
        """
        if state < 0:
            return UNREACHABLE
        if not self._explored[state]:
            self._explore(state)
        return int(self.distances()[state])

    def distances(self) -> NDArray[np.int64]:
        """`distance` of all states that tokens lead to, (S + 1,) int64, read-only; `UNREACHABLE` for other states.

        The first call of this or of `distance` looks at the whole graph of tokens; the outcome is kept.

        >>> from ngramgen.sampling.patterns import compile_pattern
        >>> tokens = TokenAutomaton(compile_pattern("aa"), np.frombuffer(b"ab", np.uint8), np.array([0, 0, 0, 0, 1, 2]))
        >>> tokens.distances()[tokens.live(tokens.start)[1]].tolist()
        [1]
        """
        if not self._explored[self.start]:
            self._explore(self.start)
        if self._distances is None:
            sources, targets = (np.concatenate(part) for part in zip(*self._edges, strict=True))
            self._distances = steps_to(self._goals & self._explored, sources, targets)
            self._distances.flags.writeable = False
        return self._distances

    def _before(self, state: int) -> int:
        """The automaton's state where the bytes of the next token begin, -1 where they cannot."""
        if state == self.start:
            return self.automaton.start
        return self.automaton.walk(state, self._separator)

    def _walk(self, states: list[int]) -> NDArray[np.int64]:
        """Where each node of the tree is reached from each state, (B, N + 1), as a beginning of a row of the table."""
        trie, dead = self._trie, self._dead << self._shift
        at = np.full((len(states), self._never + 1), dead, np.int64)
        before = np.array([self._before(state) for state in states], np.int64)
        at[:, 0] = np.where(before < 0, self._dead, before) << self._shift
        for begin, end in zip(trie.depths[:-1], trie.depths[1:], strict=True):
            behind = at.take(trie.parents[begin:end], axis=1)
            behind += trie.classes[begin:end]
            behind = self._table.take(behind)
            if begin == 1 and self._strips:
                self._skip_space(states, at[:, 0], behind)
            at[:, begin:end] = behind
            live = behind < dead
            if np.count_nonzero(live) * _FEW < live.size:
                rows, nodes = np.nonzero(live)
                self._walk_few(at, rows, nodes + begin)
                break
        return at

    def _skip_space(self, states: list[int], roots: NDArray[np.int64], behind: NDArray[np.int64]) -> None:
        skipped = np.flatnonzero(self._trie.classes[1 : 1 + behind.shape[1]] == self._space)
        for row in np.flatnonzero(np.equal(states, self.start)):
            behind[row, skipped] = roots[row]

    def _walk_few(self, at: NDArray[np.int64], rows: NDArray[np.int64], nodes: NDArray[np.int64]) -> None:
        """Goes on from some nodes, each reached from the state of its row."""
        trie, dead = self._trie, self._dead << self._shift
        while len(nodes):
            begins, ends = trie.children[nodes], trie.children[nodes + 1]
            found = ranges(begins, ends)
            behind = np.repeat(at[rows, nodes], ends - begins)
            behind += trie.classes.take(found)
            behind = self._table.take(behind)
            live = behind < dead
            rows, nodes = np.repeat(rows, ends - begins)[live], found[live]
            at[rows, nodes] = behind[live]

    def _explore(self, state: int) -> None:
        """Finds all states that tokens lead to from a state, and the edges between them."""
        self._distances = None
        self._explored[state] = True
        frontier = np.array([state], np.int64)
        step = max(1, _CELLS // self._never)
        while len(frontier):
            reached = [self._successors(frontier[i : i + step]) for i in range(0, len(frontier), step)]
            self._edges += reached
            found = np.unique(np.concatenate([targets for _, targets in reached]))
            frontier = found[~self._explored[found]]
            self._explored[frontier] = True

    def _successors(self, states: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The edges from some states to the states that tokens lead to, each once."""
        behind = self._walk(states.tolist()).take(self._distinct_ends, axis=1) >> self._shift
        leads_to = np.zeros((len(states), self._dead + 1), bool)
        np.put_along_axis(leads_to, behind, True, axis=1)
        rows, targets = np.nonzero(leads_to[:, :-1])
        return states[rows], targets


def _row_beginnings(table: States, shift: int) -> NDArray[np.int64]:
    """The table with a dead row behind it, flat, each state as its row's beginning: a step is a sum and a look-up."""
    dead = len(table)
    padded = np.full((dead + 1, 1 << shift), dead, np.int64)
    np.copyto(padded[:-1, : table.shape[1]], table, where=table >= 0)
    padded <<= shift
    return padded.reshape(-1)
