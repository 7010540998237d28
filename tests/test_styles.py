"""Styles: what is asked of a shipped model, and how it is shown."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ngramgen
from ngramgen.defaults import options_of
from ngramgen.errors import ModelNotFoundError, OptionError
from ngramgen.styles import NOT_SHIPPED, STYLES
from tests.shipping import Ship

PLAY, POEM = STYLES["play"], STYLES["poem"]


@pytest.mark.parametrize("name", STYLES)
def test_every_style_asks_what_can_be_asked(name: str) -> None:
    """Its options are ones, it is found under its name, and nobody promises what is not there."""
    style = STYLES[name]
    _, options = style.asked()
    options_of(options)
    assert style.name == name
    assert name not in NOT_SHIPPED


def test_a_prompt_takes_the_place_of_the_styles_own() -> None:
    """A story begins as stories do, or as the user says."""
    story = STYLES["story"]
    assert story.asked()[0] == "Once upon a time"
    assert story.asked("The fox")[0] == "The fox"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ROMEO: / Good morrow. // JULIET: / Go!", "ROMEO:\nGood morrow.\n\nJULIET:\nGo!"),
        ("ROMEO: / Go /", "ROMEO:\nGo"),
        ("ROMEO: / Go // ", "ROMEO:\nGo"),
        ("either/or", "either/or"),
        ("", ""),
    ],
)
def test_a_play_has_lines(text: str, shown: str) -> None:
    """Single bars end lines and double ones speeches; at the end of a text they end nothing."""
    assert PLAY.shown(text) == shown
    assert PLAY.asked(shown)[0] == text.rstrip(" /")


@given(st.text("/ aB"), st.data())
def test_pieces_are_shown_as_the_whole(text: str, data: st.DataObject) -> None:
    """However a text comes, in the end all of it is shown as it is when it comes at once."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    for style in (PLAY, POEM, STYLES["story"]):
        assert "".join(style.stream(pieces)) == style.shown(text)


@pytest.mark.parametrize(
    ("prompt", "text", "rest"),
    [
        ("", "", "HHHHH，HHHHH。HHHHH，HHHHH。"),
        ("牀前", "牀前", "HHH，HHHHH。HHHHH，HHHHH。"),
        ("牀前明月光", "牀前明月光", "，HHHHH。HHHHH，HHHHH。"),
        ("牀前明月光，疑是地上霜。\n", "牀前明月光，疑是地上霜。", "HHHHH，HHHHH。"),
        ("牀前明月光，疑是地上霜。舉頭望明月，低頭思故鄉", "牀前明月光，疑是地上霜。舉頭望明月，低頭思故鄉", "。"),
    ],
)
def test_a_prompt_is_a_part_of_the_poem(prompt: str, text: str, rest: str) -> None:
    """What is asked for is the rest of four lines of five characters."""
    asked, options = POEM.asked(prompt)
    assert asked == text
    assert re.fullmatch(options["regex"], rest.replace("H", "月"))
    assert not re.fullmatch(options["regex"], rest[:-1].replace("H", "a") + ".")
    assert not re.fullmatch(options["regex"], rest.replace("H", "月") + "月")


@pytest.mark.parametrize("prompt", ["The moon", "牀前明月光明", "牀前明月光，疑是地上霜。舉頭望明月，低頭思故鄉。"])
def test_what_begins_no_poem_is_refused(prompt: str) -> None:
    """A prompt that has no place in the form is named, and the form is shown."""
    with pytest.raises(OptionError, match=r"is no beginning of a poem: it is 字字字字字，字字字字字。"):
        POEM.asked(prompt)


@pytest.mark.parametrize(("name", "length"), [("poem", 5), ("poem-7", 7)])
def test_poems_have_their_form(name: str, length: int) -> None:
    """A model of lines that are none writes four lines of so many characters, behind a prompt too."""
    model = ngramgen.train(["春夏秋冬月，風花雪夜。月秋。春雪，花月，冬夜。"], order=2, tokenizer="char")
    style = STYLES[name]
    for given_prompt in ("", "月春"):
        prompt, options = style.asked(given_prompt)
        text = style.shown(model.generate(prompt, seed=1, **options))
        assert re.fullmatch(rf"\w{{{length}}}，\w{{{length}}}。\n\w{{{length}}}，\w{{{length}}}。", text)
        assert text.startswith(given_prompt)


def test_a_missing_model_is_named(ship: Ship) -> None:
    """A style whose model this installation lacks says which one that is."""
    models = ship(shakespeare={"model.ngram": b""})
    assert PLAY.folder() == models / "shakespeare"
    with pytest.raises(ModelNotFoundError, match="the style poem needs the model chinese"):
        POEM.folder()
