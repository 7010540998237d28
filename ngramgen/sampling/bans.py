"""Bans: tokens that may not come next, always or after what is there.

Each ban is a filter, which gives new and normalised rows, and is made of pieces that work in place. A row that would be
left without a token keeps those that the ban would take: then the model has nothing else to say.

>>> import numpy as np
>>> np.exp(suppress(np.log([[0.5, 0.25, 0.25]]), [0]))
array([[0. , 0.5, 0.5]])
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ngramgen.errors import OptionError
from ngramgen.sampling.checks import check_int
from ngramgen.sampling.rows import normalise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ngramgen.model import FloatArray, IntArray
    from ngramgen.sampling.rows import Rows

    Ids: TypeAlias = NDArray[np.int64]
    Endings: TypeAlias = tuple[tuple[NDArray[np.integer[Any]], Ids], ...]


def suppress(logprobs: FloatArray, ids: Sequence[int] | IntArray) -> Rows:
    """Excludes the tokens ids; a row that would be left empty keeps them.

    Raises OptionError for an id that is not in the vocabulary.

    >>> import numpy as np
    >>> np.exp(suppress(np.log([[0.5, 0.25, 0.25]]), [0]))
    array([[0. , 0.5, 0.5]])
    """
    check_vocabulary(ids, logprobs.shape[1])
    rows = np.array(logprobs, dtype=np.float64)
    exclude(rows, (slice(None), np.asarray(ids, dtype=np.int64)))
    return normalise(rows)


def no_repeat_ngram(logprobs: FloatArray, history: IntArray, size: int) -> Rows:
    """Excludes every token that would end a sequence of size tokens that is already in history (B, T).

    Paulus et al. (2017), as in Hugging Face; size 1 excludes every token of history, 0 none.

    >>> import numpy as np
    >>> np.exp(no_repeat_ngram(np.log([[0.5, 0.25, 0.25]]), np.array([[1, 0, 1]]), 2))
    array([[0. , 0.5, 0.5]])
    """
    rows = np.array(logprobs, dtype=np.float64)
    exclude(rows, repeated_endings(history, check_int("no_repeat_ngram_size", size)))
    return normalise(rows)


def ban_sequences(logprobs: FloatArray, history: IntArray, sequences: Iterable[Sequence[int]]) -> Rows:
    """Excludes every token that would complete one of the sequences of ids at the end of history (B, T).

    Hugging Face's bad words: a sequence of one token is excluded always, a longer one where all its other tokens stand
    at the end. Raises OptionError for an id that is not in the vocabulary.

    >>> import numpy as np
    >>> np.exp(ban_sequences(np.log([[0.5, 0.25, 0.25]]), np.array([[1, 0]]), [(0, 1), (1, 2)])).round(3)
    array([[0.667, 0.   , 0.333]])
    """
    rows = np.array(logprobs, dtype=np.float64)
    banned = [tuple(ids) for ids in sequences]
    check_vocabulary([i for ids in banned for i in ids], rows.shape[1])
    exclude(rows, completions(history, endings(banned)))
    return normalise(rows)


def force(logprobs: FloatArray, index: int) -> Rows:
    """Excludes every token but one, which becomes certain. Raises OptionError for an id not in the vocabulary.

    >>> import numpy as np
    >>> np.exp(force(np.log([[0.5, 0.25, 0.25]]), 2))
    array([[0., 0., 1.]])
    """
    check_vocabulary([index], logprobs.shape[1])
    rows = np.empty(logprobs.shape)
    leave_only(rows, index)
    return rows


def check_vocabulary(ids: Iterable[int] | IntArray, size: int) -> None:
    """OptionError naming the first id that a vocabulary of so many tokens does not hold."""
    wrong = next((int(i) for i in ids if not 0 <= i < size), None)
    if wrong is not None:
        raise OptionError(f"Token id {wrong} is not in the vocabulary: the ids go from 0 to {size - 1}.")


def exclude(rows: Rows, where: Any) -> None:
    """Sets rows[where] to -inf in place, but in no row that this would leave empty."""
    taken = rows[where]
    rows[where] = -np.inf
    empty = np.isneginf(rows.max(axis=1))
    if empty.any():
        before = rows.copy()
        before[where] = taken
        rows[empty] = before[empty]


def leave_only(rows: Rows, index: int) -> None:
    """force() in place."""
    rows[:] = -np.inf
    rows[:, index] = 0


def repeated_endings(history: IntArray, size: int) -> tuple[Ids, Ids]:
    """Row and id of every token that stands in history (B, T) behind the size - 1 tokens that it ends with."""
    count = history.shape[1] - size + 1  # so many sequences of that size are there
    if size == 0 or count <= 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    same = np.ones((len(history), count), dtype=bool)
    for place in range(size - 1):
        same &= history[:, place : place + count] == history[:, [count + place]]
    rows, places = np.nonzero(same)
    return rows, history[rows, places + size - 1].astype(np.int64)


def endings(sequences: Iterable[Sequence[int]]) -> Endings:
    """The sequences by length: for each length their beginnings (S, n - 1) and their last ids (S,)."""
    by_length: dict[int, list[Sequence[int]]] = {}
    for ids in dict.fromkeys(map(tuple, sequences)):
        by_length.setdefault(len(ids), []).append(ids)
    arrays = [np.array(some, dtype=np.int64) for _, some in sorted(by_length.items())]
    return tuple((some[:, :-1], some[:, -1]) for some in arrays)


def completions(history: IntArray, banned: Endings) -> tuple[Ids, Ids]:
    """Row and id of every token that completes one of the sequences at the end of history (B, T)."""
    rows, ids = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for beginnings, lasts in banned:
        size = beginnings.shape[1]
        if size > history.shape[1]:
            continue
        tail = history[:, history.shape[1] - size :]
        where, which = np.nonzero((tail[:, None, :] == beginnings).all(axis=2))
        rows.append(where)
        ids.append(lasts[which])
    return np.concatenate(rows), np.concatenate(ids)
