"""XTC, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ngramgen.errors import OptionError
from ngramgen.sampling import xtc


def probabilities(probs: list[float], threshold: float, probability: float = 1.0, chance: float = 0.0) -> list[float]:
    with np.errstate(divide="ignore"):
        result = np.exp(xtc(np.log([probs]), threshold, probability, np.array([chance])))
    return [float(p) for p in result[0]]


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        (0.15, [0, 0, 2 / 3, 1 / 3, 0]),  # 0.4, 0.3 and 0.2 reach it, and 0.2 is the least: 0.2 and 0.1 are left
        (0.25, [0, 3 / 6, 2 / 6, 1 / 6, 0]),
        (0.3, [0, 3 / 6, 2 / 6, 1 / 6, 0]),  # met is reached
        (0.31, [0.4, 0.3, 0.2, 0.1, 0]),  # one alone is left in peace
        (0.6, [0.4, 0.3, 0.2, 0.1, 0]),
        (0, [0, 0, 0, 1, 0]),  # all that is possible reaches 0
    ],
)
def test_all_top_choices_but_the_least_go(threshold: float, expected: list[float]) -> None:
    """Of 0.4, 0.3, 0.2, 0.1 those of the threshold and more go, but not the least likely of them."""
    assert probabilities([0.4, 0.3, 0.2, 0.1, 0.0], threshold) == pytest.approx(expected)


def test_of_equals_the_lowest_id_stays() -> None:
    """Three at 0.3 reach 0.2, and the first of them stays, beside 0.1: 3 and 1 parts of 4."""
    assert probabilities([0.3, 0.1, 0.3, 0.3], 0.2) == pytest.approx([3 / 4, 1 / 4, 0, 0])


@pytest.mark.parametrize(("chance", "happens"), [(0.0, True), (0.49, True), (0.5, False), (0.99, False)])
def test_it_happens_by_chance(chance: float, happens: bool) -> None:
    """The top choices go where the chance is below the probability."""
    expected = [0, 1] if happens else [0.6, 0.4]
    assert probabilities([0.6, 0.4], 0.3, probability=0.5, chance=chance) == pytest.approx(expected)


def test_each_row_has_its_own_chance() -> None:
    """Of two equal rows one loses its best token and the other does not."""
    rows = np.log([[0.6, 0.4], [0.6, 0.4]])
    np.testing.assert_allclose(np.exp(xtc(rows, 0.3, 0.5, np.array([0.7, 0.2]))), [[0.6, 0.4], [0, 1]])


def test_xtc_checks_its_arguments() -> None:
    """A filter called alone refuses what the options refuse."""
    with pytest.raises(OptionError, match=r"^xtc_threshold is 2"):
        probabilities([0.5, 0.5], 2)
    with pytest.raises(OptionError, match=r"^xtc_probability is -1"):
        probabilities([0.5, 0.5], 0.1, -1)
