"""Free text that does not end, with what would have been possible at each place: what constraints are met with.

A walk draws words as always but never </s>, and knows how likely the end, or any other words, would have been at every
place. So a given word can be put where it fits best, and the end where it may be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from ngramgen.model import BOS, EOS
from ngramgen.ngram.drawing import MISSING, ScalarDrawer, contexts_after
from ngramgen.ngram.lookup import find
from ngramgen.ngram.sequences import RowsDrawer
from ngramgen.ngram.table import NgramTable
from ngramgen.randomness import uniform_block, uniforms

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]

_FEW = 64
"""So few rows are walked sooner one by one."""
_TRIES = 64
"""How often another word than </s> is asked for before it is taken that there is none."""


@dataclass(frozen=True)
class NgramWalk:
    """R walks of H words each; place t is the one after t words."""

    walker: NgramWalker
    tokens: Ids  # (R, H)
    contexts: Ids  # (R, H + 1, order - 1)

    def logprobs(self, ids: Sequence[int]) -> Floats:
        """Natural log-probability of these tokens at each place, (R, H + 1)."""
        rows, places, width = self.contexts.shape
        found = self.walker.logprobs(self.contexts.reshape(rows * places, width), ids)
        return found.reshape(rows, places)

    def at(self, rows: Ids, places: Ids) -> Ids:
        """The contexts of given places, (Q, order - 1)."""
        return self.contexts[rows, places]


@dataclass(frozen=True)
class NgramWalker:
    """Walks through one table with one way of drawing."""

    table: NgramTable
    drawer: RowsDrawer
    scalar: ScalarDrawer | None = None  # draws the same words sooner for few rows
    lock: Lock = field(default_factory=Lock)  # the drawer keeps what it has learnt

    def begin(self, prompts: Sequence[Sequence[int]]) -> Ids:
        """The contexts after <s> and these prompts, (R, order - 1)."""
        contexts = np.full((len(prompts), max(1, self.table.order - 1)), MISSING, np.int64)
        contexts[:, 0] = BOS
        return self.follow(contexts, prompts)

    def walk(
        self, contexts: Ids, seeds: NDArray[np.uint64], steps: int, words: Sequence[Sequence[int]] = ()
    ) -> NgramWalk:
        """Walks of ``steps`` words from each row of contexts (R, order - 1), with a child seed each (R,).

        ``words`` are those that will be asked for; an n-gram need not know them before.
        """
        del words
        tokens = np.empty((len(contexts), steps), np.int64)
        passed = np.full((len(contexts), steps + 1, contexts.shape[1]), MISSING, np.int64)
        passed[:, 0] = contexts
        if self.scalar is not None and len(contexts) <= _FEW:
            self._one_by_one(self.scalar, contexts, seeds, tokens, passed)
            return NgramWalk(self, tokens, passed)
        with self.lock:
            for step in range(steps):
                tokens[:, step], contexts = self._step(contexts, seeds, step)
                passed[:, step + 1] = contexts
        return NgramWalk(self, tokens, passed)

    def _one_by_one(
        self, drawer: ScalarDrawer, start: Ids, seeds: NDArray[np.uint64], tokens: Ids, passed: Ids
    ) -> None:
        for row, seed in enumerate(seeds):
            contexts = [gram for gram in start[row].tolist() if gram != MISSING]
            for step, number in enumerate(uniform_block(seed, 0, tokens.shape[1]).tolist()):
                tokens[row, step], contexts = _staying(drawer, contexts, number, seed, step)
                passed[row, step + 1, : len(contexts)] = contexts

    def _step(self, contexts: Ids, seeds: NDArray[np.uint64], step: int) -> tuple[Ids, Ids]:
        words, after = self.drawer.draw(contexts, uniforms(seeds, step))
        ended = np.flatnonzero(words == EOS)
        if self.scalar is not None:
            for row in ended.tolist():
                start = [gram for gram in contexts[row].tolist() if gram != MISSING]
                words[row], found = _again(self.scalar, start, seeds[row], step)
                after[row] = MISSING
                after[row, : len(found)] = found
            return words, after
        for attempt in range(1, _TRIES):
            if not len(ended):
                break
            numbers = uniforms(seeds.take(ended), (attempt << 32) + step)
            words[ended], after[ended] = self.drawer.draw(contexts.take(ended, axis=0), numbers)
            ended = ended.compress(words.take(ended) == EOS)
        return words, after

    def follow(self, contexts: Ids, ids: Sequence[Sequence[int]]) -> Ids:
        """The contexts after more tokens, those of each row."""
        contexts = contexts.copy()
        for step in range(max(map(len, ids), default=0)):
            rows = np.array([row for row, more in enumerate(ids) if len(more) > step])
            words = np.array([ids[row][step] for row in rows.tolist()])
            contexts[rows] = contexts_after(self.table, contexts[rows], words)
        return contexts

    def logprobs(self, contexts: Ids, ids: Sequence[int]) -> Floats:
        """Natural log-probability of these tokens after each row of contexts, (R,)."""
        total = np.zeros(len(contexts))
        for place, index in enumerate(ids):
            if place:
                contexts = contexts_after(self.table, contexts, np.full(len(contexts), ids[place - 1]))
            with np.errstate(divide="ignore"):
                total += np.log(word_probabilities(self.table, contexts, index))
        return total


def _staying(
    drawer: ScalarDrawer, contexts: list[int], number: float, seed: np.uint64, step: int
) -> tuple[int, list[int]]:
    word, after = drawer.draw(contexts, number)
    return (word, after) if word != EOS else _again(drawer, contexts, seed, step)


def _again(drawer: ScalarDrawer, contexts: list[int], seed: np.uint64, step: int) -> tuple[int, list[int]]:
    """Another word than </s>, drawn with further numbers of the same step."""
    for attempt in range(1, _TRIES):
        word, after = drawer.draw(contexts, float(uniforms(np.array([seed]), (attempt << 32) + step)[0]))
        if word != EOS:
            break
    return word, after


def word_probabilities(table: NgramTable, contexts: Ids, word: int) -> Floats:
    """The probability of one word after each row of contexts (R, order - 1), float64."""
    result = np.full(len(contexts), table.unigrams[word], np.float64)
    scrambled = table.scramble.forward(np.array([word]))
    there = np.arange(len(contexts))
    for length, order in enumerate(table.orders, start=1):
        there = there.compress(contexts[there, length - 1] != MISSING)
        if not len(there):
            break
        grams = contexts[there, length - 1]
        pairs = table.pairs_of(length, grams)
        result[there] *= pairs.real
        hits, _, packed = find(order, table.word_bits, grams, np.repeat(scrambled, len(grams)))
        result[there.take(hits)] += order.values.take(order.value_codes_of(packed)) * pairs.imag.take(hits)
    return result
