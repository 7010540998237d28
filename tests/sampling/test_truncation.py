"""Temperature and truncation, by hand and against sorting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ngramgen.errors import OptionError
from ngramgen.sampling import (
    apply_temperature,
    epsilon_cutoff,
    eta_cutoff,
    min_p,
    normalise,
    top_k,
    top_n_sigma,
    top_p,
    typical,
)

Rows = NDArray[np.float64]
Filter = Callable[[Any], Rows]


def after(filtered: Filter, *probs: float) -> list[float]:
    """The probabilities after a filter, and the same whether they entered as float32 or float64."""
    with np.errstate(divide="ignore"):
        rows = np.log([probs])
    result = np.exp(filtered(rows))
    np.testing.assert_allclose(np.exp(filtered(rows.astype(np.float32))), result, atol=1e-6)
    return [float(p) for p in result[0]]


def test_temperature_raises_probabilities_to_its_inverse() -> None:
    """At 1/2 the probabilities 1/2, 1/4, 1/4 become 4/16, 1/16, 1/16 over their sum: 4/6, 1/6, 1/6."""
    assert after(lambda x: apply_temperature(x, 0.5), 0.5, 0.25, 0.25) == pytest.approx([4 / 6, 1 / 6, 1 / 6])


def test_a_high_temperature_flattens() -> None:
    """At 2 the probabilities 0.64, 0.36 become 0.8, 0.6 over 1.4."""
    assert after(lambda x: apply_temperature(x, 2), 0.64, 0.36) == pytest.approx([8 / 14, 6 / 14])


@pytest.mark.parametrize("temperature", [5e-324, 1e-6, 1e6, 1.7e308])
def test_extreme_temperatures_leave_a_row(temperature: float) -> None:
    """The coldest row is its best token, the hottest nearly uniform over what is not excluded."""
    result = after(lambda x: apply_temperature(x, temperature), 0.5, 0.3, 0.2, 0.0)
    assert result == pytest.approx([1, 0, 0, 0] if temperature < 1 else [1 / 3, 1 / 3, 1 / 3, 0], abs=1e-5)


def test_temperature_zero_is_no_filter() -> None:
    """Dividing by 0 is refused with the way out."""
    with pytest.raises(OptionError, match="greedy"):
        apply_temperature(np.log([[0.5, 0.5]]), 0)


def test_top_k_keeps_the_best() -> None:
    """The best two of 0.1, 0.4, 0.2, 0.3 are 0.4 and 0.3, over 0.7."""
    assert after(lambda x: top_k(x, 2), 0.1, 0.4, 0.2, 0.3) == pytest.approx([0, 4 / 7, 0, 3 / 7])


def test_top_k_breaks_ties_by_id() -> None:
    """Of equals exactly k are kept, the lowest ids."""
    assert after(lambda x: top_k(x, 2), 0.25, 0.25, 0.25, 0.25) == pytest.approx([0.5, 0.5, 0, 0])
    # 0.4 stays whatever its id, then the first of the three at 0.2.
    assert after(lambda x: top_k(x, 2), 0.2, 0.2, 0.2, 0.4) == pytest.approx([1 / 3, 0, 0, 2 / 3])


@pytest.mark.parametrize("k", [0, 3, 4, 10**30])
def test_top_k_of_everything_is_everything(k: int) -> None:
    """0 is off, and more than the vocabulary keeps it."""
    assert after(lambda x: top_k(x, k), 0.5, 0.3, 0.2) == pytest.approx([0.5, 0.3, 0.2])


@pytest.mark.parametrize(
    ("p", "kept"),
    [(1e-9, 1), (0.4, 1), (0.5, 1), (0.51, 2), (0.8, 2), (0.81, 3), (1.0, 4)],
)
def test_top_p_keeps_the_token_that_crosses(p: float, kept: int) -> None:
    """Of 0.5, 0.3, 0.15, 0.05 the fewest that reach p stay: the sums are 0.5, 0.8, 0.95, 1."""
    probs = np.array([0.5, 0.3, 0.15, 0.05])
    expected = np.where(np.arange(4) < kept, probs, 0) / probs[:kept].sum()
    assert after(lambda x: top_p(x, p), *probs) == pytest.approx(expected.tolist())


def test_top_p_breaks_ties_by_id() -> None:
    """Of four at 1/4 three are needed for 0.6, the lowest ids."""
    assert after(lambda x: top_p(x, 0.6), *[0.25] * 4) == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])


@pytest.mark.parametrize(("p", "kept"), [(0, 4), (0.1, 4), (0.2, 3), (0.5, 2), (0.9, 1), (1, 1)])
def test_min_p_is_a_share_of_the_best(p: float, kept: int) -> None:
    """Of 0.5, 0.25, 0.2, 0.05 the shares of the best are 1, 0.5, 0.4 and 0.1, and p itself is enough."""
    probs = np.array([0.5, 0.25, 0.2, 0.05])
    expected = np.where(np.arange(4) < kept, probs, 0) / probs[:kept].sum()
    assert after(lambda x: min_p(x, p), *probs) == pytest.approx(expected.tolist())


@pytest.mark.parametrize(
    ("mass", "expected"),
    [(0.2, [0, 1, 0, 0]), (0.3, [0, 1, 0, 0]), (0.4, [5 / 8, 3 / 8, 0, 0]), (0.9, [0.5, 0.3, 0.2, 0])],
)
def test_typical_starts_nearest_the_entropy(mass: float, expected: list[float]) -> None:
    """H(0.5, 0.3, 0.2) = 0.3466 + 0.3612 + 0.3219 = 1.0297; -log p is 0.693, 1.204, 1.609: at 0.337, 0.174, 0.580."""
    assert after(lambda x: typical(x, mass), 0.5, 0.3, 0.2, 0.0) == pytest.approx(expected)


@pytest.mark.parametrize(("epsilon", "kept"), [(0, 4), (0.05, 4), (0.051, 3), (0.2, 3), (0.3, 1), (0.9, 1)])
def test_epsilon_is_a_floor_under_which_only_the_best_stays(epsilon: float, kept: int) -> None:
    """Of 0.5, 0.25, 0.2, 0.05 those of epsilon and more stay; above 0.5 the best alone."""
    probs = np.array([0.5, 0.25, 0.2, 0.05])
    expected = np.where(np.arange(4) < kept, probs, 0) / probs[:kept].sum()
    assert after(lambda x: epsilon_cutoff(x, epsilon), *probs) == pytest.approx(expected.tolist())


def test_epsilon_keeps_equals() -> None:
    """Where all are below the floor, those as likely as the best stay with it, as in Hugging Face."""
    assert after(lambda x: epsilon_cutoff(x, 0.9), 0.4, 0.4, 0.2) == pytest.approx([0.5, 0.5, 0])


@pytest.mark.parametrize(("epsilon", "kept"), [(0, 3), (0.2, 3), (0.4, 2), (0.9, 1)])
def test_eta_falls_with_the_entropy(epsilon: float, kept: int) -> None:
    """H(0.5, 0.3, 0.2) = 1.0297 and exp(-H) = 0.357."""
    # 0.2: min(0.2, 0.447 * 0.357 = 0.160) keeps 0.2. 0.4: min(0.4, 0.632 * 0.357 = 0.226) keeps 0.3.
    # 0.9: min(0.9, 0.949 * 0.357 = 0.339) keeps 0.5.
    probs = np.array([0.5, 0.3, 0.2])
    expected = np.where(np.arange(3) < kept, probs, 0) / probs[:kept].sum()
    assert after(lambda x: eta_cutoff(x, epsilon), *probs, 0.0) == pytest.approx([*expected, 0])


@pytest.mark.parametrize(("n", "kept"), [(0, 3), (0.4, 1), (0.5, 2), (2.3, 2), (2.4, 3)])
def test_sigma_counts_standard_deviations_from_the_best(n: float, kept: int) -> None:
    """Of log2 weights 5, 4 and 0 the mean is 3, the deviation sqrt((4 + 1 + 9) / 3) = 2.160."""
    # In deviations the distances from the best are 0, 1 / 2.160 = 0.463 and 5 / 2.160 = 2.315.
    weights = np.array([32.0, 16.0, 1.0])
    expected = np.where(np.arange(3) < kept, weights, 0) / weights[:kept].sum()
    assert after(lambda x: top_n_sigma(x, n), *(weights / 49), 0.0) == pytest.approx([*expected, 0])


def test_sigma_keeps_what_is_even() -> None:
    """Rows without any deviation keep all, and one of a single token keeps it."""
    assert after(lambda x: top_n_sigma(x, 0.1), *[0.25] * 4) == pytest.approx([0.25] * 4)
    assert after(lambda x: top_n_sigma(x, 0.1), 1.0, 0.0) == pytest.approx([1, 0])


@pytest.mark.parametrize("temperature", [0.5, 2])
def test_sigma_is_indifferent_to_temperature(temperature: float) -> None:
    """The same tokens stay at every temperature: what the filter was made for (Tang et al. 2024)."""
    rows = normalise(np.random.default_rng(3).normal(size=(5, 200)))
    tempered = top_n_sigma(apply_temperature(rows, temperature), 1.0)
    assert (np.isfinite(tempered) == np.isfinite(top_n_sigma(rows, 1.0))).all()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: top_k(x, -1),
        lambda x: top_p(x, 0),
        lambda x: min_p(x, 1.5),
        lambda x: typical(x, float("nan")),
        lambda x: epsilon_cutoff(x, 1),
        lambda x: eta_cutoff(x, -0.1),
        lambda x: top_n_sigma(x, float("inf")),
        lambda x: apply_temperature(x, float("inf")),
    ],
)
def test_filters_check_their_argument(wrong: Filter) -> None:
    """A filter called alone refuses what the options refuse."""
    with pytest.raises(OptionError, match="but must be"):
        wrong(np.log([[0.5, 0.5]]))


# Against the plainest algorithm, for the wide rows on which the filters take their short cuts.


def plain_set(order: list[int], probs: Rows, mass: float) -> set[int]:
    kept: set[int] = set()
    total = 0.0
    for token in order:
        kept.add(token)
        total += float(probs[token])
        if total >= mass:
            break
    return kept


@pytest.mark.parametrize("spread", [0.1, 1.0, 4.0])
@pytest.mark.parametrize("mass", [0.05, 0.5, 0.9, 0.999])
def test_wide_rows_agree_with_sorting(spread: float, mass: float) -> None:
    """On 6,000 tokens, with many ties, top_p and typical keep what sorting the whole row keeps."""
    rows = normalise(np.random.default_rng(5).normal(size=(1, 6000)).round(1) * spread)
    row, probs = rows[0], np.exp(rows[0])
    entropy = -float((probs * row).sum())
    by_prob = sorted(range(6000), key=lambda i: (-row[i], i))
    by_distance = sorted(range(6000), key=lambda i: (abs(row[i] + entropy), i))
    for result, order in ((top_p(rows, mass), by_prob), (typical(rows, mass), by_distance)):
        assert set(np.flatnonzero(np.isfinite(result[0])).tolist()) == plain_set(order, probs, mass)
