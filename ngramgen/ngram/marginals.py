"""An n-gram table moved to how often words come in other text: p'(w|h) = a(w) p(w|h) / Z(h).

Fast marginal adaptation (Kneser, Peters & Klakow 1997, "Language model adaptation using dynamic marginals"): a(w) is a
power of how much likelier w is in the other text than in the table's. Where that text has C tokens, w among them c(w)
times, it is likelier by (c(w) + T q(w)) / ((C + T) q(w)), and what is the same for all words may be left to Z(h), so

    a(w) = (1 + c(w) / (T q(w)))^B

is 1 for the words that did not come. In a table that mixes its orders, p(w|h) = own(w|h) + gamma(h) p(w|h'), Z(h)
takes only the successors of h and of its ends:

    Z(h) - 1 = sum_w (a(w) - 1) own(w|h) + gamma(h) (Z(h') - 1),   Z() - 1 = sum_w (a(w) - 1) p(w)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.model import BOS, EOS
from ngramgen.ngram.table import NgramTable

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]

POWER = 0.7
"""B, fitted to novels (docs/personal.md)."""
TOKENS = 10_000
"""T: as if so many tokens of the table's text had come, too."""
_LEAST = 1e-12
"""So likely is every word at least, as a divisor."""
_TOGETHER = 1 << 17
"""Grams worked on at a time, so that arrays stay in the cache."""


def can_adapt(table: NgramTable) -> bool:
    """Whether the table mixes its orders and its probabilities sum to 1, as they must for `Adapted`."""
    return table.reading == "interpolate" and table.normalised


@dataclass(frozen=True, eq=False)
class Adapted:
    """A table with the factors of its words. Read-only; safe to share between threads."""

    table: NgramTable
    factors: NDArray[np.float32]  # (V,) a(w)
    gains: Floats  # (number of scrambled words,) a(w) - 1
    unigram_gain: float  # Z() - 1

    @classmethod
    def to(cls, table: NgramTable, marginals: Floats, counts: NDArray[np.integer[Any]]) -> Adapted:
        """The table moved to text where words came so often, (V,), by what `marginals` tells of the table, (V,)."""
        factors, gains = np.ones(table.vocab_size, np.float32), np.zeros(table.scramble.size)
        came = np.flatnonzero(counts)
        likelier = counts.take(came) / (TOKENS * np.maximum(marginals.take(came), _LEAST))
        some = np.expm1(POWER * np.log1p(likelier))
        factors[came] = 1 + some
        gains[table.scramble.forward(came)] = some
        return cls(table, factors, gains, float(some @ table.unigrams.take(came)))

    def totals(self, contexts: Ids) -> Floats:
        """Z behind each row of contexts (R, order - 1), as states hold them, MISSING where the table has none; (R,)."""
        gains = np.full(len(contexts), self.unigram_gain)
        for length in range(1, self.table.order):
            rows = np.flatnonzero(contexts[:, length - 1] >= 0)
            if not len(rows):
                break
            grams = contexts[:, length - 1].take(rows)
            if len(rows) > 1:  # running text comes to the same contexts again and again
                grams, which = np.unique(grams, return_inverse=True)
            else:
                which = np.zeros(1, np.int64)
            pairs = self.table.pairs_of(length, grams)
            own = self._own(length, grams)
            own *= pairs.imag
            gains[rows] = own.take(which) + pairs.real.take(which) * gains.take(rows)
        gains += 1
        return gains

    def _own(self, length: int, grams: Ids) -> Floats:
        """The sum of (a(w) - 1) value(w) over the successors of each gram of that length."""
        order, result = self.table.orders[length - 1], np.zeros(len(grams))
        begins = order.children.take(grams).astype(np.int64)
        sizes = order.children.take(grams + 1).astype(np.int64)
        sizes -= begins
        full = np.flatnonzero(sizes)
        begins, sizes = begins.take(full), sizes.take(full)
        ends = np.cumsum(sizes)
        for first, last in _parts(ends):
            some = sizes[first:last]
            starts = ends[first:last] - some
            starts -= starts[0]
            places = np.repeat(begins[first:last] - starts, some)
            places += np.arange(len(places))
            packed = order.packed.take(places, mode="clip")
            values = self.gains.take(order.words_of(packed))
            values *= order.values.take(order.value_codes_of(packed))
            result[full[first:last]] = np.add.reduceat(values, starts)
        return result


def marginals(table: NgramTable) -> Floats:
    """How likely each word is anywhere in text of the table, q (V,).

    The unigrams will not do, since Kneser-Ney smoothing counts there behind how many words one came. q is how likely
    the last of four words is, of which the first is drawn from the unigrams, the next two by grams of two words, and
    the last by grams of three, or of two where its two words are none. More steps come no nearer to the training text.
    """
    words = table.unigrams.astype(np.float64)
    if not table.orders:
        return words
    words = _by_pairs(table, words)
    if len(table.orders) == 1:
        return _by_pairs(table, words)
    masses, rest = _pair_masses(table, words)
    contexts = table.pairs_of(2)
    lasts = table.scramble.inverse(table.orders[0].words_of(table.orders[0].packed))
    left = np.bincount(lasts, masses * contexts.real, table.vocab_size) + rest * table.unigrams
    return _by_triples(table, masses * contexts.imag) + _by_pairs(table, left)


def _by_triples(table: NgramTable, masses: Floats) -> Floats:
    """The sum of mass times value over the grams of three words, by their last word, (V,); a mass for each pair."""
    order, found = table.orders[1], np.zeros(table.scramble.size)
    for first, last in _parts(order.children[1:]):
        begin, end = int(order.children[first]), int(order.children[last])
        packed = order.packed[begin:end]
        own = np.repeat(masses[first:last], _sizes(order.children[first : last + 1]))
        own *= order.values.take(order.value_codes_of(packed))
        found += np.bincount(order.words_of(packed), own, len(found))
    return found.take(table.scramble.forward(np.arange(table.vocab_size)))


def _by_pairs(table: NgramTable, words: Floats) -> Floats:
    """How likely each word is behind a word that is as likely as these, (V,)."""
    order = table.orders[0]
    masses, rest = _pair_masses(table, words)
    found = rest * table.unigrams.astype(np.float64)
    found += np.bincount(table.scramble.inverse(order.words_of(order.packed)), masses, len(found))
    return found


def _pair_masses(table: NgramTable, words: Floats) -> tuple[Floats, float]:
    """How likely each gram of two words is for its own sake behind such words, and how likely only the unigrams are."""
    words = words.copy()
    words[BOS] += words[EOS]  # behind </s> a sentence begins
    words[EOS] = 0
    pairs = table.orders[0]
    masses: Floats = np.repeat(words * table.unigram_contexts[:, 1], _sizes(pairs.children))
    masses *= pairs.values.take(pairs.value_codes_of(pairs.packed))
    return masses, float(words @ table.unigram_contexts[:, 0])


def _sizes(children: NDArray[np.integer[Any]]) -> Ids:
    """How many grams each context has, from where they begin and where the last of them end."""
    places = children.astype(np.int64)
    return places[1:] - places[:-1]


def _parts(ends: NDArray[np.integer[Any]]) -> Iterator[tuple[int, int]]:
    """Cuts contexts whose grams end there, (C,), into runs with `_TOGETHER` grams at most, or of one context."""
    ends = ends.astype(np.int64)  # which every search would do again
    first, done = 0, 0
    while first < len(ends):
        last = max(first + 1, int(ends.searchsorted(done + _TOGETHER, "right")))
        yield first, last
        first, done = last, int(ends[last - 1])
