"""Rows of log-probabilities (B, V): checked, exponentiated and brought to a sum of 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ngramgen.errors import OptionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ngramgen.model import FloatArray

    Rows: TypeAlias = NDArray[np.float64]

FLOOR = -700.0
"""A natural logarithm below it counts as -inf: the probability is under 1e-304."""

LIMIT = 1e300
"""Stands for what is beyond float64, so that a penalised token stays possible."""

ROUNDING = 1e-6
"""What float32 logarithms may add up to: a threshold missed by so little counts as met."""


def normalise(logprobs: FloatArray) -> Rows:
    """The same rows in float64, probabilities summing to 1; OptionError for a row without a finite value.

    >>> import numpy as np
    >>> np.exp(normalise(np.log([[1.0, 3.0]])))
    array([[0.25, 0.75]])
    """
    rows = np.asarray(logprobs, dtype=np.float64)
    top = highest(rows)
    shifted: Rows = rows - top
    shifted -= np.log(probabilities(shifted).sum(axis=1, keepdims=True))
    return shifted


def probabilities(logprobs: FloatArray) -> Rows:
    """exp of rows in float64, exactly 0 below FLOOR.

    Plain np.exp takes eight times as long over -inf and a hundred times over what ends subnormal.

    >>> import numpy as np
    >>> probabilities(np.array([[0.0, -np.inf]]))
    array([[1., 0.]])
    """
    rows = np.asarray(logprobs, dtype=np.float64)
    if rows.size and rows.min() >= FLOOR:
        whole: Rows = np.exp(rows)
        return whole
    probs = np.maximum(rows, FLOOR)
    np.exp(probs, out=probs)  # in place: a fresh page costs more than the arithmetic
    probs *= rows >= FLOOR
    return probs


def highest(rows: FloatArray) -> FloatArray:
    """The highest value of each row, (B, 1); OptionError where that is no number."""
    top: FloatArray = np.max(rows, axis=1, keepdims=True)
    finite = np.isfinite(top[:, 0])
    if not finite.all():
        row = int(np.argmin(finite))
        raise OptionError(f"Row {row} of the log-probabilities holds NaN, +inf or no token at all: give finite values.")
    return top
