"""Mirostat, by hand and in the long run."""

from __future__ import annotations

import numpy as np
import pytest

from ngramgen.sampling import child_seeds, draw, mirostat, next_surprise, normalise, uniforms


@pytest.mark.parametrize(
    ("surprise", "kept"), [(np.inf, 4), (3, 4), (2.9, 2), (2, 2), (1.5, 1), (1, 1), (0.5, 1), (-7, 1)]
)
def test_what_surprises_too_much_goes(surprise: float, kept: int) -> None:
    """1/2, 1/4, 1/8, 1/8 surprise by 1, 2, 3 and 3 bits; the likeliest stays whatever it does."""
    probs = np.array([1 / 2, 1 / 4, 1 / 8, 1 / 8])
    expected = np.where(np.arange(4) < kept, probs, 0) / probs[:kept].sum()
    np.testing.assert_allclose(np.exp(mirostat(np.log([probs]), np.array([surprise]))), [expected])


def test_only_one_of_equals_stays_above_the_bound() -> None:
    """Where all surprise too much, the lowest id of the likeliest stays alone."""
    np.testing.assert_allclose(np.exp(mirostat(np.log([[0.2, 0.4, 0.4]]), np.zeros(1))), [[0, 1, 0]])


def test_each_row_has_its_own_bound() -> None:
    """Two equal rows under different bounds keep different tokens."""
    rows = np.log([[0.5, 0.25, 0.25]] * 2)
    expected = [[1, 0, 0], [0.5, 0.25, 0.25]]
    np.testing.assert_allclose(np.exp(mirostat(rows, np.array([1.0, 2.0]))), expected)


def test_the_bound_moves_against_the_error() -> None:
    """10 bits, 7 of them observed where 5 are wanted: 10 - 0.1 * (7 - 5) = 9.8; a vector moves row by row."""
    assert next_surprise(10.0, 7.0, tau=5.0, eta=0.1) == pytest.approx(9.8)
    moved = next_surprise(np.array([10.0, 4.0]), np.array([7.0, 0.0]), tau=5.0, eta=0.1)
    np.testing.assert_allclose(moved, [9.8, 4.5])


@pytest.mark.parametrize("tau", [2.0, 4.0, 6.0])
def test_surprise_settles_at_the_target(tau: float) -> None:
    """Over 2,000 draws of 8 sequences from a row with a long tail the mean is the target to a twentieth of a bit."""
    rows = np.repeat(normalise(-0.9 * np.log(np.arange(1.0, 1001))[None, :]), 8, axis=0)
    bound, total, seeds = np.full(8, 2 * tau), 0.0, child_seeds(5, 0, 8)
    for step in range(2000):
        filtered = mirostat(rows, bound)
        tokens = draw(filtered, uniforms(seeds, step))
        bits = -filtered[np.arange(8), tokens] / np.log(2)
        bound = next_surprise(bound, bits, tau, 0.1)
        total += bits.mean()
    assert total / 2000 == pytest.approx(tau, abs=0.05)
