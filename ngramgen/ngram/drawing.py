"""Exact draws of next words from an interpolated table, without a V-long vector: for one row, and for many at once.

An interpolated model is a mixture: with probability 1 - gamma(h) the word comes from the successors of h, in proportion
to their values, otherwise from the distribution one word shorter. So one uniform number walks down from the longest
context. <unk> and <s> are never drawn: the number is scaled to the mass of all other words.

Both ways draw the same words: they do the same float64 operations in the same order, and values are added up as
integers (multiples of 2**-30), whose sums do not depend on the order.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.model import BOS, EOS, UNK
from ngramgen.ngram.guide import GuidedSums
from ngramgen.ngram.lookup import find
from ngramgen.ngram.table import GramOrder, NgramTable, as_pairs

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]

MISSING = -1
UNIT = 2.0**30  # a value of 1 as an integer
BELOW_ONE = 1 - 2.0**-53  # rounding must not lift a uniform number to 1
SHORT = 4
"""Successors that are added up on the spot; the sums of longer lists are kept."""
KEPT = 1 << 12
"""Lists of one order whose sums are kept for draws one by one, before all are dropped."""


class Base:
    """The unigrams' running sums, <unk> and <s> left out; shared by all who draw from a model."""

    def __init__(self, table: NgramTable) -> None:
        probabilities = table.unigrams.astype(np.float64)
        self.unknown = float(probabilities[UNK])
        probabilities[[UNK, BOS]] = 0
        values = np.rint(probabilities * UNIT * UNIT).astype(np.int64)
        self.guided = GuidedSums(1)
        self.guided.fill(np.zeros(1, np.int64), np.array([len(values)]), values)
        self.view = _view(np.cumsum(values))
        self.last = int(np.flatnonzero(values)[-1]) if values.any() else EOS  # where <unk> has everything


def _view(array: NDArray[Any]) -> memoryview:
    return memoryview(array)  # type: ignore[arg-type]  # numpy's stubs do not say that an array is a buffer


def _integers(order: GramOrder) -> Ids:
    """The value of each code in units of 2**-30."""
    return np.rint(order.values.astype(np.float64) * UNIT).astype(np.int64)


class _OrderView:
    """One order as memoryviews and numbers, which Python reads faster than arrays."""

    def __init__(self, order: GramOrder) -> None:
        self.order, self.integers = order, _integers(order)
        self.packed, self.children, self.shifts = map(_view, (order.packed, order.children, order.shifts))
        self.values, self.contexts = _view(self.integers), _view(order.contexts.ravel())
        self.word_shift, self.context_bits = order.word_shift, order.context_bits
        self.value_mask, self.context_mask = (1 << order.value_bits) - 1, (1 << order.context_bits) - 1
        self.sums: dict[int, memoryview] = {}

    def successor(self, context: int, target: int) -> int:
        """The first successor at which the running sum of the values exceeds the target; the last if none does."""
        begin, end = self.children[context], self.children[context + 1]
        if end - begin > SHORT:
            sums = self.sums.get(context)
            if sums is None:
                if len(self.sums) >= KEPT:
                    self.sums.clear()
                codes = self.order.value_codes_of(self.order.packed[begin:end])
                sums = _view(np.cumsum(self.integers.take(codes)))
                self.sums[context] = sums
            return int(begin) + min(bisect_right(sums, target), end - begin - 1)
        for gram in range(begin, end - 1):
            target -= self.values[self.packed[gram] >> self.context_bits & self.value_mask]
            if target < 0:
                return gram
        return int(end) - 1


class ScalarDrawer:
    """Draws for one sequence."""

    def __init__(self, table: NgramTable, base: Base) -> None:
        self.base, self.bits = base, table.word_bits
        scramble = table.scramble
        self.factor, self.inverse, self.mask = scramble.factor, scramble.inverse_factor, scramble.size - 1
        self.orders = [_OrderView(order) for order in table.orders]
        self.unigram_contexts = _view(table.unigram_contexts.ravel())

    def draw(self, contexts: list[int], uniform: float) -> tuple[int, list[int]]:
        """A word for the contexts of lengths 1, 2, ... that are there, and the contexts after it."""
        orders = self.orders
        view, stored = self.unigram_contexts, 2 * contexts[0] if contexts else 0
        pairs = []  # where each context's gamma and scale stand
        product = 1.0
        for length, gram in enumerate(contexts):
            if length:
                order = orders[length - 1]
                view, stored = order.contexts, 2 * (order.packed[gram] & order.context_mask)
            pairs.append((view, stored))
            product *= view[stored]
        target = uniform * (1 - product * self.base.unknown)
        for length in range(len(contexts) - 1, -1, -1):
            view, stored = pairs[length]
            gamma = view[stored]
            explicit = 1 - gamma
            if target < explicit:
                order = orders[length]
                gram = order.successor(contexts[length], int(target / view[stored + 1] * UNIT))
                scrambled = order.packed[gram] >> order.word_shift
                word = scrambled * self.inverse & self.mask
                return word, self._after(contexts, word, scrambled, length, gram)
            target = (target - explicit) / gamma
            if target > BELOW_ONE:
                target = BELOW_ONE
        word = min(bisect_right(self.base.view, int(target * UNIT * UNIT)), self.base.last)
        return word, self._after(contexts, word, word * self.factor & self.mask, -1, word)

    def after(self, contexts: list[int], word: int) -> list[int]:
        """The contexts of lengths 1, 2, ... after one more word."""
        return self._after(contexts, word, word * self.factor & self.mask, -1, word)

    def contexts_after(self, words: list[int]) -> list[int]:
        """The contexts of lengths 1, 2, ... that end with the last of these words, as far as they are there."""
        contexts: list[int] = []
        for word in words:
            contexts = self.after(contexts, word)
        return contexts

    def _after(self, contexts: list[int], word: int, scrambled: int, known: int, gram: int) -> list[int]:
        """The contexts after a word, whose gram after context number ``known`` is known."""
        result = [word]
        for length, (context, order) in enumerate(zip(contexts, self.orders[:-1], strict=False)):
            if length == known:
                result.append(gram)
                continue
            children = order.children
            low = children[context]
            size = children[context + 1] - low
            if not size:
                return result
            shifts, packed, shift = order.shifts, order.packed, order.word_shift
            guess = low + (scrambled * size >> self.bits)
            place, end = guess + shifts[guess], guess + 1 + shifts[guess + 1]
            while place < end:
                stored = packed[place] >> shift
                if stored >= scrambled:
                    break
                place += 1
            if place >= end or stored != scrambled:
                return result
            result.append(place)
        return result


class BatchDrawer:
    """Draws for many sequences at once; contexts are rows (B, order - 1), shortest first, MISSING where none is."""

    def __init__(self, table: NgramTable, base: Base) -> None:
        self.table, self.base = table, base
        self.scramble = table.scramble
        self.pools = [_Successors(order) for order in table.orders]

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
                goals = (goal.compress(chosen) / scales[length - 1].take(here) * UNIT).astype(np.int64)
                grams = self.pools[length - 1].choose(contexts[here, length - 1], goals)
                words[here] = self.scramble.inverse(order.words_of(order.packed.take(grams)))
                rest = ~chosen
                left, goal, explicit, gamma = (a.compress(rest) for a in (left, goal, explicit, gamma))
            target[left] = np.minimum((goal - explicit) / gamma, BELOW_ONE)
        if len(left):
            goals = (target.take(left) * UNIT * UNIT).astype(np.int64)
            words[left] = np.minimum(self.base.guided.places(np.zeros(len(left), np.int64), goals), self.base.last)
        return words, contexts_after(table, contexts, words)

    def _pairs(self, contexts: Ids, length: int) -> tuple[Floats, Floats]:
        """Gamma and scale of each row's context of that length; (1, 0) where it is missing."""
        grams = contexts[:, length - 1]
        if length == 1:
            pairs = as_pairs(self.table.unigram_contexts).take(grams)
        else:
            order = self.table.orders[length - 2]
            there = np.flatnonzero(grams >= 0)
            pairs = np.ones(len(grams), np.complex64)
            codes = order.context_codes_of(order.packed.take(grams.take(there)))
            pairs[there] = as_pairs(order.contexts).take(codes)
        return pairs.real.astype(np.float64), pairs.imag.astype(np.float64)


def contexts_after(table: NgramTable, contexts: Ids, words: Ids) -> Ids:
    """The contexts (B, order - 1) after one more word (B,) each."""
    result = np.full(contexts.shape, MISSING, np.int64)
    result[:, 0] = words
    there = np.arange(len(words))
    scrambled = table.scramble.forward(words)
    for length in range(2, table.order):
        shorter = contexts[there, length - 2]
        present = shorter >= 0
        if not present.all():
            there, shorter, scrambled = there.compress(present), shorter.compress(present), scrambled.compress(present)
        hits, grams, _ = find(table.orders[length - 2], table.word_bits, shorter, scrambled)
        there, scrambled = there.take(hits), scrambled.take(hits)
        result[there, length - 1] = grams
    return result


class _Successors:
    """Choice among the successors of contexts of one length."""

    def __init__(self, order: GramOrder) -> None:
        self.order, self.integers = order, _integers(order)
        self.guided = GuidedSums(len(order.children))

    def choose(self, contexts: Ids, targets: Ids) -> Ids:
        """For each context the first successor at which the running sum exceeds the target, or else the last."""
        begin = self.order.children.take(contexts).astype(np.int64)
        sizes = self.order.children.take(contexts + 1).astype(np.int64)
        sizes -= begin
        result = begin.copy()
        short = np.flatnonzero((sizes > 1) & (sizes <= SHORT))
        if len(short):
            result[short] += self._add_up(begin.take(short), sizes.take(short), targets.take(short))
        long = np.flatnonzero(sizes > SHORT)
        if len(long):
            wanted = contexts.take(long)
            self._fill(wanted, begin.take(long), sizes.take(long))
            result[long] += self.guided.places(wanted, targets.take(long))
        return result

    def _values(self, grams: Ids) -> Ids:
        return self.integers.take(self.order.value_codes_of(self.order.packed.take(grams)))

    def _add_up(self, begin: Ids, sizes: Ids, targets: Ids) -> Ids:
        place = np.zeros(len(begin), np.int64)
        left = np.arange(len(begin))
        for step in range(SHORT - 1):
            targets = targets - self._values(begin + step)
            going = np.flatnonzero((targets >= 0) & (sizes > step + 1))
            if not len(going):
                break
            left, begin, targets, sizes = (a.take(going) for a in (left, begin, targets, sizes))
            place[left] = step + 1
        return place

    def _fill(self, contexts: Ids, begin: Ids, sizes: Ids) -> None:
        self.guided.make_room()
        missing = np.flatnonzero(self.guided.is_missing(contexts))
        if not len(missing):
            return
        contexts, first = np.unique(contexts.take(missing), return_index=True)
        first = missing.take(first)
        sizes = sizes.take(first)
        if sizes.max() > self.order.size:
            raise IndexError("the successors of a context are more than there are grams")
        offsets = np.cumsum(sizes) - sizes
        grams = np.arange(int(sizes.sum())) + np.repeat(begin.take(first) - offsets, sizes)
        self.guided.fill(contexts, sizes, self._values(grams))
