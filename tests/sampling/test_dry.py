"""DRY, by hand and against its definition."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ngramgen.errors import OptionError
from ngramgen.model import EOS
from ngramgen.sampling import dry
from ngramgen.sampling.dry import breakers

A, B, C, Y = range(4)
TEXT = [A, B, C, C, B, C, Y, A, B, C]


def factors(text: list[int], **options: Any) -> list[float]:
    """By what the weight of each token is divided: multiplier log 2 and base 2 make it powers of two."""
    rows = np.zeros((1, 5))  # the fifth token is in no text
    row = dry(rows, np.array([text], dtype=np.int32), math.log(2), **{"base": 2} | options)[0]
    return np.exp(row[4] - row[:4]).round(6).tolist()


def is_one_of(*ids: int) -> Callable[[NDArray[Any]], NDArray[np.bool_]]:
    return lambda tokens: np.isin(tokens, ids)


def test_the_longest_repetition_that_a_token_continues_counts() -> None:
    """llama.cpp's own example, a b c c b c y a b c: c would continue three tokens, y two, b one, a none."""
    # With multiplier log 2, base 2 and allowed length 1: 2 ** (2 ** (n - 1)), so 2 ** 4, 2 ** 2 and 2 ** 1.
    assert factors(TEXT, allowed_length=1) == [1, 2, 16, 4]


@pytest.mark.parametrize(
    ("allowed_length", "expected"),
    [(2, [1, 1, 4, 2]), (3, [1, 1, 2, 1]), (4, [1, 1, 1, 1]), (10, [1, 1, 1, 1]), (0, [2, 4, 256, 16])],
)
def test_short_repetitions_are_allowed(allowed_length: int, expected: list[float]) -> None:
    """The exponent is n less the allowed length; at 0 a token that was only there (a, n = 0) pays the multiplier."""
    assert factors(TEXT, allowed_length=allowed_length) == expected


@pytest.mark.parametrize(
    ("last_n", "expected"),
    [(-1, [1, 2, 16, 4]), (100, [1, 2, 16, 4]), (9, [1, 2, 4, 4]), (6, [1, 1, 1, 4]), (5, [1, 1, 1, 2]), (0, [1] * 4)],
)
def test_only_the_last_tokens_are_looked_at(last_n: int, expected: list[float]) -> None:
    """Without the first a, c continues b c; of the last six, b c y a b c, y continues b c, and of five only c."""
    assert factors(TEXT, allowed_length=1, last_n=last_n) == expected


def test_no_repetition_reaches_across_a_breaker() -> None:
    """Where b breaks, only the last c can be repeated, after which came c and y; b itself is never penalised."""
    assert factors(TEXT, allowed_length=1, are_breakers=is_one_of(B)) == [1, 1, 2, 2]


def test_a_breaker_at_the_end_ends_all() -> None:
    """Where c breaks, nothing stands behind the last breaker."""
    assert factors(TEXT, allowed_length=1, are_breakers=is_one_of(C)) == [1, 1, 1, 1]


def test_a_run_of_one_token_repeats_itself() -> None:
    """Of a a a the last two stand earlier before an a: n = 2."""
    assert factors([A, A, A], allowed_length=2) == [2, 1, 1, 1]


@pytest.mark.parametrize("text", [[], [A], [A, B]])
def test_short_texts_have_no_repetition(text: list[int]) -> None:
    """Nothing that comes once is penalised."""
    assert factors(text, allowed_length=1) == [1, 1, 1, 1]


def test_an_endless_penalty_leaves_a_row() -> None:
    """1e308 ** 9 is beyond float64; the token stays possible and the row whole."""
    row = dry(np.zeros((1, 1)), np.array([[A] * 12]), 1e308, base=1e308)
    assert row.tolist() == [[0]]


@given(
    st.integers(0, 12).flatmap(
        lambda length: st.lists(st.lists(st.integers(0, 2), min_size=length, max_size=length), min_size=1, max_size=3)
    ),
    st.integers(0, 3),
    st.integers(-1, 9),
    st.booleans(),
)
def test_penalties_follow_the_definition(texts: list[list[int]], allowed: int, last_n: int, breaks: bool) -> None:
    """Every row agrees with the definition spelt out over all places of the text."""
    rows = np.log(np.random.default_rng(1).dirichlet(np.ones(4), size=len(texts)))
    result = dry(
        rows,
        np.array(texts, dtype=np.int32).reshape(len(texts), -1),
        0.8,
        base=1.5,
        allowed_length=allowed,
        last_n=last_n,
        are_breakers=is_one_of(*[2] * breaks),
    )
    for text, before, after in zip(texts, rows, result, strict=True):
        expected = before.copy()
        for token, length in longest(
            text if last_n < 0 else text[len(text) - min(last_n, len(text)) :], breaks
        ).items():
            if length >= allowed:
                expected[token] -= 0.8 * 1.5 ** (length - allowed)
        expected -= np.log(np.exp(expected).sum())
        np.testing.assert_allclose(after, expected)


def longest(text: list[int], breaks: bool) -> dict[int, int]:
    """For each token of the text but the first, and no breaker (2), how many of the last tokens stand before it."""
    found: dict[int, int] = {}
    free = len(text) if not (breaks and 2 in text) else text[::-1].index(2)
    for place in range(1, len(text)):
        length = 0
        while length < min(place, free) and text[place - 1 - length] == text[-1 - length]:
            length += 1
        if not (breaks and text[place] == 2):
            found[text[place]] = max(found.get(text[place], 0), length)
    return found


def test_breakers_are_tokens_that_contain_one(toy: Any) -> None:
    """A token is a breaker where one of the strings is in its text, in any shape of array."""
    tokenizer = toy([b"a", b" \n", b'x"', b"b"]).tokenizer
    are_breakers = breakers(tokenizer, ["\n", '"'])
    for _ in range(2):  # asked again, the answer is known
        assert are_breakers(np.array([[3, 4], [5, 6]])).tolist() == [[False, True], [True, False]]
    assert not breakers(tokenizer, [])(np.array([[3, 4]])).any()


def test_the_end_of_a_line_breaks(toy: Any) -> None:
    """As a newline does, whatever the tokenizer calls it."""
    tokenizer = toy([b"a", b"b"]).tokenizer
    assert breakers(tokenizer, ["\n"])(np.array([EOS, 3])).tolist() == [True, False]
    assert not breakers(tokenizer, ['"'])(np.array([EOS])).any()


def test_dry_checks_its_arguments() -> None:
    """A filter called alone refuses what the options refuse."""
    for wrong in ({"base": 0.5}, {"allowed_length": -1}, {"last_n": -2}):
        with pytest.raises(OptionError, match=r"^dry_\w+ is .* but must be"):
            factors(TEXT, **wrong)
