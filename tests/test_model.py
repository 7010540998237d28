"""What every engine shares: the best of a row, and the scores of sentences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ngramgen.model import BOS, EOS, UNK, best_ids, score_sentences


def slowly(logprobs: Any, k: int) -> tuple[Any, Any]:
    """The same over the whole row, in float64."""
    row = logprobs.astype(np.float64)
    row[[UNK, BOS]] = -np.inf
    k = min(k, len(row) - 2)
    least = np.sort(row)[len(row) - k]
    ids = np.flatnonzero(row >= least)
    best = ids[np.argsort(-row[ids], kind="stable")][:k]
    return best, row[best]


@pytest.mark.parametrize("size", [3, 70, 5000])
@pytest.mark.parametrize("k", [1, 2, 40, 5000])
def test_best_ids(size: int, k: int) -> None:
    """The fast way is the slow one, ties and impossible words too, and the row stays as it was."""
    rng = np.random.default_rng(size)
    for row in (rng.integers(-30, 0, size), rng.normal(-9, 2, size), np.where(rng.random(size) < 0.01, -1, -np.inf)):
        row = row.astype(np.float32)
        kept = row.copy()
        expected, found = slowly(row, k), best_ids(row, k)
        assert found[0].tolist() == expected[0].tolist()
        assert found[1].tolist() == expected[1].tolist()
        assert found[1].dtype == np.float64
        assert np.array_equal(row, kept)


class Scoring:
    """Gives each word its place in what it was asked for, from 1."""

    def score(self, ids: Any) -> Any:
        return np.arange(1.0, len(ids) + 1)


def test_sentences() -> None:
    """One after the other where a model knows no quicker way; else the way that sees as much as is asked for."""
    words = np.array([BOS, 3, EOS, BOS, 4, 5, EOS])
    model = Scoring()
    for running in (False, True):
        assert score_sentences(model, words, running=running).tolist() == [0, 1, 2, 0, 1, 2, 3]
    model.score_text = lambda words: words + 0.5  # type: ignore[attr-defined]
    for running in (False, True):
        assert score_sentences(model, words, running=running).tolist() == (words + 0.5).tolist()
    model.score_running = lambda words: words + 0.25  # type: ignore[attr-defined]
    assert score_sentences(model, words, running=False).tolist() == (words + 0.5).tolist()
    assert score_sentences(model, words, running=True).tolist() == (words + 0.25).tolist()
