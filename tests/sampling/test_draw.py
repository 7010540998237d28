from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngramgen.errors import OptionError
from ngramgen.sampling import child_seeds, draw, greedy, normalise, uniforms

BELOW_ONE = float(np.nextafter(1.0, 0.0))


@pytest.mark.parametrize(
    ("u", "token"),
    [(0.0, 0), (0.24, 0), (0.25, 1), (0.74, 1), (0.75, 2), (BELOW_ONE, 2)],
)
def test_the_token_is_where_the_cumulative_sum_passes(u: float, token: int) -> None:
    """With 1/4, 1/2, 1/4 the cumulative sums are 1/4, 3/4, 1, and each token begins at the sum before it."""
    assert draw(np.log([[0.25, 0.5, 0.25]]), np.array([u])).tolist() == [token]


@given(
    st.lists(st.floats(-800, 0) | st.just(-np.inf), min_size=1, max_size=30).filter(lambda r: max(r) > -np.inf),
    st.sampled_from([0.0, 5e-324, 2.0**-53, 0.5, BELOW_ONE]) | st.floats(0, BELOW_ONE),
)
def test_an_excluded_token_is_never_drawn(row: list[float], u: float) -> None:
    """Not even at either end of the unit interval is a token at -inf drawn."""
    token = draw(normalise(np.array([row])), np.array([u]))[0]
    assert row[token] > -np.inf


def test_a_single_token_is_always_drawn() -> None:
    """A row with one token left gives that token."""
    row = np.array([[-np.inf, -np.inf, 0.0, -np.inf]])
    assert [draw(row, np.array([u]))[0] for u in (0.0, 0.5, BELOW_ONE)] == [2, 2, 2]


def test_a_sum_that_stops_growing_leads_to_no_later_token() -> None:
    """Past probabilities too small to change the sum, the last token that counts is drawn."""
    row = np.array([[np.log(0.5), np.log(0.5), -60.0, -650.0, -np.inf]])
    assert draw(row, np.array([BELOW_ONE])).tolist() == [1]
    assert draw(row, np.array([1.0])).tolist() == [1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [3, 100, 5000])
def test_a_batch_draws_what_each_row_draws_alone(dtype: type[np.floating[Any]], size: int) -> None:
    """Rows of a batch do not touch each other."""
    rows = normalise(np.random.default_rng(1).normal(size=(40, size)) * 3).astype(dtype)
    u = uniforms(child_seeds(4, 0, 40), 0)
    assert draw(rows, u).tolist() == [draw(rows[[i]], u[[i]])[0] for i in range(40)]


@pytest.mark.parametrize("bad", [-np.inf, np.nan, np.inf])
def test_a_row_without_tokens_is_refused(bad: float) -> None:
    """A row of -inf, NaN or inf is an error that names the row."""
    with pytest.raises(OptionError, match=r"^Row 1 "):
        draw(np.array([[0.0, -np.inf], [bad, bad]]), np.array([0.5, 0.5]))


def test_greedy_takes_the_lowest_of_equals() -> None:
    """The most likely token wins, and of equals the lowest id."""
    rows = np.log([[0.2, 0.4, 0.4], [0.6, 0.2, 0.2]])
    assert greedy(rows).tolist() == [1, 0]
