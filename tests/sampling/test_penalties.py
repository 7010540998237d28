"""Penalties and biases, by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ngramgen.errors import OptionError
from ngramgen.sampling import frequency_penalty, logit_bias, normalise, presence_penalty, repetition_penalty

Rows = NDArray[np.float64]
Filter = Callable[[Any], Rows]


def after(filtered: Filter, *probs: float) -> list[float]:
    """The probabilities after a filter, and the same whether they entered as float32 or float64."""
    with np.errstate(divide="ignore"):
        rows = np.log([probs])
    result = np.exp(filtered(rows))
    np.testing.assert_allclose(np.exp(filtered(rows.astype(np.float32))), result, atol=1e-6)
    return [float(p) for p in result[0]]


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


def test_frequency_penalty_counts() -> None:
    """log 2 goes off thrice for id 0 and once for id 1: 0.5 / 8, 0.25 / 2 and 0.25 are 1, 2 and 4 parts of 7."""
    history = np.array([[0, 1, 0, 0]])
    result = after(lambda x: frequency_penalty(x, history, math.log(2)), 0.5, 0.25, 0.25)
    assert result == pytest.approx([1 / 7, 2 / 7, 4 / 7])


def test_presence_penalty_does_not_count() -> None:
    """log 2 is taken off once each: 0.25, 0.125 and 0.25 are 2, 1 and 2 parts of 5."""
    history = np.array([[0, 1, 0, 0]])
    result = after(lambda x: presence_penalty(x, history, math.log(2)), 0.5, 0.25, 0.25)
    assert result == pytest.approx([2 / 5, 1 / 5, 2 / 5])


def test_negative_penalties_favour_repetition() -> None:
    """-log 3 triples the weight of a token seen once under both."""
    history = np.array([[1]])
    for penalise in (frequency_penalty, presence_penalty):
        result = after(lambda x, penalise=penalise: penalise(x, history, -math.log(3)), 0.75, 0.25)  # type: ignore[misc]
        assert result == pytest.approx([0.5, 0.5])


def test_each_row_has_its_own_history() -> None:
    """Two rows of one batch are penalised for their own tokens alone."""
    rows = np.log(np.full((2, 3), 1 / 3))
    history = np.array([[0, 0], [1, 2]])
    # Row 0 loses log 2 twice at id 0: 1, 4, 4 of 9. Row 1 loses it at ids 1 and 2: 2, 1, 1 of 4.
    expected = [[1 / 9, 4 / 9, 4 / 9], [1 / 2, 1 / 4, 1 / 4]]
    np.testing.assert_allclose(np.exp(frequency_penalty(rows, history, math.log(2))), expected)


def test_biases_are_added() -> None:
    """log 2 on id 0 and -log 2 on id 2: 0.5, 0.25 and 0.125 are 4, 2 and 1 parts of 7."""
    result = after(lambda x: logit_bias(x, {0: math.log(2), 2: -math.log(2)}), 0.25, 0.25, 0.25)
    assert result == pytest.approx([4 / 7, 2 / 7, 1 / 7])


def test_a_bias_brings_no_excluded_token_back() -> None:
    """-inf and any bias are -inf."""
    assert after(lambda x: logit_bias(x, {1: 1e308}), 1.0, 0.0) == pytest.approx([1, 0])


@pytest.mark.parametrize("size", [1e308, -1e308])
def test_endless_sums_leave_a_row(size: float) -> None:
    """Penalties and biases whose sum is beyond float64 leave every token possible."""
    history = np.array([[0, 0, 0, 1, 1, 2]])
    for filtered in (
        lambda x: frequency_penalty(x, history, size),
        lambda x: presence_penalty(x, history, size),
        lambda x: logit_bias(x, {0: size, 1: size, 2: size}),
    ):
        result = filtered(np.log([[0.5, 0.3, 0.2]]))
        assert np.isfinite(result).all()
        assert np.exp(result).sum() == pytest.approx(1)


def test_no_history_no_penalty() -> None:
    """Before the first token nothing is penalised."""
    rows, history = np.log([[0.7, 0.3]]), np.zeros((1, 0), dtype=np.int32)
    for penalise in (repetition_penalty, frequency_penalty, presence_penalty):
        np.testing.assert_allclose(penalise(rows, history, 2.0), rows)


def test_penalties_check_their_argument() -> None:
    """A filter called alone refuses what the options refuse, and ids that are not there."""
    rows, history = np.log([[0.5, 0.5]]), np.zeros((1, 1), dtype=int)
    for penalise, wrong in ((repetition_penalty, -1), (frequency_penalty, math.inf), (presence_penalty, math.nan)):
        with pytest.raises(OptionError, match="but must be"):
            penalise(rows, history, wrong)
    with pytest.raises(OptionError, match=r"id 2 .*from 0 to 1"):
        logit_bias(rows, {2: 1.0})
