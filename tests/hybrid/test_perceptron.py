"""The small function of a place: its values, its slopes, and what damage is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from ngramgen.errors import ModelFormatError, OptionError
from ngramgen.hybrid.perceptron import Perceptron, slopes_of
from tests.hybrid.tiny import random_gate


def test_by_hand() -> None:
    """V tanh(W x + b) + c of standardised x."""
    values = {"mean": [1.0], "spread": [2.0], "inner": [[3.0], [0.0]], "inner_bias": [0.0, 1.0]}
    values |= {"outer": [[2.0, -1.0], [0.0, 1.0]], "outer_bias": [0.5, 0.0]}
    made = Perceptron.from_values(values, "x", 2)
    expected = [[2 * math.tanh(3 * (1.5 - 1) / 2) - math.tanh(1) + 0.5, math.tanh(1)]]
    assert made.scores(np.array([[1.5]], np.float32)) == pytest.approx(np.array(expected), abs=1e-6)


def test_alone_as_among_others() -> None:
    """A place has the same score, to the last bit, in whatever company it is asked for."""
    numbers = np.random.default_rng(3).normal(0, 1, (500, 12)).astype(np.float32)
    made = Perceptron(np.zeros(12, np.float32), np.ones(12, np.float32), *_inner())
    together = made.scores(numbers)
    assert [made.scores(numbers[i : i + 1])[0].tolist() for i in range(500)] == together.tolist()
    assert np.array_equal(made.scores(numbers[100:137]), together[100:137])


def _inner() -> list[Any]:
    rng = np.random.default_rng(4)
    return [rng.normal(0, 1, shape).astype(np.float32) for shape in [(16, 12), (16,), (2, 16), (2,)]]


def test_slopes() -> None:
    """Those of a mean loss by finite differences, for every parameter."""
    rng = np.random.default_rng(1)
    x, wanted = rng.normal(0, 1, (30, 3)), rng.normal(0, 2, (30, 2))
    parameters = [rng.normal(0, 1, shape) for shape in [(4, 3), (4,), (2, 4), (2,)]]

    def value() -> float:
        inner, inner_bias, outer, outer_bias = parameters
        scores = np.tanh(x @ inner.T + inner_bias) @ outer.T + outer_bias
        return float(((scores - wanted) ** 2 / 2).sum(axis=1).mean())

    slopes = slopes_of(x, parameters, lambda scores: scores - wanted)  # type: ignore[arg-type, return-value]
    for parameter, slope in zip(parameters, slopes, strict=True):
        assert slope.shape == parameter.shape
        for place in np.ndindex(parameter.shape):
            kept, values = parameter[place], []
            for step in (1e-5, -1e-5):
                parameter[place] = kept + step
                values.append(value())
            parameter[place] = kept
            assert slope[place] == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-4, abs=1e-7)


def test_a_known_function_is_found() -> None:
    """Least squares on the sign of a product, which no sum of two functions of one number each can be."""
    x = np.sign(np.random.default_rng(0).normal(0, 1, (400, 2))).astype(np.float32)
    wanted = x[:, :1] * x[:, 1:]
    made = Perceptron.fitted(x, lambda scores, some: scores - wanted[some], [0.0])
    assert made.scores(x) == pytest.approx(wanted, abs=0.1)


@pytest.mark.parametrize("count", [0, 1])
def test_too_little_text(count: int) -> None:
    """Nothing can be learnt from fewer than two places."""
    with pytest.raises(OptionError, match="too short"):
        Perceptron.fitted(np.zeros((count, 3), np.float32), lambda scores, some: scores, [0.0])


def test_a_constant() -> None:
    """The same scores everywhere, whatever is known."""
    made = Perceptron.constant(1.5, -2)
    assert made.is_fixed
    assert made.scores(np.ones((3, 7), np.float32)).tolist() == [[1.5, -2]] * 3


VALUES = random_gate(2).predictor.values()
DAMAGES: dict[str, Any] = {
    "mean": [None, [], [0.0], [0.0] * 3, [[0.0]] * 2, 0.0, "no", [math.nan] * 2, [1e300] * 2, [10**400, 0]],
    "spread": [[0.0, 1.0], [-1.0, 1.0], [1.0], [[1.0]] * 2, [math.inf, 1.0], [1e-30, 1.0], {}],
    "inner": [[], [[0.0]] * 5, [[0.0] * 3] * 5, [[0.0, 0.0]] * 4, [[math.inf] * 2] * 5, [[0.0, 0.0], [0.0]], [["a"]]],
    "inner_bias": [[0.0] * 4, [[0.0]] * 5, [math.nan] * 5, None],
    "outer": [[], [0.0] * 4, [[0.0]] * 4, 1.0, [[1e30] * 5], [[0.0] * 5] * 2],
    "outer_bias": [0.0, [math.nan], [math.inf], [1e30], [10**400], [0.0, 0.0], None, [], "high"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, some in DAMAGES.items() for value in some])
def test_damaged_values(name: str, value: Any) -> None:
    """Numbers that are missing, no numbers, too many, too few or too large are one error that names the source."""
    with pytest.raises(ModelFormatError, match=r"^here: the weights of the mixture are damaged; tune the model again$"):
        Perceptron.from_values(VALUES | {name: value}, "here", 1)
    with pytest.raises(ModelFormatError, match=r"^here: "):
        Perceptron.from_values({key: kept for key, kept in VALUES.items() if key != name}, "here", 1)
