"""The k likeliest next words of many contexts at once, kept for the next time.

A word outside the successors of a context h keeps the rank that it has after the context h' one word shorter. So the k
likeliest words after h are among its successors and the k likeliest after h', down to the likeliest unigrams.

A list is k integers in falling order: the bits of the probability as float32, and below them the complement of the
word's id, so that plain sorting ranks them, lower ids before higher among equals.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.model import BOS
from ngramgen.ngram.lookup import find
from ngramgen.ngram.table import NgramTable

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]
Lists = NDArray[np.uint64]

KEPT = 1 << 21
"""Entries of all lists of one length of context that are kept."""
_SIGNLESS = 31  # bits of a float32 that is not negative


class Cache:
    """Rows of an array under integer keys; a new row takes the place of the one in its slot."""

    def __init__(self, slots: int, width: int, kind: type[np.generic]) -> None:
        self._bits = slots.bit_length() - 1
        self._keys = np.full(1 << self._bits, -1, np.int64)
        self.rows: NDArray[Any] = np.zeros((1 << self._bits, width), kind)

    def find(self, keys: Ids) -> tuple[Ids, Ids]:
        """The slot of each key, (Q,), and which keys are not there."""
        scattered = keys.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        scattered >>= np.uint64(64 - self._bits)
        slots = scattered.view(np.int64)
        return slots, np.flatnonzero(self._keys.take(slots) != keys)

    def put(self, keys: Ids, slots: Ids, rows: NDArray[Any]) -> None:
        self._keys[slots] = keys
        self.rows[slots] = rows


@dataclass(slots=True)
class _Wanted:
    """The lists that are wanted of contexts of one length."""

    own: Ids  # the rows that end the search here
    slots: Ids  # of the wanted contexts: first those of own, then those that longer ones are made from
    missing: Ids  # places among them that are not kept
    which: Ids  # which of the fresh ones each missing one is
    fresh: Ids  # the rows of the different contexts whose lists must be made


@dataclass(slots=True)
class _Successors:
    """The successors of the fresh contexts of one length."""

    owner: Ids  # (S,) place among the fresh
    row: Ids  # (S,) row of the contexts
    words: Ids  # scrambled
    explicit: Floats


class RankedLists:
    """The k likeliest words, <unk> and <s> left out, after contexts of one table."""

    def __init__(self, table: NgramTable, k: int) -> None:
        self.table, self.k = table, min(k, table.vocab_size - BOS - 1)
        self._bits = np.uint64(table.word_bits)
        self._mask = np.uint64((1 << table.word_bits) - 1)
        self._caches = [Cache(max(16, KEPT // self.k), self.k, np.uint64) for _ in table.orders]
        self._together = 1 << (_SIGNLESS + 1 - table.word_bits)  # rows whose number fits beside word and probability
        self._lock = Lock()
        every = self.listed(np.arange(table.vocab_size, dtype=np.int64), table.unigrams)[BOS + 1 :]
        self.first = self.likeliest(every)

    def listed(self, words: Ids, probabilities: NDArray[np.float32]) -> Lists:
        """The entries of words, in the order given."""
        lists = probabilities.view(np.uint32).astype(np.uint64)
        lists <<= self._bits
        lists |= words.view(np.uint64) ^ self._mask
        return lists

    def words(self, lists: Lists) -> Ids:
        """The ids of the listed words."""
        return ((lists & self._mask) ^ self._mask).view(np.int64)

    def probabilities(self, lists: Lists) -> NDArray[np.float32]:
        """The probabilities of the listed words."""
        return (lists >> self._bits).astype(np.uint32).view(np.float32)

    def after(self, contexts: Ids, lengths: Ids) -> Lists:
        """The lists (R, k) of contexts (R, order - 1), each taken to its length. Safe to call from several threads."""
        with self._lock:
            some = [slice(i, i + self._together) for i in range(0, len(contexts), self._together)]
            return np.concatenate([self._after(contexts[rows], lengths[rows]) for rows in some])

    def _after(self, contexts: Ids, lengths: Ids) -> Lists:
        longest = int(lengths.max())
        result = np.empty((len(contexts), self.k), np.uint64)
        result[lengths == 0] = self.first
        if not longest:
            return result
        wanted: list[_Wanted] = []
        upper = np.zeros(0, np.int64)
        for length in range(longest, 0, -1):
            wanted.append(self._wanted(contexts, np.flatnonzero(lengths == length), upper, length))
            upper = wanted[-1].fresh
        wanted.reverse()
        successors = [self._successors(contexts, some.fresh, length) for length, some in enumerate(wanted, start=1)]
        probabilities = self._probabilities(contexts, successors)
        lower = np.broadcast_to(self.first, (len(upper), self.k))
        for length, (some, mine, probs) in enumerate(zip(wanted, successors, probabilities, strict=True), start=1):
            cache = self._caches[length - 1]
            lists = cache.rows.take(some.slots, axis=0)
            if len(some.fresh):
                gammas = self.table.pairs_of(length, contexts[some.fresh, length - 1]).real
                made = self._merged(self.scaled(lower, gammas), mine, probs)
                lists[some.missing] = made.take(some.which, axis=0)
                first = np.empty(len(some.fresh), np.int64)
                first[some.which] = some.slots.take(some.missing)
                cache.put(contexts[some.fresh, length - 1], first, made)
            result[some.own] = lists[: len(some.own)]
            lower = lists[len(some.own) :]
        return result

    def _wanted(self, contexts: Ids, own: Ids, upper: Ids, length: int) -> _Wanted:
        rows = np.concatenate([own, upper])
        keys = contexts[rows, length - 1]
        slots, missing = self._caches[length - 1].find(keys)
        _, first, which = np.unique(keys.take(missing), return_index=True, return_inverse=True)
        return _Wanted(own, slots, missing, which, rows.take(missing.take(first)))

    def _successors(self, contexts: Ids, rows: Ids, length: int) -> _Successors:
        order = self.table.orders[length - 1]
        grams = contexts[rows, length - 1]
        begin = order.children.take(grams).astype(np.int64)
        sizes = order.children.take(grams + 1).astype(np.int64)
        sizes -= begin
        owner = np.repeat(np.arange(len(rows), dtype=np.int64), sizes)
        begin -= np.cumsum(sizes) - sizes
        place = np.arange(len(owner))
        place += begin.take(owner)
        packed = order.packed.take(place)
        explicit = order.values.take(order.value_codes_of(packed)).astype(np.float64)
        return _Successors(owner, rows.take(owner), order.words_of(packed), explicit)

    def _probabilities(self, contexts: Ids, successors: list[_Successors]) -> list[Floats]:
        """The probability of each successor after its context."""
        table = self.table
        ends = np.cumsum([len(some.words) for some in successors]).tolist()
        words = np.concatenate([some.words for some in successors])
        rows = np.concatenate([some.row for some in successors])
        result = table.unigrams.take(table.scramble.inverse(words)).astype(np.float64)
        begin = 0
        for length, (some, end) in enumerate(zip(successors, ends, strict=True), start=1):
            pairs = table.pairs_of(length, contexts[rows[begin:], length - 1])
            scales = pairs.imag.astype(np.float64)
            result[begin:] *= pairs.real
            result[begin:end] += some.explicit * scales[: end - begin]
            if end < len(words):
                order = table.orders[length - 1]
                hits, _, packed = find(order, table.word_bits, contexts[rows[end:], length - 1], words[end:])
                explicit = order.values.take(order.value_codes_of(packed)) * scales[end - begin :].take(hits)
                result[end:][hits] += explicit
            begin = end
        return np.split(result, ends[:-1])

    def likeliest(self, entries: Lists) -> Lists:
        """The k highest of at least k entries, in falling order."""
        return np.sort(np.partition(entries, len(entries) - self.k)[len(entries) - self.k :])[::-1]

    def scaled(self, lists: Lists, factors: NDArray[np.float32]) -> Lists:
        """Lists (M, k) with their probabilities multiplied by a factor each, (M,)."""
        scaled = (self.probabilities(lists) * factors[:, None]).view(np.uint32).astype(np.uint64)
        scaled <<= self._bits
        scaled |= lists & self._mask
        return scaled

    def _merged(self, lower: Lists, mine: _Successors, probabilities: Floats) -> Lists:
        """The lists of contexts, made from those of the shorter ones, scaled, and from the successors."""
        rows, k = lower.shape
        if not len(mine.words):
            return np.sort(lower, axis=1)[:, ::-1]  # rounding can make equals
        owner, words = mine.owner, self.table.scramble.inverse(mine.words)
        allowed = np.flatnonzero(words > BOS)
        if len(allowed) < len(words):
            owner, words, probabilities = owner.take(allowed), words.take(allowed), probabilities.take(allowed)
        own = self.listed(words, probabilities.astype(np.float32))
        # first by context and word: a word of both lists is wanted as a successor, where it has more
        size = len(words) + rows * k
        records = np.empty(size, np.uint64)
        owners = np.concatenate([owner, np.repeat(np.arange(rows), k)]).view(np.uint64) << self._bits
        np.concatenate([own, lower.ravel()], out=records)
        records, by_word = records >> self._bits, (records & self._mask) | owners
        by_word <<= np.uint64(_SIGNLESS + 1)
        by_word |= records
        by_word[len(words) :] |= np.uint64(1 << _SIGNLESS)
        by_word.sort()
        low = np.uint64((1 << _SIGNLESS) - 1)
        ranks = by_word & low
        by_word >>= np.uint64(_SIGNLESS + 1)
        ranks <<= self._bits
        ranks |= by_word & self._mask
        ranks[1:] *= by_word[1:] != by_word[:-1]
        by_word &= ~self._mask
        by_word <<= np.uint64(_SIGNLESS)
        ranks |= by_word
        ranks.sort()
        ends = np.cumsum(np.bincount(owner, minlength=rows) + k)
        best = ranks.take((ends - 1)[:, None] - np.arange(k))
        best &= np.uint64((1 << (_SIGNLESS + self.table.word_bits)) - 1)
        return best
