"""A small function of what is known of a place, v . tanh(W x + b) + c, and how it is fitted."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from ngramgen.errors import ModelFormatError, OptionError

Array = NDArray[np.float32]
Scores = NDArray[np.float64]

HIDDEN = 16
_STEPS, _RATE, _BETAS = 300, 0.03, (0.9, 0.99)
_MOST = 40_000
"""Places that are looked at in one step; of more, each step takes others."""
_LARGEST = 1e6
"""No number is larger, nor the inverse of a spread, so that nothing overflows."""
_DIGITS = 9
"""Decimals of a score, so few that a place has the same alone and among others, however the sums are ordered."""
_NAMES = ("mean", "spread", "inner", "inner_bias", "outer")


class SlopesOf(Protocol):
    """The slopes (t,) of the losses of some places by their scores (t,)."""

    def __call__(self, scores: Array, some: slice) -> Array: ...


@dataclass(frozen=True, eq=False)
class Perceptron:
    """v . tanh(W x + b) + c of standardised numbers x of a place; c alone where there is no W."""

    mean: Array  # (F,)
    spread: Array  # (F,)
    inner: Array  # (H, F) W
    inner_bias: Array  # (H,) b
    outer: Array  # (H,) v
    outer_bias: float  # c

    @classmethod
    def constant(cls, score: float) -> Self:
        """The same score everywhere."""
        nothing = np.zeros(0, np.float32)
        return cls(nothing, nothing, nothing.reshape(0, 0), nothing, nothing, score)

    @property
    def is_fixed(self) -> bool:
        return not len(self.outer)

    def scores(self, numbers: Array) -> Scores:
        """The scores (R,) float64 of places of which so much is known, (R, F)."""
        if self.is_fixed:
            return np.full(len(numbers), self.outer_bias)
        inside = np.tanh((numbers - self.mean) @ self._scaled + self.inner_bias)
        scores: Scores = np.round(inside @ self.outer + self.outer_bias, _DIGITS)
        return scores

    @cached_property
    def _scaled(self) -> Scores:
        return (self.inner.astype(np.float64) / self.spread).T

    def values(self) -> dict[str, Any]:
        """Plain values, from which `from_values` makes the same again."""
        return {name: _shortest(getattr(self, name)) for name in _NAMES} | {"outer_bias": self.outer_bias}

    @classmethod
    def from_values(cls, values: Mapping[str, Any], source: str) -> Self:
        """Raises ModelFormatError, which names the source, for values that are none."""
        damage = ModelFormatError(f"{source}: the weights of the mixture are damaged; tune the model again")
        try:
            with np.errstate(over="ignore"):
                mean, spread, inner, inner_bias, outer = (np.array(values[name], np.float32) for name in _NAMES)
            bias = float(values["outer_bias"])
            inner = inner.reshape(len(outer), len(mean))
        except (KeyError, TypeError, ValueError, OverflowError):
            raise damage from None
        arrays = (mean, spread, inner, inner_bias, outer)
        flat = all(array.ndim == 1 for array in (mean, spread, inner_bias, outer))
        right = mean.shape == spread.shape and inner_bias.shape == outer.shape and bool((spread > 1 / _LARGEST).all())
        if not (flat and right and all((np.abs(array) < _LARGEST).all() for array in (*arrays, bias))):
            raise damage
        return cls(mean, spread, inner, inner_bias, outer, bias)

    @classmethod
    def fitted(cls, numbers: Array, slopes: SlopesOf, first: float = 0.0, hidden: int = HIDDEN) -> Self:
        """The one whose scores of the places (T, F) make a loss least.

        ``slopes`` tells how the losses of some of the places change with their scores; ``first`` is the score of all
        places to begin with, ``hidden`` the number of units H. Gradient descent with Adam (Kingma & Ba 2015); the same
        numbers give the same function. Raises OptionError for fewer than two places.
        """
        if len(numbers) < 2:
            raise OptionError("the text to tune on is too short; give more")
        mean, spread = numbers.mean(axis=0, dtype=np.float64), numbers.std(axis=0, dtype=np.float64)
        spread[spread < 1e-4] = 1
        x = ((numbers - mean) / spread).astype(np.float32)
        rng = np.random.Generator(np.random.PCG64(1))
        inner = rng.standard_normal((hidden, x.shape[1])).astype(np.float32) / np.float32(math.sqrt(x.shape[1]))
        nothing = np.zeros(hidden, np.float32)
        parameters = [inner, nothing, nothing.copy(), np.full(1, first, np.float32)]
        moments = [(np.zeros_like(p), np.zeros_like(p)) for p in parameters]
        stride = -(-len(x) // _MOST)
        for step in range(1, _STEPS + 1):
            rate = _RATE * (1 - (step - 1) / _STEPS)
            some = slice(step % stride, None, stride)
            found = slopes_of(x[some], parameters, partial(slopes, some=some))
            for parameter, slope, (one, two) in zip(parameters, found, moments, strict=True):
                one += (1 - _BETAS[0]) * (slope - one)
                two += (1 - _BETAS[1]) * (slope * slope - two)
                unbiased = two / (1 - _BETAS[1] ** step)
                parameter -= rate * one / (1 - _BETAS[0] ** step) / (np.sqrt(unbiased) + 1e-8)
        mean, spread, inner, inner_bias, outer, bias = (_rounded(array) for array in (mean, spread, *parameters))
        return cls(mean, spread, inner, inner_bias, outer, float(str(bias[0])))


def slopes_of(x: Array, parameters: list[Array], slopes: Callable[[Array], Array]) -> list[Array]:
    """The slopes of a mean loss by W, b, v and c, given those of each place's loss by its score."""
    inner, inner_bias, outer, outer_bias = parameters
    inside = np.tanh(x @ inner.T + inner_bias)
    by_score = slopes(inside @ outer + outer_bias) / np.float32(len(x))
    by_inside = by_score[:, None] * outer * (1 - inside * inside)
    return [by_inside.T @ x, by_inside.sum(axis=0), inside.T @ by_score, by_score.sum(keepdims=True)]


def _rounded(array: NDArray[np.floating[Any]]) -> Array:
    """To a few significant digits, so that a file of them stays small."""
    return np.array([float(f"{value:.5g}") for value in array.ravel().tolist()], np.float32).reshape(array.shape)


def _shortest(array: Array) -> list[Any]:
    """Plain numbers of the fewest digits that give the same float32."""
    if array.ndim > 1:
        return [_shortest(row) for row in array]
    return [float(str(value)) for value in array]


def sigmoid(scores: Any) -> Any:
    return 1 / (1 + np.exp(-np.clip(scores, -50, 50)))
