"""What a filter may know beside the log-probabilities: where each sequence of a batch stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ngramgen.model import IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """B sequences before their next token.

    >>> Moment.first(2).step
    0

    Attributes:
        history: The ids of prompt and continuation, (B, T); (B, 0) where no filter asks for them.
        step: How many new tokens each sequence has.
        chances: A number in [0, 1) for each sequence beside the one that draws its token, (B,) float64.
        surprise: The highest surprise that mirostat now permits each sequence, (B,) float64, bits.
    """

    history: IntArray
    step: int
    chances: NDArray[np.float64]
    surprise: NDArray[np.float64]

    @classmethod
    def first(cls, batch: int = 1) -> Moment:
        """The moment before the first token, with no prompt."""
        return cls(np.zeros((batch, 0), np.int32), 0, np.zeros(batch), np.full(batch, np.inf))

    def select(self, rows: IntArray | slice) -> Moment:
        """The given sequences in the given order."""
        return Moment(self.history[rows], self.step, self.chances[rows], self.surprise[rows])
