"""One of some continuations, each as often as the model would say it: an exact draw, with nothing searched.

>>> choose(np.log([0.2, 0.3]), np.array([0.5]))    # 0.2 and 0.3 parts: the middle of all lies in the second
array([1])
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ngramgen.model import BOS, UNK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ngramgen.model import FloatArray, LanguageModel

    Ids = NDArray[np.int32]
    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

_BLOCK = 2**21  # log-probabilities at a time


def log_probabilities(model: LanguageModel, prompt: Ids, ways: Sequence[Sequence[int]]) -> Floats:
    """The natural log-probability of each continuation of a prompt (T,), (N,) float64.

    As the sampler draws: ``<unk>`` and ``<s>`` never come, so that all else is the more likely.

    >>> log_probabilities(model, prompt, [(731, 2), (12, 2)]).shape    # doctest: +SKIP
    (2,)
    """
    state = model.start(1)
    if len(prompt):
        state = model.advance(state, prompt[None, :])
    totals = np.zeros(len(ways))
    some = max(1, _BLOCK // model.vocab_size)
    for length in range(max(map(len, ways), default=0)):
        begun: dict[tuple[int, ...], list[int]] = {}
        for number, way in enumerate(ways):
            if len(way) > length:
                begun.setdefault(tuple(way[:length]), []).append(number)
        beginnings = list(begun)
        for first in range(0, len(beginnings), some):
            part = beginnings[first : first + some]
            here = state.select(np.zeros(len(part), np.int64))
            if length:
                here = model.advance(here, np.array(part, np.int32))
            for row, ids in zip(without_specials(model.logprobs(here)), part, strict=True):
                numbers = begun[ids]
                totals[numbers] += row[[ways[number][length] for number in numbers]]
    return totals


def without_specials(logprobs: FloatArray) -> Floats:
    """Rows of natural log-probabilities (B, V) with ``<unk>`` and ``<s>`` impossible, float64, normalised again.

    >>> np.exp(without_specials(np.log([[0.25, 0.25, 0.25, 0.25]]))).tolist()
    [[0.0, 0.0, 0.5, 0.5]]
    """
    rows = np.array(logprobs, np.float64)
    never = np.exp(rows[:, UNK]) + np.exp(rows[:, BOS])
    rows -= np.log1p(-np.minimum(never, 1 - 2**-53))[:, None]
    rows[:, [UNK, BOS]] = -np.inf
    return rows


def choose(scores: Floats, numbers: Floats) -> Ints:
    """The places at which the running sum of the weights passes numbers in [0, 1), (Q,); the weights' logarithms (N,).

    At least one of them is finite.

    >>> choose(np.log([0.2, 0.3]), np.array([0.1, 0.9])).tolist()
    [0, 1]
    """
    return passed(np.cumsum(np.exp(scores - scores.max())), numbers)


def passed(sums: Floats, numbers: Floats) -> Ints:
    """The places at which running sums (N,) pass so many parts of their last, numbers in [0, 1), (Q,) int64.

    >>> passed(np.array([0.2, 0.5]), np.array([0.1, 0.9])).tolist()
    [0, 1]
    """
    found: Ints = np.searchsorted(sums, numbers * sums[-1], side="right")
    return np.minimum(found, int(np.searchsorted(sums, sums[-1])))  # a product rounded up to the sum
