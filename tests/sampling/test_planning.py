"""Constraints as plans."""

from __future__ import annotations

from typing import Any

import pytest

from ngramgen.errors import ConstraintError
from ngramgen.sampling.constraints import Constraints
from ngramgen.sampling.forbidden import Forbidden
from ngramgen.sampling.goals import Goal, Least, Plan, check_room, least_of
from ngramgen.sampling.options import SamplingOptions
from ngramgen.sampling.planning import plan
from ngramgen.sampling.spelling import Spelling
from ngramgen.text.tokenizers import Tokenizer
from ngramgen.text.vocabulary import Vocabulary

SPACED = Tokenizer("whitespace", Vocabulary.from_tokens([b"a", b"b", b"c", b"d."]))
CHARS = Tokenizer("char", Vocabulary.from_tokens([b"a", b"b", b"c", b" "]))


def planned(tokenizer: Tokenizer = SPACED, options: SamplingOptions | None = None, **wanted: Any) -> Plan:
    forbidden = Forbidden.of(options or SamplingOptions(), tokenizer)
    return plan(Constraints(**wanted), tokenizer, Spelling.of(tokenizer), forbidden)


def shape(found: Plan) -> tuple[Any, ...]:
    """The texts of a plan's goals."""
    names = [[goal.text for goal in phase] for phase in found.phases]
    return found.opening and found.opening.text, names, found.ending.text


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"contains": ("a", "b")}, (None, [["a", "b"]], "")),
        ({"contains": ("a", "b"), "in_order": True}, (None, [["a"], ["b"]], "")),
        ({"contains": ("a b", "b", "c")}, (None, [["a b", "c"]], "")),  # b is said with a b
        ({"contains": ("a", "c"), "starts_with": "b a"}, ("b a", [["c"]], "")),
        ({"contains": "a", "starts_with": "a"}, ("a", [], "")),
        ({"contains": ("a", "c"), "ends_with": "c d."}, (None, [["a"]], "c d.")),
        ({"contains": (*"abc",), "in_order": True, "starts_with": "a a", "ends_with": "c"}, ("a a", [["b"]], "c")),
        ({"contains": ("b", "a"), "in_order": True, "starts_with": "a b"}, ("a b", [["a"]], "")),
        ({"contains": ("a", "a"), "in_order": True, "ends_with": "a"}, (None, [["a"]], "a")),
        ({"template": "a {words} b {words}"}, ("a", [["b"]], "")),
        ({"template": "{words} b"}, (None, [], "b")),
        ({"min_words": 3}, (None, [], "")),
    ],
)  # fmt: skip
def test_goals(wanted: dict[str, Any], expected: tuple[Any, ...]) -> None:
    """What is asked comes as goals, each once: what the beginning, the end or another goal says is not asked again."""
    assert shape(planned(**wanted)) == expected


def test_overlaps() -> None:
    """A goal that may begin in the words of another one has a way for what is left of it."""
    ids = {text: SPACED.encode(text)[0] for text in "abc"}
    (phase,) = planned(contains=("a b", "b c")).phases
    assert [(way.head, way.ids) for way in phase[1].ways if way.head] == [((ids["b"],), (ids["c"],))]
    assert not [way for way in phase[0].ways if way.head]
    assert [way.head for way in planned(starts_with="a b", ends_with="b c").ending.ways] == [(), (ids["b"],)]
    # in order, none overlaps another
    assert all(
        not way.head for phase in planned(contains=("a b", "b c"), in_order=True).phases for way in phase[0].ways
    )


def test_whole_texts() -> None:
    """Choices that are as asked, and a template without holes, are whole texts."""
    found = planned(choices=("a b", "c", "a a a"), max_words=2).whole
    assert isinstance(found, Goal)
    assert len(found.ways) == 2
    assert planned(template="{choices:a,b} c").whole is not None
    with pytest.raises(ConstraintError, match="None of the choices"):
        planned(choices=("a", "b"), min_words=2)
    with pytest.raises(ConstraintError, match="cannot write any of the choices"):
        planned(choices=("x", "y"))


def test_what_is_asked_and_forbidden() -> None:
    """A text that is asked for and forbidden is refused at once."""
    with pytest.raises(ConstraintError, match='"a" is asked for, but other options forbid it'):
        planned(options=SamplingOptions(bad_words=("a",)), contains="a")


@pytest.mark.parametrize(
    ("tokenizer", "wanted", "least"),
    [
        (SPACED, {"contains": ("a", "b c")}, Least(3, 3, 4)),
        (SPACED, {"contains": ("a b", "b c")}, Least(3, 3, 4)),  # the second may begin in the first
        (SPACED, {"template": "a {2 words} b {3 tokens} c"}, Least(8, 5, 9)),
        (CHARS, {"template": "a{1 words}b"}, Least(3, 1, 3)),
    ],
)
def test_least(tokenizer: Tokenizer, wanted: dict[str, Any], least: Least) -> None:
    """What goals take at the least is added up."""
    found = planned(tokenizer, **wanted)
    goals = [goal for phase in found.phases for goal in phase]
    goals = [goal for goal in (found.opening, *goals, found.ending) if goal is not None]
    assert least_of(goals, Spelling.of(tokenizer)) == least


@pytest.mark.parametrize(
    ("wanted", "most", "why"),
    [
        ({"template": "{3 words}", "max_words": 2}, 9, "at least 3 words, but max_words is 2"),
        ({"starts_with": "a b", "max_words": 1}, 9, "at least 2 words, but max_words is 1"),
        ({"min_words": 10}, 9, "at least 10 tokens, but max_new_tokens is 9"),
        ({"min_chars": 100}, 9, "at least 34 tokens, but max_new_tokens is 9"),  # d. and a space
        ({"template": "{5 characters}", "max_chars": 4}, 9, "at least 5 characters, but max_chars is 4"),
    ],
)
def test_no_room(wanted: dict[str, Any], most: int, why: str) -> None:
    """What cannot be for lack of room is refused before anything is tried."""
    with pytest.raises(ConstraintError, match=why):
        check_room(planned(**wanted), Constraints(**wanted), Spelling.of(SPACED), most)
    check_room(
        planned(**wanted), Constraints(**{**wanted, "max_words": None, "max_chars": None}), Spelling.of(SPACED), 99
    )
