"""Where words and sentences begin and end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngramgen.sampling.edges import holds, is_word_character, occurrences, sentence_ends, touches


@pytest.mark.parametrize(
    ("text", "part", "places"),
    [
        ("the kingdom of the king", "king", [19]),
        ("king's king, king", "king", [0, 7, 13]),
        ("viking", "king", []),
        ("King", "king", []),
        ("old old old king", "old old", [0, 4]),
        ("well!done", "!", [4]),
        ("これはAIです", "AI", [3]),  # the characters around it make no word with it
        ("老王来了", "王", [1]),
        ("die Königin", "König", []),
        ("की", "क", []),  # the vowel sign is a mark of its own, and belongs to the letter
        ("snake_case", "case", [6]),
    ],
)
def test_occurrences(text: str, part: str, places: list[int]) -> None:
    """A text stands as whole words where no letter, digit or mark of a script with spaces touches its own ones."""
    assert list(occurrences(text, part)) == places
    assert holds(text, part) == bool(places)


@given(st.text("ab .王", max_size=12), st.text("ab .王", min_size=1, max_size=3))
def test_occurrences_are_all_of_them(text: str, part: str) -> None:
    """Every place where the part stands is found, but those that a word goes over at one of its ends."""
    everywhere = [place for place in range(len(text)) if text.startswith(part, place)]
    inside = [place for place in everywhere if touches(text, place) or touches(text, place + len(part))]
    assert list(occurrences(text, part)) == [place for place in everywhere if place not in inside]


def test_word_characters() -> None:
    """Letters, digits and combining marks make words; punctuation, spaces and ideographs do not."""
    assert all(map(is_word_character, "aé7ßя가\u0301"))
    assert not any(map(is_word_character, " .'_-王かก"))


@pytest.mark.parametrize(
    ("text", "count", "whole"),
    [
        ("A fox ran.", 1, True),
        ("A fox ran. It fell.", 2, True),
        ("A fox ran", 0, False),
        ('"Come in!" said the fox.', 1, True),  # a small letter follows
        ('"Come in!" The fox said so.', 2, True),
        ('"Come in," said the fox. "No!"', 2, True),
        ("He paid 3.50 for www.example.org.", 1, True),
        ("Well... perhaps.", 1, True),
        ("Well... Perhaps?!", 2, True),
        ("(He ran.) She fell.", 2, True),
        ("老王来了。他走了！", 2, True),
        ("「来た。」と言った。", 2, True),
        ("No. 7 is here.", 2, True),
        ("", 0, False),
    ],
)
def test_sentences(text: str, count: int, whole: bool) -> None:
    """A sentence ends behind its marks and what closes behind them, before a space and no small letter."""
    ends = sentence_ends(text)
    assert len(ends) == count
    assert (bool(ends) and ends[-1] == len(text)) == whole
