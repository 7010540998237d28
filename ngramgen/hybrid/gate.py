"""Where the network is worth a call: the places where it is expected to gain most, as many as a budget allows.

A small function fitted to text predicts, from what the n-gram knows of a place, by how much the mixture will do better
there than the n-gram alone. The best share of places is called for; on text unlike that of the fitting the share that
is aimed at moves until the budget is held:

    call where score >= threshold(budget + drift);    drift <- drift + RATE (budget - [called])

so that after T places the calls differ from the budget's by drift / RATE, whatever the text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.errors import ModelFormatError, OptionError
from ngramgen.hybrid.perceptron import Array, Perceptron

Scores = NDArray[np.float64]

RATE = 0.01
_HIDDEN = 32
_STEPS = 100
"""The thresholds that are kept are those of so many even steps of the share."""
_FARTHEST = 5.0
"""Gains of more nats a token count as so many: a few tokens shall not outweigh all."""


@dataclass(frozen=True, eq=False)
class Gate:
    """``predictor`` gives places their scores; ``borders`` (N,) are the scores that even shares of places reach.

    They fall: borders[0] is the highest score of the text that the gate was fitted to, borders[N - 1] the lowest.
    """

    predictor: Perceptron
    borders: Scores

    def scores(self, numbers: Array) -> Scores:
        """The scores (R,) of places of which so much is known, (R, F)."""
        return self.predictor.scores(numbers)[:, 0]

    def threshold(self, share: float) -> float:
        """The score that this share of places reaches: infinite for none, minus infinity for all."""
        if share <= 0:
            return math.inf
        if share >= 1:
            return -math.inf
        place = share * (len(self.borders) - 1)
        low = int(place)
        one, other = self.borders[low : low + 2].tolist()
        return float(one + (place - low) * (other - one))

    def after(self, drift: float, score: float, budget: float) -> tuple[bool, float]:
        """Whether a place with this score is called for, and the drift behind it."""
        called = score >= self.threshold(budget + drift)
        return called, drift + RATE * (budget - called)

    def along(self, scores: Scores, budget: float, drift: float = 0.0) -> tuple[NDArray[np.bool_], Scores]:
        """`after` for place after place (T,): which are called for, and the drift around each, (T + 1,)."""
        called, drifts = np.zeros(len(scores), bool), np.full(len(scores) + 1, drift)
        for place, score in enumerate(scores.tolist()):
            called[place], drift = self.after(drift, score, budget)
            drifts[place + 1] = drift
        return called, drifts

    def values(self) -> dict[str, Any]:
        """Plain values, from which `from_values` makes the same again."""
        return {"predictor": self.predictor.values(), "borders": self.borders.tolist()}

    @classmethod
    def from_values(cls, values: Mapping[str, Any], source: str) -> Gate:
        """Raises ModelFormatError, which names the source, for values that are none."""
        damage = ModelFormatError(f"{source}: the borders of the gate are damaged; tune the model again")
        if not isinstance(values.get("predictor"), dict):
            raise damage
        predictor = Perceptron.from_values(values["predictor"], source, 1)
        try:
            borders = np.array(values["borders"], np.float64)
        except (KeyError, TypeError, ValueError, OverflowError):
            raise damage from None
        if borders.ndim != 1 or len(borders) < 2 or not np.isfinite(borders).all() or (np.diff(borders) > 0).any():
            raise damage
        return cls(predictor, borders)


def fit_gate(numbers: Array, gains: NDArray[np.floating[Any]]) -> Gate:
    """The gate for places of which ``numbers`` (T, F) are known and where the mixture gained so much, (T,) in nats.

    Least squares: the function comes near to the mean gain of places that are alike, which is what a call there is
    worth. Raises OptionError for fewer than two places.
    """
    wanted = np.clip(gains, -_FARTHEST, _FARTHEST).astype(np.float32)

    def slopes(scores: Array, some: slice) -> Array:
        found: Array = scores - wanted[some, None]
        return found

    predictor = Perceptron.fitted(numbers, slopes, [float(wanted.mean()) if len(wanted) else 0.0], _HIDDEN)
    scores = np.sort(predictor.scores(numbers)[:, 0])[::-1]
    places = np.linspace(0, len(scores) - 1, _STEPS + 1)
    return Gate(predictor, np.round(np.interp(places, np.arange(len(scores)), scores), 6))


def checked_budget(budget: float) -> float:
    """The share of tokens that may call the network. Raises OptionError unless it lies from 0 to 1."""
    number: Any = budget
    if isinstance(number, bool) or not isinstance(number, Real) or not 0 <= float(number) <= 1:
        raise OptionError(f"the neural budget must be a number from 0 to 1, not {budget!r}")
    return float(number)
