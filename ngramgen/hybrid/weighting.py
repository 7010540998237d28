"""How much the network's word counts at a place: a fixed number, or a small function fitted to text.

>>> Weighting.fixed(0.5).weights(np.zeros((1, 12), np.float32)).tolist()
[0.5]
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.errors import OptionError
from ngramgen.hybrid.perceptron import Array, Perceptron, sigmoid

_EDGE = 0.001
"""No weight comes nearer to 0 and 1: neither model is ever trusted wholly."""


class Weighting(Perceptron):
    """lambda = sigmoid of a place's score."""

    @classmethod
    def fixed(cls, weight: float) -> Weighting:
        """The same weight everywhere. Raises OptionError unless it lies from 0 to 1."""
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= 1:
            raise OptionError(f"the network's weight must be a number from 0 to 1, not {weight!r}")
        inside = min(max(float(weight), _EDGE), 1 - _EDGE)
        return cls.constant(math.log(inside / (1 - inside)))

    def weights(self, numbers: Array) -> Array:
        """The network's weight (R,) float32 at places of which so much is known, (R, F)."""
        weights: Array = np.clip(sigmoid(self.scores(numbers)), _EDGE, 1 - _EDGE).astype(np.float32)
        return weights


def fit_weighting(numbers: Array, network: NDArray[np.floating[Any]], ngram: NDArray[np.floating[Any]]) -> Weighting:
    """The weighting under which the words of a text are likeliest.

    ``numbers`` (T, F) are known of each place, ``network`` and ``ngram`` (T,) are both models' natural
    log-probabilities of the word that came. The slope of the logarithm of l p + (1 - l) q by the score of l is the
    share of the network in the sum less l. Raises OptionError for fewer than two places.
    """
    ratio = np.clip(network - ngram, -50, 50).astype(np.float32)

    def slopes(scores: Array, some: slice) -> Array:
        found: Array = sigmoid(scores) - sigmoid(scores + ratio[some])
        return found

    return Weighting.fitted(numbers, slopes, _best_score(ratio))


def _best_score(ratio: Array) -> float:
    """The score of the best weight that is the same everywhere, by bisection: the likelihood has one peak."""
    low, high = -7.0, 7.0
    if not len(ratio):
        return 0.0
    for _ in range(30):
        middle = (low + high) / 2
        rises = float((sigmoid(middle + ratio.astype(np.float64)) - sigmoid(middle)).sum()) > 0
        low, high = (middle, high) if rises else (low, middle)
    return (low + high) / 2
