"""From a row of log-probabilities and one uniform number to a token.

>>> import numpy as np
>>> draw(np.log([[0.5, 0.25, 0.25]]), np.array([0.6]))
array([1])
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ngramgen.errors import OptionError
from ngramgen.sampling.rows import probabilities

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ngramgen.model import FloatArray


def draw(logprobs: FloatArray, uniforms: FloatArray) -> NDArray[np.int64]:
    """The token at which the cumulative probability passes each row's uniform: (B, V), (B,) -> (B,) int64.

    The inverse of the distribution function, summed in float64 in the order of the ids, so that a row
    gives the same token alone as in a batch. A token at -inf is never drawn. Raises OptionError for a row
    with no token to draw.

    >>> import numpy as np
    >>> draw(np.log([[0.5, 0.5]]), np.array([0.5]))
    array([1])
    """
    return draw_weighted(probabilities(logprobs), uniforms)


def draw_weighted(weights: FloatArray, uniforms: FloatArray) -> NDArray[np.int64]:
    """draw() of weights (B, V), 0 for a token that cannot be drawn, which need not sum to 1.

    >>> import numpy as np
    >>> draw_weighted(np.array([[1.0, 0.0, 3.0]]), np.array([0.25]))
    array([2])
    """
    cumulative = np.cumsum(weights, axis=1, dtype=np.float64)
    total = cumulative[:, -1]
    if not (total > 0).all() or not np.isfinite(total).all():
        row = int(np.argmin(np.isfinite(total) & (total > 0)))
        raise OptionError(f"Row {row} of the log-probabilities holds no token to draw: give finite, normalised rows.")
    passed: NDArray[np.int64] = np.count_nonzero(cumulative <= (uniforms * total)[:, None], axis=1)
    if (passed < cumulative.shape[1]).all():
        return passed
    # A uniform of 1 or a product rounded up to the total: the last token that adds to the sum.
    last: NDArray[np.int64] = np.argmax(cumulative == total[:, None], axis=1)
    return np.minimum(passed, last)


def greedy(logprobs: FloatArray) -> NDArray[np.int64]:
    """The most likely token of each row, the lowest id among equals: (B, V) -> (B,) int64.

    >>> import numpy as np
    >>> greedy(np.log([[0.25, 0.375, 0.375]]))
    array([1])
    """
    best: NDArray[np.int64] = np.argmax(logprobs, axis=1)
    return best
