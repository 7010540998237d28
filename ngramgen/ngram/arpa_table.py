"""From the n-grams of an ARPA file to a table: gaps filled, n-grams sorted by context, numbers coded.

A table needs the beginning and the end of every n-gram among its shorter ones. ARPA files may lack them (SRILM prunes
so): what is missing is put in with the probability that backing off gives it, which changes no other probability.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.model import BOS
from ngramgen.ngram.arpa_lines import HIGHEST_LOG, Refusal
from ngramgen.ngram.scramble import Scramble
from ngramgen.ngram.table import GramOrder, NgramTable, code_bits, pack, place_shifts
from ngramgen.text.vocabulary import build_index

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Keys = NDArray[np.uint64]

LEAST = float(np.finfo(np.float32).tiny)
"""The least probability or backoff that is read, 1.2e-38, so that none has the logarithm -inf."""

_TOLERANCE = 1e-3  # how far the sums of a normalised model may lie from 1
_STEP = 2.0**-24  # the finest step of logarithms where codes have to be fewer
_MIX = np.uint64(0x9FB21C651E98DF25)


@dataclass
class Grams:
    """The n-grams of one order, N of them, in the order of the file."""

    rows: Ints  # (N, k) words
    logs: Floats  # (N,) log10 p
    backoffs: Floats  # (N,) log10 gamma
    lines: NDArray[np.uint32]  # (N,) where each stands, 0 for one that was put in

    @classmethod
    def missing(cls, rows: Ints) -> Grams:
        """N-grams that do not stand in the file: their probabilities are still to be found."""
        size = len(rows)
        return cls(rows, np.zeros(size, np.float32), np.zeros(size, np.float32), np.zeros(size, np.uint32))

    @property
    def columns(self) -> tuple[NDArray[Any], ...]:
        """All but the words, each (N,)."""
        return self.logs, self.backoffs, self.lines

    def followed_by(self, more: Grams) -> Grams:
        """These n-grams and then the others."""
        rows = np.concatenate([self.rows, more.rows])
        return Grams(rows, *(np.concatenate(pair) for pair in zip(self.columns, more.columns, strict=True)))


@dataclass
class _Links:
    """Where the beginning and the end of each n-gram stand in the lower order, both (N,)."""

    contexts: Ints
    suffixes: Ints


def build_table(orders: list[Grams], refusal: Refusal) -> NgramTable:
    """The table of these n-grams, whose rows are words with their final ids; the list is used up.

    Raises ArpaError for an n-gram that stands in the file twice.
    """
    links = _close(orders, refusal)
    for k in range(1, len(orders)):
        _fill_in(orders[k], orders[k - 1], links[k])
    normalised = _sums_to_one(orders, links)
    vocab_size = len(orders[0].rows)
    scramble = Scramble(vocab_size)
    unigrams = _linear(orders[0].logs)
    unigrams[BOS] = 0
    place = np.arange(vocab_size, dtype=np.int32)  # the final id of each n-gram of the lower order
    backoffs = orders[0].backoffs
    unigram_contexts = np.tile(np.array([1, 0], np.float32), (vocab_size, 1))
    results: list[GramOrder] = []
    pending: _Sorted | None = None
    for k in range(1, len(orders)):
        lower_size, orders[k - 1] = len(backoffs), orders[0]  # lets the lower order go
        found = _sort(orders[k], place.take(links[k].contexts), scramble, lower_size)
        codes, contexts = _context_codes(backoffs if pending is None else pending.backoffs, np.diff(found.children) > 0)
        if pending is None:
            unigram_contexts = contexts.take(codes, axis=0)
        else:
            results.append(pending.finish(scramble.bits, codes, contexts))
        pending, place, backoffs = found, found.place, found.backoffs
    if pending is not None:
        results.append(pending.finish(scramble.bits, None, np.array([[1, 0]], np.float32)))
    return NgramTable(unigrams, unigram_contexts, tuple(results), scramble.bits, "backoff", normalised)


def _close(orders: list[Grams], refusal: Refusal) -> list[_Links]:
    """Put in the beginnings and ends that are missing, from the highest order down; where all of them stand."""
    none = np.zeros(0, np.int32)
    links = [_Links(none, none) for _ in orders]
    if len(orders) > 1:
        _refuse_doubles(orders[-1], _row_keys(orders[-1].rows), refusal)
    for k in range(len(orders) - 1, 1, -1):
        rows = orders[k].rows
        lower_keys = _row_keys(orders[k - 1].rows)
        _refuse_doubles(orders[k - 1], lower_keys, refusal)
        index = build_index(lower_keys)
        parts = [(part, _row_keys(part)) for part in (rows[:, :-1], rows[:, 1:])]
        found = [index.find(keys) for _, keys in parts]
        gaps = [np.flatnonzero(places < 0) for places in found]
        if any(map(len, gaps)):
            missing = np.concatenate([part[gap] for (part, _), gap in zip(parts, gaps, strict=True)])
            missing_keys, firsts = np.unique(_row_keys(missing), return_index=True)
            orders[k - 1] = orders[k - 1].followed_by(Grams.missing(missing[firsts]))
            more = build_index(missing_keys)
            for (_, keys), places, gap in zip(parts, found, gaps, strict=True):
                places[gap] = more.find(keys[gap]) + len(lower_keys)
        links[k] = _Links(found[0].astype(np.int32), found[1].astype(np.int32))
    if len(orders) > 1:
        links[1] = _Links(orders[1].rows[:, 0], orders[1].rows[:, 1])
    return links


def _row_keys(rows: Ints) -> Keys:
    """A 64-bit key of each row of words (two of ten million rows share one with a chance of 3e-6)."""
    keys = rows[:, 0].astype(np.uint64)
    for column in range(1, rows.shape[1]):
        keys += np.uint64(1)
        keys *= _MIX
        keys ^= keys >> np.uint64(29)
        keys *= _MIX
        keys ^= keys >> np.uint64(32)
        keys += rows[:, column].astype(np.uint64)
    return keys


def _refuse_doubles(grams: Grams, keys: Keys, refusal: Refusal) -> None:
    ordered = np.sort(keys)
    if not (ordered[1:] == ordered[:-1]).any():
        return
    _, firsts = np.unique(keys, return_index=True)
    again = np.ones(len(keys), bool)
    again[firsts] = False
    what = f"the {grams.rows.shape[1]}-gram stands in the file twice; delete one of the lines"
    raise refusal(int(grams.lines[int(np.argmax(again))]), what)


def _fill_in(grams: Grams, lower: Grams, links: _Links) -> None:
    """Give the n-grams that were put in their probabilities."""
    gaps = np.flatnonzero(grams.lines == 0)
    if len(gaps):
        logs = lower.backoffs.take(links.contexts.take(gaps)) + lower.logs.take(links.suffixes.take(gaps))
        grams.logs[gaps] = np.minimum(logs, HIGHEST_LOG)


def _sums_to_one(orders: list[Grams], links: list[_Links]) -> bool:
    """Whether the probabilities after every context sum to 1, given that those of the shorter context do."""
    lower = 10.0 ** orders[0].logs.astype(np.float64)
    lower[BOS] = 0
    if abs(lower.sum() - 1) > _TOLERANCE:
        return False
    for grams, link, below in zip(orders[1:], links[1:], orders, strict=False):
        explicit = 10.0 ** grams.logs.astype(np.float64)
        size = len(below.logs)
        seen = np.bincount(link.contexts, explicit, size)
        hidden = np.bincount(link.contexts, lower.take(link.suffixes), size)
        sums = seen + 10.0 ** below.backoffs.astype(np.float64) * (1 - hidden)
        if (np.abs(sums - 1) > _TOLERANCE).any():
            return False
        lower = explicit
    return True


@dataclass
class _Sorted:
    """One order in the order of the table."""

    words: NDArray[np.int64]  # (N,) scrambled
    logs: Floats
    backoffs: Floats
    children: NDArray[np.int64]
    place: Ints  # (N,) the final id of each n-gram of the file

    def finish(self, word_bits: int, context_codes: NDArray[np.int64] | None, contexts: Floats) -> GramOrder:
        """Pack the n-grams, given what they are as contexts."""
        context_bits = code_bits(len(contexts))
        logs, codes = _distinct(self.logs, 64 - word_bits - context_bits)
        bits = (word_bits, code_bits(len(logs)), context_bits)
        packed = pack(self.words, codes, context_codes, bits)
        shifts = place_shifts(self.words, self.children, word_bits)
        children = self.children.astype(np.uint32)
        return GramOrder(packed, children, shifts, _linear(logs), contexts, bits[1], bits[2])


def _sort(grams: Grams, contexts: Ints, scramble: Scramble, lower_size: int) -> _Sorted:
    words = scramble.forward(grams.rows[:, -1])
    keys = contexts.astype(np.int64)
    keys <<= scramble.bits
    keys |= words
    order = np.argsort(keys)
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    children = np.zeros(lower_size + 1, np.int64)
    np.cumsum(np.bincount(contexts, minlength=lower_size), out=children[1:])
    return _Sorted(words.take(order), grams.logs.take(order), grams.backoffs.take(order), children, place)


def _context_codes(backoffs: Floats, followed: NDArray[np.bool_]) -> tuple[NDArray[np.int64], Floats]:
    """The code of each context and the pairs (gamma, scale); code 0 is (1, 0), for what nothing follows."""
    logs, codes = _distinct(backoffs, 24)
    codes = codes + 1
    codes[~followed & (backoffs == 0)] = 0
    pairs = np.ones((len(logs) + 1, 2), np.float32)
    pairs[0, 1] = 0
    pairs[1:, 0] = _linear(logs)
    return codes, pairs


def _distinct(logs: Floats, bits: int) -> tuple[Floats, NDArray[np.int64]]:
    """The distinct logarithms and the code of each, in at most so many bits: rounded as finely as that allows."""
    found, codes = np.unique(logs, return_inverse=True)
    step = _STEP
    while len(found) >= 1 << bits:
        found, codes = np.unique((np.rint(logs / step) * step).astype(np.float32), return_inverse=True)
        step *= 2
    return found, codes


def _linear(logs: Floats) -> Floats:
    return np.maximum(10.0 ** logs.astype(np.float64), LEAST).astype(np.float32)
