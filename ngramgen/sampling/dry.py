"""DRY ("don't repeat yourself"): the longer a repetition that a token would continue, the less likely the token.

The definition is llama.cpp's (p-e-w 2024, in Koboldcpp's form). Let n be the most tokens at the end of the text that
also stand, in the same order, somewhere earlier in it, right before a token x. If n is at least allowed_length,
multiplier * base ^ (n - allowed_length) is taken off the log-probability of x. Only the last last_n tokens are looked
at, and no repetition reaches back across a sequence breaker: n counts tokens behind the last breaker alone, and a
breaker itself is never penalised.

>>> import numpy as np
>>> history = np.array([[0, 1, 2, 0, 1]])                # after 0 1 came 2
>>> np.exp(dry(np.log([[0.25, 0.25, 0.5]]), history, np.log(4), allowed_length=2)).round(3)
array([[0.4, 0.4, 0.2]])
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ngramgen.model import EOS
from ngramgen.sampling.checks import check_float, check_int
from ngramgen.sampling.rows import LIMIT, normalise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ngramgen.model import FloatArray, IntArray, Tokenizer
    from ngramgen.sampling.rows import Rows

    AreBreakers: TypeAlias = Callable[[IntArray], NDArray[np.bool_]]

_UNKNOWN, _PLAIN, _BREAKER = range(3)


def no_breakers(ids: IntArray) -> NDArray[np.bool_]:
    """That no token is a sequence breaker, in the shape of ids."""
    return np.zeros(ids.shape, dtype=bool)


def breakers(tokenizer: Tokenizer, strings: Iterable[str]) -> AreBreakers:
    """Tells which of an array of ids are sequence breakers: those whose text contains one of the strings.

    That of ``</s>`` is a line end.
    """
    wanted = tuple(strings)
    kinds = np.full(tokenizer.vocab_size, _UNKNOWN, dtype=np.uint8)  # only tokens that are met are looked at

    def are_breakers(ids: IntArray) -> NDArray[np.bool_]:
        for index in np.unique(ids[kinds[ids] == _UNKNOWN]).tolist():
            text = "\n" if index == EOS else tokenizer.token(index)
            kinds[index] = _BREAKER if any(string in text for string in wanted) else _PLAIN
        found: NDArray[np.bool_] = kinds[ids] == _BREAKER
        return found

    return are_breakers


def dry(
    logprobs: FloatArray,
    history: IntArray,
    multiplier: float,
    *,
    base: float = 1.75,
    allowed_length: int = 2,
    last_n: int = -1,
    are_breakers: AreBreakers = no_breakers,
) -> Rows:
    """Penalises the tokens that would continue a repetition in history (B, T); see the module for the definition.

    >>> import numpy as np
    >>> np.exp(dry(np.log([[0.5, 0.5]]), np.array([[0, 0, 0]]), np.log(3), allowed_length=2)).round(3)
    array([[0.25, 0.75]])
    """
    rows = np.array(logprobs, dtype=np.float64)
    multiplier, base = check_float("dry_multiplier", multiplier), check_float("dry_base", base)
    allowed_length, last_n = check_int("dry_allowed_length", allowed_length), check_int("dry_penalty_last_n", last_n)
    penalise_repetitions(rows, history, multiplier, base, allowed_length, last_n, are_breakers)
    return normalise(rows)


def penalise_repetitions(
    rows: Rows,
    history: IntArray,
    multiplier: float,
    base: float,
    allowed_length: int,
    last_n: int,
    are_breakers: AreBreakers,
) -> None:
    """dry() in place, on rows that need not be normalised."""
    total = history.shape[1]
    window = history[:, total - min(last_n, total) :] if last_n >= 0 else history
    if window.shape[1] <= allowed_length:
        return
    is_breaker = are_breakers(window)
    lengths = _repeated_lengths(window, _behind_last(is_breaker))
    places, columns = np.nonzero((lengths >= allowed_length) & ~is_breaker[:, 1:])
    ids, lengths = window[places, columns + 1], lengths[places, columns]
    with np.errstate(over="ignore"):
        penalties = np.minimum(multiplier * np.float_power(base, lengths - allowed_length), LIMIT)
    longest_last = np.argsort(lengths, kind="stable")  # of several for one token the last assignment stands
    places, ids = places[longest_last], ids[longest_last]
    rows[places, ids] = rows[places, ids] - penalties[longest_last]


def _behind_last(is_breaker: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many tokens stand behind the last breaker of each row, (B,); all where there is none."""
    behind: NDArray[np.int64] = np.argmax(is_breaker[:, ::-1], axis=1)
    behind[~is_breaker.any(axis=1)] = is_breaker.shape[1]
    return behind


def _repeated_lengths(window: IntArray, limits: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many tokens up to each place equal the last ones of the row, at most limits (B,): (B, T) -> (B, T - 1)."""
    last = window.shape[1] - 1
    lengths = np.zeros((len(window), last), dtype=np.int64)
    equal = np.ones_like(lengths, dtype=bool)
    for back in range(min(last, int(limits.max(initial=0)))):
        equal[:, :back] = False
        equal[:, back:] &= window[:, : last - back] == window[:, [last - back]]
        if not equal.any():
            break
        lengths += equal
    return np.minimum(lengths, limits[:, None])
