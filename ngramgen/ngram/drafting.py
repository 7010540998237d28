"""Quick guesses of the next tokens by an n-gram, to be checked by a larger model.

>>> drafter = NgramDrafter(model)                                  # doctest: +SKIP
>>> list(drafter.draft(np.array([1, 312, 17], np.int32), 3))       # doctest: +SKIP
[(40, 0.62), (9, 0.41), (2, 0.88)]
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ngramgen.model import BOS, EOS
from ngramgen.ngram.drawing import MISSING, Base, ScalarDrawer
from ngramgen.ngram.model import NgramModel

KEPT = 1 << 16
"""Contexts whose guess is kept, before all are dropped."""
_FEW = 32  # so few successors are compared one by one


class _Guess(NamedTuple):
    """What comes after a context: a word, its probability from 0 to 1, and the contexts after it."""

    word: int
    probability: float
    contexts: list[int]


class NgramDrafter:
    """The likeliest successor of the longest context that has any, then that of the context with it, and so on.

    That is mostly the model's likeliest word, and asks for no whole distribution. The confidence is its probability.
    As to the model, a line begins with <s>: what stands before the last ``</s>`` does not count. <unk> and <s> are not
    guessed. Safe to share between threads.
    """

    def __init__(self, model: NgramModel) -> None:
        table = self._table = model.table
        self._drawer = ScalarDrawer(table, Base(table))
        self._unigrams, self._unigram_contexts = _view(table.unigrams), _view(table.unigram_contexts.ravel())
        self._values = [_view(order.values) for order in table.orders]
        self._guesses: dict[int, _Guess | None] = {}

    def draft(self, ids: NDArray[np.int32], most: int) -> Iterator[tuple[int, float]]:
        """At most ``most`` words behind ids (L,), and how likely each is given those before; none behind ``</s>``."""
        contexts = self._drawer.contexts_after(self._line(ids))
        for _ in range(most):
            guess = self._guess(contexts)
            if guess is None:
                return
            yield guess.word, guess.probability
            if guess.word == EOS:
                return
            contexts = guess.contexts

    def _line(self, ids: NDArray[np.int32]) -> list[int]:
        """The last words that the model looks at, of the line alone."""
        words: list[int] = ids[max(0, len(ids) - max(1, self._table.order - 1)) :].tolist()
        for place in range(len(words) - 1, -1, -1):
            if words[place] in (BOS, EOS):
                return [BOS, *words[place + 1 :]]
        return words

    def _guess(self, contexts: list[int]) -> _Guess | None:
        if not contexts:
            return None
        key = contexts[-1] << 4 | len(contexts)  # a gram tells its words, and so all shorter contexts
        try:
            return self._guesses[key]
        except KeyError:
            if len(self._guesses) >= KEPT:
                self._guesses.clear()
            found = self._guesses[key] = self._made(contexts)
            return found

    def _made(self, contexts: list[int]) -> _Guess | None:
        for length in range(min(len(contexts), len(self._values)), 0, -1):
            gram = self._likeliest(length, contexts[length - 1])
            if gram != MISSING:
                view = self._drawer.orders[length - 1]
                word = self._word(view.packed[gram] >> view.word_shift)
                after = self._drawer.after(contexts, word)
                grams = [MISSING, *(after[k] if k < len(after) else MISSING for k in range(1, length)), gram]
                return _Guess(word, self._probability(word, contexts, grams), after)
        return None

    def _likeliest(self, length: int, context: int) -> int:
        """The gram of the successor with the largest value, the first of equals; MISSING where there is none."""
        view, values = self._drawer.orders[length - 1], self._values[length - 1]
        begin, end = view.children[context], view.children[context + 1]
        if end - begin > _FEW:
            return self._likeliest_of_many(length, begin, end)
        best, highest = MISSING, -1.0
        for gram in range(begin, end):
            packed = view.packed[gram]
            value = values[packed >> view.context_bits & view.value_mask]
            if value > highest and self._word(packed >> view.word_shift) > BOS:
                best, highest = gram, value
        return best

    def _likeliest_of_many(self, length: int, begin: int, end: int) -> int:
        order = self._table.orders[length - 1]
        packed = order.packed[begin:end]
        values = order.values.take(order.value_codes_of(packed))
        for _ in range(3):  # <unk> and <s> may come first
            best = int(values.argmax())
            if self._word(int(packed[best]) >> order.word_shift) > BOS:
                return begin + best
            values[best] = -1
        return MISSING

    def _word(self, scrambled: int) -> int:
        return scrambled * self._drawer.inverse & self._drawer.mask

    def _probability(self, word: int, contexts: list[int], grams: list[int]) -> float:
        """That of a word, whose gram behind the context of length k is grams[k], as far as there are any."""
        table, orders = self._table, self._drawer.orders
        probability: float = self._unigrams[word]
        view, place = self._unigram_contexts, 2 * contexts[0]
        for length in range(1, min(len(contexts), len(orders)) + 1):
            if length > 1:
                shorter = orders[length - 2]
                view, place = shorter.contexts, 2 * (shorter.packed[contexts[length - 1]] & shorter.context_mask)
            gamma, scale = view[place], view[place + 1]
            if table.reading == "uniform" and scale > 0:
                probability = table.uniform
            probability *= gamma
            if length < len(grams) and grams[length] != MISSING:
                order = orders[length - 1]
                code = order.packed[grams[length]] >> order.context_bits & order.value_mask
                explicit = self._values[length - 1][code] * scale
                probability = explicit if table.reading == "backoff" else probability + explicit
        return min(probability, 1.0)


def _view(array: NDArray[Any]) -> memoryview:
    return memoryview(array)  # type: ignore[arg-type]  # numpy's stubs do not say that an array is a buffer
