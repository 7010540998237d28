"""Two guards as one, where copies are barred from a model whose tokens are parts of characters.

>>> guard = guards(guard_of(model, 5), CharacterGuard.of(model.tokenizer))   # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ngramgen.sampling.characters import CharacterGuard, GuardState

if TYPE_CHECKING:
    from ngramgen.model import FloatArray, IntArray
    from ngramgen.sampling.copying import CopyGuard, CopyState

Ids = NDArray[np.int64]
Flags = NDArray[np.bool_]


def guards(copies: CopyGuard, characters: CharacterGuard | None) -> CopyGuard | BothGuards:
    """One guard of one against copies and perhaps one of characters."""
    return copies if characters is None else BothGuards(copies, characters)


@dataclass(frozen=True, slots=True)
class BothGuards:
    """Two guards as one: a token is vetoed that either vetoes."""

    first: CopyGuard
    second: CharacterGuard

    @property
    def width(self) -> int:
        """Columns of a state: those of the first, and then those of the second."""
        return self.first.width + self.second.width

    def state(self, columns: Ids) -> GuardState:
        """The state of these columns, (B, width)."""
        return GuardState(columns)

    def start(self, prompts: Sequence[IntArray]) -> GuardState:
        """The state after each prompt (T,) of ids."""
        return _joined(self.first.start(prompts), self.second.start(prompts))

    def step(self, state: GuardState, tokens: IntArray) -> tuple[Flags, GuardState]:
        """Which rows may not go on with these tokens, (B,) -> (B,), and the state after them."""
        one, other = self._parts(state)
        (vetoed, first), (also, second) = self.first.step(one, tokens), self.second.step(other, tokens)
        return vetoed | also, _joined(first, second)

    def advance(self, state: GuardState, tokens: IntArray) -> GuardState:
        """The state after these tokens, (B,)."""
        return self.step(state, tokens)[1]

    def mask(self, state: GuardState, logprobs: FloatArray) -> FloatArray:
        """Log-probabilities (B, V) with -inf for vetoed tokens; ``</s>`` where no other token is left."""
        one, other = self._parts(state)
        return self.second.mask(other, self.first.mask(one, logprobs))

    def _parts(self, state: GuardState) -> tuple[CopyState, GuardState]:
        border = self.first.width
        return self.first.state(state.columns[:, :border]), self.second.state(state.columns[:, border:])


def _joined(first: CopyState, second: GuardState) -> GuardState:
    return GuardState(np.concatenate([first.columns, second.columns], axis=1))
