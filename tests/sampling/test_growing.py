from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngramgen.sampling.growing import Continuation, GrowingText, StopSearch

EURO = "€".encode()


def bytewise(toy: Callable[..., Any]) -> Any:
    return toy([bytes([b]) for b in range(256)]).tokenizer


def test_a_character_comes_whole(toy: Callable[..., Any]) -> None:
    """The three bytes of the euro sign give nothing, nothing and the sign."""
    text = GrowingText(bytewise(toy))
    assert [text.push(3 + b) for b in b"a" + EURO + b"b"] == ["a", "", "", "€", "b"]
    assert text.finish() == ""


def test_an_unfinished_character_comes_at_the_end(toy: Callable[..., Any]) -> None:
    """What never becomes a character is shown as the tokenizer shows it."""
    text = GrowingText(bytewise(toy))
    assert [text.push(3 + b) for b in b"a" + EURO[:2]] == ["a", "", ""]
    assert text.finish() == "\ufffd"


def test_words_are_joined_as_the_tokenizer_joins_them(toy: Callable[..., Any]) -> None:
    """A tokenizer that joins with spaces gives the space with the next word."""
    text = GrowingText(toy([b"so", b"it", b"was"], b" ").tokenizer)
    assert [text.push(i) for i in (3, 4, 5)] == ["so", " it", " was"]


@given(data=st.lists(st.integers(3, 258) | st.sampled_from([3 + b for b in "é€😀a".encode()]), max_size=60))
def test_pieces_join_to_the_whole(toy: Callable[..., Any], data: list[int]) -> None:
    """Whatever the bytes, valid or not, the pieces are the decoding of all ids."""
    tokenizer = bytewise(toy)
    text = GrowingText(tokenizer)
    pieces = [text.push(i) for i in data] + [text.finish()]
    assert "".join(pieces) == tokenizer.decode(data)


def test_only_a_tail_is_decoded(toy: Callable[..., Any]) -> None:
    """However long the text, a step decodes a few ids."""
    tokenizer = bytewise(toy)
    text = GrowingText(tokenizer)
    for _ in range(500):
        for byte in EURO:
            text.push(3 + byte)
    assert tokenizer.longest < 20


@pytest.mark.parametrize(
    ("stop", "texts", "pieces", "end"),
    [
        ((), ["ab", "c"], ["ab", "c", ""], None),
        (("b",), ["abc"], ["a", ""], 1),
        (("cd",), ["abc", "de"], ["ab", "", ""], 2),
        (("cd",), ["abc", "ce"], ["ab", "cce", ""], None),
        (("cd",), ["abc"], ["ab", "c"], None),
        (("aab",), ["aaa", "ab"], ["a", "a", ""], 2),
        (("xyz", "yz"), ["a", "xy", "z"], ["a", "", "", ""], 1),
        (("abcd", "bc"), ["ab", "ce"], ["", "a", ""], 1),
        (("a",), ["a"], ["", ""], 0),
    ],
)
def test_text_is_cut_at_the_first_stop_string(
    stop: tuple[str, ...], texts: list[str], pieces: list[str], end: int | None
) -> None:
    """What may begin a stop string is held back, and shown once it does not."""
    search = StopSearch(stop)
    assert [search.push(t) for t in texts] + [search.finish()] == pieces
    assert search.text_end == end


@given(st.lists(st.text("ab", max_size=4), max_size=12), st.lists(st.text("ab", min_size=1, max_size=4), max_size=3))
def test_the_search_sees_through_pieces(texts: list[str], stop: list[str]) -> None:
    """However the text is cut, nothing of a stop string is shown, and the shown text begins the whole one."""
    search = StopSearch(tuple(stop))
    shown = whole = ""
    for text in texts:
        shown += search.push(text)
        whole += text
        first = min((place for place in map(whole.find, stop) if place >= 0), default=None)
        assert search.text_end == first
        assert whole.startswith(shown)
        if first is not None:
            assert shown == whole[:first]
            break
    else:
        assert shown + search.finish() == whole


def test_a_stop_string_may_end_inside_a_token(toy: Callable[..., Any]) -> None:
    """The text ends before the stop string though its token goes on."""
    text = Continuation(toy([b"one. two"]).tokenizer, (".",))
    assert text.push(3) == "one"
    assert text.text_end == 3
