"""Penalties and biases: what is added to or taken off the log-probabilities of single tokens.

Each is here twice: as a filter, which gives new and normalised rows, and in place, so that several can follow one
another on one copy before it is normalised. A token that is excluded (-inf) stays so.

>>> import numpy as np
>>> np.exp(frequency_penalty(np.log([[0.5, 0.5]]), np.array([[0, 0]]), np.log(2))).round(3)
array([[0.2, 0.8]])
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ngramgen.errors import OptionError
from ngramgen.sampling.checks import check_float
from ngramgen.sampling.rows import LIMIT, normalise

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ngramgen.model import FloatArray, IntArray
    from ngramgen.sampling.rows import Rows


def logit_bias(logprobs: FloatArray, biases: Mapping[int, float]) -> Rows:
    """Adds a number to the log-probability of each token named, as OpenAI's logit_bias does.

    Raises OptionError for an id that is not in the vocabulary.

    >>> import numpy as np
    >>> np.exp(logit_bias(np.log([[0.5, 0.5]]), {0: np.log(3)}))
    array([[0.75, 0.25]])
    """
    rows = np.array(logprobs, dtype=np.float64)
    wrong = [i for i in biases if not 0 <= i < rows.shape[1]]
    if wrong:
        raise OptionError(f"Token id {wrong[0]} cannot be biased: the ids go from 0 to {rows.shape[1] - 1}.")
    add_biases(rows, *bias_arrays(biases))
    return normalise(rows)


def repetition_penalty(logprobs: FloatArray, history: IntArray, penalty: float) -> Rows:
    """Multiplies the log-probability of every token in history (B, T) by penalty, once however often it occurs.

    Keskar et al. (2019), CTRL, as in Hugging Face: a score above 0 is divided, one below multiplied, and
    log-probabilities are never above 0. A penalty above 1 makes repetition rarer, one below more frequent.

    >>> import numpy as np
    >>> np.exp(repetition_penalty(np.log([[0.5, 0.5]]), np.array([[0]]), 2.0)).round(3)
    array([[0.333, 0.667]])
    """
    rows = np.array(logprobs, dtype=np.float64)
    penalise_seen(rows, history, check_float("repetition_penalty", penalty))
    return normalise(rows)


def frequency_penalty(logprobs: FloatArray, history: IntArray, penalty: float) -> Rows:
    """Takes penalty off a token's log-probability as often as it occurs in history (B, T), as OpenAI and llama.cpp.

    >>> import numpy as np
    >>> np.exp(frequency_penalty(np.log([[0.5, 0.5]]), np.array([[1, 1]]), np.log(2))).round(3)
    array([[0.8, 0.2]])
    """
    rows = np.array(logprobs, dtype=np.float64)
    penalise_counts(rows, history, check_float("frequency_penalty", penalty), 0.0)
    return normalise(rows)


def presence_penalty(logprobs: FloatArray, history: IntArray, penalty: float) -> Rows:
    """Takes penalty off the log-probability of every token in history (B, T) once, as OpenAI and llama.cpp.

    >>> import numpy as np
    >>> np.exp(presence_penalty(np.log([[0.5, 0.5]]), np.array([[1, 1]]), np.log(2))).round(3)
    array([[0.667, 0.333]])
    """
    rows = np.array(logprobs, dtype=np.float64)
    penalise_counts(rows, history, 0.0, check_float("presence_penalty", penalty))
    return normalise(rows)


def bias_arrays(biases: Mapping[int, float]) -> tuple[NDArray[np.int64], Rows]:
    """The ids (n,) and what is added to them (n,)."""
    return np.array(list(biases), dtype=np.int64), np.clip(np.array(list(biases.values()), dtype=float), -LIMIT, LIMIT)


def add_biases(rows: Rows, ids: NDArray[np.int64], biases: Rows) -> None:
    """logit_bias in place, on rows that need not be normalised; the ids differ."""
    rows[:, ids] += biases


def penalise_seen(rows: Rows, history: IntArray, penalty: float) -> None:
    """repetition_penalty in place, on rows that need not be normalised."""
    ids = history.astype(np.int64, copy=False)
    seen = np.take_along_axis(rows, ids, axis=1)
    with np.errstate(over="ignore", under="ignore"):
        divided = np.minimum(seen / penalty, np.maximum(seen, LIMIT))
        penalised = np.where(seen > 0, divided, np.maximum(seen * penalty, -LIMIT))
    np.put_along_axis(rows, ids, np.where(np.isneginf(seen), seen, penalised), axis=1)


def penalise_counts(rows: Rows, history: IntArray, frequency: float, presence: float) -> None:
    """frequency_penalty and presence_penalty in place, on rows that need not be normalised."""
    width = rows.shape[1]
    places = history.astype(np.int64) + np.arange(len(rows))[:, None] * width
    places, counts = np.unique(places, return_counts=True)
    with np.errstate(over="ignore"):
        penalties = np.clip(counts * frequency, -LIMIT, LIMIT) + np.clip(presence, -LIMIT, LIMIT)
    rows[places // width, places % width] -= penalties
