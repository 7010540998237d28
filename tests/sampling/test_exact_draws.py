"""A million draws after each filter against the exact distribution, worked out by plain numpy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ngramgen.sampling import (
    apply_temperature,
    ban_sequences,
    child_seeds,
    draw,
    dry,
    epsilon_cutoff,
    eta_cutoff,
    force,
    frequency_penalty,
    logit_bias,
    min_p,
    mirostat,
    no_repeat_ngram,
    normalise,
    presence_penalty,
    repetition_penalty,
    suppress,
    top_k,
    top_n_sigma,
    top_p,
    typical,
    uniforms,
    xtc,
)

Rows = NDArray[np.float64]
Filter = Callable[[Any], Rows]


def chi_square_p_value(counts: NDArray[Any], probs: Rows) -> float:
    """Pearson's test; the chi-square tail by the cube-root normal approximation of Wilson & Hilferty (1931)."""
    expected = probs[probs > 0] * counts.sum()
    freedom = len(expected) - 1
    statistic = float(((counts[probs > 0] - expected) ** 2 / expected).sum())
    z = ((statistic / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / math.sqrt(2 / (9 * freedom))
    return 0.5 * math.erfc(z / math.sqrt(2))


PROBS = np.array([0.02, 0.03, 0.05, 0.2, 0.16, 0.14, 0.12, 0.1, 0.08, 0.06, 0.03, 0.01])
ENTROPY = -float((PROBS * np.log(PROBS)).sum())
SIGMA = float(np.log(PROBS).std())
HISTORY = np.array([[3, 8, 3, 7, 3, 8]])


def where(kept: NDArray[np.bool_]) -> Rows:
    return np.where(kept, PROBS, 0)


def kept(*ids: int) -> Rows:
    return where(np.isin(np.arange(12), ids))


def times(factors: dict[int, float]) -> Rows:
    return PROBS * np.array([factors.get(i, 1.0) for i in range(12)])


def drawn(rows: Rows) -> NDArray[np.int64]:
    """How often each token is drawn, one draw a row."""
    counts = np.zeros(rows.shape[1], dtype=np.int64)
    for start in range(0, len(rows), 10**5):
        u = uniforms(child_seeds(2024, start, 10**5), 0)
        counts += np.bincount(draw(rows[start : start + 10**5], u), minlength=rows.shape[1])
    return counts


@pytest.mark.parametrize(
    ("name", "filtered", "weights"),
    [
        ("none", normalise, PROBS),
        ("suppress", lambda x: suppress(x, [0, 1]), kept(*range(2, 12))),
        ("temperature 0.5", lambda x: apply_temperature(x, 0.5), PROBS**2),
        ("temperature 2", lambda x: apply_temperature(x, 2), PROBS**0.5),
        ("top_k 5", lambda x: top_k(x, 5), kept(3, 4, 5, 6, 7)),
        ("top_p 0.75", lambda x: top_p(x, 0.75), kept(3, 4, 5, 6, 7, 8)),  # sums .2 .36 .5 .62 .72 .8
        ("min_p 0.35", lambda x: min_p(x, 0.35), where(PROBS >= 0.35 * 0.2)),
        # H = 2.2556; the distances: id 7 0.047, 6 0.135, 8 0.270, 5 0.290, 4 0.423; the sums .1 .22 .3 .44 .6.
        ("typical 0.5", lambda x: typical(x, 0.5), kept(4, 5, 6, 7, 8)),
        ("epsilon 0.04", lambda x: epsilon_cutoff(x, 0.04), where(PROBS >= 0.04)),
        ("eta 0.3", lambda x: eta_cutoff(x, 0.3), where(math.sqrt(0.3) * math.exp(-ENTROPY) <= PROBS)),
        ("sigma 1.2", lambda x: top_n_sigma(x, 1.2), where(np.log(PROBS) >= math.log(0.2) - 1.2 * SIGMA)),
        ("mirostat", lambda x: mirostat(x, np.array([3.5])), where(-np.log2(PROBS) <= 3.5)),
        ("xtc", lambda x: xtc(x, 0.11, 1.0, np.zeros(1)), kept(0, 1, 2, *range(6, 12))),
        ("penalty 2", lambda x: repetition_penalty(x, HISTORY, 2), times({3: 0.2, 7: 0.1, 8: 0.08})),
        ("frequency", lambda x: frequency_penalty(x, HISTORY, math.log(2)), times({3: 1 / 8, 8: 1 / 4, 7: 1 / 2})),
        ("presence", lambda x: presence_penalty(x, HISTORY, math.log(2)), times({3: 1 / 2, 8: 1 / 2, 7: 1 / 2})),
        # 3 8 came before, and then 3; 8 would not be the first 3 behind it.
        ("dry", lambda x: dry(x, HISTORY, math.log(5)), times({3: 1 / 5})),
        ("no_repeat_ngram", lambda x: no_repeat_ngram(x, HISTORY, 3), where(np.arange(12) != 3)),
        ("bad words", lambda x: ban_sequences(x, HISTORY, [[4], [3, 8, 5], [7, 6]]), kept(0, 1, 2, 3, *range(6, 12))),
        ("bias", lambda x: logit_bias(x, {0: math.log(9), 3: -math.log(9)}), times({0: 9, 3: 1 / 9})),
        ("force", lambda x: force(x, 5), kept(5)),
    ],
)
def test_a_million_draws_follow_the_distribution(name: str, filtered: Filter, weights: Rows) -> None:
    """Draws after each filter pass a chi-square test against the distribution worked out by hand."""
    counts = drawn(np.broadcast_to(filtered(np.log(PROBS)[None, :]), (10**6, 12)))
    assert (counts[weights == 0] == 0).all()
    assert np.count_nonzero(weights) == 1 or chi_square_p_value(counts, weights / weights.sum()) > 0.001


def test_a_million_draws_by_chance() -> None:
    """xtc at probability 0.3 mixes 0.3 of the filtered distribution with 0.7 of the whole one."""
    chances = uniforms(child_seeds(9, 0, 10**6), 0)
    rows = np.broadcast_to(np.log(PROBS), (10**6, 12))
    counts = drawn(xtc(rows, 0.11, 0.3, chances))
    left = kept(0, 1, 2, *range(6, 12))
    assert chi_square_p_value(counts, 0.7 * PROBS + 0.3 * left / left.sum()) > 0.001


def test_the_chi_square_test_can_fail() -> None:
    """A fair coin that falls on one side 501,900 times in a million is 3.8 standard errors off, and is noticed."""
    assert chi_square_p_value(np.array([501_900, 498_100]), np.array([0.5, 0.5])) < 0.001
    # Wilson and Hilferty's value for the tabled 5 % point of ten degrees of freedom, 18.307.
    counts = np.full(11, 100.0)
    counts[:2] += math.sqrt(915.35), -math.sqrt(915.35)
    assert chi_square_p_value(counts, np.full(11, 1 / 11)) == pytest.approx(0.05, abs=0.001)
