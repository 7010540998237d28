"""What an n-gram model knows of a place before it sees the word there: how much text its contexts rest on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ngramgen.ngram.drawing import MISSING
from ngramgen.ngram.lookup import find
from ngramgen.ngram.table import NgramTable

Ids = NDArray[np.int64]
Floats = NDArray[np.float32]


def contexts_of_text(table: NgramTable, words: Ids) -> Ids:
    """For each word of running text and each length k below the order, the gram of the k words that end there.

    ``words`` (T,) are sentences one after the other, each begun by ``<s>``; gives (T, order - 1), MISSING where the
    table has no such gram. Row t is what a state holds that has read word t.
    """
    width = max(1, table.order - 1)
    result = np.full((len(words), width), MISSING, np.int64)
    result[:, 0] = words
    scrambled = table.scramble.forward(words)
    ends, grams = np.arange(len(words)), words
    for length, order in zip(range(2, table.order), table.orders, strict=False):
        follows = ends + 1 < len(words)
        ends, contexts = ends[follows] + 1, grams[follows]
        hits, grams, _ = find(order, table.word_bits, contexts, scrambled.take(ends))
        ends = ends.take(hits)
        result[ends, length - 1] = grams
    return result


def numbers_of_contexts(table: NgramTable) -> int:
    """How many numbers `Evidence` gives of the contexts of a place."""
    return 3 * max(1, len(table.orders))


class Evidence:
    """What a table can tell of a place: numbers (R, F) float32 behind contexts (R, order - 1).

    Three for each length of context: whether something follows it in the table, the logarithm of gamma, which is what
    the shorter contexts get, and the logarithm of the count that its probabilities rest on; 0 where nothing follows.
    Behind them those of the last word, which ``words`` (V, C) gives.
    """

    def __init__(self, table: NgramTable, words: Floats | None = None) -> None:
        self.table = table
        self._words = np.zeros((table.vocab_size, 0), np.float32) if words is None else words
        self._own = numbers_of_contexts(table)
        self.size = self._own + self._words.shape[1]
        # contexts share few pairs of gamma and scale, so that the logarithms are taken once
        self._books = [_logarithms(pairs) for pairs in (table.unigram_contexts, *(o.contexts for o in table.orders))]

    def of(self, contexts: Ids) -> Floats:
        """The numbers behind each row of contexts, MISSING where the table has none of that length."""
        result = np.zeros((len(contexts), self.size), np.float32)
        result[:, self._own :] = self._words.take(contexts[:, 0], axis=0)
        if len(contexts) == 1:  # numpy's calls would cost more than the look-ups
            self._fill(result[0], contexts[0].tolist())
            return result
        for k in range(len(self.table.orders)):
            rows = np.flatnonzero(contexts[:, k] >= 0)
            result[rows, 3 * k : 3 * k + 3] = self._books[k].take(self._codes(k, contexts[rows, k]), axis=0)
        return result

    def _fill(self, row: Floats, contexts: list[int]) -> None:
        for k, gram in enumerate(contexts[: len(self.table.orders)]):
            if gram < 0:
                return
            code = self.table.orders[k - 1].context_code_of(gram) if k else gram
            row[3 * k : 3 * k + 3] = self._books[k][code]

    def _codes(self, k: int, grams: Ids) -> Ids:
        if k == 0:
            return grams
        order = self.table.orders[k - 1]
        return order.context_codes_of(order.packed.take(grams))


def _logarithms(pairs: Floats) -> Floats:
    """The three numbers of each pair (C, 2) of gamma and scale."""
    known = pairs[:, 1] > 0
    result = np.zeros((len(pairs), 3), np.float32)
    result[known, 0] = 1
    result[known, 1] = np.log(np.maximum(pairs[known, 0], 1e-6))
    result[known, 2] = -np.log(pairs[known, 1])
    return result
