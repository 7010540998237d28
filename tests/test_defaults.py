"""Sampling options that a model brings along."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import ngramgen
from ngramgen.defaults import DEFAULTS, SAMPLING, fitting, options_of, read_defaults
from ngramgen.errors import ModelFormatError, OptionError
from ngramgen.pipelines.generation import TextGenerationPipeline
from ngramgen.textmodel import TextModel

OWN = {"temperature": 0.8, "top_p": 0.95, "max_new_tokens": 12, "end_sentence": True}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An n-gram with defaults beside it."""
    path = tmp_path_factory.mktemp("model")
    ngramgen.train(ngramgen.sample_text(), order=3).save(path / "model.ngram")
    (path / DEFAULTS).write_text(json.dumps(OWN))
    return path


@pytest.fixture(scope="module")
def model(folder: Path) -> TextModel:
    return ngramgen.load(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"temprature": 0.8}', "holds 'temprature', which is no sampling option"),
        ('{"contains": "fox"}', "holds 'contains', which is no sampling option"),
        ('{"temperature": -1}', "temperature is -1, but must be"),
        ('{"min_new_tokens": 9, "max_new_tokens": 5}', "min_new_tokens is 9"),
        ("[]", "holds no object"),
        ("{", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        (" " * (1 << 20) + "{}", "too large"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, content: str, message: str) -> None:
    """What is no option, or no value for one, is refused with the file and the field."""
    (tmp_path / DEFAULTS).write_text(content)
    with pytest.raises(ModelFormatError, match=message) as caught:
        read_defaults(tmp_path)
    assert str(tmp_path / DEFAULTS) in str(caught.value)


def test_no_file_no_defaults(tmp_path: Path) -> None:
    """A folder without the file has none."""
    assert read_defaults(tmp_path) == {}


def test_a_folder_brings_them_and_a_file_does_not(folder: Path, model: TextModel) -> None:
    """The n-gram of the folder, named alone, is as ever; the folder's description tells of them."""
    alone = ngramgen.load(folder / "model.ngram")
    assert (model.defaults, alone.defaults) == (OWN, {})
    assert model.description() == {**alone.description(), "sampling_defaults": OWN}


def test_they_stand_for_what_is_not_given(folder: Path, model: TextModel) -> None:
    """Texts, streams and records are those of the same options given; what is given wins."""
    alone = ngramgen.load(folder / "model.ngram")
    assert model.generate("The", n=5, seed=1) == alone.generate("The", n=5, seed=1, **OWN)
    assert list(model.stream("The", seed=1)) == list(alone.stream("The", seed=1, **OWN))
    given = {"temperature": 1.0, "top_p": 1.0, "end_sentence": False}
    (one,) = model.generate_all("The", seed=1, **given)
    (other,) = alone.generate_all("The", seed=1, max_new_tokens=12)
    assert one == other


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({}, ["temperature", "top_p", "max_new_tokens", "end_sentence"]),
        ({"top_p": 0.5}, ["temperature", "max_new_tokens", "end_sentence"]),
        ({"greedy": True}, ["max_new_tokens", "end_sentence"]),
        ({"temperature": 0}, ["max_new_tokens", "end_sentence"]),
        ({"mirostat": 2}, ["max_new_tokens", "end_sentence"]),
        ({"num_beams": 3}, ["max_new_tokens"]),
        ({"regex": "a*"}, ["temperature", "top_p", "max_new_tokens"]),
        ({"min_new_tokens": 150}, ["temperature", "top_p", "max_new_tokens", "end_sentence"]),
    ],
    ids=str,
)
def test_those_that_do_not_go_with_what_is_given_are_left_out(given: dict[str, Any], left: list[str]) -> None:
    """Whoever asks for greedy texts, beams, mirostat or a form gets them, and the defaults that go with them."""
    assert sorted(fitting(OWN, given)) == sorted(left)


@pytest.mark.parametrize("given", [{"greedy": True}, {"temperature": 0}, {"num_beams": 2}, {"mirostat": 2}], ids=str)
def test_dry_is_for_drawing(given: dict[str, Any]) -> None:
    """A search for the likeliest text is one, whatever the model's defaults are; asked for, DRY is there."""
    assert fitting({"dry_multiplier": 0.8}, given) == {}
    assert fitting({"dry_multiplier": 0.8}, {"temperature": 0.5}) == {"dry_multiplier": 0.8}


def test_whoever_says_how_to_draw_draws() -> None:
    """Of a model that is greedy by default a temperature or top_k makes one that draws."""
    assert fitting({"greedy": True}, {"top_k": 5}) == {}
    assert fitting({"temperature": 0, "top_k": 3}, {"top_k": 5}) == {}


def test_a_least_length_gives_way() -> None:
    """To a limit that is lower, and to constraints, which may ask for less."""
    assert fitting({"min_new_tokens": 30}, {"max_new_tokens": 20}) == {}
    assert fitting({"min_new_tokens": 30}, {"max_words": 3}) == {}
    assert fitting({"min_new_tokens": 30}, {"max_new_tokens": 30}) == {"min_new_tokens": 30}


@pytest.mark.parametrize("given", [{"num_beams": 2}, {"greedy": True}, {"mirostat": 2}, {"contains": "fox"}], ids=str)
def test_nothing_is_refused_for_a_default(model: TextModel, given: dict[str, Any]) -> None:
    """A model with defaults does all that the same model without them does."""
    assert isinstance(model.generate("The", seed=1, **given), str)


def test_lengths_are_checked_together(model: TextModel) -> None:
    """A least number of tokens may need the model's own limit, and is refused above it."""
    assert options_of({"min_new_tokens": 150}, {"max_new_tokens": 160})[0].min_new_tokens == 150
    with pytest.raises(OptionError, match="max_new_tokens, which is 12"):
        model.generate("The", min_new_tokens=13)


def test_every_field_may_be_a_default() -> None:
    """The names that the file may hold are those of SamplingOptions, and no other name is an option."""
    assert set(SAMPLING) == set(vars(ngramgen.SamplingOptions()))
    with pytest.raises(OptionError, match="there is no sampling option 'temp'"):
        options_of({"temp": 1})


def test_a_pipeline_heeds_them(folder: Path, model: TextModel) -> None:
    """Its own 256 tokens, temperature 0.7 and top_k 50 give way; do_sample and what a call says do not."""
    alone = ngramgen.load(folder / "model.ngram")
    generator = TextGenerationPipeline(model)
    assert generator("The", seed=1)[0]["generated_text"] == alone.generate("The", seed=1, **OWN)
    (greedy,) = generator("The", do_sample=False)
    assert greedy["generated_text"] == alone.generate("The", greedy=True, max_new_tokens=12, end_sentence=True)
    (longer,) = generator("The", seed=1, max_new_tokens=20, temperature=1.5)
    assert longer["generated_text"] == alone.generate(
        "The", seed=1, **{**OWN, "max_new_tokens": 20, "temperature": 1.5}
    )
    assert len(generator("The", num_beams=2, num_return_sequences=2)) == 2


class Streamer:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.ids: list[int] = []

    def put(self, ids: Any) -> None:
        self.ids += ids.reshape(-1).tolist()

    def end(self) -> None:
        pass


def test_a_streamer_sees_a_text_that_a_sentence_ends(model: TextModel) -> None:
    """The tokens are those of the record, with </s> only where the model said it."""
    generator = TextGenerationPipeline(model, return_tensors=True)
    for seed in range(20):
        streamer = Streamer()
        (streamed,) = generator("The", seed=seed, streamer=streamer)
        (record,) = generator("The", seed=seed)
        assert streamed == record
        assert streamer.ids == record["generated_token_ids"]
