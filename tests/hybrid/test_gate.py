"""Which places the network is called for: by hand, within any budget, and as fitted."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ngramgen.errors import ModelFormatError, OptionError
from ngramgen.hybrid.gate import RATE, Gate, checked_budget, fit_gate
from ngramgen.hybrid.perceptron import Perceptron
from tests.hybrid.tiny import random_gate

GATE = Gate(Perceptron.constant(0.0), np.array([4.0, 2.0, 1.0]))


def test_thresholds_by_hand() -> None:
    """The border of half of the places is the middle one; between borders the line that joins them."""
    for share, border in ((0.5, 2.0), (0.25, 3.0), (0.75, 1.5), (0.999999, 1.0), (1e-6, 4.0)):
        assert GATE.threshold(share) == pytest.approx(border, abs=1e-5)
    assert (GATE.threshold(0), GATE.threshold(-0.1)) == (math.inf, math.inf)
    assert (GATE.threshold(1), GATE.threshold(1.01)) == (-math.inf, -math.inf)


def test_steps_by_hand() -> None:
    """Behind a call the drift falls by 1 - b hundredths, else it rises by b hundredths."""
    called, drifts = GATE.along(np.array([2.0, 2.0, 1.9, 5.0]), 0.25, 0.25)
    # 2.0 reaches the border of 0.5; the border of 0.4925 is 2.015; that of 0.495 is 2.01; 5 reaches any
    assert called.tolist() == [True, False, False, True]
    assert drifts == pytest.approx([0.25, 0.2425, 0.245, 0.2475, 0.24])


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 1), st.lists(st.floats(-3, 9), max_size=300))
def test_the_budget_is_held(budget: float, scores: list[float]) -> None:
    """Whatever the scores are, so many calls are missing or too many as the drift says, over the rate."""
    called, drifts = GATE.along(np.array(scores), budget)
    assert called.sum() == pytest.approx(budget * len(scores) - drifts[-1] / RATE, abs=1e-6)
    assert drifts.min() >= -budget - RATE
    assert drifts.max() <= 1 - budget + RATE


@pytest.mark.parametrize("offset", [-100.0, 0.0, 100.0])
@pytest.mark.parametrize("budget", [0.0, 0.1, 0.5, 1.0])
def test_other_text(offset: float, budget: float) -> None:
    """Where all scores lie above or below those of the fitting, the calls come to the budget within 3 points."""
    scores = np.random.default_rng(0).normal(offset, 1, 5000)
    called, _ = GATE.along(scores, budget)
    assert called.mean() == pytest.approx(budget, abs=0.03)
    if budget in (0, 1):
        assert called.mean() == budget


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-3, 9), max_size=40), st.integers(0, 40))
def test_in_parts(scores: list[float], cut: int) -> None:
    """Place by place or at once, the same places are called for."""
    together = GATE.along(np.array(scores), 0.3)
    first = GATE.along(np.array(scores[:cut]), 0.3)
    second = GATE.along(np.array(scores[cut:]), 0.3, float(first[1][-1]))
    assert np.array_equal(np.concatenate([first[0], second[0]]), together[0])
    assert np.array_equal(np.concatenate([first[1], second[1][1:]]), together[1])


def test_the_gain_is_predicted() -> None:
    """Where half of the places gain a nat on the mean and the others none, the first are called for first."""
    rng = np.random.default_rng(0)
    numbers = rng.normal(0, 1, (4000, 3)).astype(np.float32)
    good = numbers[:, 1] > 0
    gains = np.where(good, 1.0, 0.0) + rng.normal(0, 1, 4000)
    gate = fit_gate(numbers, gains)
    scores = gate.scores(numbers)
    assert scores[good].mean() == pytest.approx(1, abs=0.1)
    assert scores[~good].mean() == pytest.approx(0, abs=0.1)
    called = scores >= gate.threshold(0.25)
    assert called.mean() == pytest.approx(0.25, abs=0.01)
    assert good[called].mean() > 0.95


def test_one_wild_token_does_not_decide() -> None:
    """A gain counts as five nats at most, so that a thousand where the n-gram ruled a word out does no harm."""
    numbers = np.repeat([[0.0], [1.0]], 100, axis=0).astype(np.float32)
    gains = np.repeat([0.2, 1.0], 100)
    gains[0] = 1000
    scores = fit_gate(numbers, gains).scores(numbers)
    assert scores[0] == pytest.approx(0.2 + 4.8 / 100, abs=0.05)
    assert scores[-1] == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("count", [0, 1])
def test_too_little_text(count: int) -> None:
    """Fewer than two places fit nothing."""
    with pytest.raises(OptionError, match="too short"):
        fit_gate(np.zeros((count, 2), np.float32), np.zeros(count))


def test_values() -> None:
    """What is written as JSON and read again calls for the same places."""
    made = random_gate(4)
    again = Gate.from_values(json.loads(json.dumps(made.values())), "x")
    numbers = np.random.default_rng(0).normal(0, 1, (50, 4)).astype(np.float32)
    assert np.array_equal(again.scores(numbers), made.scores(numbers))
    assert np.array_equal(again.borders, made.borders)


DAMAGES: list[dict[str, Any]] = [
    {"borders": value}
    for value in (None, [], [1.0], [1.0, 2.0], [[1.0, 0.0]], ["a", "b"], [math.nan, 0.0], [math.inf, 0.0], 3.0)
]


@pytest.mark.parametrize("change", [*DAMAGES, {"predictor": None}, {"predictor": {}}, {"predictor": []}])
def test_damage(change: dict[str, Any]) -> None:
    """One error that names the source and the way out."""
    with pytest.raises(ModelFormatError, match=r"^here: .* damaged; tune the model again$"):
        Gate.from_values(random_gate(4).values() | change, "here")
    with pytest.raises(ModelFormatError, match=r"^here: "):
        Gate.from_values({key: kept for key, kept in random_gate(4).values().items() if key not in change}, "here")


@pytest.mark.parametrize("budget", [-0.01, 1.01, math.nan, True, "1", None])
def test_no_budget(budget: Any) -> None:
    """What is no number from 0 to 1 is refused."""
    with pytest.raises(OptionError, match="must be a number from 0 to 1"):
        checked_budget(budget)
    assert checked_budget(1) == 1.0
