"""A small function of what is known of a place, V tanh(W x + b) + c, and how it is fitted."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
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
_NAMES = ("mean", "spread", "inner", "inner_bias", "outer", "outer_bias")


class SlopesOf(Protocol):
    """The slopes (t, O) of the losses of some places by their scores (t, O)."""

    def __call__(self, scores: Array, some: slice) -> Array: ...


@dataclass(frozen=True, eq=False)
class Perceptron:
    """V tanh(W x + b) + c, O scores, of standardised numbers x of a place; c alone where there is no W."""

    mean: Array  # (F,)
    spread: Array  # (F,)
    inner: Array  # (H, F) W
    inner_bias: Array  # (H,) b
    outer: Array  # (O, H) V
    outer_bias: Array  # (O,) c

    @classmethod
    def constant(cls, *scores: float) -> Self:
        """The same scores everywhere."""
        nothing, bias = np.zeros(0, np.float32), np.array(scores, np.float32)
        return cls(nothing, nothing, np.zeros((0, 0), np.float32), nothing, np.zeros((len(bias), 0), np.float32), bias)

    @property
    def is_fixed(self) -> bool:
        return not len(self.inner_bias)

    def scores(self, numbers: Array) -> Scores:
        """The scores (R, O) float64 of places of which so much is known, (R, F)."""
        if self.is_fixed:
            return np.repeat(self.outer_bias[None].astype(np.float64), len(numbers), axis=0)
        inside = np.tanh((numbers - self.mean) @ self._scaled + self.inner_bias)
        scores: Scores = np.round(inside @ self.outer.T + self.outer_bias, _DIGITS)
        return scores

    @cached_property
    def _scaled(self) -> Scores:
        return (self.inner.astype(np.float64) / self.spread).T

    def values(self) -> dict[str, Any]:
        """Plain values, from which `from_values` makes the same again."""
        return {name: _shortest(getattr(self, name)) for name in _NAMES}

    @classmethod
    def from_values(cls, values: Mapping[str, Any], source: str, outputs: int) -> Self:
        """One of so many scores. Raises ModelFormatError, which names the source, for values that are none."""
        damage = ModelFormatError(f"{source}: the weights of the mixture are damaged; tune the model again")
        try:
            with np.errstate(over="ignore"):
                mean, spread, inner, inner_bias, outer, bias = (np.array(values[name], np.float32) for name in _NAMES)
            inner, outer = inner.reshape(len(inner_bias), len(mean)), outer.reshape(len(bias), len(inner_bias))
        except (KeyError, TypeError, ValueError, OverflowError):
            raise damage from None
        arrays = (mean, spread, inner, inner_bias, outer, bias)
        flat = all(array.ndim == 1 for array in (mean, spread, inner_bias, bias))
        right = mean.shape == spread.shape and len(bias) == outputs and bool((spread > 1 / _LARGEST).all())
        if not (flat and right and all((np.abs(array) < _LARGEST).all() for array in arrays)):
            raise damage
        return cls(*arrays)

    @classmethod
    def fitted(cls, numbers: Array, slopes: SlopesOf, first: Sequence[float], hidden: int = HIDDEN) -> Self:
        """The one whose scores of the places (T, F) make a loss least.

        ``slopes`` tells how the losses of some of the places change with their scores; ``first`` (O,) are the scores of
        all places to begin with, ``hidden`` is the number of units H. Gradient descent with Adam (Kingma & Ba 2015);
        the same numbers give the same function. Raises OptionError for fewer than two places.
        """
        if len(numbers) < 2:
            raise OptionError("the text to tune on is too short; give more")
        mean, spread = numbers.mean(axis=0, dtype=np.float64), numbers.std(axis=0, dtype=np.float64)
        spread[spread < 1e-4] = 1
        x = ((numbers - mean) / spread).astype(np.float32)
        rng = np.random.Generator(np.random.PCG64(1))
        inner = rng.standard_normal((hidden, x.shape[1])).astype(np.float32) / np.float32(math.sqrt(x.shape[1]))
        bias = np.array(first, np.float32)
        parameters = [inner, np.zeros(hidden, np.float32), np.zeros((len(bias), hidden), np.float32), bias]
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
        return cls(*(_rounded(array) for array in (mean, spread, *parameters)))


def slopes_of(x: Array, parameters: list[Array], slopes: Callable[[Array], Array]) -> list[Array]:
    """The slopes of a mean loss by W, b, V and c, given those of each place's loss by its scores."""
    inner, inner_bias, outer, outer_bias = parameters
    inside = np.tanh(x @ inner.T + inner_bias)
    by_score = slopes(inside @ outer.T + outer_bias) / np.float32(len(x))
    by_inside = by_score @ outer * (1 - inside * inside)
    return [by_inside.T @ x, by_inside.sum(axis=0), by_score.T @ inside, by_score.sum(axis=0)]


def _rounded(array: NDArray[np.floating[Any]]) -> Array:
    """To a few significant digits, so that a file of them stays small."""
    return np.array([float(f"{value:.5g}") for value in array.ravel().tolist()], np.float32).reshape(array.shape)


def _shortest(array: Array) -> list[Any]:
    """Plain numbers of the fewest digits that give the same float32."""
    if array.ndim > 1:
        return [_shortest(row) for row in array]
    return [float(str(value)) for value in array]
