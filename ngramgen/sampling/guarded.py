"""Exact draws under a guard: a vetoed word is drawn again, until one is not.

To draw until a word is permitted is to draw from the distribution of the permitted words alone, normalised. Each new
number is mixed from the bits of the row's own and the number of the attempt, so it depends on nothing beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ngramgen.model import EOS
from ngramgen.randomness import uniforms
from ngramgen.sampling.draw import draw

if TYPE_CHECKING:
    from ngramgen.model import FloatArray, IntArray
    from ngramgen.sampling.characters import CharacterGuard
    from ngramgen.sampling.copying import CopyGuard
    from ngramgen.sampling.guards import BothGuards

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]

ATTEMPTS = 64
"""Further draws of a vetoed word before its row's whole distribution is made."""
_BLOCKS = (4, 12, 48)  # attempts made side by side, for numpy takes no longer over a few more rows


class Drawer(Protocol):
    """What draws a word for each row of contexts (B, C), and tells the contexts after it."""

    def draw(self, contexts: Ids, uniforms: Floats) -> tuple[Ids, Ids]: ...


class GuardedDrawer:
    """A `Drawer` whose contexts have the guard's state in further columns, and whose words the guard permits."""

    def __init__(
        self,
        drawer: Drawer,
        guard: CopyGuard | CharacterGuard | BothGuards,
        logprobs: Callable[[Ids], FloatArray],
        after: Callable[[Ids, Ids], Ids],
        filters: Callable[[FloatArray], FloatArray] = lambda rows: rows,
    ) -> None:
        """``logprobs`` gives the natural log-probabilities (R, V) after contexts (R, C), ``after`` the contexts after
        contexts and words (R,): they are asked about rows for which no permitted word was found by drawing,
        and ``filters`` does to these what the drawer does to its own.
        """
        self.drawer = drawer
        self.guard: Any = guard
        self.logprobs, self.after, self.filters = logprobs, after, filters

    def starts(self, contexts: Ids, prompts: Sequence[IntArray]) -> Ids:
        """The contexts (S, C) of prompts with the guard's state after them, (S, C + width)."""
        return np.concatenate([contexts, self.guard.start(prompts).columns], axis=1)

    def draw(self, contexts: Ids, uniforms: Floats) -> tuple[Ids, Ids]:
        """A word for each row, (B,), and the contexts after it."""
        inner, state = contexts[:, : -self.guard.width], self.guard.state(contexts[:, -self.guard.width :])
        words, result = self._step(inner, state, uniforms)
        left = np.flatnonzero(words < 0)
        attempt = 0
        for count in _BLOCKS:
            if not len(left):
                return words, result
            rows = np.repeat(left, count)
            attempts = np.tile(np.arange(attempt, attempt + count), len(left))
            found, after = self._step(
                inner.take(rows, axis=0), state.select(rows), again(uniforms.take(rows), attempts)
            )
            first = np.argmax(found.reshape(-1, count) >= 0, axis=1) + np.arange(0, len(rows), count)
            words[left], result[left] = found.take(first), after.take(first, axis=0)
            left = left.compress(words.take(left) < 0)
            attempt += count
        for row in left.tolist():
            some = slice(row, row + 1)
            words[some], result[some] = self._from_all(inner[some], state.select(np.array([row])), uniforms[some])
        return words, result

    def _step(self, inner: Ids, state: Any, uniforms: Floats) -> tuple[Ids, Ids]:
        """A word for each row, -1 where it is vetoed, and all that comes after it."""
        words, contexts = self.drawer.draw(inner, uniforms)
        vetoed, after = self.guard.step(state, words)
        return np.where(vetoed, -1, words), np.concatenate([contexts, after.columns], axis=1)

    def _from_all(self, inner: Ids, state: Any, uniforms: Floats) -> tuple[Ids, Ids]:
        rows = np.array(self.logprobs(inner), np.float64)
        rows[:, :EOS] = -np.inf
        words = draw(self.filters(self.guard.mask(state, rows)), again(uniforms, np.array([ATTEMPTS])))
        contexts = [self.after(inner, words), self.guard.advance(state, words).columns]
        return words, np.concatenate(contexts, axis=1)


def again(numbers: Floats, attempts: Ids) -> Floats:
    """Another number in [0, 1) for each and its attempt, (B,)."""
    return uniforms(numbers.view(np.uint64), attempts)
