"""How much each part of a mixture counts at a place: fixed numbers, or a small function fitted to text.

The parts are the network, the n-gram and the cache of the text (`ngramgen.hybrid.cache`), in this order.

>>> Weighting.fixed(0.5).weights(np.zeros((1, 12), np.float32)).tolist()
[[0.5, 0.5, 0.0]]
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.errors import OptionError
from ngramgen.hybrid.cache import SIZE
from ngramgen.hybrid.perceptron import Array, Perceptron

PARTS = 3
_EDGE = 0.001
"""No weight of the two models comes nearer to 0 and 1: neither is ever trusted wholly."""
_FIRST_OF_CACHE = -2.0
"""The score of the cache to begin the fit with."""
_IMPOSSIBLE = 50.0
"""So many nats behind the likeliest part a word counts as impossible to another."""


class Weighting(Perceptron):
    """softmax of a place's scores; where the cache has nothing it has no share."""

    @classmethod
    def fixed(cls, weight: float) -> Weighting:
        """The same weight of the network everywhere, the rest for the n-gram.

        Raises OptionError unless it lies from 0 to 1.
        """
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= 1:
            raise OptionError(f"the network's weight must be a number from 0 to 1, not {weight!r}")
        inside = min(max(float(weight), _EDGE), 1 - _EDGE)
        return cls.constant(math.log(inside), math.log(1 - inside), 0.0)

    @property
    def reads_cache(self) -> bool:
        """Whether the cache counts anywhere."""
        return not self.is_fixed

    def weights(self, numbers: Array) -> Array:
        """The weights (R, `PARTS`) float32 at places of which so much is known, (R, F), the cache's numbers last."""
        scores = self.scores(numbers)
        if self.is_fixed:
            return _softmax(_without_cache(scores, np.ones(len(scores), bool)))
        weights = np.float32(1 - 2 * _EDGE) * _softmax(_without_cache(scores, _has_none(numbers)))
        weights[:, :2] += _EDGE
        return weights


def fit_weighting(numbers: Array, logprobs: NDArray[np.floating[Any]]) -> Weighting:
    """The weighting under which the words of a text are likeliest.

    ``numbers`` (T, F) are known of each place, ``logprobs`` (T, `PARTS`) are the parts' natural log-probabilities of
    the word that came. The slope of the logarithm of sum_i w_i p_i by the score of part i is w_i p_i / sum - w_i.
    Raises OptionError for fewer than two places.
    """
    with np.errstate(invalid="ignore"):
        ratios = np.clip(logprobs - logprobs.max(axis=1, keepdims=True, initial=-np.inf), -_IMPOSSIBLE, 0)
    ratios = ratios.astype(np.float32)
    none = _has_none(numbers)

    def slopes(scores: Array, some: slice) -> Array:
        scores = _without_cache(scores, none[some])
        found: Array = _softmax(scores) - _softmax(scores + ratios[some])
        return found

    return Weighting.fitted(numbers, slopes, (_best_score(ratios[:, 0] - ratios[:, 1]), 0.0, _FIRST_OF_CACHE))


def _softmax(scores: NDArray[np.floating[Any]]) -> Array:
    """exp(s_i) / sum_j exp(s_j) of rows (R, O), float32."""
    shares = np.exp(scores - scores.max(axis=1, keepdims=True, initial=-np.inf))
    found: Array = (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
    return found


def _has_none(numbers: Array) -> NDArray[np.bool_]:
    """Where the cache has nothing, (R,)."""
    none: NDArray[np.bool_] = numbers[:, -SIZE] == 0
    return none


def _without_cache(scores: Any, none: NDArray[np.bool_]) -> Any:
    scores = scores.copy()
    scores[none, -1] = -np.inf
    return scores


def _best_score(ratio: Array) -> float:
    """The score of the network's best weight that is the same everywhere, the n-gram's being 0, by bisection: the
    likelihood has one peak."""
    low, high = -7.0, 7.0
    if not len(ratio):
        return 0.0
    for _ in range(30):
        middle = (low + high) / 2
        rises = float((_sigmoid(middle + ratio.astype(np.float64)) - _sigmoid(middle)).sum()) > 0
        low, high = (middle, high) if rises else (low, middle)
    return (low + high) / 2


def _sigmoid(scores: Any) -> Any:
    return 1 / (1 + np.exp(-scores))
