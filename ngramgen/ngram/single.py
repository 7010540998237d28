"""The k likeliest next words of one context at a time: what `ranking` does for many, with few calls of numpy.

Where one sequence is drawn alone, nothing hides the cost of a call. What was found for the context one word shorter is
kept with the probabilities of all its successors, so that a new context asks for its own successors alone; a few of
them are put in their places by plain Python. Every number is the same as in `ranking`, operation for operation.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.model import BOS
from ngramgen.ngram.drawing import ScalarDrawer
from ngramgen.ngram.ranking import RankedLists
from ngramgen.ngram.truncated import Truncation

Ids = NDArray[np.int64]

KEPT = 1 << 19
"""Successors and entries of lists that are kept, of all contexts, before all are dropped."""
_FEW = 8
"""So few successors are put in their places one by one."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of the words after one context."""

    scrambled: Any  # memoryview or list (m,) of its successors, ascending
    probabilities: Any  # the same of float64
    listed: NDArray[np.float32]  # (k,) the probabilities of the likeliest words, falling
    words: list[int]  # (k,) their ids


class SingleLists:
    """The k likeliest words after contexts, as `RankedLists` finds them. Safe to call from several threads."""

    def __init__(self, ranked: RankedLists) -> None:
        self.ranked, self._table, self._scramble = ranked, ranked.table, ranked.table.scramble
        self._known: dict[int, _Known] = {}
        self._size = 0
        first = ranked.first
        self._first = _Known([], [], ranked.probabilities(first), ranked.words(first).tolist())

    def after(self, contexts: list[int]) -> tuple[NDArray[np.float32], list[int]]:
        """The likeliest words after contexts of lengths 1, 2, ...: their probabilities, falling, and their ids."""
        if self._size > KEPT:
            self._known = {}
            self._size = 0
        known, table = self._first, self._known
        for length, gram in enumerate(contexts[: self._table.order - 1], start=1):
            key = gram << 4 | length
            longer = table.get(key)
            if longer is None:
                longer = table[key] = self._made(contexts, length, known)
                self._size += len(longer.scrambled) + len(longer.words)
            known = longer
        return known.listed, known.words

    def _made(self, contexts: list[int], length: int, shorter: _Known) -> _Known:
        """What is known after a context, from what is known after the one a word shorter."""
        order, gram = self._table.orders[length - 1], contexts[length - 1]
        begin, end = int(order.children[gram]), int(order.children[gram + 1])
        gamma, scale = self._pair(contexts, length)
        scaled = shorter.listed * gamma
        if begin == end or (end - begin <= _FEW and length > 1):
            return self._inserted(begin, end, length, float(gamma), float(scale), shorter, scaled)
        return self._merged(begin, end, length, gamma, scale, shorter, scaled)

    def _inserted(
        self,
        begin: int,
        end: int,
        length: int,
        gamma: float,
        scale: float,
        shorter: _Known,
        scaled: NDArray[np.float32],
    ) -> _Known:
        """With few successors, each put in its place."""
        order, scramble = self._table.orders[length - 1], self._scramble
        packed = order.packed[begin:end]
        all_scrambled = order.words_of(packed).tolist()
        values = order.values.take(order.value_codes_of(packed)).tolist()
        probabilities = []
        for scrambled, value in zip(all_scrambled, values, strict=True):
            place = bisect_left(shorter.scrambled, scrambled)
            if place == len(shorter.scrambled):
                raise IndexError("a successor does not follow the context one word shorter")
            probabilities.append(shorter.probabilities[place] * gamma + value * scale)
        # falling probability, then rising id, is the order of ascending negatives
        ranked = sorted(zip((-scaled).tolist(), shorter.words, strict=True))  # rounding can make equals
        rounded = np.array(probabilities, np.float32).tolist()
        mask, inverse = scramble.size - 1, scramble.inverse_factor
        for scrambled, probability in zip(all_scrambled, rounded, strict=True):
            word = scrambled * inverse & mask
            if word <= BOS:
                continue
            if word in shorter.words:
                ranked = [entry for entry in ranked if entry[1] != word]
            entry = (-probability, word)
            ranked.insert(bisect_left(ranked, entry), entry)
        del ranked[len(shorter.words) :]
        negative, words = zip(*ranked, strict=True)
        return _Known(all_scrambled, probabilities, -np.array(negative, np.float32), list(words))

    def _merged(
        self, begin: int, end: int, length: int, gamma: Any, scale: Any, shorter: _Known, scaled: NDArray[np.float32]
    ) -> _Known:
        """With many successors, all sorted together."""
        table, ranked = self._table, self.ranked
        order = table.orders[length - 1]
        packed = order.packed[begin:end]
        scrambled = order.words_of(packed)
        words = self._scramble.inverse(scrambled)
        if length == 1:
            probabilities = table.unigrams.take(words).astype(np.float64)
        else:
            lower = np.asarray(shorter.probabilities, np.float64)
            probabilities = lower.take(np.asarray(shorter.scrambled, np.int64).searchsorted(scrambled))
        probabilities *= np.float64(gamma)
        explicit = order.values.take(order.value_codes_of(packed)).astype(np.float64)
        explicit *= np.float64(scale)
        probabilities += explicit
        own = ranked.listed(words, probabilities.astype(np.float32))
        own *= words > BOS
        listed = np.array(shorter.words)
        near = np.minimum(scrambled.searchsorted(self._scramble.forward(listed)), len(scrambled) - 1)
        below = ranked.listed(listed, scaled)
        below *= words.take(near) != listed
        best = ranked.likeliest(np.concatenate([own, below]))
        return _Known(_view(scrambled), _view(probabilities), ranked.probabilities(best), ranked.words(best).tolist())

    def _pair(self, contexts: list[int], length: int) -> tuple[np.float32, np.float32]:
        """Gamma and scale of a context of that length."""
        if length == 1:
            gamma, scale = self._table.unigram_contexts[contexts[0]]
        else:
            order = self._table.orders[length - 2]
            gamma, scale = order.contexts[order.context_code_of(contexts[length - 1])]
        return gamma, scale


def _view(array: NDArray[Any]) -> memoryview:
    return memoryview(array)  # type: ignore[arg-type]  # numpy's stubs do not say that an array is a buffer


class SingleTruncatedDrawer:
    """Draws as `TruncatedDrawer` does, for one sequence."""

    def __init__(self, lists: SingleLists, truncation: Truncation, scalar: ScalarDrawer) -> None:
        self._lists, self._truncation, self._scalar = lists, truncation, scalar
        self._sums: dict[int, tuple[list[float], list[int]]] = {}

    def draw(self, contexts: list[int], uniform: float) -> tuple[int, list[int]]:
        """A word for the contexts of lengths 1, 2, ... that are there, and the contexts after it."""
        key = contexts[-1] << 4 | len(contexts) if contexts else 0
        found = self._sums.get(key)
        if found is None:
            if len(self._sums) * self._lists.ranked.k > KEPT:
                self._sums.clear()
            found = self._sums[key] = self._distribution(contexts)
        sums, words = found
        word = words[min(bisect_right(sums, uniform * sums[-1]), len(sums) - 1)]
        return word, self._scalar.after(contexts, word)

    def _distribution(self, contexts: list[int]) -> tuple[list[float], list[int]]:
        """Running sums of probabilities as far as they rise, and the words that they belong to."""
        listed, words = self._lists.after(contexts)
        probabilities = listed[None, :].astype(np.float64)
        probabilities[:, 0] += probabilities[:, 0] == 0  # </s>, the first of equals, where <unk> has everything
        with np.errstate(divide="ignore"):
            logprobs = np.log(probabilities)
        sums = np.cumsum(self._truncation(logprobs), axis=1)[0].tolist()
        return sums[: bisect_left(sums, sums[-1]) + 1], words
