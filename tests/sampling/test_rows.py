from __future__ import annotations

import numpy as np
import pytest

from ngramgen.errors import OptionError
from ngramgen.sampling import normalise
from ngramgen.sampling.rows import probabilities


def test_weights_become_probabilities() -> None:
    """The weights 1, 3 and 0 become 1/4, 3/4 and 0."""
    with np.errstate(divide="ignore"):
        rows = normalise(np.log([[1.0, 3.0, 0.0]]))
    np.testing.assert_allclose(np.exp(rows), [[0.25, 0.75, 0.0]], rtol=1e-15)


def test_scale_does_not_matter() -> None:
    """Rows far from any probability are brought back without overflow."""
    np.testing.assert_allclose(np.exp(normalise(np.array([[1e5, 1e5], [-1e300, -1e300]]))), 0.5)


@pytest.mark.parametrize("bad", [-np.inf, np.nan, np.inf])
def test_a_row_without_finite_values_is_refused(bad: float) -> None:
    """The error names the row."""
    with pytest.raises(OptionError, match=r"^Row 1 .*NaN, .inf or no token"):
        normalise(np.array([[0.0, 0.0], [bad, bad]]))


def test_probabilities_are_exp_and_zero_where_excluded() -> None:
    """What is at -inf, or below what float64 holds well, is exactly zero; the rest is exp."""
    rows = np.array([[0.0, -1.0, -700.0, -701.0, -np.inf]], dtype=np.float32)
    assert probabilities(rows).tolist() == [[1.0, np.exp(-1.0), np.exp(-700.0), 0.0, 0.0]]
    assert probabilities(rows[:, :3]).dtype == np.float64
