"""What an n-gram model knows of a place before it sees the word there: how much text its contexts rest on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ngramgen.ngram.drawing import MISSING
from ngramgen.ngram.lookup import find
from ngramgen.ngram.table import NgramTable, as_pairs

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


def evidence(table: NgramTable, contexts: Ids) -> Floats:
    """Numbers (R, F) float32 that tell how sure the table can be behind contexts (R, order - 1).

    Three for each length of context: whether something follows it in the table, the logarithm of gamma, which is what
    the shorter contexts get, and the logarithm of the count that its probabilities rest on; 0 where nothing follows.
    """
    lengths = min(contexts.shape[1], len(table.orders))
    result = np.zeros((len(contexts), 3 * max(1, lengths)), np.float32)
    for k in range(lengths):
        rows = np.flatnonzero(contexts[:, k] >= 0)
        pairs = _pairs(table, k + 1, contexts[rows, k])
        known = pairs.imag > 0
        rows, pairs = rows[known], pairs[known]
        result[rows, 3 * k] = 1
        result[rows, 3 * k + 1] = np.log(np.maximum(pairs.real, 1e-6))
        result[rows, 3 * k + 2] = -np.log(pairs.imag)
    return result


def evidence_size(table: NgramTable) -> int:
    """How many numbers `evidence` gives of a place."""
    return 3 * max(1, len(table.orders))


def _pairs(table: NgramTable, length: int, grams: Ids) -> NDArray[np.complex64]:
    """Gamma and scale of contexts of one length."""
    if length == 1:
        return as_pairs(table.unigram_contexts).take(grams)
    order = table.orders[length - 2]
    return as_pairs(order.contexts).take(order.context_codes_of(order.packed.take(grams)))
