"""Temperature, and the filters that keep some of the likeliest or most typical tokens.

Hugging Face's definitions (top_n_sigma: llama.cpp's), but where tokens tie at the edge of top_k, top_p or typical, only
the lower ids are kept. A threshold that is met up to rounding counts as met.

>>> import numpy as np
>>> np.exp(top_k(np.log([[0.5, 0.3, 0.2]]), 2)).round(3)
array([[0.625, 0.375, 0.   ]])
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ngramgen.errors import OptionError
from ngramgen.sampling.checks import check_float, check_int
from ngramgen.sampling.rows import FLOOR, LIMIT, ROUNDING, highest, normalise, probabilities

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ngramgen.model import FloatArray
    from ngramgen.sampling.rows import Rows

_STEPS, _STEPS_A_NAT = 4096, 64


def apply_temperature(logprobs: FloatArray, temperature: float) -> Rows:
    """Divides by the temperature: above 1 flattens, below 1 sharpens. Raises OptionError at 0, which is greedy.

    >>> import numpy as np
    >>> np.exp(apply_temperature(np.log([[0.8, 0.2]]), 0.5)).round(3)
    array([[0.941, 0.059]])
    """
    if check_float("temperature", temperature) == 0:
        raise OptionError("temperature is 0, which means greedy: take the most likely token instead of this filter.")
    return normalise(tempered(logprobs, temperature))


def top_k(logprobs: FloatArray, k: int) -> Rows:
    """Keeps exactly the k most likely tokens (Fan et al. 2018); 0 or more than V keeps all.

    >>> import numpy as np
    >>> np.exp(top_k(np.log([[0.25, 0.5, 0.25]]), 2)).round(3)
    array([[0.333, 0.667, 0.   ]])
    """
    k, width = check_int("top_k", k), logprobs.shape[1]
    if not 0 < k < width:
        return normalise(logprobs)
    highest(logprobs)  # NaN would break the choice of columns
    columns = best_columns(logprobs, k)
    return spread(normalise(np.take_along_axis(logprobs, columns, axis=1)), columns, width)


def top_p(logprobs: FloatArray, p: float) -> Rows:
    """Keeps the fewest tokens, most likely first, whose mass is at least p (Holtzman et al. 2020).

    >>> import numpy as np
    >>> np.exp(top_p(np.log([[0.5, 0.3, 0.2]]), 0.6)).round(3)
    array([[0.625, 0.375, 0.   ]])
    """
    rows = normalise(logprobs)
    return _smallest_set(rows, rows, check_float("top_p", p))


def top_p_ranked(logprobs: FloatArray, p: float) -> Rows:
    """top_p() of rows in falling order, which it need not sort.

    >>> import numpy as np
    >>> np.exp(top_p_ranked(np.log([[0.5, 0.3, 0.2]]), 0.6)).round(3)
    array([[0.625, 0.375, 0.   ]])
    """
    rows = normalise(logprobs)
    mass = check_float("top_p", p)
    if mass == 1:
        return rows
    kept = probabilities(rows)
    keep_mass(kept, mass)
    return normalise(np.where(kept > 0, rows, -np.inf))


def keep_mass(probs: Rows, mass: float) -> None:
    """Makes 0 in falling rows of weights, in place, what comes after that share of their sum is reached.

    >>> import numpy as np
    >>> weights = np.array([[1.0, 0.6, 0.4]])
    >>> keep_mass(weights, 0.6)
    >>> weights
    array([[1. , 0.6, 0. ]])
    """
    reached = np.cumsum(probs, axis=1)
    probs[:, 1:] *= reached[:, :-1] < _goal(mass) * reached[:, -1:]


def min_p(logprobs: FloatArray, p: float) -> Rows:
    """Keeps the tokens at least p times as likely as the most likely one (Nguyen et al. 2024).

    >>> import numpy as np
    >>> np.exp(min_p(np.log([[0.6, 0.3, 0.1]]), 0.5)).round(3)
    array([[0.667, 0.333, 0.   ]])
    """
    rows = np.asarray(logprobs, dtype=np.float64)
    p = check_float("min_p", p)
    if p == 0:
        return normalise(rows)
    threshold = highest(rows) + (np.log(p) - ROUNDING)
    return normalise(np.where(rows >= threshold, rows, -np.inf))


def typical(logprobs: FloatArray, mass: float) -> Rows:
    """Keeps the fewest tokens, nearest to the entropy first, of at least that mass (Meister et al. 2022).

    A token's distance is that of its -log p from H, the entropy of its row.

    >>> import numpy as np
    >>> np.exp(typical(np.log([[0.5, 0.3, 0.2]]), 0.25)).round(3)
    array([[0., 1., 0.]])
    """
    rows = normalise(logprobs)
    mass = check_float("typical_p", mass)
    return _smallest_set(rows, -np.abs(rows + _entropy(rows)), mass)


def epsilon_cutoff(logprobs: FloatArray, epsilon: float) -> Rows:
    """Keeps the tokens at least as likely as epsilon, and the most likely one always (Hewitt et al. 2022); 0 is off.

    >>> import numpy as np
    >>> np.exp(epsilon_cutoff(np.log([[0.5, 0.3, 0.2]]), 0.3)).round(3)
    array([[0.625, 0.375, 0.   ]])
    """
    rows = normalise(logprobs)
    epsilon = check_float("epsilon_cutoff", epsilon)
    return _at_least(rows, np.full((len(rows), 1), np.log(epsilon))) if epsilon else rows


def eta_cutoff(logprobs: FloatArray, epsilon: float) -> Rows:
    """Keeps the tokens at least as likely as eta = min(epsilon, sqrt(epsilon) exp(-H)), H the entropy of the row.

    The most likely token stays always (Hewitt et al. 2022); 0 is off.

    >>> import numpy as np
    >>> np.exp(eta_cutoff(np.log([[0.5, 0.3, 0.2]]), 0.4)).round(3)      # H is 1.03, eta 0.632 * 0.357 = 0.226
    array([[0.625, 0.375, 0.   ]])
    """
    rows = normalise(logprobs)
    epsilon = check_float("eta_cutoff", epsilon)
    if epsilon == 0:
        return rows
    return _at_least(rows, np.minimum(np.log(epsilon), np.log(epsilon) / 2 - _entropy(rows)))


def top_n_sigma(logprobs: FloatArray, n: float) -> Rows:
    """Keeps the tokens whose log-probability is at least the highest less n standard deviations; 0 is off.

    Tang et al. (2024), as in llama.cpp: the deviation is that of the log-probabilities of all tokens still possible,
    divided by their number.

    >>> import numpy as np
    >>> np.exp(top_n_sigma(np.log([[0.64, 0.32, 0.04]]), 1)).round(3)     # the deviation is 1.178
    array([[0.667, 0.333, 0.   ]])
    """
    rows = normalise(logprobs)
    n = check_float("top_n_sigma", n)
    if n == 0:
        return rows
    possible = rows > -np.inf
    count = np.count_nonzero(possible, axis=1)[:, None]
    apart = rows - highest(rows)  # numbers near 0 lose least
    mean = np.where(possible, apart, 0).sum(axis=1, keepdims=True) / count
    with np.errstate(over="ignore"):  # an endless deviation keeps all
        square = np.square(np.where(possible, apart - mean, 0)).sum(axis=1, keepdims=True) / count
        return normalise(np.where(apart >= -n * np.sqrt(square) - ROUNDING, rows, -np.inf))


def tempered(logprobs: FloatArray, temperature: float) -> Rows:
    """apply_temperature() without normalising."""
    rows = np.asarray(logprobs, dtype=np.float64)
    with np.errstate(over="ignore"):  # the best token is at 0 and stays there, the others may reach -inf
        scaled: Rows = (rows - highest(rows)) / temperature
    if temperature < 1:
        scaled[scaled < -LIMIT] = -np.inf  # so that sums over the vocabulary stay finite
    return scaled


def best_columns(key: FloatArray, k: int) -> NDArray[np.int64]:
    """Columns of each row's k highest keys, ascending, lower columns first among equals: (B, V) -> (B, k)."""
    edge = np.partition(key, key.shape[1] - k, axis=1)[:, -k, None]
    above, level = key > edge, key == edge
    room = k - np.count_nonzero(above, axis=1)
    if (np.count_nonzero(level, axis=1) > room).any():
        level &= np.cumsum(level, axis=1) <= room[:, None]
    return np.nonzero(above | level)[1].reshape(key.shape[0], k)


def ranked_columns(key: FloatArray, k: int) -> NDArray[np.int64]:
    """best_columns() in falling order of their keys, lower columns first among equals."""
    columns = best_columns(key, k)
    order = np.argsort(-np.take_along_axis(key, columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1)


def spread(rows: Rows, columns: NDArray[np.int64], width: int) -> Rows:
    """Rows of so many columns with the given ones in their places, all others excluded."""
    out = np.full((rows.shape[0], width), -np.inf)
    np.put_along_axis(out, columns, rows, axis=1)
    return out


def _smallest_set(rows: Rows, key: Rows, mass: float) -> Rows:
    """The fewest tokens, highest key first and then the lowest column, whose mass is reached.

    Sorting a vocabulary costs more than all else. So the keys are counted into steps; the step in which the mass is
    reached, and it alone, is sorted.
    """
    if mass == 1:
        return rows
    probs = probabilities(rows)
    steps = np.minimum((key.max(axis=1, keepdims=True) - key) * _STEPS_A_NAT, _STEPS - 1).astype(np.int64)
    out = np.full_like(rows, -np.inf)
    for row, (own, likely) in enumerate(zip(steps, probs, strict=True)):
        reached = np.cumsum(np.bincount(own, likely, _STEPS))
        goal = _goal(mass) * reached[-1]
        edge = min(int(np.searchsorted(reached, goal)), _STEPS - 1)
        above = own < edge
        level = np.flatnonzero(own == edge)
        level = level[np.argsort(-key[row, level], kind="stable")]
        before = np.cumsum(likely[level]) - likely[level] + (reached[edge - 1] if edge else 0.0)
        above[level[before < goal]] = True
        np.copyto(out[row], rows[row], where=above)
    return normalise(out)


def _goal(mass: float) -> float:
    """What counts as that mass."""
    return mass - ROUNDING * min(mass, 1 - mass)


def _at_least(rows: Rows, levels: Rows) -> Rows:
    """Keeps what reaches its row's level (B, 1), and the highest always."""
    return normalise(np.where(rows >= np.minimum(levels - ROUNDING, highest(rows)), rows, -np.inf))


def _entropy(rows: Rows) -> Rows:
    # Where p is 0, p log p is 0 too, its limit.
    entropy: Rows = -(probabilities(rows) * np.maximum(rows, FLOOR)).sum(axis=1, keepdims=True)
    return entropy
