"""What was learnt of a person's text, as counts that grow word by word, and how far they move a distribution.

>>> counts = LearntCounts(vocab_size=9)
>>> counts.add([1, 4, 5, 2])                         # <s> w4 w5 </s>
>>> factor, ids, own = counts.behind([1, 4])
>>> ids.tolist(), round(factor + float(own.sum()), 9)
([5], 1.0)

Interpolated modified Kneser-Ney smoothing (Chen & Goodman 1999) with another model as its lowest order, which is the
hierarchical Pitman-Yor process of Teh (2006) with one table for each word in each restaurant. Behind the last k tokens

    p_k(w) = s_k (a_k(w) - D(a_k(w))) / A_k + (1 - s_k + s_k sum_x D(a_k(x)) / A_k) p_(k-1)(w),   k = 1 .. 4,

where a_k(w) is how often w came there, if k = 4 or the sentence has no longer context there, and else behind how many
different tokens it came there; A_k is the sum of a_k, and p_k = p_(k-1) where the context was not met. The shares s_k
are below 1 for short contexts, since the model at the bottom knows longer ones. Where that is an n-gram that has met
the last m tokens and no more, they depend on m - k. They and the discounts were fitted to novels (docs/personal.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from ngramgen.model import BOS, EOS, UNK

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]

SHARES = (0.5, 0.7, 1.0, 1.0)
"""s_k for contexts of 1, 2, ... tokens, where it is not told what the model below has met."""
LEVELS = len(SHARES)
_SHARES_BELOW = (1.0, 0.55, 0.35, 0.2)
"""s_k where the model below has met a context of no more than k tokens, of k + 1, of k + 2, of k + 3 and more."""
_LONGER = len(_SHARES_BELOW) - 1
_SHARES_OF = [
    tuple(_SHARES_BELOW[min(max(met - k, 0), _LONGER)] for k in range(1, LEVELS + 1))
    for met in range(LEVELS + _LONGER + 1)
]
DISCOUNTS = (0, 95, 155, 205)
"""D(a) in hundredths for a = 0, 1, 2, and 3 and more: sums of integers do not depend on the order of what is learnt."""
_MOST = len(DISCOUNTS) - 1
_STEPS = tuple(after - before for before, after in pairwise(DISCOUNTS))
_TOGETHER = 512
"""Words after which another thread may have its turn."""

Successors = dict[int, int]
"""How often each word came behind one context, and first of all two sums under numbers that are no words."""
_TOTAL, _KEPT = -1, -2  # of the counts, and of their discounts

Contexts = tuple[int, ...]
"""The last 4, 3, 2, 1 tokens as a number each: tokens are its digits, none of which is 0, as that is <unk>."""
_FIRST: Contexts = (BOS,)
Shares = tuple[float, ...]


class LearntCounts:
    """Counts behind the last 1 to `LEVELS` tokens. Safe to read and to add to from several threads."""

    def __init__(self, vocab_size: int) -> None:
        self._size = vocab_size
        self._lock = Lock()
        self.changes = 0  # how often something was learnt or forgotten
        self.clear()

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            # most contexts are met once: those have their only word, the others their successors
            self._found: dict[int, int | Successors] = {}
            self.tokens = 0
            self._came = np.zeros(self._size, np.int64)
            self.changes += 1

    def add(self, words: Sequence[int]) -> None:
        """Count the words of sentences, each begun by <s>, </s> among them.

        <unk> stands for many words, so it is neither counted nor part of a context.
        """
        contexts = _FIRST
        for begin in range(0, len(words), _TOGETHER):
            with self._lock:
                contexts = self._add(words[begin : begin + _TOGETHER], contexts)
                self.changes += 1

    def _add(self, words: Sequence[int], contexts: Contexts) -> Contexts:
        """Counts words behind contexts, and gives the contexts behind the last of them."""
        every, size, ids = self._found, self._size, np.array(words, np.int64)
        np.add.at(self._came, ids[ids > BOS], 1)
        for word in words:
            if word == BOS:
                contexts = _FIRST
                continue
            self.tokens += 1
            for context in contexts if word != UNK else ():
                found = every.get(context)
                if found is None:
                    every[context] = word
                elif isinstance(found, int):
                    if found == word:
                        every[context] = {_TOTAL: 2, _KEPT: DISCOUNTS[2], word: 2}
                        break
                    every[context] = {_TOTAL: 2, _KEPT: 2 * DISCOUNTS[1], found: 1, word: 1}
                else:
                    count = found.get(word, 0)
                    found[word] = count + 1
                    found[_TOTAL] += 1
                    if count < _MOST:
                        found[_KEPT] += _STEPS[count]
                    if count:
                        break  # in shorter contexts it was counted behind this token
            contexts = _next(contexts, word, size)
        return contexts

    def came(self) -> tuple[int, Ids]:
        """How often each word came, (V,), 0 for <unk> and <s>, and the `changes` up to then."""
        with self._lock:
            return self.changes, self._came.copy()

    def behind(self, tokens: Sequence[int], met: int | None = None) -> tuple[float, Ids, Floats]:
        """What p(w) = factor p_0(w) + own(w) is behind tokens, which begin with <s> or are at least `LEVELS`.

        ``met`` is how many of the last tokens the model below has met as a context, if that is known.
        Gives the factor, the words that have something of their own, (m,) ascending, and what they have, (m,).
        """
        contexts, levels = _contexts(tokens, self._size), []
        with self._lock:
            for context in reversed(contexts):
                found = self._found.get(context)
                if found is None:
                    break
                levels.append(_arrays(found))
        factor, ids, own = 1.0, np.zeros(0, np.int64), np.zeros(0)
        for share, (words, counts, discount) in zip(_shares(met), levels, strict=False):
            explicit = counts - _DISCOUNTS.take(np.minimum(counts, _MOST))
            explicit *= share / counts.sum()
            left = 1 - share + share * discount
            factor *= left
            if not len(ids):  # what came behind a longer context came behind this one, too
                order = np.argsort(words)
                ids, own = words.take(order), explicit.take(order)
            else:
                own *= left
                own[ids.searchsorted(words)] += explicit
        return factor, ids, own

    def along(self, words: Sequence[int], met: Sequence[int] | None = None) -> tuple[Floats, Floats]:
        """The factor before each word of sentences, each begun by <s>, and what the word has of its own; (T,) each.

        ``met`` (T,) is how many of the tokens before each word the model below has met as a context, if that is known.
        """
        factors, owns, contexts = [1.0] * len(words), [0.0] * len(words), _FIRST
        for begin in range(0, len(words), _TOGETHER):
            with self._lock:
                for place, word in enumerate(words[begin : begin + _TOGETHER], begin):
                    if word == BOS:
                        contexts = _FIRST
                        continue
                    shares = _shares(None if met is None else met[place])
                    factors[place], owns[place] = self._of_word(contexts, word, shares)
                    contexts = _next(contexts, word, self._size)
        return np.array(factors), np.array(owns)

    def _of_word(self, contexts: Contexts, word: int, shares: Shares) -> tuple[float, float]:
        factor, own = 1.0, 0.0
        for share, context in zip(shares, reversed(contexts), strict=False):
            found = self._found.get(context)
            if found is None:
                break
            if isinstance(found, int):
                total, kept, count = 1, DISCOUNTS[1], int(found == word)
            else:
                total, kept, count = found[_TOTAL], found[_KEPT], found.get(word, 0)
            left = 1 - share + share * kept / (100 * total)
            factor *= left
            own *= left
            if count:
                own += share * (count - DISCOUNTS[min(count, _MOST)] / 100) / total
        return factor, own


_DISCOUNTS = np.array(DISCOUNTS) / 100


def _shares(met: int | None) -> Shares:
    return SHARES if met is None else _SHARES_OF[min(met, LEVELS + _LONGER)]


def _next(contexts: Contexts, word: int, size: int) -> Contexts:
    """The contexts one word further; behind </s> a sentence begins."""
    if word == EOS:
        return _FIRST
    if word == UNK:
        return ()
    if len(contexts) == LEVELS:
        _, third, second, first = contexts  # the usual case takes half the time when it is spelt out
        return third * size + word, second * size + word, first * size + word, word
    return (*[context * size + word for context in contexts], word)


def _contexts(tokens: Sequence[int], size: int) -> Contexts:
    """Those behind the last of some tokens."""
    contexts: Contexts = ()
    for token in tokens:
        contexts = _FIRST if token == BOS else _next(contexts, token, size)
    return contexts


def _arrays(found: int | Successors) -> tuple[Ids, Ids, float]:
    """Words, how often each came, and what of all is left to shorter contexts."""
    if isinstance(found, int):
        return np.array([found]), np.ones(1, np.int64), DISCOUNTS[1] / 100
    size = len(found)
    words, counts = np.fromiter(found.keys(), np.int64, size), np.fromiter(found.values(), np.int64, size)
    return words[2:], counts[2:], found[_KEPT] / (100 * found[_TOTAL])  # the sums come first
