"""Look-ups in a table, for many contexts at once: finding grams, and the probability of running text.

The successors of a context are sorted by scrambled word, so the place of a word among them is nearly proportional to
it. `GramOrder.shifts` corrects that guess: the grams whose guess is place j are those from ``j + shifts[j]`` up to
``j + 1 + shifts[j + 1]``, one on average. No hash is stored and no search is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ngramgen.model import BOS
from ngramgen.ngram.table import GramOrder, NgramTable, Packed

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]


def find(order: GramOrder, word_bits: int, contexts: Ids, words: Ids) -> tuple[Ids, Ids, Packed]:
    """Look up each context with a scrambled word, both (Q,): which were found, their grams, and these as stored.

    The three arrays are as long as there are hits, in the order of the queries.
    """
    low = order.children.take(contexts).astype(np.int64)
    contexts = contexts + 1
    sizes = order.children.take(contexts).astype(np.int64)
    sizes -= low
    guess = words * sizes
    guess >>= word_bits
    guess += low
    place = order.shifts.take(guess).astype(np.int64)
    place += guess
    guess += 1
    end = order.shifts.take(guess, mode="clip").astype(np.int64)  # past the end where the last context has no successor
    end += guess
    left = np.flatnonzero((place < end) & (sizes > 0))
    place, end, words = place.take(left), end.take(left), words.take(left)
    shift = order.packed.dtype.type(order.word_shift)
    queries, grams, packed = [], [], []
    while len(left):
        stored = order.packed.take(place)
        distance = (stored >> shift).astype(np.int64)
        distance -= words
        hit = np.flatnonzero(distance == 0)
        queries.append(left.take(hit))
        grams.append(place.take(hit))
        packed.append(stored.take(hit))
        place += 1
        rest = np.flatnonzero((distance < 0) & (place < end))
        left, place, end, words = left.take(rest), place.take(rest), end.take(rest), words.take(rest)
    if not queries:
        return left, left, order.packed[:0]
    found = np.concatenate(queries)
    ascending = np.argsort(found)
    return found.take(ascending), np.concatenate(grams).take(ascending), np.concatenate(packed).take(ascending)


@dataclass(frozen=True)
class Scored:
    """What is known of every position of running text."""

    probabilities: Floats  # (T,) p(w | all before it), 1 at <s>
    matched: NDArray[np.int8]  # (T,) length of the longest gram found


def score_text(table: NgramTable, words: Ids) -> Scored:
    """Probabilities of sentences one after the other, each ``<s> w1 ... wm`` with or without ``</s>``, (T,) int64."""
    size = len(words)
    scrambled = table.scramble.forward(words)
    probabilities = table.unigrams.take(words).astype(np.float64)
    matched = np.ones(size, np.int8)
    # the place of each context in the text, less one; its gram and its pair (gamma, scale)
    where = np.arange(1, size)
    contexts = words[:-1]
    pairs = _as_pairs(table.unigram_contexts).take(contexts)
    candidates = None
    for k, order in enumerate(table.orders, start=2):
        if candidates is None:
            at, grams, packed = find(order, table.word_bits, contexts, scrambled[1:])
            hits = at + 1
            lower = probabilities[1:]
        else:
            hits = where.take(candidates)
            at, grams, packed = find(order, table.word_bits, contexts.take(candidates), scrambled.take(hits))
            hits = hits.take(at)
            at = candidates.take(at)
            lower = probabilities.take(where)
        explicit = order.values.take(order.value_codes_of(packed))
        explicit *= pairs.imag.take(at)
        if table.reading == "uniform":
            lower[pairs.imag > 0] = table.uniform
        elif table.reading == "backoff":
            lower[at] = 0
        lower *= pairs.real
        lower[at] += explicit
        if candidates is not None:
            probabilities[where] = lower
        matched[hits] = k
        if k == table.order or not len(hits):
            break
        where = hits + 1
        if where[-1] == size:
            where, grams, packed = where[:-1], grams[:-1], packed[:-1]
        contexts = grams
        pairs = _as_pairs(order.contexts).take(order.context_codes_of(packed))
        # a gram is only there if its suffix, one word shorter, is there too
        candidates = np.flatnonzero(hits[1:] == where[: len(hits) - 1])
    begins = np.flatnonzero(words == BOS)
    probabilities[begins] = 1
    matched[begins] = 0
    return Scored(probabilities, matched)


def _as_pairs(contexts: NDArray[np.float32]) -> NDArray[np.complex64]:
    """Gamma and scale side by side as one complex number, so that one read brings both."""
    return contexts.view(np.complex64).ravel()
