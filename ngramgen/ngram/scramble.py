"""A bijection of word ids that spreads them evenly, so that sorted successors can be found by interpolation.

The successors of a context are stored in the order of their scrambled ids. Multiplication by an odd number close to
2**bits / golden ratio maps neighbouring ids far apart (Fibonacci hashing, Knuth, TAOCP 3, 6.4), so the place of a word
among m successors is close to ``scrambled * m / 2**bits``: the sorted list is its own hash table and needs no index.

>>> scramble = Scramble(1000)
>>> scramble.inverse(scramble.forward(np.array([0, 1, 999]))).tolist()
[0, 1, 999]
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scramble:
    """The bijection of [0, 2**bits) for a vocabulary of the given size."""

    vocab_size: int
    bits: int = field(init=False)
    factor: int = field(init=False)
    inverse_factor: int = field(init=False)

    def __post_init__(self) -> None:
        bits = max(1, (self.vocab_size - 1).bit_length())
        factor = (0x9E3779B97F4A7C15 >> (64 - bits)) | 1
        object.__setattr__(self, "bits", bits)
        object.__setattr__(self, "factor", factor)
        object.__setattr__(self, "inverse_factor", pow(factor, -1, 1 << bits))

    @property
    def size(self) -> int:
        """How many values there are: the power of two that holds the vocabulary."""
        return 1 << self.bits

    def forward(self, ids: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """Scrambled ids, int64."""
        return self._multiplied(ids, self.factor)

    def inverse(self, scrambled: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """Word ids again, int64."""
        return self._multiplied(scrambled, self.inverse_factor)

    def _multiplied(self, ids: NDArray[np.integer[Any]], factor: int) -> NDArray[np.int64]:
        result: NDArray[np.int64] = np.multiply(ids, factor, dtype=np.int64, casting="unsafe")
        result &= self.size - 1
        return result
