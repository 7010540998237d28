"""Tokens and their ids: a 64-bit key for each token, and a hash table that answers for a whole block at once.

A token of up to eight bytes is its own key, a longer one is hashed (64 bits; two of a million tokens share a key with a
chance of 3e-8). The table is open-addressed and filled in order of id, so that frequent tokens are found at once.

>>> builder = VocabularyBuilder()
>>> from ngramgen.text.splitting import split_whitespace
>>> builder.add(split_whitespace(b"a rose is a rose\\n")).tolist()
[0, 1, 2, 0, 1]
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.model import UNK
from ngramgen.text.splitting import Bytes, Offsets, Spans, padded

Keys = NDArray[np.uint64]
Ids = NDArray[np.int32]

SPECIALS = ("<unk>", "<s>", "</s>")
_LONG = 128  # bytes; a longer token is hashed by blake2b, one at a time
_SLOT = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)
_MASKS = np.array([(1 << 8 * n) - 1 for n in range(9)], dtype=np.uint64)


def token_keys(spans: Spans) -> Keys:
    """The 64-bit key of every token, (T,) uint64."""
    words = spans.buffer.view("<u8")
    starts, lengths = spans.starts, spans.lengths
    keys = _word_at(words, starts)
    keys &= _MASKS.take(lengths, mode="clip")
    long = np.flatnonzero(lengths > 8)
    if len(long):
        keys[long] = _long_keys(words, starts.take(long), lengths.take(long), keys.take(long))
    for t in _odd_tokens(spans):
        token = spans.buffer[starts[t] : starts[t] + lengths[t]].tobytes()
        keys[t] = int.from_bytes(hashlib.blake2b(token, digest_size=8).digest(), "little")
    return keys


def _word_at(words: Keys, offsets: Offsets) -> Keys:
    """Eight bytes from any offset, little-endian: two aligned words shifted together."""
    index = offsets >> 3
    shift = ((offsets & 7) << 3).view(np.uint64)
    low = words.take(index)
    low >>= shift
    index += 1
    high = words.take(index)
    high <<= np.uint64(1)
    np.subtract(np.uint64(63), shift, out=shift)
    high <<= shift
    low |= high
    return low


def _long_keys(words: Keys, starts: Offsets, lengths: Offsets, first: Keys) -> Keys:
    """Keys of tokens of 9 to 128 bytes: their 8-byte words, mixed one after the other."""
    keys = _mixed(first ^ lengths.view(np.uint64))
    for offset in range(8, min(int(lengths.max()), _LONG), 8):
        rest = np.flatnonzero(lengths > offset)
        word = _word_at(words, starts.take(rest) + offset)
        word &= _MASKS.take(lengths.take(rest) - offset, mode="clip")
        keys[rest] = _mixed(keys.take(rest) ^ word)
    return keys


def _mixed(keys: Keys) -> Keys:
    keys = keys * _MIX
    keys ^= keys >> np.uint64(32)
    keys *= _MIX
    keys ^= keys >> np.uint64(29)
    return keys


def _odd_tokens(spans: Spans) -> list[int]:
    """Tokens longer than 128 bytes, and those in which a NUL could hide a difference in length."""
    odd = spans.lengths > _LONG
    end = int(spans.starts[-1] + spans.lengths[-1]) if len(spans.starts) else 0
    if np.count_nonzero(spans.buffer[:end]) < end:
        zeros = np.zeros(spans.buffer.size + 1, np.int64)
        np.cumsum(spans.buffer == 0, out=zeros[1:])
        odd |= zeros[spans.starts + spans.lengths] > zeros[spans.starts]
    return np.flatnonzero(odd).tolist()


@dataclass(frozen=True, slots=True)
class HashIndex:
    """An open-addressed table from key to id; slot value 0 is empty, otherwise id + 1."""

    slots: NDArray[np.uint32]  # (2**bits,)
    keys: Keys  # (V,): the key of each id

    def find(self, keys: Keys) -> NDArray[np.int64]:
        """The id of each key, -1 where there is none, (T,) int64."""
        if not self.keys.size:
            return np.full(keys.size, -1, np.int64)
        bits = self.slots.size.bit_length() - 1
        place = ((keys * _SLOT) >> np.uint64(64 - bits)).view(np.int64)
        found = self.slots.take(place).astype(np.int64)
        found -= 1
        # an empty slot reads keys[0] and is told apart below; not mode="wrap", which takes time for wild ids
        wrong = self.keys.take(found, mode="clip") != keys
        left = np.flatnonzero(wrong)
        left = left[found.take(left) >= 0]
        mask = self.slots.size - 1
        step = 1
        while len(left):
            if step > mask:  # only a damaged table has no empty slot
                found[left] = -1
                break
            candidate = self.slots.take((place.take(left) + step) & mask).astype(np.int64) - 1
            found[left] = candidate
            again = (candidate >= 0) & (self.keys.take(candidate, mode="clip") != keys.take(left))
            left = left[again]
            step += 1
        return found


def build_index(keys: Keys) -> HashIndex:
    """The table over distinct keys, filled in order of id; at most half of it is used."""
    bits = max(4, int(2 * keys.size).bit_length())
    slots = np.zeros(1 << bits, np.uint32)
    _insert(slots, keys, 0)
    return HashIndex(slots, keys)


def _insert(slots: NDArray[np.uint32], keys: Keys, first_id: int) -> None:
    bits = slots.size.bit_length() - 1
    place = ((keys * _SLOT) >> np.uint64(64 - bits)).view(np.int64)
    pending = np.arange(keys.size)
    while len(pending):
        here = place[pending]
        empty = slots[here] == 0
        # of several keys for one slot the last assignment stands, so the lowest id goes last
        slots[here[empty][::-1]] = (pending[empty][::-1] + first_id + 1).astype(np.uint32)
        pending = pending[slots[here] != pending + (first_id + 1)]
        place[pending] = (place[pending] + 1) & (slots.size - 1)


class VocabularyBuilder:
    """Gives ids 0, 1, 2 ... to tokens in the order of their first appearance."""

    def __init__(self) -> None:
        self.tokens: list[bytes] = []
        self._keys = np.zeros(1024, np.uint64)
        self._slots = np.zeros(4096, np.uint32)

    def add(self, spans: Spans) -> NDArray[np.int64]:
        """The ids of the block's tokens, (T,) int64; new tokens are taken in."""
        keys = token_keys(spans)
        ids = HashIndex(self._slots, self._keys).find(keys)
        new = np.flatnonzero(ids < 0)
        if len(new):
            fresh, first, inverse = np.unique(keys.take(new), return_index=True, return_inverse=True)
            order = np.argsort(first)
            rank = np.empty_like(order)
            rank[order] = np.arange(len(order))
            ids[new] = rank[inverse] + len(self.tokens)
            self._append(spans, new.take(first[order]), fresh[order])
        return ids

    def _append(self, spans: Spans, positions: Offsets, keys: Keys) -> None:
        begin = len(self.tokens)
        starts = spans.starts.take(positions)
        ends = (starts + spans.lengths.take(positions)).tolist()
        data = spans.buffer.tobytes()
        self.tokens += [data[s:e] for s, e in zip(starts.tolist(), ends, strict=True)]
        size = len(self.tokens)
        if size > self._keys.size:
            self._keys = np.concatenate([self._keys, np.zeros(max(size, self._keys.size), np.uint64)])
        self._keys[begin:size] = keys
        if 2 * size > self._slots.size:
            self._slots = np.zeros(1 << int(4 * size).bit_length(), np.uint32)
            _insert(self._slots, self._keys[:size], 0)
        else:
            _insert(self._slots, keys, begin)


@dataclass(frozen=True)
class Vocabulary:
    """An unchanging list of tokens, ids 0 to V - 1; the first three are the specials and have no text."""

    data: Bytes  # the tokens' bytes, one after the other
    offsets: NDArray[np.unsignedinteger[Any]]  # (V + 1,)
    index: HashIndex  # over ids 3 and on, less 3

    @classmethod
    def from_tokens(cls, tokens: Iterable[bytes]) -> Vocabulary:
        """The vocabulary of these distinct tokens, which get ids from 3 on in their order."""
        listed = list(tokens)
        lengths = np.zeros(len(listed) + len(SPECIALS) + 1, np.uint64)
        lengths[len(SPECIALS) + 1 :] = np.fromiter(map(len, listed), np.uint64, len(listed))
        offsets = np.cumsum(lengths, dtype=np.uint64)
        data = padded(b"".join(listed))
        starts = offsets[len(SPECIALS) : -1].astype(np.int64)
        sizes = offsets[len(SPECIALS) + 1 :].astype(np.int64) - starts
        spans = Spans(data, starts, sizes, np.zeros(0, np.int64))
        return cls(data, offsets, build_index(token_keys(spans)))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def first(self, size: int) -> Vocabulary:
        """The vocabulary of the first ``size`` ids; itself where that is all."""
        if size == len(self):
            return self
        offsets = self.offsets[: size + 1]
        return Vocabulary(self.data[: int(offsets[-1])], offsets, build_index(self.index.keys[: size - len(SPECIALS)]))

    def find(self, spans: Spans) -> NDArray[np.int64]:
        """The id of every token, `UNK` for one that is not in the vocabulary, (T,) int64."""
        ids = self.index.find(token_keys(spans))
        ids += len(SPECIALS)
        ids[(ids < len(SPECIALS)) | (ids >= len(self))] = UNK  # beyond the end: a damaged file
        return ids

    def token(self, index: int) -> bytes:
        """The bytes of one token; a special has none."""
        return self.data[int(self.offsets[index]) : int(self.offsets[index + 1])].tobytes()

    def join(self, rows: Sequence[NDArray[np.integer[Any]]], ids: NDArray[np.integer[Any]], separator: bytes) -> bytes:
        """The tokens of rows, none empty, a separator between them and a newline behind each; ``ids`` are all ids."""
        begins = self.offsets.take(ids).astype(np.int64)
        lengths = self.offsets.take(ids + 1).astype(np.int64)
        lengths -= begins
        if len(lengths) and int(lengths.max()) > self.data.size:  # a damaged file; its gaps would fill the memory
            raise ValueError("a token is longer than all tokens together")
        last = np.cumsum([len(row) for row in rows]) - 1
        lengths += len(separator)
        lengths[last] += 1 - len(separator)
        ends = np.cumsum(lengths)
        begins += lengths
        begins -= ends
        source = np.repeat(begins, lengths)
        source += np.arange(len(source))
        text = self.data.take(source, mode="clip")  # reads on behind a token where the gap is
        if separator:
            text[ends - 1] = separator[0]
        text[ends[last] - 1] = 10
        return text.tobytes()
