"""Exact draws of next words from an interpolated table, without a V-long vector: for one row, and for many at once.

An interpolated model is a mixture: with probability 1 - gamma(h) the word comes from the successors of h, in proportion
to their values, otherwise from the distribution one word shorter. So one uniform number walks down from the longest
context. <unk> and <s> are never drawn: the number is scaled to the mass of all other words. Both ways do the same
operations in float64 in the same order, so they draw the same words.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.model import BOS, UNK
from ngramgen.ngram.lookup import find
from ngramgen.ngram.table import GramOrder, NgramTable

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]

MISSING = -1
SHORT = 16
"""Successors that are added up on the spot; the sums of longer lists are kept."""
POOL_LIMIT = 1 << 23  # float64 sums kept before all are dropped (64 MB)
BELOW_ONE = 1 - 2.0**-53  # rounding must not lift a uniform number to 1


class Base:
    """The unigrams' running sums, <unk> and <s> left out."""

    def __init__(self, table: NgramTable) -> None:
        probabilities = table.unigrams.astype(np.float64)
        self.unknown = float(probabilities[UNK])
        probabilities[[UNK, BOS]] = 0
        self.sums = np.cumsum(probabilities)
        self.last = int(np.flatnonzero(probabilities)[-1])

    @cached_property
    def view(self) -> memoryview:
        return _view(self.sums)


def _view(array: NDArray[Any]) -> memoryview:
    return memoryview(array)  # type: ignore[arg-type]  # numpy's stubs do not say that an array is a buffer


class _OrderView:
    """One order as memoryviews and numbers, which Python reads faster than arrays."""

    def __init__(self, order: GramOrder) -> None:
        self.packed, self.children, self.shifts = map(_view, (order.packed, order.children, order.shifts))
        self.values, self.contexts = _view(order.values), _view(order.contexts.ravel())
        self.word_shift, self.context_bits = order.word_shift, order.context_bits
        self.value_mask, self.context_mask = (1 << order.value_bits) - 1, (1 << order.context_bits) - 1


class ScalarDrawer:
    """Draws for one sequence."""

    def __init__(self, table: NgramTable, base: Base) -> None:
        self.table, self.base = table, base
        self.scramble = table.scramble
        self.orders = [_OrderView(order) for order in table.orders]
        self.unigram_contexts = _view(table.unigram_contexts.ravel())
        self.sums: dict[tuple[int, int], list[float]] = {}

    def draw(self, contexts: list[int], uniform: float) -> tuple[int, list[int]]:
        """A word for the contexts of lengths 1, 2, ... that are there, and the contexts after it."""
        pairs = []
        product = 1.0
        view, stored = self.unigram_contexts, 2 * contexts[0] if contexts else 0
        for length, gram in enumerate(contexts, start=1):
            if length > 1:
                order = self.orders[length - 2]
                view, stored = order.contexts, 2 * (order.packed[gram] & order.context_mask)
            gamma = view[stored]
            pairs.append((gamma, view[stored + 1]))
            product *= gamma
        target = uniform * (1 - product * self.base.unknown)
        for length in range(len(contexts), 0, -1):
            gamma, scale = pairs[length - 1]
            explicit = 1 - gamma
            if target < explicit:
                order = self.orders[length - 1]
                gram = self._successor(length, contexts[length - 1], target / scale)
                scrambled = order.packed[gram] >> order.word_shift
                word = scrambled * self.scramble.inverse_factor & self.scramble.size - 1
                return word, self._after(contexts, word, scrambled, length + 1, gram)
            target = min((target - explicit) / gamma, BELOW_ONE)
        word = min(bisect_right(self.base.view, target), self.base.last)
        return word, self._after(contexts, word, word * self.scramble.factor & self.scramble.size - 1, 1, word)

    def _successor(self, length: int, context: int, target: float) -> int:
        """The first successor at which the running sum of the values exceeds the target; the last if none does."""
        order = self.orders[length - 1]
        begin, end = order.children[context], order.children[context + 1]
        if end - begin > SHORT:
            sums = self.sums.get((length, context))
            if sums is None:
                sums = running_sums(self.table.orders[length - 1], begin, end).tolist()
                self.sums[length, context] = sums
            return begin + min(bisect_right(sums, target), end - begin - 1)
        packed, values, bits, mask = order.packed, order.values, order.context_bits, order.value_mask
        total = 0.0
        for gram in range(begin, end - 1):
            total += values[packed[gram] >> bits & mask]
            if total > target:
                return gram
        return end - 1

    def _after(self, contexts: list[int], word: int, scrambled: int, known: int, gram: int) -> list[int]:
        """The contexts after a word, of which the gram of order ``known`` is known; shorter ones are surely there."""
        result = [word]
        bits = self.table.word_bits
        for length, context in enumerate(contexts[: self.table.order - 2], start=2):
            if length == known:
                result.append(gram)
                continue
            order = self.orders[length - 2]
            low = order.children[context]
            guess = low + (scrambled * (order.children[context + 1] - low) >> bits)
            place, end = guess + order.shifts[guess], guess + 1 + order.shifts[guess + 1]
            if low == order.children[context + 1]:
                return result
            packed, shift = order.packed, order.word_shift
            while place < end and packed[place] >> shift < scrambled:
                place += 1
            if place >= end or packed[place] >> shift != scrambled:
                return result
            result.append(place)
        return result


def running_sums(order: GramOrder, begin: int, end: int) -> Floats:
    """The running sums of the values of grams, added one after the other."""
    return np.cumsum(order.values.take(order.value_codes_of(order.packed[begin:end])), dtype=np.float64)


class BatchDrawer:
    """Draws for many sequences at once; contexts are rows (B, order - 1), shortest first, MISSING where none is."""

    def __init__(self, table: NgramTable, base: Base) -> None:
        self.table, self.base = table, base
        self.scramble = table.scramble
        self.pools = [_Pool(order) for order in table.orders]

    def draw(self, contexts: Ids, uniforms: Floats) -> tuple[Ids, Ids]:
        """A word for each row, (B,), and the contexts after it."""
        table = self.table
        rows = len(contexts)
        gammas, scales = [], []
        product = np.ones(rows)
        for length in range(1, table.order):
            gamma, scale = self._pairs(contexts, length)
            product *= gamma
            gammas.append(gamma)
            scales.append(scale)
        target = uniforms * (1 - product * self.base.unknown)
        words = np.empty(rows, np.int64)
        left = np.arange(rows)
        for length in range(table.order - 1, 0, -1):
            gamma = gammas[length - 1].take(left)
            explicit = 1 - gamma
            goal = target.take(left)
            chosen = goal < explicit
            here = left.compress(chosen)
            if len(here):
                order = table.orders[length - 1]
                goals = goal.compress(chosen) / scales[length - 1].take(here)
                grams = self.pools[length - 1].successors(contexts[here, length - 1], goals)
                words[here] = self.scramble.inverse(order.words_of(order.packed.take(grams)))
                rest = ~chosen
                left, goal, explicit, gamma = (a.compress(rest) for a in (left, goal, explicit, gamma))
            target[left] = np.minimum((goal - explicit) / gamma, BELOW_ONE)
        if len(left):
            words[left] = np.minimum(self.base.sums.searchsorted(target.take(left), side="right"), self.base.last)
        return words, self._after(contexts, words)

    def _pairs(self, contexts: Ids, length: int) -> tuple[Floats, Floats]:
        """Gamma and scale of each row's context of that length; (1, 0) where it is missing."""
        grams = contexts[:, length - 1]
        if length == 1:
            pairs = self.table.unigram_contexts.view(np.complex64).ravel().take(grams)
        else:
            order = self.table.orders[length - 2]
            there = np.flatnonzero(grams >= 0)
            pairs = np.ones(len(grams), np.complex64)
            codes = order.context_codes_of(order.packed.take(grams.take(there)))
            pairs[there] = order.contexts.view(np.complex64).ravel().take(codes)
        return pairs.real.astype(np.float64), pairs.imag.astype(np.float64)

    def _after(self, contexts: Ids, words: Ids) -> Ids:
        table = self.table
        result = np.full(contexts.shape, MISSING)
        result[:, 0] = words
        there = np.arange(len(words))
        scrambled = self.scramble.forward(words)
        for length in range(2, table.order):
            shorter = contexts[there, length - 2]
            present = shorter >= 0
            if not present.all():
                there, shorter, scrambled = (
                    there.compress(present),
                    shorter.compress(present),
                    scrambled.compress(present),
                )
            hits, grams, _ = find(table.orders[length - 2], table.word_bits, shorter, scrambled)
            there, scrambled = there.take(hits), scrambled.take(hits)
            result[there, length - 1] = grams
        return result


class _Pool:
    """Choice among the successors of contexts, and the running sums of the long lists met so far."""

    def __init__(self, order: GramOrder) -> None:
        self.order = order
        self.clear()

    def clear(self) -> None:
        self.where = np.zeros(len(self.order.children), np.int64)  # place in the pool, plus 1
        self.pool = np.empty(1024)
        self.size = 0

    def successors(self, contexts: Ids, targets: Floats) -> Ids:
        """For each context the first successor at which the running sum exceeds the target, or else the last."""
        begin = self.order.children.take(contexts).astype(np.int64)
        sizes = self.order.children.take(contexts + 1).astype(np.int64)
        sizes -= begin
        several = np.flatnonzero(sizes > 1)
        long = several[sizes.take(several) > SHORT]
        short = several[sizes.take(several) <= SHORT]
        result = begin.copy()
        if len(short):
            result[short] += self._add_up(begin.take(short), sizes.take(short), targets.take(short))
        if len(long):
            result[long] += self._bisect(contexts.take(long), begin.take(long), sizes.take(long), targets.take(long))
        return result

    def _add_up(self, begin: Ids, sizes: Ids, targets: Floats) -> Ids:
        order = self.order
        place = np.zeros(len(begin), np.int64)
        left = np.arange(len(begin))
        total = np.zeros(len(begin))
        last = sizes - 1
        for step in range(SHORT - 1):
            codes = order.value_codes_of(order.packed.take(begin + step))
            total += order.values.take(codes)
            going = (total <= targets) & (last > step)
            left, begin, total, targets, last = (a.compress(going) for a in (left, begin, total, targets, last))
            if not len(left):
                break
            place[left] = step + 1
        return place

    def _bisect(self, contexts: Ids, begin: Ids, sizes: Ids, targets: Floats) -> Ids:
        if self.size > POOL_LIMIT:
            self.clear()
        offsets = self.where.take(contexts)
        missing = np.flatnonzero(offsets == 0)
        if len(missing):
            self._fill(contexts.take(missing), begin.take(missing), sizes.take(missing))
            offsets = self.where.take(contexts)
        offsets -= 1
        low, high = np.zeros(len(offsets), np.int64), sizes - 1  # the answer lies in [low, high]
        pool = self.pool
        for _ in range(int(sizes.max()).bit_length()):
            middle = (low + high) >> 1
            over = pool.take(offsets + middle) > targets
            high = np.where(over, middle, high)
            low = np.where(over | (middle >= high), low, middle + 1)
        return high

    def _fill(self, contexts: Ids, begin: Ids, sizes: Ids) -> None:
        contexts, first = np.unique(contexts, return_index=True)
        total = int(sizes.take(first).sum())
        if self.size + total > len(self.pool):
            self.pool = np.concatenate([self.pool, np.empty(max(total, len(self.pool)))])
        for context, i in zip(contexts.tolist(), first.tolist(), strict=True):
            low, count = int(begin[i]), int(sizes[i])
            self.pool[self.size : self.size + count] = running_sums(self.order, low, low + count)
            self.where[context] = self.size + 1
            self.size += count
