"""Bans, by hand and against the plainest search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ngramgen.errors import OptionError
from ngramgen.sampling import ban_sequences, force, no_repeat_ngram, suppress

Rows = NDArray[np.float64]
Filter = Callable[[Any], Rows]


def after(filtered: Filter, *probs: float) -> list[float]:
    """The probabilities after a filter, and the same whether they entered as float32 or float64."""
    with np.errstate(divide="ignore"):
        rows = np.log([probs])
    result = np.exp(filtered(rows))
    np.testing.assert_allclose(np.exp(filtered(rows.astype(np.float32))), result, atol=1e-6)
    return [float(p) for p in result[0]]


def test_suppressed_tokens_share_out_their_mass() -> None:
    """Without 0.2 and 0.3 the rest 0.4, 0.1 is over 0.5."""
    assert after(lambda x: suppress(x, [0, 2]), 0.2, 0.4, 0.3, 0.1) == pytest.approx([0, 0.8, 0, 0.2])


def test_suppression_never_empties_a_row() -> None:
    """A row of suppressed tokens alone keeps them."""
    assert after(lambda x: suppress(x, [0, 1]), 0.5, 0.5, 0.0) == pytest.approx([0.5, 0.5, 0])


def test_suppressing_an_id_outside_is_refused() -> None:
    """The error names the id and the range."""
    with pytest.raises(OptionError, match=r"id -1 .*from 0 to 1"):
        suppress(np.log([[0.5, 0.5]]), [-1])


EVEN = [0.25] * 4


def allowed(filtered: Filter) -> list[int]:
    return np.flatnonzero(after(filtered, *EVEN)).tolist()


@pytest.mark.parametrize(
    ("size", "expected"),
    [(0, [0, 1, 2, 3]), (1, [3]), (2, [0, 1, 3]), (3, [0, 1, 3]), (4, [0, 1, 2, 3]), (10**30, [0, 1, 2, 3])],
)
def test_no_sequence_comes_twice(size: int, expected: list[int]) -> None:
    """After 0 1 2 0 1: alone 0, 1 and 2 were there; behind 1 and behind 0 1 came 2; the three last came once."""
    history = np.array([[0, 1, 2, 0, 1]])
    assert allowed(lambda x: no_repeat_ngram(x, history, size)) == expected


def test_no_repetition_of_what_was_never_there() -> None:
    """An empty text and one shorter than the sequence ban nothing."""
    for length in (0, 1):
        history = np.zeros((1, length), dtype=np.int32)
        assert allowed(lambda x, history=history: no_repeat_ngram(x, history, 2)) == [0, 1, 2, 3]  # type: ignore[misc]


@given(st.lists(st.lists(st.integers(0, 3), min_size=6, max_size=6), min_size=1, max_size=4), st.integers(1, 5))
def test_repetitions_are_those_of_a_plain_search(texts: list[list[int]], size: int) -> None:
    """Exactly the tokens that would end a sequence already there are banned, but all of them never."""
    result = no_repeat_ngram(np.zeros((len(texts), 4)), np.array(texts), size)
    for text, row in zip(texts, result, strict=True):
        there = {tuple(text[i : i + size]) for i in range(len(text) - size + 1)}
        banned = {token for token in range(4) if (*text[len(text) - size + 1 :], token) in there}
        assert set(np.flatnonzero(np.isneginf(row)).tolist()) == (banned if len(banned) < 4 else set())


@pytest.mark.parametrize(
    ("sequences", "expected"),
    [
        ([[3]], [0, 1, 2]),
        ([[1, 2]], [0, 1, 3]),
        ([[0, 2]], [0, 1, 2, 3]),
        ([[0, 1, 2], [0, 1, 3]], [0, 1]),
        ([[0, 1, 2, 0, 1, 0]], [1, 2, 3]),  # all of the text is its beginning
        ([[2, 0, 1, 2, 0, 1, 0]], [0, 1, 2, 3]),  # its beginning is longer than the text
        ([[3], [1, 2], [1, 2]], [0, 1]),
        ([[0], [1], [2], [3]], [0, 1, 2, 3]),  # nothing would be left
    ],
)
def test_a_sequence_is_banned_at_its_last_token(sequences: list[list[int]], expected: list[int]) -> None:
    """After 0 1 2 0 1 a sequence is banned where all its tokens but the last stand at the end."""
    history = np.array([[0, 1, 2, 0, 1]])
    assert allowed(lambda x: ban_sequences(x, history, sequences)) == expected


def test_each_row_has_its_own_bans() -> None:
    """Of two texts only the one that ends with the beginning of a sequence is kept from its end."""
    rows = np.log(np.full((2, 3), 1 / 3))
    history = np.array([[0, 1], [1, 0]])
    expected = [[1 / 2, 1 / 2, 0], [1 / 3, 1 / 3, 1 / 3]]
    np.testing.assert_allclose(np.exp(ban_sequences(rows, history, [[1, 2]])), expected)
    np.testing.assert_allclose(
        np.exp(no_repeat_ngram(rows, np.array([[2, 0, 2], [1, 2, 0]]), 2)), [[0, 0.5, 0.5], [1 / 3] * 3]
    )


def test_a_row_keeps_what_it_cannot_do_without() -> None:
    """Where a ban leaves one row of a batch empty, that row alone keeps its tokens."""
    with np.errstate(divide="ignore"):
        rows = np.log([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]])
    np.testing.assert_allclose(np.exp(suppress(rows, [0, 1])), [[0.5, 0.5, 0], [0, 0, 1]])
    np.testing.assert_allclose(np.exp(no_repeat_ngram(rows, np.array([[0, 1], [0, 1]]), 1)), [[0.5, 0.5, 0], [0, 0, 1]])


def test_a_forced_token_is_certain() -> None:
    """One token has probability 1, even where the model gives it none."""
    assert after(lambda x: force(x, 1), 1.0, 0.0) == [0, 1]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: ban_sequences(x, np.zeros((1, 3), int), [[0, 2]]),
        lambda x: force(x, 2),
        lambda x: suppress(x, [2]),
    ],
)
def test_ids_are_those_of_the_vocabulary(wrong: Filter) -> None:
    """An id outside is refused with the range."""
    with pytest.raises(OptionError, match=r"id 2 .*from 0 to 1"):
        wrong(np.log([[0.5, 0.5]]))


def test_the_size_is_checked() -> None:
    """A filter called alone refuses what the options refuse."""
    with pytest.raises(OptionError, match=r"no_repeat_ngram_size is -1"):
        no_repeat_ngram(np.log([[0.5, 0.5]]), np.zeros((1, 1), int), -1)
