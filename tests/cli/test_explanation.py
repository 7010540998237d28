"""Explanations for people and for programs."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngramgen.cli.explanation import explanation_json, explanation_lines, visible
from ngramgen.sampling.explaining import TokenExplanation

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def explained(probability: float, rank: int = 1, source: str = "") -> TokenExplanation:
    return TokenExplanation(
        index=7, logprob=math.log(probability), rank=rank, kept=40, probability_kept=0.5, source=source
    )


FOX = [explained(0.25, 1, "5-gram"), explained(0.0123456, 1234, "1-gram"), explained(2e-7, 20, "2-gram")]


def test_the_table() -> None:
    """Without color there is the table alone, a token a line, wide and combining characters in line."""
    assert list(explanation_lines([" fox", "狐Ａ", "é\n"], FOX, color=False)) == [
        "token  probability  rank  kept  source",
        " fox      0.250000     1    40  5-gram",
        "狐Ａ      0.012346  1234    40  1-gram",
        "é\\n       2.00e-07    20    40  2-gram",
    ]
    assert list(explanation_lines(["e\u0301", "x"], FOX[:2], color=False))[1:] == [
        "e\u0301         0.250000     1    40  5-gram",
        "x         0.012346  1234    40  1-gram",
    ]


def test_no_source_no_column() -> None:
    """The last column is missing where the model tells no source; with no tokens the head stands alone."""
    assert list(explanation_lines(["fox"], [explained(0.5)], color=False)) == [
        "token  probability  rank  kept",
        "fox       0.500000     1    40",
    ]
    assert list(explanation_lines([], [], color=False)) == ["token  probability  rank  kept"]


def test_colors_tell_ranks() -> None:
    """In color the text comes first, each token in the color that the legend gives its rank, then the same table."""
    ranks = [1, 2, 10, 11, 100, 101, 1000, 1001]
    tokens, ones = [f" w{rank}" for rank in ranks], [explained(0.1, rank) for rank in ranks]
    text, empty, legend, empty_too, *table = explanation_lines(tokens, ones, color=True)
    assert table == list(explanation_lines(tokens, ones, color=False))
    assert (empty, empty_too) == ("", "")
    assert ESCAPE.sub("", text) == "".join(tokens)
    assert ESCAPE.sub("", legend) == "rank 1  to 10  to 100  to 1000  beyond"
    one, ten, hundred, thousand, more = re.findall(r"\x1b\[3\dm", legend)
    assert len({one, ten, hundred, thousand, more}) == 5
    assert re.findall(r"\x1b\[3\dm", text) == [one, ten, ten, hundred, hundred, thousand, thousand, more]


def test_a_separator_joins_the_text() -> None:
    """Tokens that stand for words without spaces are joined with one."""
    text = next(explanation_lines(["a", "rose"], [explained(0.1), explained(0.1)], color=True, separator=" "))
    assert ESCAPE.sub("", text) == "a rose"


@given(st.lists(st.text(), min_size=1, max_size=4), st.booleans())
def test_no_token_reaches_a_terminal_raw(tokens: list[str], color: bool) -> None:
    """Whatever the tokens hold, no character that is not printable is shown, and each token is one line."""
    lines = list(explanation_lines(tokens, [explained(0.5, 3)] * len(tokens), color))
    assert all(ESCAPE.sub("", line).isprintable() for line in lines)
    assert len(lines) == len(tokens) + (5 if color else 1)


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        (" fox", " fox"),
        ("\x1b[2J", r"\x1b[2J"),
        ("\r\n\t\x00\x9b", r"\r\n\t\x00\x9b"),
        ("a\u202eb\u2028", r"a\u202eb\u2028"),
        ("\\n", r"\\n"),
        ("\ud800", r"\ud800"),
        ("😀狐é", "😀狐é"),
    ],
)
def test_escapes(token: str, shown: str) -> None:
    """Control and format characters, surrogates and backslashes are escaped as in Python; the rest stays."""
    assert visible(token) == shown


def test_the_objects() -> None:
    """Each token is an object with exactly the documented keys and its text as it is."""
    (one,) = explanation_json(["a\n"], [explained(0.25, 3, "2-gram")])
    assert json.loads(json.dumps(one)) == {
        "token": "a\n",
        "prob": pytest.approx(0.25),
        "logprob": pytest.approx(math.log(0.25)),
        "rank": 3,
        "kept": 40,
        "prob_kept": 0.5,
        "source": "2-gram",
    }


def test_lengths_must_agree() -> None:
    """Fewer tokens than explanations are a mistake of the caller, not a shorter table."""
    with pytest.raises(ValueError, match="longer than"):
        explanation_json([], [explained(0.5)])


def test_the_parts_of_a_mixture() -> None:
    """What counted and how much; a part that did not is left out."""
    one = TokenExplanation(7, -1.0, 1, 40, 0.5, "3-gram", 0.6, 0.1)
    lines = list(
        explanation_lines([" fox"] * 3, [one, replace(one, cache_weight=0.0), replace(one, neural_weight=0.0)], False)
    )
    assert [line.rpartition("40  ")[2] for line in lines[1:]] == [
        "network 0.60, 3-gram 0.30, text 0.10",
        "network 0.60, 3-gram 0.40",
        "3-gram",
    ]
    [found] = explanation_json([" fox"], [one])
    assert (found["engine"], found["neural_weight"], found["cache_weight"]) == ("mixture", 0.6, 0.1)
