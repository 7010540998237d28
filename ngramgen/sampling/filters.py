"""Filters: plain functions from log-probabilities (B, V) to log-probabilities (B, V).

Each takes natural logarithms (float32 or float64; -inf is an excluded token) and gives float64 rows whose
probabilities sum to 1, with at least one token left. The definitions are those of Hugging Face's logits
processors; where two tokens tie, the lower id is kept. A threshold that is met up to rounding counts as met.

>>> import numpy as np
>>> np.exp(top_k(np.log([[0.5, 0.3, 0.2]]), 2)).round(3)
array([[0.625, 0.375, 0.   ]])
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ngramgen.errors import OptionError
from ngramgen.model import BOS, EOS, UNK
from ngramgen.sampling.options import SamplingOptions, check_float, check_int
from ngramgen.sampling.rows import FLOOR, highest, normalise, probabilities

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ngramgen.model import FloatArray, IntArray
    from ngramgen.sampling.moment import Moment
    from ngramgen.sampling.rows import Rows

    Filter: TypeAlias = Callable[[FloatArray, Moment], Rows]

_ROUNDING = 1e-6  # what float32 logarithms may add up to
_LOWEST = -1e300  # stands for a product beyond float64, so that a token stays possible
_FIRST_WIDTH, _WIDER = 256, 16  # most nuclei are small: look there before sorting the vocabulary


def suppress(logprobs: FloatArray, ids: Sequence[int] | IntArray) -> Rows:
    """Excludes the tokens ids; a row that would be left empty keeps them.

    >>> import numpy as np
    >>> np.exp(suppress(np.log([[0.5, 0.25, 0.25]]), [0]))
    array([[0. , 0.5, 0.5]])
    """
    wrong = [int(i) for i in ids if not 0 <= i < logprobs.shape[1]]
    if wrong:
        raise OptionError(f"Token id {wrong[0]} cannot be suppressed: the ids go from 0 to {logprobs.shape[1] - 1}.")
    return normalise(_without(logprobs, ids))


def repetition_penalty(logprobs: FloatArray, history: IntArray, penalty: float) -> Rows:
    """Multiplies the log-probability of every token in history (B, T) by penalty, once however often it occurs.

    Keskar et al. (2019), CTRL, as in Hugging Face: a score above 0 is divided, one below multiplied, and
    log-probabilities are never above 0. A penalty above 1 makes repetition rarer, one below more frequent.

    >>> import numpy as np
    >>> np.exp(repetition_penalty(np.log([[0.5, 0.5]]), np.array([[0]]), 2.0)).round(3)
    array([[0.333, 0.667]])
    """
    penalty = check_float("repetition_penalty", penalty)
    rows = np.array(logprobs, dtype=np.float64)
    if history.shape[1]:
        ids = history.astype(np.int64, copy=False)
        seen = np.take_along_axis(rows, ids, axis=1)
        with np.errstate(over="ignore"):
            penalised = np.where(seen > 0, seen / penalty, np.maximum(seen * penalty, _LOWEST))
        np.put_along_axis(rows, ids, np.where(np.isneginf(seen), seen, penalised), axis=1)
    return normalise(rows)


def apply_temperature(logprobs: FloatArray, temperature: float) -> Rows:
    """Divides by the temperature: above 1 flattens, below 1 sharpens. Raises OptionError at 0, which is greedy.

    >>> import numpy as np
    >>> np.exp(apply_temperature(np.log([[0.8, 0.2]]), 0.5)).round(3)
    array([[0.941, 0.059]])
    """
    if check_float("temperature", temperature) == 0:
        raise OptionError("temperature is 0, which means greedy: take the most likely token instead of this filter.")
    return normalise(_tempered(logprobs, temperature))


def top_k(logprobs: FloatArray, k: int) -> Rows:
    """Keeps exactly the k most likely tokens (Fan et al. 2018); 0 or more than V keeps all.

    >>> import numpy as np
    >>> np.exp(top_k(np.log([[0.25, 0.5, 0.25]]), 2)).round(3)
    array([[0.333, 0.667, 0.   ]])
    """
    return _on_best(logprobs, check_int("top_k", k), ())


def top_p(logprobs: FloatArray, p: float) -> Rows:
    """Keeps the fewest tokens, most likely first, whose mass is at least p (Holtzman et al. 2020).

    >>> import numpy as np
    >>> np.exp(top_p(np.log([[0.5, 0.3, 0.2]]), 0.6)).round(3)
    array([[0.625, 0.375, 0.   ]])
    """
    rows = normalise(logprobs)
    return _smallest_set(rows, rows, check_float("top_p", p))


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
    threshold = highest(rows) + (np.log(p) - _ROUNDING)
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
    # Where p is 0, p log p is 0 too, its limit.
    entropy = -(probabilities(rows) * np.maximum(rows, FLOOR)).sum(axis=1, keepdims=True)
    return _smallest_set(rows, -np.abs(rows + entropy), mass)


def build_filters(options: SamplingOptions) -> Filter:
    """Composes the filters of options once: filters(logprobs (B, V), moment) -> (B, V) float64.

    The order: suppressed tokens (``<unk>``, ``<s>``, and ``</s>`` while step < min_new_tokens), repetition
    penalty over history (prompt and continuation), temperature, top_k, top_p, min_p, typical. Greedy options
    stop after the penalty, since the most likely token is not changed by what follows.
    A row in which only suppressed tokens are possible keeps them: then the model has nothing else to say.

    >>> import numpy as np
    >>> from ngramgen.sampling import Moment
    >>> filters = build_filters(SamplingOptions(top_k=1))
    >>> np.exp(filters(np.log([[0.1, 0.2, 0.3, 0.4]]), Moment.first()))
    array([[0., 0., 0., 1.]])
    """
    after_top_k = _after_top_k(options)
    penalty, temperature = options.repetition_penalty, options.temperature

    def filters(logprobs: FloatArray, moment: Moment) -> Rows:
        rows = _without(logprobs, (UNK, BOS))
        if moment.step < options.min_new_tokens:
            rows = _without(rows, (EOS,))
        if penalty != 1:
            rows = repetition_penalty(normalise(rows), moment.history, penalty)
        if options.is_greedy:
            return normalise(rows)
        if temperature != 1:
            rows = _tempered(rows, temperature)
        return _on_best(rows, options.top_k, after_top_k)

    return filters


def _after_top_k(options: SamplingOptions) -> tuple[Callable[[FloatArray], Rows], ...]:
    steps: list[Callable[[FloatArray], Rows]] = []
    if options.top_p < 1:
        steps.append(partial(top_p, p=options.top_p))
    if options.min_p > 0:
        steps.append(partial(min_p, p=options.min_p))
    if options.typical_p < 1:
        steps.append(partial(typical, mass=options.typical_p))
    return tuple(steps)


def _without(logprobs: FloatArray, ids: Sequence[int] | IntArray) -> Rows:
    rows = np.array(logprobs, dtype=np.float64)
    rows[:, np.asarray(ids, dtype=np.int64)] = -np.inf
    empty = np.isneginf(rows.max(axis=1))
    rows[empty] = logprobs[empty]
    return rows


def _tempered(logprobs: FloatArray, temperature: float) -> Rows:
    rows = np.asarray(logprobs, dtype=np.float64)
    with np.errstate(over="ignore"):  # the best token is at 0 and stays there, the others may reach -inf
        return (rows - highest(rows)) / temperature


def _on_best(logprobs: FloatArray, k: int, steps: Sequence[Callable[[FloatArray], Rows]]) -> Rows:
    """Top-k, and then the steps on the kept tokens alone: none of them asks which token is which."""
    width = logprobs.shape[1]
    if not 0 < k < width:
        return _in_turn(normalise(logprobs), steps)
    highest(logprobs)  # NaN would break the choice of columns
    columns = _best_columns(logprobs, k)
    return _spread(_in_turn(normalise(np.take_along_axis(logprobs, columns, axis=1)), steps), columns, width)


def _in_turn(rows: Rows, steps: Sequence[Callable[[FloatArray], Rows]]) -> Rows:
    for step in steps:
        rows = step(rows)
    return rows


def _smallest_set(rows: Rows, key: Rows, mass: float) -> Rows:
    """The fewest tokens, highest key first, whose mass is reached; each row finds its own width."""
    if mass == 1:
        return rows
    goal = mass - _ROUNDING * min(mass, 1 - mass)
    out = np.empty_like(rows)
    open_rows, width = np.arange(rows.shape[0]), _FIRST_WIDTH
    while open_rows.size:
        some, some_key = rows[open_rows], key[open_rows]
        if width >= rows.shape[1]:
            out[open_rows] = _cut(some, some_key, goal)
            break
        columns = _best_columns(some_key, width)
        some, some_key = np.take_along_axis(some, columns, 1), np.take_along_axis(some_key, columns, 1)
        full = probabilities(some).sum(axis=1) >= mass
        out[open_rows[full]] = _spread(_cut(some[full], some_key[full], goal), columns[full], rows.shape[1])
        open_rows, width = open_rows[~full], width * _WIDER
    return out


def _cut(rows: Rows, key: Rows, goal: float) -> Rows:
    """Keeps tokens while those before them fall short of the goal, by key and then by column."""
    order = np.argsort(-key, axis=1)  # not stable, which is five times faster: ties are settled below
    reached = np.cumsum(probabilities(np.take_along_axis(rows, order, axis=1)), axis=1)
    last = np.minimum(np.count_nonzero(reached < goal, axis=1), rows.shape[1] - 1)[:, None]
    edge = np.take_along_axis(key, np.take_along_axis(order, last, axis=1), axis=1)
    above, level = key > edge, key == edge
    ahead = np.count_nonzero(above, axis=1)[:, None]
    mass_above = np.where(ahead > 0, np.take_along_axis(reached, np.maximum(ahead - 1, 0), axis=1), 0.0)
    at_edge = probabilities(rows) * level
    level &= mass_above + (np.cumsum(at_edge, axis=1) - at_edge) < goal
    return normalise(np.where(above | level, rows, -np.inf))


def _best_columns(key: FloatArray, k: int) -> NDArray[np.int64]:
    """Columns of each row's k highest keys, ascending, lower columns first among equals: (B, V) -> (B, k)."""
    edge = np.partition(key, key.shape[1] - k, axis=1)[:, -k, None]
    above, level = key > edge, key == edge
    room = k - np.count_nonzero(above, axis=1)
    if (np.count_nonzero(level, axis=1) > room).any():
        level &= np.cumsum(level, axis=1) <= room[:, None]
    return np.nonzero(above | level)[1].reshape(key.shape[0], k)


def _spread(rows: Rows, columns: NDArray[np.int64], width: int) -> Rows:
    out = np.full((rows.shape[0], width), -np.inf)
    np.put_along_axis(out, columns, rows, axis=1)
    return out
