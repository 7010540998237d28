"""Texts that end with a sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import ngramgen
from ngramgen.errors import ConstraintError, OptionError
from ngramgen.sampling import SamplingOptions, generate, stream_text
from ngramgen.sampling.edges import stands_at_end
from ngramgen.sampling.ending import SentenceEnds
from ngramgen.textmodel import TextModel

Toy = Callable[..., Any]


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("He ran.", True),
        ("He ran", False),
        ("He ran,", False),
        ("Did he?! ", True),
        ("He ran ...", True),
        ("(He ran.)", True),
        ("他走了。", True),
        ("他說：「走！」", True),
        ("他說：「走！", False),
        ("", False),
        (".", True),
        ("He saw Mr.", False),
        ("He saw St.", False),
        ("It was a mast.", True),  # not St.
        ("By George W.", False),
        ("At 5 p.m.", False),
        ("In 1865.", True),
        ("Was it I?", True),
        ('"Go!"', True),
        ('"Go!', False),
        ('"Go!" he said. "Now', False),
        ('"Go!" he said. "Now!"', True),
        ('Go!" he said.', True),  # what closes nothing opens nothing
        ('" Go ! " he said .', True),
        ('" Go !', False),
        ("“Go!", False),
        ("“Go!”", True),
        ("‘I don’t.", False),  # an apostrophe closes nothing
        ("‘I don’t.’", True),
        ("I don’t.", True),
        ("„Geh!", False),
        ("„Geh!“", True),
        ("« Va ! »", False),  # a space before what closes
        ("«Va!»", True),
        ("»Geh!", False),
        ("»Geh!«", True),
        ('He said "go.\nShe went.', True),  # a quotation ends with its paragraph
    ],
)
def test_where_a_text_may_be_left(text: str, ends: bool) -> None:
    """Behind the marks of a sentence and what closes behind them, but for abbreviations, initials, open quotations."""
    assert stands_at_end(text) == ends


def chain(toy: Toy, pieces: list[bytes], separator: bytes = b"", kind: str = "plain") -> Any:
    """A model that says its pieces one after the other and then ends."""
    size = len(pieces) + 3
    probs = np.zeros((size, size))
    probs[1, 3] = probs[0, 2] = probs[2, 2] = 1
    for here in range(3, size):
        probs[here, here + 1 if here + 1 < size else 2] = 1
    return toy(pieces, separator, kind=kind, probs=probs)


@pytest.mark.parametrize("kind", ["plain", "direct"])
@pytest.mark.parametrize(
    ("pieces", "most", "count"),
    [
        ([b"Aa.", b" Bb.", b" Cc.", b" Dd.", b" Ee."], 5, 3),  # half of five, rounded up
        ([b"Aa.", b" Bb", b" Cc.", b" Dd.", b" Ee."], 4, 3),
        ([b"Aa", b" Bb", b" Cc", b" Dd", b" Ee"], 4, 4),  # the limit
        ([b"Aa", b' "Bb', b".", b'"', b" Ee"], 4, 4),  # the quotation is closed
        ([b"Aa", b".", b"Bb", b".", b"Cc"], 1, 1),
        ([b"Aa", b"\xe3\x80", b"\x82", b"Bb", b"Cc"], 4, 3),  # a full stop of two tokens
    ],
)
def test_the_first_end_from_half_on(toy: Toy, kind: str, pieces: list[bytes], most: int, count: int) -> None:
    """A chain is left at the first end of a sentence behind half of the tokens, however it is drawn, and streamed."""
    model, options = chain(toy, pieces, kind=kind), SamplingOptions(max_new_tokens=most, end_sentence=True)
    (one,) = generate(model, [[]], options)
    assert (len(one.ids), one.finish_reason, one.logprob) == (count, "length", 0.0)
    assert "".join(stream_text(model, [], options)) == model.tokenizer.decode(one.ids)


@pytest.mark.parametrize("kind", ["plain", "direct"])
def test_the_prompt_may_open_a_quotation(toy: Toy, kind: str) -> None:
    """Behind a prompt that opens one a text goes on until that is closed."""
    model = chain(toy, [b'"Aa', b" Bb.", b" Cc.", b' Dd."', b" Ee"], kind=kind)
    options = SamplingOptions(max_new_tokens=4, end_sentence=True)
    assert [len(one.ids) for one in generate(model, [[3], [4]], options)] == [3, 2]  # the other has only a closing mark


def test_words_joined_with_spaces(toy: Toy) -> None:
    """Tokens between which decoding puts spaces end sentences too."""
    model = chain(toy, [b"so", b"it", b"was.", b"and", b"so"], b" ")
    (one,) = generate(model, [[]], SamplingOptions(max_new_tokens=5, end_sentence=True))
    assert model.tokenizer.decode(one.ids) == "so it was."


def test_min_new_tokens_and_stop_strings_count(toy: Toy) -> None:
    """No text ends before min_new_tokens, and one that a stop string ends is as without end_sentence."""
    model = chain(toy, [b"Aa.", b" Bb.", b" Cc.", b" Dd.", b" Ee"])
    options: dict[str, Any] = {"max_new_tokens": 4, "end_sentence": True}
    (one,) = generate(model, [[]], SamplingOptions(min_new_tokens=3, **options))
    assert (len(one.ids), one.finish_reason) == (3, "length")
    (one,) = generate(model, [[]], SamplingOptions(stop=" Bb", **options))
    assert (len(one.ids), one.finish_reason, one.text_end) == (2, "stop", 3)


@pytest.fixture(scope="module")
def fables() -> TextModel:
    return ngramgen.train(ngramgen.sample_text(), order=3)


@pytest.mark.parametrize("extra", [{}, {"top_k": 20}, {"top_p": 0.9}], ids=str)
def test_it_only_cuts(fables: TextModel, extra: dict[str, Any]) -> None:
    """Every text is a beginning of the one without it, many are shorter, and those that were cut end a sentence."""
    common: dict[str, Any] = {"n": 60, "seed": 2, "max_new_tokens": 40, **extra}
    whole, cut = (list(fables.generate_all("The fox", **common, end_sentence=flag)) for flag in (False, True))
    shorter = 0
    for full, one in zip(whole, cut, strict=True):
        assert full.text.startswith(one.text)
        if len(one.ids) < len(full.ids):
            shorter += 1
            assert len(one.ids) >= 20
            assert one.finish_reason == "length"
            assert stands_at_end(one.text)
        else:
            assert full.finish_reason == one.finish_reason or stands_at_end(one.text)
    assert shorter > 10
    assert fables.generate("The fox", seed=2, max_new_tokens=40, end_sentence=True, **extra) == cut[0].text
    pieces = fables.stream("The fox", seed=2, max_new_tokens=40, end_sentence=True, **extra)
    assert "The fox" + "".join(pieces) == cut[0].text


def test_few_tokens_are_looked_at(fables: TextModel) -> None:
    """A text is decoded only where its last token may end a sentence."""
    ends = SentenceEnds(fables.tokenizer, SamplingOptions(max_new_tokens=2))
    ids = fables.prompt_ids("The fox said no.")
    assert [ends.reached(ids[:0], ids[:count].tolist()) for count in (1, 3, 4, 5)] == [False, False, False, True]
    assert ends.first(ids[:0], ids) == 5


def test_what_it_does_not_go_with(fables: TextModel) -> None:
    """Beams and constraints, which end texts in their own ways, are refused beside it."""
    for beside in ({"num_beams": 2}, {"contains": "fox"}):
        with pytest.raises((OptionError, ConstraintError), match="end_sentence"):
            fables.generate("The", end_sentence=True, **beside)
