"""From counts to a table: discounts, pruning, and the codes of values and contexts.

>>> from ngramgen.ngram.counting import count, corpus_from_sentences
>>> orders = count(corpus_from_sentences([[3, 4, 3]]), vocab_size=5, order=2)
>>> estimate(orders, kept_vocab=5).table.sizes
(5, 4)
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.errors import OptionError, TrainingError
from ngramgen.model import BOS, EOS, UNK
from ngramgen.ngram.counting import BLOCK, OrderCounts
from ngramgen.ngram.scramble import Scramble
from ngramgen.ngram.smoothing import Discount, ModifiedKneserNey, Smoothing
from ngramgen.ngram.table import NgramTable, gram_order, kept_children

Floats = NDArray[np.float64]
Ints = NDArray[np.integer[Any]]
Offsets = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class OrderReport:
    """What was found of one order, as lmplz prints it."""

    kept: int
    total: int
    discount: Discount


@dataclass(frozen=True)
class KeptCounts:
    """The counts of the grams of one order that a table has; of all words, in the first order."""

    raw: Ints  # (N,) how often each occurs; of <s> how many sentences begin
    used: Ints  # (N,) the count that the smoothing goes by


@dataclass(frozen=True)
class Estimate:
    """A table and how it came about."""

    table: NgramTable
    reports: tuple[OrderReport, ...]
    counts: tuple[KeptCounts, ...] = ()  # of each order, where they were asked for


def estimate(
    orders: list[OrderCounts],
    kept_vocab: int,
    smoothing: Smoothing | None = None,
    prune: Sequence[int] = (),
    interpolate_unigrams: bool = True,
    with_counts: bool = False,
) -> Estimate:
    """Estimate a model from the counts of all orders, which are used up (the list is emptied).

    Words with an id of ``kept_vocab`` or more, and all grams with such a word, are dropped after the discounts are
    estimated, as lmplz does with ``--limit_vocab_file``. ``prune`` gives for each order from the first the raw count up
    to which grams are dropped (that of order 1 is only checked: the vocabulary is limited by ``kept_vocab``); its last
    number holds for the orders beyond it. ``with_counts`` keeps what `ngramgen.ngram.pruning` needs.
    Raises OptionError as `prune_thresholds` and `check_interpolation` do, and TrainingError for a corpus without a
    token or grams of more than 64 bits.
    """
    smoothing = smoothing or ModifiedKneserNey()
    check_interpolation(smoothing, interpolate_unigrams)
    thresholds = prune_thresholds(prune, len(orders))
    unigram_counts = orders[0]
    vocab_size = unigram_counts.size
    scramble = Scramble(vocab_size)
    counts = _used_counts(unigram_counts, smoothing)
    discount = smoothing.discount(_tally(unigram_counts, smoothing))
    reports = [OrderReport(kept_vocab, vocab_size, discount)]
    unigrams = unigram_probabilities(counts, kept_vocab, smoothing, discount, interpolate_unigrams)
    kept_words: Mask | None = None  # by scrambled word
    kept_below: Mask | None = None  # of the lower order
    if kept_vocab < vocab_size:
        kept_below = np.arange(vocab_size) < kept_vocab
        kept_words = np.zeros(scramble.size, bool)
        kept_words[scramble.forward(np.arange(kept_vocab))] = True
    builders: list[_OrderBuilder] = []
    for k in range(2, len(orders) + 1):
        order, orders[k - 1] = orders[k - 1], unigram_counts  # lets the counts go when they are used
        builder = _OrderBuilder(order, smoothing, scramble.bits, with_counts)
        builder.drop(thresholds[k - 1], kept_words, kept_below)
        reports.append(builder.report())
        builder.code_contexts(smoothing, kept_vocab - 1)
        if builders:
            builders[-1].finish(builder.contexts, builder.context_codes)
        builders.append(builder)
        kept_below = builder.kept
    orders.clear()
    unigram_contexts = np.tile(np.array([1, 0], np.float32), (kept_vocab, 1))
    if builders:
        unigram_contexts = builders[0].contexts.take(builders[0].context_codes[:kept_vocab], axis=0)
        builders[-1].finish(None, None)
    grams = tuple(builder.result for builder in builders)
    normalised = smoothing.reading != "backoff"
    table = NgramTable(unigrams, unigram_contexts, grams, scramble.bits, smoothing.reading, normalised)
    return Estimate(table, tuple(reports), _kept_counts(unigram_counts, counts, builders) if with_counts else ())


def _kept_counts(words: OrderCounts, used: Ints, builders: Sequence[_OrderBuilder]) -> tuple[KeptCounts, ...]:
    raw = words.counts.copy()
    raw[BOS] = raw[EOS]  # as many sentences begin as end
    return KeptCounts(raw, used), *(builder.kept_counts() for builder in builders)


def check_interpolation(smoothing: Smoothing, interpolate_unigrams: bool) -> None:
    """Raise OptionError where interpolation is turned off for a method that gives unigrams a formula of their own."""
    if not interpolate_unigrams and smoothing.reading != "interpolate":
        raise OptionError(f"interpolate_unigrams cannot be turned off for {smoothing.name}, which does not interpolate")


def prune_thresholds(prune: Sequence[int], order: int) -> tuple[int, ...]:
    """One threshold an order. Raises OptionError where they are no integers of 0 or more, too many, or fall."""
    if isinstance(prune, str) or not isinstance(prune, Iterable) or not all(map(_is_whole, listed := list(prune))):
        raise OptionError(f"prune must be a list of integers, such as [0, 0, 1], not {prune!r}")
    given = tuple(map(int, listed)) or (0,)  # numpy's integers could not be written to a file
    text = ",".join(map(str, given))
    if len(given) > order:
        raise OptionError(f"prune has {len(given)} thresholds ({text}), but the model has only order {order}")
    if min(given) < 0:
        raise OptionError(f"prune thresholds must be 0 or more, which {text} are not")
    if any(a > b for a, b in itertools.pairwise(given)):
        raise OptionError(f"prune thresholds must not fall from one order to the next, as {text} do")
    return given + (given[-1],) * (order - len(given))


def _is_whole(number: object) -> bool:
    return isinstance(number, Integral) and not isinstance(number, bool)


def _used_counts(order: OrderCounts, smoothing: Smoothing) -> Ints:
    return order.adjusted if smoothing.counts == "adjusted" else order.counts


def _tally(order: OrderCounts, smoothing: Smoothing) -> list[int]:
    """t1 to t4: how many grams have a count of 1, 2, 3, 4."""
    counts = _used_counts(order, smoothing)
    found = np.zeros(6, np.int64)
    for begin in range(0, len(counts), BLOCK):
        found += np.bincount(np.minimum(counts[begin : begin + BLOCK], 5), minlength=6)
    if smoothing.tallies_as_lmplz and order.last is not None:
        found[min(int(order.adjusted[order.last]), 5)] -= 1
        found[min(int(order.counts[order.last]), 5)] += 1
    return [int(n) for n in found[1:5]]


def unigram_probabilities(
    counts: Ints | Floats, kept: int, smoothing: Smoothing, discount: Discount, interpolate: bool
) -> NDArray[np.float32]:
    """p(w) of the first ``kept`` words, interpolated with the uniform distribution over all of them but <s>.

    Without interpolation <unk> alone gets what the discounts leave, as with lmplz's ``--interpolate_unigrams 0``.
    """
    total = np.array([counts.sum()], np.float64)
    distinct = np.array([np.count_nonzero(counts)], np.float64)
    if total[0] == 0:
        raise TrainingError("the corpus has no tokens, so there is nothing to estimate; is the file empty?")
    denominator = float(smoothing.denominator(total, distinct, kept - 1)[0])
    seen = counts[:kept].astype(np.float64)
    probabilities = (seen - discount.of(seen)) / denominator
    left_over = 1 - float(probabilities.sum())
    if smoothing.backoff is not None:
        probabilities[seen == 0] = smoothing.backoff / (kept - 1)
    elif interpolate:
        probabilities += left_over / (kept - 1)
    else:
        probabilities[UNK] += left_over
    probabilities[BOS] = 0
    return probabilities.astype(np.float32)


class _OrderBuilder:
    """One order on its way from counts to packed grams."""

    def __init__(self, order: OrderCounts, smoothing: Smoothing, word_bits: int, with_counts: bool) -> None:
        self.with_counts = with_counts
        self.counts = _used_counts(order, smoothing)
        self.raw, self.words, self.children = order.counts, order.words, order.children
        self.word_bits = word_bits
        self.discount = smoothing.discount(_tally(order, smoothing))
        present = np.flatnonzero(np.bincount(self.counts))
        codes = np.zeros(int(present[-1]) + 1 if len(present) else 1, np.int32)
        codes[present] = np.arange(len(present))
        self.codes = codes.take(self.counts)  # (N,) value code of each gram
        self.distinct_counts = present.astype(np.float64)
        self.exact_values = self.distinct_counts - self.discount.of(self.distinct_counts)
        self.kept: Mask | None = None  # None where all grams stay
        self.kept_contexts: Mask | None = None  # likewise, of the lower order
        self.contexts = np.zeros((0, 2), np.float32)
        self.context_codes: Ints = np.zeros(0, np.int32)

    def drop(self, threshold: int, words: Mask | None, contexts: Mask | None) -> None:
        """Note which grams stay: counted often enough, their (scrambled) word and their context kept."""
        if threshold == 0 and words is None and contexts is None:
            return
        kept = self.raw > threshold
        if words is not None:
            kept &= words.take(self.words)
        if contexts is not None:
            kept &= np.repeat(contexts, np.diff(self.children))
        self.kept, self.kept_contexts = kept, contexts

    def report(self) -> OrderReport:
        total = len(self.counts)
        return OrderReport(total if self.kept is None else int(np.count_nonzero(self.kept)), total, self.discount)

    def code_contexts(self, smoothing: Smoothing, uniform_size: int) -> None:
        """The pair (gamma, scale) of every gram of the lower order, coded; those dropped from it are left out.

        Code 0 is (1, 0). A context with one successor has the code of its successor's value, plus 1.
        """

        def pairs(total: Floats, distinct: Floats, kept: Floats) -> NDArray[np.float32]:
            denominator = smoothing.denominator(total, distinct, uniform_size)
            result = np.empty((len(total), 2), np.float32)
            result[:, 0] = 1 - kept / denominator if smoothing.backoff is None else smoothing.backoff
            result[:, 1] = 1 / denominator
            return result

        sizes = np.diff(self.children)
        single = sizes == 1
        begins = self.children[:-1]
        one = np.ones(len(self.distinct_counts))
        nothing = np.array([[1, 0]], np.float32)
        tables = [nothing, pairs(np.maximum(self.distinct_counts, 1), one, self.exact_values)]
        codes = np.zeros(len(sizes), np.int32)
        if self.kept is None:
            codes[single] = self.codes.take(begins[single]) + 1
            several = np.flatnonzero(sizes > 1)
        else:
            several = np.flatnonzero(sizes)
        if len(several):
            total, kept = self._sums(several, sizes)
            found = pairs(total, sizes.take(several).astype(np.float64), kept)
            distinct, inverse = np.unique(found.view(np.uint64).ravel(), return_inverse=True)
            codes[several] = inverse + sum(map(len, tables))
            tables.append(distinct.view(np.float32).reshape(-1, 2))
        self.contexts = np.concatenate(tables)
        if self.kept is not None and self.kept_contexts is not None:
            codes = codes[self.kept_contexts]
        self.context_codes = codes

    def _sums(self, several: Offsets, sizes: Offsets) -> tuple[Floats, Floats]:
        """For each of these contexts: its total count, and the numerators of its kept successors."""
        begins = self.children.take(several)
        total, kept = np.empty(len(several)), np.empty(len(several))
        for first in range(0, len(several), BLOCK):
            some = slice(first, min(first + BLOCK, len(several)))
            begin = int(begins[first])
            last = several[some.stop - 1]
            grams = slice(begin, int(self.children[last + 1]))
            # contexts with one successor lie between these, so sum between all borders and take the right ones
            borders = np.empty(2 * (some.stop - first), np.int64)
            borders[::2] = begins[some] - begin
            borders[1::2] = borders[::2] + sizes.take(several[some])
            values = self.exact_values.take(self.codes[grams])
            if self.kept is not None:
                values *= self.kept[grams]
            total[some] = _segment_sums(self.counts[grams].astype(np.float64), borders)
            kept[some] = _segment_sums(values, borders)
        return total, kept

    def finish(self, contexts: NDArray[np.float32] | None, context_codes: Ints | None) -> None:
        """Pack the grams that stay, given what they are as contexts, and let the counts go."""
        words, codes, children = self.words, self.codes, self.children
        if self.kept is not None:
            words, codes = words[self.kept], codes[self.kept]
            children = kept_children(children, self.kept, self.kept_contexts)
        values = self.exact_values.astype(np.float32)
        self.result = gram_order(words, codes, context_codes, children, values, contexts, self.word_bits)
        if not self.with_counts:
            del self.raw, self.counts
        del self.words, self.codes, self.children

    def kept_counts(self) -> KeptCounts:
        """The counts of the grams that stay, where they were to be remembered."""
        kept = slice(None) if self.kept is None else self.kept
        return KeptCounts(self.raw[kept], self.counts[kept])


def _segment_sums(values: Floats, borders: Offsets) -> Floats:
    """Sums between borders[0] and [1], [2] and [3], ... of segments that are not empty."""
    closed = borders if borders[-1] < len(values) else borders[:-1]
    return np.add.reduceat(values, closed)[::2]
