"""Mirostat 2: keeps the surprise of what is drawn near a target, token by token.

Basu et al. (2021), "Mirostat: a neural text decoding algorithm that directly controls perplexity", algorithm 2, as
llama.cpp has it. A token's surprise is -log2 p. Tokens above the highest surprise that is permitted are excluded; after
each draw that bound moves against the error. It begins at twice the target.

>>> bound = 2 * 5.0
>>> bound = next_surprise(bound, observed_bits=3.0, tau=5.0, eta=0.1)
>>> bound
10.2
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from ngramgen.sampling.rows import ROUNDING, normalise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ngramgen.model import FloatArray
    from ngramgen.sampling.rows import Rows

    Bits = TypeVar("Bits", float, NDArray[np.float64])


def mirostat(logprobs: FloatArray, surprise: FloatArray) -> Rows:
    """Excludes the tokens whose -log2 p is above surprise (B,), bits; the likeliest always stays.

    >>> import numpy as np
    >>> np.exp(mirostat(np.log([[0.5, 0.25, 0.25], [0.5, 0.25, 0.25]]), np.array([1.5, 2.0])))
    array([[1.  , 0.  , 0.  ],
           [0.5 , 0.25, 0.25]])
    """
    rows = normalise(logprobs)
    kept = rows >= -math.log(2) * surprise[:, None] - ROUNDING
    kept[np.arange(len(rows)), np.argmax(rows, axis=1)] = True
    return normalise(np.where(kept, rows, -np.inf))


def next_surprise(surprise: Bits, observed_bits: Bits, tau: float, eta: float) -> Bits:
    """The highest surprise permitted next, from that permitted now and that of the token just drawn, all in bits.

    observed_bits is -log2 of the drawn token's probability in the row that mirostat left. tau is the target, eta how
    fast the bound follows.

    >>> next_surprise(10.0, 7.0, tau=5.0, eta=0.1)
    9.8
    """
    return surprise - eta * (observed_bits - tau)
