"""How much each part counts at a place, and how that is fitted."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from ngramgen.errors import OptionError
from ngramgen.hybrid import perceptron
from ngramgen.hybrid.cache import SIZE
from ngramgen.hybrid.weighting import Weighting, fit_weighting
from tests.hybrid.tiny import random_weighting


def numbers_of(known: Any, cache: Any = 0) -> Any:
    """Numbers (T, F) of places: these of the n-gram's, and of the cache's whether it has anything."""
    numbers = np.zeros((len(known), known.shape[1] + SIZE), np.float32)
    numbers[:, : known.shape[1]] = known
    numbers[:, -SIZE] = cache
    return numbers


NUMBERS = numbers_of(np.random.default_rng(0).normal(0, 1, (200, 3)), np.arange(200) % 2)
NONE = np.full(200, -np.inf)


def fitted(numbers: Any, network: Any, ngram: Any, cache: Any = None) -> Weighting:
    cache = np.full(len(network), -np.inf) if cache is None else cache
    return fit_weighting(numbers, np.stack([network, ngram, cache], axis=1))


def loss(weights: Any, *logprobs: Any) -> float:
    """Nats a word of the mixture."""
    return float(-np.log((weights * np.exp(np.stack(logprobs, axis=1))).sum(axis=1)).mean())


@pytest.mark.parametrize(("weight", "found"), [(0.5, 0.5), (0.25, 0.25), (0, 0.001), (1, 0.999)])
def test_fixed(weight: float, found: float) -> None:
    """One weight for all places, never all or nothing, and no cache."""
    fixed = Weighting.fixed(weight)
    assert (fixed.is_fixed, fixed.reads_cache) == (True, False)
    assert fixed.weights(NUMBERS) == pytest.approx(np.full((200, 3), [found, 1 - found, 0]), rel=1e-4)
    assert fixed.weights(NUMBERS).dtype == np.float32


@pytest.mark.parametrize("weight", [-0.1, 1.1, math.nan, math.inf, True, "0.5", None])
def test_no_weight(weight: Any) -> None:
    """What is no number from 0 to 1 is refused."""
    with pytest.raises(OptionError, match="must be a number from 0 to 1"):
        Weighting.fixed(weight)


def test_by_hand() -> None:
    """The softmax of the scores, between a thousandth and what that leaves; no cache where it has nothing."""
    zeros = np.zeros((3, 1), np.float32)
    made = Weighting(
        np.zeros(1 + SIZE, np.float32),
        np.ones(1 + SIZE, np.float32),
        np.zeros((1, 1 + SIZE), np.float32),
        zeros[0],
        zeros,
        np.log([5, 3, 2]).astype(np.float32),
    )
    found = made.weights(numbers_of(np.zeros((2, 1)), [1, 0]))
    assert found[0] == pytest.approx([0.001 + 0.998 * 0.5, 0.001 + 0.998 * 0.3, 0.998 * 0.2], rel=1e-5)
    assert found[1] == pytest.approx([0.001 + 0.998 * 0.625, 0.001 + 0.998 * 0.375, 0], rel=1e-5)


def test_weights_sum_to_one() -> None:
    """And none is negative, with a cache and without."""
    weights = random_weighting(3).weights(NUMBERS)
    assert weights.shape == (200, 3)
    assert weights.sum(axis=1) == pytest.approx(1, abs=1e-6)
    assert (weights[:, :2] >= 0.001).all()
    assert (weights[::2, 2] == 0).all()
    assert (weights[1::2, 2] > 0).all()


def test_the_best_fixed_weight_is_found() -> None:
    """Where nothing is known and p / q is 2 at three places of four, else 0, (1 + l)^3 (1 - l) is most at l = 1/2."""
    ratio = np.where(np.arange(400) % 4 < 3, math.log(2), -np.inf)
    nothing = numbers_of(np.zeros((400, 2)))
    found = fitted(nothing, ratio, np.zeros(400)).weights(nothing[:1])
    assert found == pytest.approx(np.array([[0.5, 0.5, 0]]), abs=0.01)


@pytest.mark.parametrize("both", [False, True])
def test_the_better_model_is_preferred(both: bool) -> None:
    """Exactly where the network is better, told by one number or only by two together."""
    signs = numbers_of(np.sign(NUMBERS[:, :2]))
    better = signs[:, 0] * (signs[:, 1] if both else 1) > 0
    network = np.where(better, -1, -4)
    found = fitted(signs, network, -5 - network).weights(signs)[:, 0]
    assert found[better].min() > 0.95
    assert found[~better].max() < 0.05


def test_the_cache_is_heard_where_it_is_right() -> None:
    """Told by one number; where it has nothing, the others share all."""
    known = NUMBERS[:, :1] > 0
    numbers = numbers_of(known, np.arange(200) % 2)
    has = numbers[:, -SIZE] > 0
    cache = np.where(has, np.where(known[:, 0], -0.1, -9), -np.inf)
    found = fitted(numbers, np.full(200, -3.0), np.full(200, -4.0), cache).weights(numbers)
    assert found[has & known[:, 0], 2].min() > 0.9
    assert found[has & ~known[:, 0], 2].max() < 0.1
    assert (found[~has, 2] == 0).all()
    assert found[~has, 0].min() > 0.8


def test_the_same_numbers_give_the_same_weighting() -> None:
    """Nothing is left to chance."""
    parts = np.random.default_rng(1).normal(-4, 2, (3, 200))
    one, other = (fitted(NUMBERS, *parts).values() for _ in range(2))
    assert one == other


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("scale", [0.1, 1, 6])
def test_no_worse_than_a_fixed_weight(seed: int, scale: float) -> None:
    """Numbers that mean nothing do no harm on the text itself, however far the models are apart."""
    network, ngram = np.random.default_rng(seed).normal(-9, scale, (2, 200))
    weights = fitted(NUMBERS, network, ngram).weights(NUMBERS)
    # where the cache could be, at half of the places, it is never right, and to learn that costs a little
    found = loss(weights, network, ngram, NONE)
    best = min(loss([weight, 1 - weight, 0], network, ngram, NONE) for weight in np.linspace(0, 1, 101))
    assert found <= best + 0.01


def test_much_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more places than are looked at in a step all count: the weight suits them together."""
    monkeypatch.setattr(perceptron, "_MOST", 100)
    ratio = np.where(np.arange(800) % 4 < 3, math.log(2), -np.inf)  # steps of 8 would see places of one kind each
    network, nothing = np.random.default_rng(0).permutation(ratio), numbers_of(np.zeros((800, 2)))
    found = fitted(nothing, network, np.zeros(800)).weights(nothing[:1])
    assert found == pytest.approx(np.array([[0.5, 0.5, 0]]), abs=0.05)


def test_what_is_impossible_to_one() -> None:
    """Where one model rules words out that the other expects, the other counts nearly alone."""
    numbers, plain, holes = numbers_of(np.ones((200, 1))), np.full(200, -1.0), np.where(np.arange(200) % 2, -np.inf, -1)
    assert fitted(numbers, holes, plain).weights(numbers)[:, 0].max() < 0.06
    assert fitted(numbers, plain, holes).weights(numbers)[:, 0].min() > 0.94


@pytest.mark.parametrize("count", [0, 1])
def test_too_little_text(count: int) -> None:
    """Nothing can be learnt from fewer than two words."""
    with pytest.raises(OptionError, match="too short"):
        fit_weighting(NUMBERS[:count], np.zeros((count, 3)))


@pytest.mark.parametrize("kind", ["random", "fixed", "fitted"])
def test_values(kind: str) -> None:
    """What is written as JSON and read again gives the same weights to the last bit."""
    made = {"random": random_weighting(3), "fixed": Weighting.fixed(0.3)}.get(kind)
    made = made or fitted(NUMBERS, *np.random.default_rng(1).normal(-4, 2, (3, 200)))
    again = Weighting.from_values(json.loads(json.dumps(made.values())), "x", 3)
    assert again.is_fixed == made.is_fixed == (kind == "fixed")
    assert np.array_equal(again.weights(NUMBERS), made.weights(NUMBERS))


def test_far_places() -> None:
    """Numbers that no text of the fitting had give a weight all the same."""
    size = 1 + SIZE
    values = random_weighting(1).values() | {"spread": [1e-5] * size, "outer": [[9e5] * 5, [-9e5] * 5, [9e5] * 5]}
    wide = Weighting.from_values(values, "x", 3)
    found = wide.weights(numbers_of(np.array([[1e6], [-1e6], [0]]), 1))
    assert np.isfinite(found).all()
    assert found.sum(axis=1) == pytest.approx(1, abs=1e-6)
    assert (found[:, :2] >= np.float32(0.001)).all()
