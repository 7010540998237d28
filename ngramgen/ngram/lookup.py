"""Look-ups in a table, for many contexts at once: finding grams, and the probability of running text.

The successors of a context are sorted by scrambled word, so the place of a word among them is nearly proportional to
it. `GramOrder.shifts` corrects that guess: the grams whose guess is place j are those from ``j + shifts[j]`` up to
``j + 1 + shifts[j + 1]``, one on average. So no hash is stored, and a look-up reads one or two grams.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ngramgen.model import BOS
from ngramgen.ngram.table import GramOrder, NgramTable, Packed, as_pairs

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]


def find(order: GramOrder, word_bits: int, contexts: Ids, words: Ids) -> tuple[Ids, Ids, Packed]:
    """Look up each context with a scrambled word, both (Q,): which were found, their grams, and these as stored.

    The three arrays are as long as there are hits, in the order of the queries.
    """
    if not order.size:  # all its grams were pruned, or no sentence is that long
        nothing = np.zeros(0, np.int64)
        return nothing, nothing, order.packed
    low = order.children.take(contexts).astype(np.int64)
    high = order.children.take(contexts + 1).astype(np.int64)
    place = high - low
    place *= words
    place >>= word_bits
    place += low
    place += order.shifts.take(place)
    stored = _stored_words(order, place)
    inside = place < high
    hit = stored == words
    hit &= inside
    grams = place + 1
    grams *= hit  # 0 where the first look fails
    inside &= stored < words
    left = np.flatnonzero(inside)
    place, high, words = place.take(left), high.take(left), words.take(left)
    np.minimum(high, order.size, out=high)  # in a damaged file the end may lie behind all grams
    while len(left):
        place += 1
        stored = _stored_words(order, place)
        inside = place < high
        hits = np.flatnonzero((stored == words) & inside)
        grams[left.take(hits)] = place.take(hits) + 1
        inside &= stored < words
        rest = np.flatnonzero(inside)
        left, place, high, words = left.take(rest), place.take(rest), high.take(rest), words.take(rest)
    queries = np.flatnonzero(grams > 0)
    grams = grams.take(queries)
    grams -= 1
    return queries, grams, order.packed.take(grams)


def _stored_words(order: GramOrder, place: Ids) -> Ids:
    """The scrambled words at these places; behind the table, where an empty context may lead, the last one."""
    return order.words_of(order.packed.take(place, mode="clip"))


def score_text(table: NgramTable, words: Ids) -> Floats:
    """The probability of every word of sentences given all before it, (T,) float64, 1 at <s>.

    ``words`` (T,) int64 are sentences one after the other, each ``<s> w1 ... wm`` with or without ``</s>``.
    """
    size = len(words)
    scrambled = table.scramble.forward(words)
    probabilities = table.unigrams.take(words).astype(np.float64)
    # the place of each context in the text, less one; its gram and its pair (gamma, scale)
    where = np.arange(1, size)
    contexts = words[:-1]
    pairs = as_pairs(table.unigram_contexts).take(contexts)
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
        if k == table.order or not len(hits):
            break
        where = hits + 1
        if where[-1] == size:
            where, grams, packed = where[:-1], grams[:-1], packed[:-1]
        contexts = grams
        pairs = as_pairs(order.contexts).take(order.context_codes_of(packed))
        # a gram is only there if its suffix, one word shorter, is there too
        candidates = np.flatnonzero(hits[1:] == where[: len(hits) - 1])
    probabilities[words == BOS] = 1
    return probabilities
