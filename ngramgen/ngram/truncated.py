"""Draws among the k likeliest next words, weighed anew by a function of their probabilities alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.ngram.drawing import MISSING, contexts_after
from ngramgen.ngram.ranking import Cache, RankedLists

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]

Truncation = Callable[[Floats], Floats]
"""Natural log-probabilities (M, k) of the k likeliest words in falling order to the probabilities to draw with."""

KEPT = 1 << 21
"""Entries of all distributions that are kept."""


class TruncatedDrawer:
    """Draws as `BatchDrawer` does, for many sequences at once, from distributions that a truncation has changed."""

    def __init__(self, lists: RankedLists, truncation: Truncation) -> None:
        self.lists, self.truncation = lists, truncation
        slots = max(16, KEPT // lists.k)
        self._sums, self._words = Cache(slots, lists.k, np.float64), Cache(slots, lists.k, np.int32)

    def draw(self, contexts: Ids, uniforms: Floats) -> tuple[Ids, Ids]:
        """A word for each row of contexts (B, order - 1), (B,), and the contexts after it."""
        lengths = np.count_nonzero(contexts[:, : self.lists.table.order - 1] != MISSING, axis=1)
        keys = contexts[np.arange(len(contexts)), lengths - 1] << 4
        keys |= lengths  # an order is at most 16
        slots, missing = self._sums.find(keys)
        sums: Floats
        words: NDArray[np.int32]
        sums, words = self._sums.rows.take(slots, axis=0), self._words.rows.take(slots, axis=0)
        if len(missing):
            fresh, first, which = np.unique(keys.take(missing), return_index=True, return_inverse=True)
            first = missing.take(first)
            made = self._made(contexts.take(first, axis=0), lengths.take(first))
            sums[missing], words[missing] = (rows.take(which, axis=0) for rows in made)
            for cache, rows in zip((self._sums, self._words), made, strict=True):
                cache.put(fresh, slots.take(first), rows)
        passed = np.count_nonzero(sums <= (uniforms * sums[:, -1])[:, None], axis=1)
        # rounding may lift a number to the sum of all: the last word that adds to it
        passed = np.minimum(passed, np.argmax(sums == sums[:, -1:], axis=1))
        drawn = words[np.arange(len(words)), passed].astype(np.int64)
        return drawn, contexts_after(self.lists.table, contexts, drawn)

    def _made(self, contexts: Ids, lengths: Ids) -> tuple[NDArray[Any], NDArray[Any]]:
        """Running sums of probabilities, (M, k), and the words that they belong to."""
        lists = self.lists.after(contexts, lengths)
        probabilities = self.lists.probabilities(lists).astype(np.float64)
        probabilities[:, 0] += probabilities[:, 0] == 0  # </s>, the first of equals, where <unk> has everything
        with np.errstate(divide="ignore"):
            logprobs = np.log(probabilities)
        sums = np.cumsum(self.truncation(logprobs), axis=1)
        return sums, self.lists.words(lists).astype(np.int32)


class OneRow:
    """A drawer for rows of contexts as one for a single sequence."""

    def __init__(self, drawer: Any) -> None:
        self.drawer = drawer

    def draw(self, contexts: Ids, uniform: float) -> tuple[int, Ids]:
        """A word for contexts (1, order - 1), and the contexts after it."""
        words, contexts = self.drawer.draw(contexts, np.array([uniform]))
        return int(words[0]), contexts
