"""The network's weight at a place, and how it is fitted."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from ngramgen.errors import OptionError
from ngramgen.hybrid import perceptron
from ngramgen.hybrid.weighting import Weighting, fit_weighting
from tests.hybrid.tiny import random_weighting

NUMBERS = np.random.default_rng(0).normal(0, 1, (200, 3)).astype(np.float32)


def loss(weights: Any, network: Any, ngram: Any) -> float:
    """Nats a word of the mixture."""
    return float(-np.log(weights * np.exp(network) + (1 - weights) * np.exp(ngram)).mean())


@pytest.mark.parametrize(("weight", "found"), [(0.5, 0.5), (0.25, 0.25), (0, 0.001), (1, 0.999)])
def test_fixed(weight: float, found: float) -> None:
    """One weight for all places, never all or nothing."""
    fixed = Weighting.fixed(weight)
    assert fixed.is_fixed
    assert fixed.weights(NUMBERS) == pytest.approx(np.full(200, found), rel=1e-5)
    assert fixed.weights(NUMBERS).dtype == np.float32


@pytest.mark.parametrize("weight", [-0.1, 1.1, math.nan, math.inf, True, "0.5", None])
def test_no_weight(weight: Any) -> None:
    """What is no number from 0 to 1 is refused."""
    with pytest.raises(OptionError, match="must be a number from 0 to 1"):
        Weighting.fixed(weight)


def test_by_hand() -> None:
    """sigmoid(v . tanh(W x + b) + c) of standardised x."""
    values = {"mean": [1.0], "spread": [2.0], "inner": [[3.0], [0.0]], "inner_bias": [0.0, 1.0], "outer": [2.0, -1.0]}
    made = Weighting.from_values(values | {"outer_bias": 0.5}, "x")
    assert not made.is_fixed
    score = 2 * math.tanh(3 * (1.5 - 1) / 2) - math.tanh(1) + 0.5
    assert made.weights(np.array([[1.5]], np.float32)) == pytest.approx([1 / (1 + math.exp(-score))], rel=1e-6)


def test_the_best_fixed_weight_is_found() -> None:
    """Where nothing is known and p / q is 2 at three places of four, else 0, (1 + l)^3 (1 - l) is most at l = 1/2."""
    ratio = np.where(np.arange(400) % 4 < 3, math.log(2), -np.inf)
    found = fit_weighting(np.zeros((400, 2), np.float32), ratio, np.zeros(400)).weights(np.zeros((1, 2), np.float32))
    assert found == pytest.approx([0.5], abs=0.01)


@pytest.mark.parametrize("both", [False, True])
def test_the_better_model_is_preferred(both: bool) -> None:
    """Exactly where the network is better, told by one number or only by two together."""
    signs = np.sign(NUMBERS[:, :2])
    better = signs[:, 0] * (signs[:, 1] if both else 1) > 0
    network = np.where(better, -1, -4)
    found = fit_weighting(signs, network, -5 - network).weights(signs)
    assert found[better].min() > 0.95
    assert found[~better].max() < 0.05


def test_the_same_numbers_give_the_same_weighting() -> None:
    """Nothing is left to chance."""
    network, ngram = np.random.default_rng(1).normal(-4, 2, (2, 200))
    one, other = (fit_weighting(NUMBERS, network, ngram).values() for _ in range(2))
    assert one == other


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("scale", [0.1, 1, 6])
def test_no_worse_than_a_fixed_weight(seed: int, scale: float) -> None:
    """Numbers that mean nothing do no harm on the text itself, however far the models are apart."""
    network, ngram = np.random.default_rng(seed).normal(-9, scale, (2, 200))
    fitted = loss(fit_weighting(NUMBERS, network, ngram).weights(NUMBERS), network, ngram)
    best = min(loss(weight, network, ngram) for weight in np.linspace(0, 1, 101))
    assert fitted <= best + 0.002


def test_much_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more places than are looked at in a step all count: the weight suits them together."""
    monkeypatch.setattr(perceptron, "_MOST", 100)
    ratio = np.where(np.arange(800) % 4 < 3, math.log(2), -np.inf)  # steps of 8 would see places of one kind each
    network = np.random.default_rng(0).permutation(ratio)
    found = fit_weighting(np.zeros((800, 2), np.float32), network, np.zeros(800)).weights(np.zeros((1, 2), np.float32))
    assert found == pytest.approx([0.5], abs=0.05)


def test_what_is_impossible_to_one() -> None:
    """Where one model rules words out that the other expects, the other counts nearly alone."""
    numbers, plain, holes = np.ones((200, 1), np.float32), np.full(200, -1.0), np.where(np.arange(200) % 2, -np.inf, -1)
    assert fit_weighting(numbers, holes, plain).weights(numbers).max() < 0.06
    assert fit_weighting(numbers, plain, holes).weights(numbers).min() > 0.94


@pytest.mark.parametrize("count", [0, 1])
def test_too_little_text(count: int) -> None:
    """Nothing can be learnt from fewer than two words."""
    with pytest.raises(OptionError, match="too short"):
        fit_weighting(NUMBERS[:count], np.zeros(count), np.zeros(count))


@pytest.mark.parametrize("kind", ["random", "fixed", "fitted"])
def test_values(kind: str) -> None:
    """What is written as JSON and read again gives the same weights to the last bit."""
    network, ngram = np.random.default_rng(1).normal(-4, 2, (2, 200))
    made = {"random": random_weighting(3), "fixed": Weighting.fixed(0.3)}.get(kind)
    made = made or fit_weighting(NUMBERS, network, ngram)
    again = Weighting.from_values(json.loads(json.dumps(made.values())), "x")
    assert again.is_fixed == made.is_fixed == (kind == "fixed")
    assert np.array_equal(again.weights(NUMBERS), made.weights(NUMBERS))


VALUES = random_weighting(2).values()


def test_far_places() -> None:
    """Numbers that no text of the fitting had give a weight all the same."""
    wide = Weighting.from_values(VALUES | {"spread": [1e-5] * 2, "outer": [9e5] * 5, "outer_bias": -9e5}, "x")
    found = wide.weights(np.array([[1e6, -1e6], [-1e6, 1e6], [0, 0]], np.float32))
    assert ((found >= np.float32(0.001)) & (found <= np.float32(0.999))).all()
