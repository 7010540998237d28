"""The next-word distribution after one context without a V-long vector: the words seen there, a factor for the rest."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ngramgen.model import BOS
from ngramgen.ngram.table import GramOrder, NgramTable

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]

LONG = 1 << 11
"""Successors from which on the list of a single word is worth keeping."""
KEPT = 64
"""Lists kept at most; of 30,000 words one takes 0.7 MB."""
_EVERY = 64


@dataclass(frozen=True, slots=True)
class Distribution:
    """p(w) of the listed words; any other word has ``factor`` times its probability in the base."""

    scrambled: Ids  # (m,) ascending scrambled ids of the listed words
    ids: Ids  # (m,) the same words' ids
    probabilities: Floats  # (m,)
    factor: float
    uniform: bool  # whether the base is uniform, not the unigrams

    def holds(self, scrambled: Ids) -> NDArray[np.bool_]:
        """Which of these scrambled words are listed."""
        if not len(self.scrambled):
            return np.zeros(len(scrambled), bool)
        place = np.minimum(self.scrambled.searchsorted(scrambled), len(self.scrambled) - 1)
        found: NDArray[np.bool_] = self.scrambled.take(place) == scrambled
        return found


class Distributions:
    """The distributions of one table; the long lists of frequent words are kept for the next time."""

    def __init__(self, table: NgramTable) -> None:
        self.table = table
        self._kept: dict[int, tuple[Ids, Ids, Floats]] = {}

    def after(self, contexts: Ids) -> Distribution:
        """The distribution after one row of contexts, (order - 1,), from the shortest to the first that is MISSING."""
        table = self.table
        words = ids = np.zeros(0, np.int64)
        probabilities: Floats = np.zeros(0)
        factor, uniform = 1.0, False
        for length, (gram, order) in enumerate(zip(contexts.tolist(), table.orders, strict=False), start=1):
            if gram < 0:
                break
            gamma, scale = _pair(table, length, gram)
            begin, end = int(order.children[gram]), int(order.children[gram + 1])
            if table.reading == "uniform" and scale > 0:
                words, ids, probabilities, factor, uniform = words[:0], ids[:0], probabilities[:0], 1.0, True
            probabilities *= gamma
            factor *= gamma
            if begin == end:
                continue
            if not len(words):
                words, ids, probabilities = self._first(length, gram, begin, end, scale, factor)
                continue
            found, explicit = _explicit(order, begin, end, scale)
            place = _places(words, found, table.scramble.size)
            if table.reading == "backoff":
                probabilities[place] = explicit
            else:
                probabilities[place] += explicit
        return Distribution(words, ids, probabilities, factor, uniform)

    def _first(
        self, length: int, gram: int, begin: int, end: int, scale: float, factor: float
    ) -> tuple[Ids, Ids, Floats]:
        """Words, ids and probabilities of the first list, where only the base stands below."""
        if length == 1 and gram in self._kept:
            words, ids, probabilities = self._kept[gram]
            return words, ids, probabilities.copy()
        table = self.table
        words, probabilities = _explicit(table.orders[length - 1], begin, end, scale)
        ids = table.scramble.inverse(words)
        if table.reading == "uniform":
            probabilities += factor * table.uniform
        elif table.reading == "interpolate":
            base = table.unigrams.take(ids).astype(np.float64)
            base *= factor
            probabilities += base
        if length == 1 and end - begin >= LONG:
            if len(self._kept) >= KEPT:
                self._kept.pop(next(iter(self._kept)), None)
            self._kept[gram] = words, ids, probabilities.copy()
        return words, ids, probabilities


def _places(words: Ids, some: Ids, size: int) -> Ids:
    """Where ``some`` stand in ``words``, both ascending and below ``size``: what follows a longer context is listed."""
    if 16 * len(some) < len(words):
        return words.searchsorted(some)
    flags = np.zeros(size, bool)
    flags[some] = True
    return np.flatnonzero(flags.take(words))


def _pair(table: NgramTable, length: int, gram: int) -> tuple[float, float]:
    """Gamma and scale of a context of that length."""
    if length == 1:
        gamma, scale = table.unigram_contexts[gram].tolist()
    else:
        order = table.orders[length - 2]
        gamma, scale = order.contexts[order.context_code_of(gram)].tolist()
    return gamma, scale


def _explicit(order: GramOrder, begin: int, end: int, scale: float) -> tuple[Ids, Floats]:
    """The scrambled words of these grams and what they have of their own."""
    packed = order.packed[begin:end]
    explicit = order.values.take(order.value_codes_of(packed)).astype(np.float64)
    explicit *= scale
    return order.words_of(packed), explicit


class Ranked:
    """The words that can follow, <unk> and <s> left out, by falling probability in the unigrams."""

    def __init__(self, table: NgramTable) -> None:
        self.table = table
        self.largest = float(table.unigrams[BOS + 1 :].max())

    @cached_property
    def by_unigram(self) -> Ids:
        """Likeliest first, lower ids before higher."""
        order = np.argsort(-self.table.unigrams, kind="stable")
        return order[(order > BOS) & (self.table.unigrams[order] > 0)]

    @cached_property
    def by_id(self) -> Ids:
        """In order of id, as a uniform distribution ranks them."""
        return np.sort(self.by_unigram)

    def best_of(self, distribution: Distribution, k: int) -> tuple[Ids, Floats]:
        """The ids and probabilities of the k likeliest words of a distribution, best first, lower ids before higher."""
        allowed = _largest(distribution.ids, distribution.probabilities, k + 2)
        allowed = allowed[distribution.ids.take(allowed) > BOS]
        ids, probabilities = distribution.ids.take(allowed), distribution.probabilities.take(allowed)
        border = float(probabilities[k - 1]) if len(ids) >= k else -1.0
        base_largest = self.table.uniform if distribution.uniform else self.largest
        if base_largest * distribution.factor >= border:
            others, rest = self._unlisted(distribution, k, border)
            ids, probabilities = np.concatenate([ids, others]), np.concatenate([probabilities, rest])
        best = _largest(ids, probabilities, k)
        return ids.take(best), probabilities.take(best)

    def _unlisted(self, distribution: Distribution, k: int, border: float) -> tuple[Ids, Floats]:
        """Up to k of the likeliest words that are not listed, as far as they could reach the border, and more."""
        table, ranked = self.table, self.by_id if distribution.uniform else self.by_unigram
        found, rest = [ranked[:0]], [np.zeros(0)]
        count, begin, size = 0, 0, k + 64
        while begin < len(ranked) and count < k:
            some = ranked[begin : begin + size]
            base = (
                np.full(len(some), table.uniform) if distribution.uniform else table.unigrams[some].astype(np.float64)
            )
            base *= distribution.factor
            if base[0] < border:
                break
            keep = ~distribution.holds(table.scramble.forward(some))
            found.append(some[keep])
            rest.append(base[keep])
            count += len(found[-1])
            begin, size = begin + size, 4 * size
        return np.concatenate(found), np.concatenate(rest)


def _largest(ids: Ids, probabilities: Floats, k: int) -> Ids:
    """Places of the k largest probabilities, largest first, lower ids before higher."""
    sample = probabilities[::_EVERY]
    if len(sample) > k:  # its k-th largest is a bound that few exceed
        some = np.flatnonzero(probabilities >= _nth_largest(sample, k))
    else:
        some = np.arange(len(ids))
    if len(some) > 4 * k:
        left = probabilities.take(some)
        some = some.compress(left >= _nth_largest(left, k))
    return some[np.lexsort((ids.take(some), -probabilities.take(some)))][:k]


def _nth_largest(values: Floats, n: int) -> float:
    return float(np.partition(values, len(values) - n)[len(values) - n])
