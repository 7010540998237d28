"""What a text must be: the values, and the judge of texts."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngramgen.errors import OptionError
from ngramgen.sampling.constraints import Constraints


@pytest.mark.parametrize(
    ("wanted", "right", "wrong"),
    [
        ({"starts_with": "The king"}, ["The king slept", "The king's son", "  The king "], ["The kingdom", "the king"]),
        ({"ends_with": "king"}, ["the king", "king "], ["the viking", "king."]),
        ({"ends_with": "gold."}, ["of gold."], ["marigold."]),
        ({"contains": "king"}, ["a king, he"], ["kings", ""]),
        ({"contains": ("old king", "king")}, ["the old king"], ["the king"]),
        ({"contains": ("a", "b"), "in_order": True}, ["a b", "b a b"], ["b a"]),
        ({"contains": ("a", "a"), "in_order": True}, ["a a"], ["a b"]),
        ({"contains": ("a b", "b c"), "in_order": True}, ["a b b c"], ["a b c"]),
        ({"contains": ("a", "a")}, ["a b"], ["b"]),
        ({"min_words": 2, "max_words": 3}, ["a b", " a  b c "], ["a", "a b c d"]),
        ({"min_chars": 2, "max_chars": 3}, ["ab", " 王王王 "], ["a", "abcd"]),
        ({"sentences": 2}, ["A. B."], ["A.", "A. B. c", "A. B. C."]),
        ({"regex": "a+b?"}, ["aa", " ab"], ["b", "abb"]),
        ({"regex": ""}, ["", " "], ["a"]),
        ({"choices": ("a b", "c")}, ["c", " a b "], ["a", "a  b"]),
        ({"template": "{1 word} b"}, ["a b"], ["a a b"]),
    ],
)
def test_judge(wanted: dict[str, Any], right: list[str], wrong: list[str]) -> None:
    """A text is refused, and a reason given, where it is not as asked; white space at its ends does not count."""
    constraints = Constraints(**wanted)
    assert [text for text in right if constraints.refusal_of(text) is not None] == []
    assert [text for text in wrong if constraints.refusal_of(text) is None] == []
    assert all(str(constraints.refusal_of(text)).startswith("it ") for text in wrong)


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ({"contains": ""}, "empty text"),
        ({"contains": 5}, "text of one line"),
        ({"starts_with": "a\nb"}, "text of one line"),
        ({"ends_with": None}, "text of one line"),
        ({"choices": ["a", 3]}, "text of one line"),
        ({"contains": "a\ud800"}, "halves of characters"),
        ({"in_order": 1}, "True or False"),
        ({"max_words": 0}, "max_words is 0"),
        ({"max_words": True}, "max_words is True"),
        ({"min_chars": -1}, "min_chars is -1"),
        ({"sentences": 1.5}, "sentences is 1.5"),
        ({"max_chars": 10**5000}, "too long to print"),
        ({"min_words": 3, "max_words": 2}, "more than max_words"),
        ({"regex": "(a"}, "no regular expression"),
        ({"regex": "(?=a)a"}, "look-ahead"),
        ({"regex": r"[^\s\S]"}, "matches no text"),
        ({"regex": "", "choices": "a"}, "both give the form"),
        ({"regex": "a", "template": "{words}"}, "both give the form"),
        ({"template": "{words}", "contains": "a"}, "does not go with a template"),
        ({"template": "{x}"}, "a hole is like"),
    ],
)
def test_values_out_of_range(wanted: dict[str, Any], why: str) -> None:
    """A value that means nothing is refused at once, in a sentence that names it."""
    with pytest.raises(OptionError, match=why):
        Constraints(**wanted)


def test_values_are_cast() -> None:
    """One string stands for a list of one, lists become tuples, and spaces around texts go."""
    constraints = Constraints(contains=[" a ", "b", "a"], choices="c", min_words=0)  # type: ignore[arg-type]
    assert (constraints.contains, constraints.choices) == (("a", "b"), ("c",))
    assert Constraints().is_empty
    assert Constraints(in_order=True).is_empty
    assert not Constraints(regex="").is_empty
    assert hash(constraints) == hash(Constraints(contains=("a", "b"), choices=("c",)))


def test_patterns_that_are_slow_elsewhere() -> None:
    """A pattern for which `re` would try every way to cut a text is judged at once."""
    assert Constraints(regex=r"(\w+\s?)*\.").refusal_of("a king " * 50) is not None


@given(st.text("ab ", max_size=8), st.sampled_from(["a*b", "(a|b )+", "[^a]*", "a.b", "b?( a)*"]))
def test_regex_is_that_of_re(text: str, regex: str) -> None:
    """A pattern matches what `re` says that it matches from beginning to end."""
    matches = re.fullmatch(regex, text.strip()) is not None
    assert (Constraints(regex=regex).refusal_of(text) is None) == matches
