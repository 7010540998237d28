"""How much the network's word counts at a place: a fixed number, or a small function fitted to text.

>>> Weighting.fixed(0.5).weights(np.zeros((1, 12), np.float32)).tolist()
[0.5]
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.errors import ModelFormatError, OptionError

Array = NDArray[np.float32]

HIDDEN = 16
_STEPS, _RATE, _BETAS = 300, 0.03, (0.9, 0.99)
_MOST = 40_000
"""Places that are looked at in one step; of more, each step takes others."""
_EDGE = 0.001
"""No weight comes nearer to 0 and 1: neither model is ever trusted wholly."""
_LARGEST = 1e6
"""No number of a weighting is larger, nor the inverse of a spread, so that nothing overflows."""


@dataclass(frozen=True, eq=False)
class Weighting:
    """lambda = sigmoid(v . tanh(W x + b) + c) of standardised numbers x of a place; no W for a fixed weight."""

    mean: Array  # (F,)
    spread: Array  # (F,)
    inner: Array  # (H, F) W
    inner_bias: Array  # (H,) b
    outer: Array  # (H,) v
    outer_bias: float  # c

    @classmethod
    def fixed(cls, weight: float) -> Weighting:
        """The same weight everywhere. Raises OptionError unless it lies from 0 to 1."""
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= 1:
            raise OptionError(f"the network's weight must be a number from 0 to 1, not {weight!r}")
        inside = min(max(float(weight), _EDGE), 1 - _EDGE)
        nothing = np.zeros(0, np.float32)
        return cls(nothing, nothing, nothing.reshape(0, 0), nothing, nothing, math.log(inside / (1 - inside)))

    @property
    def is_fixed(self) -> bool:
        return not len(self.outer)

    def weights(self, numbers: Array) -> Array:
        """The network's weight (R,) at places of which so much is known, (R, F)."""
        if self.is_fixed:
            scores = np.full(len(numbers), self.outer_bias, np.float32)
        else:
            inside = np.tanh((numbers - self.mean) / self.spread @ self.inner.T + self.inner_bias)
            scores = inside @ self.outer + np.float32(self.outer_bias)
        weights: Array = np.clip(_sigmoid(scores), _EDGE, 1 - _EDGE).astype(np.float32)
        return weights

    def values(self) -> dict[str, Any]:
        """Plain values, from which `from_values` makes the same again."""
        arrays = {name: getattr(self, name) for name in ("mean", "spread", "inner", "inner_bias", "outer")}
        return {name: array.tolist() for name, array in arrays.items()} | {"outer_bias": self.outer_bias}

    @classmethod
    def from_values(cls, values: Mapping[str, Any], source: str) -> Weighting:
        """Raises ModelFormatError, which names the source, for values that are none."""
        try:
            names = ("mean", "spread", "inner", "inner_bias", "outer")
            with np.errstate(over="ignore"):
                mean, spread, inner, inner_bias, outer = (np.array(values[name], np.float32) for name in names)
            bias = float(values["outer_bias"])
            inner = inner.reshape(len(outer), len(mean))
        except (KeyError, TypeError, ValueError, OverflowError):
            raise ModelFormatError(f"{source}: the weights of the mixture are damaged; tune the model again") from None
        arrays = (mean, spread, inner, inner_bias, outer)
        flat = all(array.ndim == 1 for array in (mean, spread, inner_bias, outer))
        right = mean.shape == spread.shape and inner_bias.shape == outer.shape and bool((spread > 1 / _LARGEST).all())
        if not (flat and right and all((np.abs(array) < _LARGEST).all() for array in (*arrays, bias))):
            raise ModelFormatError(f"{source}: the weights of the mixture are damaged; tune the model again")
        return cls(mean, spread, inner, inner_bias, outer, bias)


def fit_weighting(numbers: Array, network: NDArray[np.floating[Any]], ngram: NDArray[np.floating[Any]]) -> Weighting:
    """The weighting under which the words of a text are likeliest.

    ``numbers`` (T, F) are known of each place, ``network`` and ``ngram`` (T,) are both models' natural
    log-probabilities of the word that came. Gradient descent with Adam (Kingma & Ba 2015) over all places at once: the
    slope of the logarithm of l p + (1 - l) q by the score of l is the share of the network in the sum less l.
    The same numbers give the same weighting. Raises OptionError for fewer than two places.
    """
    if len(numbers) < 2:
        raise OptionError("the text to tune on is too short; give more")
    mean, spread = numbers.mean(axis=0), numbers.std(axis=0)
    spread[spread < 1e-4] = 1
    x = ((numbers - mean) / spread).astype(np.float32)
    ratio = np.clip(network - ngram, -50, 50).astype(np.float32)
    rng = np.random.Generator(np.random.PCG64(1))
    inner = rng.standard_normal((HIDDEN, x.shape[1])).astype(np.float32) / np.float32(math.sqrt(x.shape[1]))
    parameters = [inner, np.zeros(HIDDEN, np.float32), np.zeros(HIDDEN, np.float32), np.zeros(1, np.float32)]
    moments = [(np.zeros_like(p), np.zeros_like(p)) for p in parameters]
    for step in range(1, _STEPS + 1):
        rate = _RATE * (1 - (step - 1) / _STEPS)
        some = slice(None) if len(x) <= _MOST else slice(step % -(-len(x) // _MOST), None, -(-len(x) // _MOST))
        slopes = _slopes(x[some], ratio[some], parameters)
        for parameter, slope, (first, second) in zip(parameters, slopes, moments, strict=True):
            first += (1 - _BETAS[0]) * (slope - first)
            second += (1 - _BETAS[1]) * (slope * slope - second)
            unbiased = second / (1 - _BETAS[1] ** step)
            parameter -= rate * first / (1 - _BETAS[0] ** step) / (np.sqrt(unbiased) + 1e-8)
    inner, inner_bias, outer, outer_bias = parameters
    return Weighting(mean.astype(np.float32), spread.astype(np.float32), inner, inner_bias, outer, float(outer_bias[0]))


def _slopes(x: Array, ratio: Array, parameters: list[Array]) -> list[Array]:
    """The slopes of the mean of -log(l p + (1 - l) q) by all parameters; ``ratio`` (T,) is log(p / q)."""
    inner, inner_bias, outer, outer_bias = parameters
    inside = np.tanh(x @ inner.T + inner_bias)
    scores = inside @ outer + outer_bias
    by_score = (_sigmoid(scores) - _sigmoid(scores + ratio)) / np.float32(len(x))
    by_inside = by_score[:, None] * outer * (1 - inside * inside)
    return [by_inside.T @ x, by_inside.sum(axis=0), inside.T @ by_score, by_score.sum(keepdims=True)]


def _sigmoid(scores: Any) -> Any:
    return 1 / (1 + np.exp(-np.clip(scores, -50, 50)))
