from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ngramgen.errors import OptionError
from ngramgen.sampling import (
    Moment,
    SamplingOptions,
    apply_temperature,
    build_filters,
    child_seeds,
    draw,
    min_p,
    normalise,
    repetition_penalty,
    suppress,
    top_k,
    top_p,
    typical,
    uniforms,
)

Rows = NDArray[np.float64]
Filter = Callable[[Any], Rows]


def moment(history: Any, step: int = 0) -> Moment:
    return dataclasses.replace(Moment.first(len(history)), history=history, step=step)


def after(filtered: Filter, *probs: float) -> list[float]:
    """The probabilities after a filter, and the same whether they entered as float32 or float64."""
    with np.errstate(divide="ignore"):
        rows = np.log([probs])
    result = np.exp(filtered(rows))
    np.testing.assert_allclose(np.exp(filtered(rows.astype(np.float32))), result, atol=1e-6)
    return [float(p) for p in result[0]]


# Hand-worked values.


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


def test_repetition_penalty_multiplies_once() -> None:
    """Penalty 2 squares 1/2 to 1/4 once for a token seen thrice; the others 1/4 stay: 1/3 each."""
    history = np.array([[0, 0, 0]])
    assert after(lambda x: repetition_penalty(x, history, 2), 0.5, 0.25, 0.25) == pytest.approx([1 / 3] * 3)


def test_repetition_penalty_below_one_favours_repetition() -> None:
    """Penalty 1/2 takes the root of 1/4: 1/2, beside an unseen 3/4."""
    assert after(lambda x: repetition_penalty(x, np.array([[1]]), 0.5), 0.75, 0.25) == pytest.approx([0.6, 0.4])


def test_repetition_penalty_divides_scores_above_zero() -> None:
    """Scores 2 and -1 under penalty 2 become 1 and -2, as in Hugging Face."""
    result = repetition_penalty(np.array([[2.0, -1.0, 0.0]]), np.array([[0, 1]]), 2)
    np.testing.assert_allclose(result, normalise(np.array([[1.0, -2.0, 0.0]])))


@pytest.mark.parametrize("penalty", [1e-300, 1e300])
def test_extreme_penalties_leave_a_row(penalty: float) -> None:
    """A penalty that overflows on every token leaves each of them possible, and none excluded comes back."""
    history = np.array([[0, 1, 2, 3]])
    result = after(lambda x: repetition_penalty(x, history, penalty), 0.5, 0.3, 0.2, 0.0)
    assert sum(result) == pytest.approx(1)
    assert result[3] == 0


def test_suppressed_tokens_share_out_their_mass() -> None:
    """Without 0.2 and 0.3 the rest 0.4, 0.1 is over 0.5."""
    assert after(lambda x: suppress(x, [0, 2]), 0.2, 0.4, 0.3, 0.1) == pytest.approx([0, 0.8, 0, 0.2])


def test_suppression_never_empties_a_row() -> None:
    """A row of suppressed tokens alone keeps them."""
    assert after(lambda x: suppress(x, [0, 1]), 0.5, 0.5, 0.0) == pytest.approx([0.5, 0.5, 0])


def test_suppressing_an_id_outside_is_refused() -> None:
    """The error names the id and the range."""
    with pytest.raises(OptionError, match=r"id -1 .*from 0 to 1"):
        suppress(np.log([[0.5, 0.5]]), [-1])


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: top_k(x, -1),
        lambda x: top_p(x, 0),
        lambda x: min_p(x, 1.5),
        lambda x: typical(x, float("nan")),
        lambda x: repetition_penalty(x, np.zeros((1, 1), int), -1),
        lambda x: apply_temperature(x, float("inf")),
    ],
)
def test_filters_check_their_argument(wrong: Filter) -> None:
    """A filter called alone refuses what the options refuse."""
    with pytest.raises(OptionError, match="but must be"):
        wrong(np.log([[0.5, 0.5]]))


@pytest.mark.parametrize("bad", [-np.inf, np.nan, np.inf])
def test_a_broken_row_is_refused(bad: float) -> None:
    """A model that gives NaN gets an error, never a token."""
    rows = np.full((2, 5), -1.0)
    rows[1, 2] = bad
    if bad == -np.inf:
        rows[1] = bad
    for options in (SamplingOptions(), SamplingOptions(top_k=2), SamplingOptions(temperature=2)):
        with pytest.raises(OptionError, match=r"^Row 1 "):
            build_filters(options)(rows, Moment.first(2))


# The composed filter.


def composed(options: SamplingOptions, probs: list[float], history: list[int], step: int = 0) -> list[float]:
    with np.errstate(divide="ignore"):
        result = build_filters(options)(np.log([probs]), moment(np.array([history], dtype=np.int32), step))
    return [float(p) for p in np.exp(result[0])]


def test_the_order_is_penalty_temperature_and_then_truncation() -> None:
    """Each step by hand, on 0.1, 0.1, 0.1, 0.35, 0.25, 0.1."""
    # Without <unk> and <s>: 1/8, 7/16, 5/16, 1/8. Penalty 2 on id 3: 49/256, so weights 32, 49, 80, 32.
    # Temperature 1/2 squares: 1024, 2401, 6400, 1024 of 10849: 0.094, 0.221, 0.590, 0.094.
    # top_k=3 keeps 4, 3 and, of two equals, 2. Of 9825 they are 0.651, 0.244, 0.104; top_p=0.7 keeps 4 and 3.
    options = SamplingOptions(repetition_penalty=2, temperature=0.5, top_k=3, top_p=0.7)
    expected = [0, 0, 0, 2401 / 8801, 6400 / 8801, 0]
    assert composed(options, [0.1, 0.1, 0.1, 0.35, 0.25, 0.1], [3]) == pytest.approx(expected)


def test_the_end_waits_for_the_minimum() -> None:
    """``</s>`` is impossible before min_new_tokens and possible from then on."""
    options = SamplingOptions(min_new_tokens=2)
    assert composed(options, [0, 0, 0.5, 0.5], [], step=1) == pytest.approx([0, 0, 0, 1])
    assert composed(options, [0, 0, 0.5, 0.5], [], step=2) == pytest.approx([0, 0, 0.5, 0.5])


def test_the_end_comes_early_where_nothing_else_can() -> None:
    """Where only ``</s>`` is possible it is kept, and ``<unk>`` does not come in its place."""
    options = SamplingOptions(min_new_tokens=2)
    assert composed(options, [0.5, 0.0, 0.5, 0.0], [], step=0) == pytest.approx([0, 0, 1, 0])


def test_greedy_leaves_truncation_out() -> None:
    """Typical sampling would move the maximum; a greedy choice does not look at it."""
    options = SamplingOptions(greedy=True, typical_p=0.2, temperature=5)
    assert composed(options, [0, 0, 0, 0.5, 0.3, 0.2], []) == pytest.approx([0, 0, 0, 0.5, 0.3, 0.2])


def test_the_model_row_is_left_alone() -> None:
    """Filters change no array that they are given."""
    rows = np.log(np.full((1, 300), 1 / 300))
    before = rows.copy()
    options = SamplingOptions(repetition_penalty=2, temperature=0.5, top_k=30, top_p=0.7, min_p=0.1, typical_p=0.5)
    build_filters(options)(rows, moment(np.array([[5, 6]])))
    assert (rows == before).all()


# Invariants.

FILTERS: dict[str, Filter] = {
    "suppress": lambda x: suppress(x, [0, x.shape[1] - 1]),
    "repetition_penalty": lambda x: repetition_penalty(x, np.zeros((len(x), 1), int), 1e6),
    "cold": lambda x: apply_temperature(x, 1e-6),
    "hot": lambda x: apply_temperature(x, 1e6),
    "top_k": lambda x: top_k(x, 2),
    "top_p": lambda x: top_p(x, 0.01),
    "top_p_high": lambda x: top_p(x, 1 - 1e-9),
    "min_p": lambda x: min_p(x, 1.0),
    "typical": lambda x: typical(x, 0.01),
    "typical_high": lambda x: typical(x, 1 - 1e-9),
}
ROWS = st.lists(st.floats(-1e4, 0) | st.just(-np.inf), min_size=1, max_size=20).filter(lambda row: max(row) > -np.inf)


@given(ROWS)
def test_any_two_filters_in_any_order_leave_a_token(row: list[float]) -> None:
    """Every ordered pair gives a normalised row with a token, and brings no excluded token back."""
    rows = np.array([row])
    for first, second in itertools.product(FILTERS.values(), repeat=2):
        result = second(first(rows))
        assert np.exp(result).sum() == pytest.approx(1)
        assert not np.isnan(result).any()
        assert np.isneginf(result[np.isneginf(rows)]).all()


@given(st.lists(st.floats(1e-6, 1), min_size=5, max_size=40), st.integers(1, 9), st.sampled_from([0.1, 0.5, 0.9, 0.99]))
def test_the_composition_is_its_filters_in_turn(weights: list[float], k: int, p: float) -> None:
    """What is composed for speed equals the public filters one after the other."""
    rows = normalise(np.log([weights]))
    options = SamplingOptions(
        repetition_penalty=1.3, temperature=0.7, top_k=k, top_p=p, min_p=0.05, typical_p=p, min_new_tokens=1
    )
    history = np.array([[3, 4, 3]])
    expected = repetition_penalty(suppress(rows, [0, 1, 2]), history, 1.3)
    expected = typical(min_p(top_p(top_k(apply_temperature(expected, 0.7), k), p), 0.05), p)
    np.testing.assert_allclose(np.exp(build_filters(options)(rows, moment(history))), np.exp(expected), atol=1e-9)


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("size", [7, 1000, 9000])
def test_a_batch_is_filtered_as_each_row_alone(name: str, size: int) -> None:
    """Rows flat and steep, together and alone, give the same bits."""
    rng = np.random.default_rng(2)
    rows = normalise(rng.normal(size=(6, size)) * np.array([[0.01], [0.3], [1], [2], [5], [20]])).astype(np.float32)
    together = FILTERS[name](rows)
    assert all((together[i] == FILTERS[name](rows[[i]])[0]).all() for i in range(6))


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


# A million draws against the exact distribution.


def chi_square_p_value(counts: NDArray[Any], probs: Rows) -> float:
    """Pearson's test; the chi-square tail by the cube-root normal approximation of Wilson & Hilferty (1931)."""
    expected = probs[probs > 0] * counts.sum()
    freedom = len(expected) - 1
    statistic = float(((counts[probs > 0] - expected) ** 2 / expected).sum())
    z = ((statistic / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / math.sqrt(2 / (9 * freedom))
    return 0.5 * math.erfc(z / math.sqrt(2))


PROBS = np.array([0.02, 0.03, 0.05, 0.2, 0.16, 0.14, 0.12, 0.1, 0.08, 0.06, 0.03, 0.01])
ENTROPY = -float((PROBS * np.log(PROBS)).sum())


def kept(*ids: int) -> Rows:
    return np.where(np.isin(np.arange(12), ids), PROBS, 0)


@pytest.mark.parametrize(
    ("name", "filtered", "weights"),
    [
        ("none", normalise, PROBS),
        ("suppress", lambda x: suppress(x, [0, 1]), kept(*range(2, 12))),
        ("temperature 0.5", lambda x: apply_temperature(x, 0.5), PROBS**2),
        ("temperature 2", lambda x: apply_temperature(x, 2), PROBS**0.5),
        ("top_k 5", lambda x: top_k(x, 5), kept(3, 4, 5, 6, 7)),
        ("top_p 0.75", lambda x: top_p(x, 0.75), kept(3, 4, 5, 6, 7, 8)),  # sums .2 .36 .5 .62 .72 .8
        ("min_p 0.35", lambda x: min_p(x, 0.35), kept(3, 4, 5, 6, 7, 8)),  # 0.07 and more
        # H = 2.2556; the distances: id 7 0.047, 6 0.135, 8 0.270, 5 0.290, 4 0.423; the sums .1 .22 .3 .44 .6.
        ("typical 0.5", lambda x: typical(x, 0.5), kept(4, 5, 6, 7, 8)),
        ("penalty 2", lambda x: repetition_penalty(x, np.array([[3, 8]]), 2), np.where(PROBS == 0.2, 0.04, PROBS)),
    ],
)
def test_a_million_draws_follow_the_distribution(name: str, filtered: Filter, weights: Rows) -> None:
    """Draws after each filter pass a chi-square test against the distribution worked out by hand."""
    if name == "penalty 2":
        weights = weights.copy()
        weights[8] = 0.08**2
    row = filtered(np.log(PROBS)[None, :])
    counts = np.zeros(12, dtype=np.int64)
    for start in range(0, 10**6, 10**5):
        u = uniforms(child_seeds(2024, start, 10**5), 0)
        counts += np.bincount(draw(np.broadcast_to(row, (10**5, 12)), u), minlength=12)
    assert (counts[weights == 0] == 0).all()
    assert chi_square_p_value(counts, weights / weights.sum()) > 0.001


def test_the_chi_square_test_can_fail() -> None:
    """A fair coin that falls on one side 501,900 times in a million is 3.8 standard errors off, and is noticed."""
    assert chi_square_p_value(np.array([501_900, 498_100]), np.array([0.5, 0.5])) < 0.001
    # Wilson and Hilferty's value for the tabled 5 % point of ten degrees of freedom, 18.307.
    counts = np.full(11, 100.0)
    counts[:2] += math.sqrt(915.35), -math.sqrt(915.35)
    assert chi_square_p_value(counts, np.full(11, 1 / 11)) == pytest.approx(0.05, abs=0.001)
