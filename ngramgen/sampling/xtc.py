"""XTC ("exclude top choices"): now and then leaves out the likeliest tokens, so that others get their turn.

>>> import numpy as np
>>> np.exp(xtc(np.log([[0.5, 0.3, 0.2]]), 0.25, 1.0, np.zeros(1))).round(3)
array([[0. , 0.6, 0.4]])
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ngramgen.sampling.checks import check_float
from ngramgen.sampling.rows import ROUNDING, normalise

if TYPE_CHECKING:
    from ngramgen.model import FloatArray
    from ngramgen.sampling.rows import Rows


def xtc(logprobs: FloatArray, threshold: float, probability: float, chances: FloatArray) -> Rows:
    """In each row whose chance (B,) is below probability, excludes the tokens at least as likely as threshold, but not
    the least likely of them; nothing where fewer than two are so likely.

    The definition is llama.cpp's (p-e-w 2024). Of several that are least likely the lowest id stays.

    >>> import numpy as np
    >>> np.exp(xtc(np.log([[0.5, 0.3, 0.2]]), 0.25, 0.4, np.array([0.5])))
    array([[0.5, 0.3, 0.2]])
    """
    threshold, probability = check_float("xtc_threshold", threshold), check_float("xtc_probability", probability)
    rows = normalise(logprobs)
    chosen = np.flatnonzero(chances < probability)
    if not chosen.size:
        return rows
    some = rows[chosen]
    level = np.log(threshold) - ROUNDING if threshold > 0 else -np.inf
    top = (some >= level) & (some > -np.inf)
    least = np.where(top, some, np.inf)
    top[np.arange(len(some)), np.argmin(least, axis=1)] = False
    rows[chosen] = normalise(np.where(top, -np.inf, some))
    return rows
