"""Counts of all n-grams of a corpus, as a chain of sorts; no n-gram is ever a Python object.

Every position of the corpus ends one gram of each order. The gram of order k at position i is the pair (gram of order
k - 1 at i - 1, word at i), and its id is the dense rank of that pair: so the ids of an order are sorted by context, and
the successors of a context lie together. Three facts keep the work small:

- the positions grouped by their gram of order k - 1 are, one place on, the positions grouped by context: each group
  only has to be sorted by word, in blocks that fit the cache;
- a gram that occurs once has one successor, which occurs once: such positions are never sorted again;
- the longest proper suffix of the gram at i is the gram of the lower order at i: adjusted counts are a `bincount`.

>>> orders = count(corpus_from_sentences([[3, 4, 3]]), vocab_size=5, order=2)
>>> [order.counts.tolist() for order in orders]
[[0, 0, 1, 2, 1], [1, 1, 1, 1]]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ngramgen.model import BOS, EOS
from ngramgen.ngram.scramble import Scramble

Ints = NDArray[np.int32]
Offsets = NDArray[np.int64]

BLOCK = 1 << 17
"""Positions sorted at a time: 1 MB of packed keys."""


def corpus_from_sentences(sentences: Iterable[Iterable[int]]) -> Ints:
    """Sentences one after the other, ``<s> w1 ... wm </s> <s> ...``, (n,) int32."""
    return np.array([w for sentence in sentences for w in (BOS, *sentence, EOS)], np.int32)


@dataclass
class OrderCounts:
    """The grams of one order, sorted by context and then by scrambled word.

    Order 1 has one entry for each word of the vocabulary, seen or not, in order of id, and no contexts.
    """

    words: Ints  # (N,) scrambled last word
    counts: Ints  # (N,) how often the gram occurs
    children: Offsets  # (N of the lower order + 1,) where the successors of each context begin
    adjusted: Ints  # (N,) a(.): distinct words to the left, or the raw count where nothing can stand there
    last: int | None = None  # the gram that lmplz comes to last, if this is not the highest order; see `last_position`

    @property
    def size(self) -> int:
        return len(self.counts)


def count(corpus: Ints, vocab_size: int, order: int, appearance: Ints | None = None) -> list[OrderCounts]:
    """Count the grams of orders 1 to ``order``. The corpus' memory is used up: its words end scrambled.

    ``appearance`` (V,) ranks the words by their first appearance; without it their ids do.
    """
    unigrams = np.bincount(corpus, minlength=vocab_size).astype(np.int32)
    unigrams[BOS] = 0  # never predicted
    none = np.zeros(0, np.int32)
    result = [OrderCounts(none, unigrams, np.zeros(0, np.int64), unigrams)]
    if order == 1:
        return result
    ranks = np.arange(vocab_size, dtype=np.int32) if appearance is None else appearance
    last, length = last_position(corpus, order, ranks)
    chain = _Chain(corpus, vocab_size)
    for k in range(2, order + 1):
        lower = result[-1]
        if k <= length + 1:
            lower.last = int(chain.ids[last])
        grams, left_neighbours = chain.extend()
        # only a gram that begins with <s> has nothing to its left: its raw count stands
        lower.adjusted = np.where(left_neighbours == 0, lower.counts, left_neighbours)
        result.append(grams)
    return result


def last_position(corpus: Ints, order: int, appearance: Ints) -> tuple[int, int]:
    """Where the n-gram ends that comes last when all are sorted from their last word backwards, and how long it is.

    Words are compared by first appearance, and <s> is repeated before each sentence. lmplz (adjust_counts.cc) tallies
    the suffixes of that n-gram by their raw counts, which shows in the discounts of corpora of a few lines.
    """
    ranks = appearance.take(corpus)
    candidates = np.flatnonzero(ranks == ranks.max())
    inside = np.ones(len(candidates), bool)  # whether the word looked at is still in the sentence, <s> included
    length = np.ones(len(candidates), np.int64)
    for back in range(1, order):
        inside &= corpus.take(candidates - back + 1, mode="clip") != BOS
        rank = np.where(inside, appearance.take(corpus.take(candidates - back, mode="clip")), appearance[BOS])
        length += inside
        best = rank == rank.max()
        candidates, inside, length = candidates[best], inside[best], length[best]
    return int(candidates[0]), int(length[0])


class _Chain:
    """The grams of one order at every position, and the step to the next order."""

    def __init__(self, words: Ints, vocab_size: int) -> None:
        scramble = Scramble(vocab_size)
        self.ids = words.copy()  # (n,) the gram that ends at each position
        self.size = vocab_size  # how many grams there are
        # "shared": positions of grams that can be followed, grouped by gram, and which gram each group is
        self.shared = _grouped_by_word(words, scramble.bits)
        self.sizes = np.bincount(words, minlength=vocab_size)
        self.sizes[EOS] = 0
        self.groups = np.flatnonzero(self.sizes)
        self.sizes = self.sizes[self.groups]
        # "alone": positions, ascending, of grams that occur once and can be followed
        self.alone = np.zeros(0, np.int64)
        for begin in range(0, len(words), BLOCK):
            words[begin : begin + BLOCK] = scramble.forward(words[begin : begin + BLOCK])
        self.words = words
        self.word_bits = scramble.bits
        self.end = int(scramble.forward(np.array([EOS]))[0])

    def extend(self) -> tuple[OrderCounts, Ints]:
        """The grams of the next order, and for each gram of this order how many of those end in it."""
        words, counts, firsts, distinct = self._sort_groups()
        children = np.zeros(self.size + 1, np.int64)
        alone_contexts = self.ids.take(self.alone)
        children[1:][alone_contexts] = 1
        children[1:][self.groups] = distinct
        np.cumsum(children, out=children)
        self.alone += 1
        left = np.bincount(self.ids.take(firsts), minlength=self.size).astype(np.int32)
        left += np.bincount(self.ids.take(self.alone), minlength=self.size).astype(np.int32)

        gram_begins = np.cumsum(distinct) - distinct
        grams = np.arange(len(words)) + np.repeat(children.take(self.groups) - gram_begins, distinct)
        alone_grams = children.take(alone_contexts)
        size = int(children[-1])
        all_words = np.empty(size, np.int32)
        all_counts = np.ones(size, np.int32)
        all_words[grams] = words
        all_counts[grams] = counts
        alone_words = self.words.take(self.alone)
        all_words[alone_grams] = alone_words
        self._advance(grams, words, counts, alone_grams, alone_words, size)
        return OrderCounts(all_words, all_counts, children, all_counts), left

    def _sort_groups(self) -> tuple[Ints, Ints, Ints, Ints]:
        """Move the shared positions one place on and sort each group by word, in place.

        Gives the word, count and first position of each distinct gram, and the number of them in each group.
        """
        words, counts, firsts = [], [], []
        distinct = np.empty(len(self.sizes), np.int32)
        for positions, groups in self._blocks():
            sizes = self.sizes[groups]
            index_bits = len(positions).bit_length()
            position = positions + 1
            packed = np.repeat(np.arange(len(sizes), dtype=np.uint64), sizes)
            packed <<= np.uint64(self.word_bits)
            packed |= self.words.take(position).astype(np.uint64)
            packed <<= np.uint64(index_bits)
            packed |= np.arange(len(positions), dtype=np.uint64)
            packed.sort()
            positions[:] = position.take((packed & np.uint64((1 << index_bits) - 1)).view(np.int64))
            packed >>= np.uint64(index_bits)
            begins = np.flatnonzero(packed[1:] != packed[:-1])
            begins = np.concatenate([np.zeros(1, np.int64), begins + 1])
            grams = packed.take(begins)
            words.append((grams & np.uint64((1 << self.word_bits) - 1)).astype(np.int32))
            counts.append(np.diff(begins, append=len(positions)).astype(np.int32))
            firsts.append(positions.take(begins))
            distinct[groups] = np.bincount((grams >> np.uint64(self.word_bits)).view(np.int64), minlength=len(sizes))
        if not words:
            return (np.zeros(0, np.int32),) * 3 + (distinct,)
        return np.concatenate(words), np.concatenate(counts), np.concatenate(firsts), distinct

    def _blocks(self) -> Iterator[tuple[Ints, slice]]:
        """Whole groups, about `BLOCK` positions at a time; a group that is larger comes alone."""
        ends = np.cumsum(self.sizes)
        first, begin = 0, 0
        while first < len(ends):
            last = int(np.searchsorted(ends, begin + BLOCK, side="right"))
            last = max(last, first + 1)
            end = int(ends[last - 1])
            yield self.shared[begin:end], slice(first, last)
            first, begin = last, end

    def _advance(
        self, grams: Offsets, words: Ints, counts: Ints, alone_grams: Offsets, alone_words: Ints, size: int
    ) -> None:
        """Make the grams just found the current order."""
        ids = self.ids  # the old ones are used up
        followed = words != self.end
        is_alone = np.zeros(len(ids), bool)
        ids[self.alone] = alone_grams
        is_alone[self.alone[alone_words != self.end]] = True
        keep = followed & (counts > 1)
        ends = np.cumsum(counts, dtype=np.int64)
        write = 0
        for first in range(0, len(grams), BLOCK):
            some = slice(first, first + BLOCK)
            begin = int(ends[first - 1]) if first else 0
            positions = self.shared[begin : int(ends[min(first + BLOCK, len(grams)) - 1])]
            ids[positions] = np.repeat(grams[some], counts[some])
            single = (counts[some] == 1) & followed[some]
            is_alone[positions[np.repeat(single, counts[some])]] = True
            kept = positions[np.repeat(keep[some], counts[some])]
            self.shared[write : write + len(kept)] = kept
            write += len(kept)
        self.shared = self.shared[:write]
        self.sizes = counts[keep]
        self.groups = grams[keep]
        self.alone = np.flatnonzero(is_alone)
        self.size = size


def _grouped_by_word(words: Ints, word_bits: int) -> Ints:
    """Positions of all words but ``</s>``, grouped by word, ascending within each."""
    position_bits = len(words).bit_length()
    packed = words.astype(np.uint64)
    packed <<= np.uint64(position_bits)
    packed |= np.arange(len(words), dtype=np.uint64)
    packed = packed[words != EOS]
    packed.sort()
    packed &= np.uint64((1 << position_bits) - 1)
    positions: Ints = packed.astype(np.int32)
    return positions
