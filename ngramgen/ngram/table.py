"""The arrays of an n-gram model: what is stored, mapped and looked up.

A gram of order 2 or more is one packed integer, ``scrambled word | value code | context code``: its successors' slice
begins at ``children[id]``, its numerator is ``values[value code]``, and as a context it has the pair (gamma, scale)
``contexts[context code]``. So for a word w after a context h (see smoothing.py)

    p(w|h) = value(hw) * scale(h) + gamma(h) * lower(w)

Counts and pairs take few distinct values, so the codes are small: about 9 bytes a gram, and nothing is rounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.errors import TrainingError
from ngramgen.ngram.scramble import Scramble
from ngramgen.ngram.smoothing import Reading

Floats = NDArray[np.float32]
Packed = NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True)
class GramOrder:
    """The grams of one order from 2 on, N of them, sorted by context and then by scrambled word."""

    packed: Packed  # (N,) uint64, or uint32 where the bits suffice
    children: NDArray[np.unsignedinteger[Any]]  # (N of the lower order + 1,): where each context's grams begin
    shifts: NDArray[np.signedinteger[Any]]  # (N + 1,): how far a gram lies from where its word lets expect it
    values: Floats  # (number of value codes,)
    contexts: Floats  # (number of context codes, 2): gamma and scale; code 0 is (1, 0), a gram that nothing follows
    value_bits: int
    context_bits: int

    @property
    def size(self) -> int:
        return len(self.packed)

    @property
    def word_shift(self) -> int:
        """How far the scrambled word lies above the lowest bit."""
        return self.value_bits + self.context_bits

    def words_of(self, packed: Packed) -> NDArray[np.int64]:
        """Scrambled words of packed grams, int64."""
        return _as_int64(packed >> packed.dtype.type(self.word_shift))

    def value_codes_of(self, packed: Packed) -> NDArray[np.int64]:
        """Value codes of packed grams, int64."""
        kind = packed.dtype.type
        codes = packed >> kind(self.context_bits)
        codes &= kind((1 << self.value_bits) - 1)
        return _as_int64(codes)

    def context_codes_of(self, packed: Packed) -> NDArray[np.int64]:
        """Context codes of packed grams, int64."""
        return _as_int64(packed & packed.dtype.type((1 << self.context_bits) - 1))

    def context_code_of(self, gram: int) -> int:
        """The context code of one gram."""
        return int(self.packed[gram]) & ((1 << self.context_bits) - 1)


def _as_int64(codes: Packed) -> NDArray[np.int64]:
    """Integers of the packed width as numpy likes its indices; without a copy where the width is the same."""
    return codes.view(np.int64) if codes.itemsize == 8 else codes.astype(np.int64)


def as_pairs(contexts: Floats) -> NDArray[np.complex64]:
    """Gamma and scale of contexts (C, 2) side by side as one complex number, (C,), so that one read brings both."""
    return contexts.view(np.complex64).ravel()


@dataclass(frozen=True)
class NgramTable:
    """All orders. Read-only; safe to share between threads."""

    unigrams: Floats  # (V,) p(w), 0 for <s>
    unigram_contexts: Floats  # (V, 2) gamma and scale of each word as a context
    orders: tuple[GramOrder, ...]  # orders 2 to n
    word_bits: int  # of a scrambled word
    reading: Reading
    normalised: bool  # whether every context's probabilities sum to 1

    @property
    def vocab_size(self) -> int:
        return len(self.unigrams)

    @property
    def order(self) -> int:
        return len(self.orders) + 1

    @property
    def scramble(self) -> Scramble:
        return Scramble(1 << self.word_bits)

    @property
    def uniform(self) -> float:
        """The uniform probability of the words that have one."""
        return 1 / float(np.count_nonzero(self.unigrams))

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many grams each order has; <s> counts among the unigrams."""
        return (self.vocab_size, *(order.size for order in self.orders))

    def pairs_of(self, length: int, grams: NDArray[np.int64] | None = None) -> NDArray[np.complex64]:
        """Gamma and scale of grams of that length as contexts, (G,), or of all of them (`as_pairs`)."""
        if length == 1:
            pairs = as_pairs(self.unigram_contexts)
            return pairs if grams is None else pairs.take(grams)
        order = self.orders[length - 2]
        packed = order.packed if grams is None else order.packed.take(grams)
        return as_pairs(order.contexts).take(order.context_codes_of(packed))


def gram_order(
    words: NDArray[np.integer[Any]],
    value_codes: NDArray[np.integer[Any]],
    context_codes: NDArray[np.integer[Any]] | None,
    children: NDArray[np.int64],
    values: Floats,
    contexts: Floats | None,
    word_bits: int,
) -> GramOrder:
    """The grams of one order from their parts, as `GramOrder` has them; nothing follows those of the highest order.

    Raises TrainingError where a gram needs more than 64 bits.
    """
    if contexts is None:
        contexts = np.array([[1, 0]], np.float32)
    bits = word_bits, code_bits(len(values)), code_bits(len(contexts))
    packed = pack(words, value_codes, context_codes, bits)
    shifts = place_shifts(words, children, word_bits)
    offset_type = np.uint32 if len(packed) < 1 << 32 else np.uint64
    return GramOrder(packed, children.astype(offset_type), shifts, values, contexts, bits[1], bits[2])


def kept_children(
    children: NDArray[np.int64], kept: NDArray[np.bool_], kept_contexts: NDArray[np.bool_] | None
) -> NDArray[np.int64]:
    """`GramOrder.children` when only the grams in ``kept`` (N,) are left, behind the contexts that are; None: all."""
    begins = np.concatenate([np.zeros(1, np.int64), np.cumsum(kept)]).take(children)
    return begins if kept_contexts is None else np.append(begins[:-1][kept_contexts], begins[-1])


def pack(
    words: NDArray[np.integer[Any]],
    value_codes: NDArray[np.integer[Any]],
    context_codes: NDArray[np.integer[Any]] | None,
    bits: tuple[int, int, int],
) -> Packed:
    """One integer a gram from its three parts; ``bits`` are those of word, value code and context code.

    Raises TrainingError where more than 64 bits are needed.
    """
    _word_bits, value_bits, context_bits = bits
    total = sum(bits)
    if total > 64:
        raise TrainingError(f"an n-gram would take {total} bits, more than 64; prune the model or train on less text")
    packed = words.astype(np.uint64)
    packed <<= np.uint64(value_bits)
    packed |= value_codes.astype(np.uint64)
    packed <<= np.uint64(context_bits)
    if context_codes is not None:
        packed |= context_codes.astype(np.uint64)
    return packed.astype(np.uint32) if total <= 32 else packed


def code_bits(codes: int) -> int:
    """Bits that hold the codes 0 to ``codes`` - 1."""
    return max(0, (codes - 1).bit_length())


def place_shifts(
    words: NDArray[np.integer[Any]], children: NDArray[np.int64], word_bits: int
) -> NDArray[np.signedinteger[Any]]:
    """`GramOrder.shifts`, (N + 1,): for each guessed place where the grams with that guess begin, less the place."""
    size = len(words)
    counts = np.zeros(size + 1, np.int64)
    sizes = np.diff(children)
    for first in range(0, len(sizes), _CONTEXTS):
        some = slice(first, first + _CONTEXTS)
        begin, end = int(children[first]), int(children[min(first + _CONTEXTS, len(sizes))])
        guess = words[begin:end].astype(np.int64)
        guess *= np.repeat(sizes[some], sizes[some])  # below 2**63: 32 bits of word, 31 of successors
        guess >>= word_bits
        guess += np.repeat(children[:-1][some] - begin, sizes[some])
        counts[begin + 1 : end + 1] = np.bincount(guess, minlength=end - begin)
    np.cumsum(counts, out=counts)
    counts -= np.arange(size + 1)
    lowest, highest = int(counts.min()), int(counts.max())
    kind = next(t for t in (np.int8, np.int16, np.int32) if np.iinfo(t).min <= lowest <= highest <= np.iinfo(t).max)
    return counts.astype(kind)


_CONTEXTS = 1 << 15  # contexts worked on at a time, so that arrays stay in the cache
