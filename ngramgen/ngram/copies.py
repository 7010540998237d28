"""Which runs of tokens occur in a training text: a Bloom filter that the model file carries.

A run is n successive tokens of one line; n is fixed when the filter is built. `CopyFilter` never misses a run that
occurs, and takes one that does not for one that does with a probability that it tells. Its bits lie in blocks of eight
64-bit words: a run has one bit in every word of one block, so that a query waits for memory once (split block Bloom
filters, Putze, Sanders & Singler 2007). `RunSet` does the same exactly, with 64 bits a run instead of 12.

With s(x) = `spread` (x), M = 0xC2B2AE3D27D4EB4F and everything modulo 2**64, the hash of the run w1 ... wn is
s(s(w1) M**(n-1) + s(w2) M**(n-2) + ... + s(wn)), so that the last token can be changed in one step.

>>> copies = CopyFilter.build(np.array([1, 3, 4, 5, 6, 2]), length=3, vocab_size=7)
>>> copies.runs(np.array([3, 4, 5, 4])).tolist()
[True, False]
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.errors import OptionError
from ngramgen.model import EOS

Hashes = NDArray[np.uint64]
Flags = NDArray[np.bool_]

SHORTEST, LONGEST = 2, 64
"""Tokens that a run may have."""
RECOMMENDED = 6
BITS_A_RUN = 12
WORDS = 8
"""64-bit words of a block: one bit of a run is in each."""

_FACTOR = np.uint64(0xC2B2AE3D27D4EB4F)
_SPREAD = np.uint64(0x9FB21C651E98DF25)
_FIELDS = np.uint64(0x9E3779B97F4A7C15)
_SLICE = 1 << 16  # runs worked on at a time, so that arrays stay in the cache
_ONE, _SIX, _LOW6 = np.uint64(1), np.uint64(6), np.uint64(63)


def check_length(length: object, name: str = "copy_filter") -> int:
    """The length of runs, which a user knows by this name. Raises OptionError unless it is an integer from 2 to 64."""
    if isinstance(length, bool) or not isinstance(length, int) or not SHORTEST <= length <= LONGEST:
        raise OptionError(f"{name} must be an integer from {SHORTEST} to {LONGEST}, not {length!r}")
    return length


def spread(values: NDArray[np.integer[Any]]) -> Hashes:
    """Integers as 64-bit numbers all of whose bits depend on all of theirs, a new array of the same shape."""
    result = values.astype(np.uint64)
    result *= _SPREAD
    result ^= result >> np.uint64(32)
    result *= _SPREAD
    result ^= result >> np.uint64(29)
    return result


def follow(values: Hashes, value: Hashes) -> Hashes:
    """The hashes before the last `spread` of runs that go on by one token; broadcast, a new array."""
    result: Hashes = values * _FACTOR + value
    return result


def run_hashes(values: Hashes, length: int) -> Hashes:
    """The hash of every run of tokens whose spread values are (T,), (T - length + 1,); none where T is less."""
    count = max(0, len(values) - length + 1)
    result = values[:count].copy()
    for place in range(1, length):
        result *= _FACTOR
        result += values[place : place + count]
    return spread(result)


def whole_runs(good: Flags, length: int) -> Flags:
    """Which runs consist of good tokens alone, (T,) -> (T - length + 1,)."""
    count = max(0, len(good) - length + 1)
    result = good[:count].copy()
    for place in range(1, length):
        result &= good[place : place + count]
    return result


@dataclass(frozen=True, eq=False)
class CopyFilter:
    """The runs of ``length`` tokens that a text holds, approximately; read-only."""

    length: int
    bits: Hashes  # (blocks, WORDS)

    @classmethod
    def build(cls, ids: NDArray[np.integer[Any]], length: int, vocab_size: int) -> CopyFilter:
        """The filter of sentences one after the other, ``<s> w1 ... wm </s>``, (T,).

        Ids from ``vocab_size`` on are words that the vocabulary lacks; no run holds them, nor a special token.
        Takes 8 bytes a token while it works. Raises OptionError for a length out of range.
        """
        check_length(length)
        hashes = _all_hashes(ids, length, vocab_size)
        hashes.sort()  # brings runs of one block together, for the block is in the highest bits
        distinct = int(np.count_nonzero(hashes[1:] != hashes[:-1])) + bool(len(hashes))
        bits = np.zeros((max(1, -(-distinct * BITS_A_RUN // (64 * WORDS))), WORDS), np.uint64)
        for begin in range(0, len(hashes), _SLICE):
            _set(bits, hashes[begin : begin + _SLICE])
        return cls(length, bits)

    @property
    def nbytes(self) -> int:
        return self.bits.nbytes

    @property
    def false_positive_rate(self) -> float:
        """The probability with which a run that does not occur is taken for one that does."""
        total = 0.0
        for begin in range(0, len(self.bits), _SLICE):
            shares = _bit_counts(self.bits[begin : begin + _SLICE]) / 64
            total += float(shares.prod(axis=1).sum())
        return total / len(self.bits)

    def about(self) -> dict[str, Any]:
        """What a model's description tells of it."""
        return {
            "length": self.length,
            "bytes": self.nbytes,
            "false_positive_rate": float(f"{self.false_positive_rate:.3g}"),
        }

    def hashes(self, windows: NDArray[np.integer[Any]]) -> Hashes:
        """The hash of each row of ids, (Q, length) -> (Q,). Raises OptionError for rows of another length."""
        if windows.ndim != 2 or windows.shape[1] != self.length:
            raise OptionError(f"runs of {self.length} ids are (Q, {self.length}), not {windows.shape}")
        result = spread(windows[:, 0])
        for column in windows.T[1:]:
            result = follow(result, spread(column))
        return spread(result)

    def contains(self, hashes: Hashes) -> Flags:
        """Which of these runs the text holds, (Q,): True for each that it does, mistaken for few others."""
        result = np.zeros(len(hashes), bool)
        for begin in range(0, len(hashes), _SLICE):
            some = hashes[begin : begin + _SLICE]
            left = np.arange(begin, begin + len(some))
            places = _blocks_of(some, len(self.bits))
            places *= WORDS
            fields = _fields_of(some)
            for _ in range(WORDS):
                word = self.bits.take(places)
                word >>= fields & _LOW6
                word &= _ONE
                kept = np.flatnonzero(word.astype(bool))  # ten times as fast as of integers
                left, places, fields = left.take(kept), places.take(kept), fields.take(kept)
                places += 1
                fields >>= _SIX
            result[left] = True
        return result

    def runs(self, ids: NDArray[np.integer[Any]]) -> Flags:
        """Which runs of running text (T,) the training text holds, (T - length + 1,); a special token ends a run."""
        found = self.contains(run_hashes(spread(ids), self.length))
        found &= whole_runs(ids > EOS, self.length)
        return found


@dataclass(frozen=True, eq=False)
class RunSet:
    """The same for values of tokens of any kind, exactly but for equal hashes."""

    length: int
    sorted_hashes: Hashes

    @classmethod
    def build(cls, parts: Iterable[Hashes], length: int) -> RunSet:
        """The set of these hashes."""
        return cls(length, np.unique(np.concatenate([np.zeros(0, np.uint64), *parts])))

    def contains(self, hashes: Hashes) -> Flags:
        """Which of these runs are in the set, (Q,)."""
        result = np.zeros(len(hashes), bool)
        if len(self.sorted_hashes):
            order = np.argsort(hashes)  # a search for what is sorted stays in the cache
            asked = hashes.take(order)
            place = np.minimum(self.sorted_hashes.searchsorted(asked), len(self.sorted_hashes) - 1)
            result[order] = self.sorted_hashes.take(place) == asked
        return result


def copies_of(model: Any) -> CopyFilter:
    """The filter of a model. Raises OptionError, which says how to get one, for a model without."""
    copies = getattr(model, "copies", None)
    if not isinstance(copies, CopyFilter):
        raise OptionError(
            "this model does not know which runs of words its training text holds; "
            f"train an n-gram model with --copy-filter {RECOMMENDED} (copy_filter={RECOMMENDED} in Python)"
        )
    return copies


def _all_hashes(ids: NDArray[np.integer[Any]], length: int, vocab_size: int) -> Hashes:
    hashes = np.empty(max(0, len(ids) - length + 1), np.uint64)
    used = 0
    for begin in range(0, len(hashes), _SLICE):
        some = ids[begin : begin + _SLICE + length - 1]
        found = run_hashes(spread(some), length)
        found = found.compress(whole_runs((some > EOS) & (some < vocab_size), length))
        hashes[used : used + len(found)] = found
        used += len(found)
    return hashes[:used]


def _blocks_of(hashes: Hashes, blocks: int) -> NDArray[np.int64]:
    """The block of each hash: its highest 32 bits, scaled (Lemire 2019)."""
    result = hashes >> np.uint64(32)
    result *= np.uint64(blocks)  # below 2**32: a corpus has at most 2**31 tokens
    result >>= np.uint64(32)
    return result.view(np.int64)


def _fields_of(hashes: Hashes) -> Hashes:
    """Eight numbers of six bits, the first in the lowest bits: which bit of each word."""
    return (hashes * _FIELDS) >> np.uint64(16)


def _set(bits: Hashes, hashes: Hashes) -> None:
    """Set the bits of sorted hashes."""
    blocks = _blocks_of(hashes, len(bits))
    begins = np.flatnonzero(np.diff(blocks, prepend=-1))
    here = blocks.take(begins)
    fields = _fields_of(hashes)
    for word in range(WORDS):
        bits[here, word] |= np.bitwise_or.reduceat(_ONE << (fields & _LOW6), begins)
        fields >>= _SIX


def _bit_counts(words: Hashes) -> NDArray[np.int64]:
    """How many bits of each word are set: the sums of ever larger neighbours (numpy 1 has no bitwise_count)."""
    steps: tuple[tuple[int, int], ...] = ((1, 0x5555555555555555), (2, 0x3333333333333333), (4, 0x0F0F0F0F0F0F0F0F))
    counts = words.copy()
    for shift, mask in steps:
        counts = (counts & np.uint64(mask)) + ((counts >> np.uint64(shift)) & np.uint64(mask))
    counts *= np.uint64(0x0101010101010101)
    return (counts >> np.uint64(56)).astype(np.int64)
