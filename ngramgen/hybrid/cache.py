"""What a text itself tells of its next token: what came behind the same last tokens before (Kuhn & De Mori 1990).

>>> numbers, ids, probs = cache_behind(np.array([1, 4, 5, 4, 6, 4]))  # <s> w4 w5 w4 w6 w4
>>> ids.tolist(), probs.tolist()
([5, 6], [0.5, 0.5])

Behind the last k tokens, which came before,

    p_k(w) = (a_k(w) - D(a_k(w))) / A_k + (sum_x D(a_k(x)) / A_k) p_(k-1)(w),   k = 1 .. 4,

where a_4(w) is how often w came there, a_k(w) for k < 4 behind how many different tokens it came there, and A_k is the
sum of a_k: modified Kneser-Ney smoothing (Chen & Goodman 1999) without a lowest order. The cache gives what p_4 has for
the words that came, scaled to sum to 1. A line's end is a token like others.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.hybrid.counts import DISCOUNTS
from ngramgen.model import BOS, EOS

Ids = NDArray[np.integer[Any]]
Floats = NDArray[np.float64]

LEVELS = 4
SIZE = 3 * LEVELS + 1
"""Numbers that are known of a place; the first is 0 where nothing came behind the last token before."""
_HUNDREDTHS = np.array(DISCOUNTS)  # so that sums do not depend on their order
_DISCOUNTS = _HUNDREDTHS / 100  # D(a) for a = 0, 1, 2, and 3 and more
_MOST = len(_DISCOUNTS) - 1
_APART = 1 << 32  # more than the ids of any vocabulary
_LEAST = 1e-4
"""Added to what is left to shorter contexts, so that it has a logarithm."""


def cache_behind(words: Ids) -> tuple[NDArray[np.float32], NDArray[np.int64], Floats]:
    """The numbers (`SIZE`,) known behind words (T,), the words that came there before, (m,), and p of each, (m,).

    <s>, with which a text begins, is a line's end as </s> is.
    """
    text = np.where(words == BOS, EOS, words).astype(np.int64)
    numbers, places = np.zeros(SIZE, np.float32), np.arange(1, len(text))
    ids, own, left = np.zeros(0, np.int64), np.zeros(0), 1.0
    for k in range(1, LEVELS + 1):
        places = places[(places >= k) & (text[places - k] == text[-k])] if k <= len(text) else places[:0]
        if not len(places):
            break
        came = text[places]
        if k < LEVELS:
            before = np.where(places > k, text[places - k - 1], -1)
            came = np.unique(came * _APART + before + 1) // _APART
        found, counts = np.unique(came, return_counts=True)
        total, kept = len(came), int(_HUNDREDTHS.take(np.minimum(counts, _MOST)).sum())
        share = _known(numbers, k, np.array(total), np.array(kept))
        explicit = (counts - _DISCOUNTS.take(np.minimum(counts, _MOST))) / total
        if k == 1:  # what came behind a longer context came behind this one, too
            ids, own = found, explicit
        else:
            own *= share
            own[ids.searchsorted(found)] += explicit
        left *= float(share)
    numbers[-1] = np.log(left + _LEAST)
    return numbers, ids, own / (1 - left) if len(ids) else own


def cache_along(words: Ids) -> tuple[NDArray[np.float32], Floats]:
    """Before each word of a text (T,), which begins without <s>: the numbers (T, `SIZE`), and the word's p, 0 for one
    that did not come there. <s> is a line's end, as `cache_behind` has it."""
    text = np.append(EOS, np.where(words == BOS, EOS, words)).astype(np.int64)
    size = len(words)
    numbers, own, left = np.zeros((size, SIZE), np.float32), np.zeros(size), np.ones(size)
    grams = [text]  # by length k + 1: a number for the k + 1 tokens that end at each place from k on
    for k in range(1, min(LEVELS, size) + 1):
        grams.append(_numbered(grams[-1][:-1], text[k:]))
    for k in range(1, min(LEVELS, size) + 1):
        contexts, pairs = grams[k - 1][:-1], grams[k]
        is_new = np.ones(len(pairs), bool)
        if k < LEVELS and len(grams) > k + 1:
            is_new[1:] = _is_first(grams[k + 1])
        came = _sums_before(pairs, is_new)
        totals = _sums_before(contexts, is_new)
        steps = np.diff(_HUNDREDTHS, append=_HUNDREDTHS[-1]).take(np.minimum(came, _MOST))
        kept = _sums_before(contexts, np.where(is_new, steps, 0))
        at = np.flatnonzero(totals)
        rows = at + k - 1
        counts, total = came[at], totals[at]
        some = numbers[rows]
        share = _known(some.T, k, total, kept[at])
        numbers[rows] = some
        own[rows] = own[rows] * share + (counts - _DISCOUNTS.take(np.minimum(counts, _MOST))) / total
        left[rows] *= share
    numbers[:, -1] = np.log(left + _LEAST)
    return numbers, np.divide(own, 1 - left, out=own, where=left < 1)


def _known(numbers: Any, k: int, total: NDArray[np.int64], kept: NDArray[np.int64]) -> Any:
    """Writes the three numbers of a level to rows (`SIZE`, ...); gives what is left to shorter contexts."""
    share = kept / (100 * total)
    numbers[3 * k - 3] = 1
    numbers[3 * k - 2] = np.log(share + _LEAST)
    numbers[3 * k - 1] = np.log1p(total)
    return share


def _numbered(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """A number for each pair, the same for the same."""
    found: NDArray[np.int64] = np.unique(one * (1 + int(other.max(initial=0))) + other, return_inverse=True)[1]
    return found


def _is_first(grams: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of them did not come before."""
    found = np.zeros(len(grams), bool)
    found[np.unique(grams, return_index=True)[1]] = True
    return found


def _sums_before(groups: NDArray[np.int64], values: NDArray[np.integer[Any]] | NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each place the sum of the values of those places before it that are of its group."""
    order = np.argsort(groups, kind="stable")
    sums = np.cumsum(values[order], dtype=np.int64) - values[order]
    begins = np.diff(groups[order], prepend=-1) != 0
    # sums never fall, so the largest that a group began with is its own
    sums -= np.maximum.accumulate(np.where(begins, sums, 0))
    result = np.empty_like(sums)
    result[order] = sums
    return result
