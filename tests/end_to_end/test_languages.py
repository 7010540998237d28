"""Scripts beyond Latin, from text to model and back: nothing is lost, nothing is added, and no character is halved."""

from __future__ import annotations

import math
import sys
import unicodedata
import warnings
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

import ngramgen
from ngramgen.errors import OptionError, TokenizerError
from ngramgen.textmodel import TextModel

FILES = {"chinese": "cmn_hans", "arabic": "arb", "hindi": "hin", "thai": "tha"}
TOKENIZERS = [
    pytest.param("bpe:600", marks=pytest.mark.skipif(find_spec("tokenizers") is None, reason="needs tokenizers")),
    "char",
    "byte",
]
EMOJI = [
    "家 👨‍👩‍👧‍👦 和 👩🏽‍🚀 🇩🇪🇫🇷 ❤️ 👍🏿 1️⃣",
    "the 👩‍❤️‍👨 and the 🏳️‍🌈 🏴󠁧󠁢󠁳󠁣󠁴󠁿",
    "🇨🇳🇯🇵 👋🏻👋🏼👋🏽👋🏾👋🏿 ok",
] * 5


@dataclass(frozen=True)
class Language:
    """A model of the lines of one language, which are as the model's cleaning leaves them."""

    model: TextModel
    lines: list[str]


@cache
def _lines(archive: Path, name: str) -> tuple[str, ...]:
    """The declaration of human rights."""
    with ZipFile(archive) as files:
        text = files.read(f"udhr2/{FILES[name]}.txt").decode()
    return tuple(line.strip() for line in text.split("\n") if line.strip())


def _raw(shared_data: Path, name: str) -> list[str]:
    return EMOJI if name == "emoji" else list(_lines(shared_data / "nltk_data" / "corpora" / "udhr2.zip", name))


@pytest.fixture(scope="module", params=TOKENIZERS)
def tokenizer(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=[*FILES, "emoji"])
def language(request: pytest.FixtureRequest, shared_data: Path, tokenizer: str) -> Language:
    lines = _raw(shared_data, request.param)
    model = ngramgen.train(lines, order=4, tokenizer=tokenizer)
    return Language(model, [model.cleaner.text(line) for line in lines])


def test_cleaning_takes_nothing_but_spaces(shared_data: Path) -> None:
    """It composes letters and evens out white space; joiners, variation selectors and marks of direction stay."""
    cleaner = ngramgen.train(EMOJI, order=1, tokenizer="char").cleaner
    for name in (*FILES, "emoji"):
        for line in _raw(shared_data, name):
            assert cleaner.text(line) == " ".join(unicodedata.normalize("NFC", line).split())


def test_round_trip(language: Language) -> None:
    """Every line comes back from its ids, alone and in a block; from bytes any text of any language does."""
    tokenizer = language.model.tokenizer
    for line in language.lines:
        assert tokenizer.decode(tokenizer.encode(line)) == line
    ids, line_ends = tokenizer.encode_block("".join(f"{line}\n" for line in language.lines).encode())
    assert tokenizer.decode_many(np.split(ids, line_ends)[:-1]) == language.lines
    if tokenizer.kind != "char":  # whose characters are those that it met
        other = "日本語 한국어 עברית ქართული 👨‍👩‍👧 🇧🇷 naïve"
        assert tokenizer.decode(tokenizer.encode(other)) == other


def test_perplexity(language: Language) -> None:
    """That of the training text is finite, and a tenth of a uniform guess's at most."""
    found = language.model.perplexity(language.lines)
    assert math.isfinite(found.perplexity)
    assert 1 < found.perplexity < language.model.model.vocab_size / 10
    assert found.oov == 0


def test_generated_characters_are_whole(language: Language) -> None:
    """Characters are drawn whole, even where tokens are parts of them."""
    texts = language.model.generate("", n=50, seed=3, max_new_tokens=40)
    assert any(texts)
    assert not any("\N{REPLACEMENT CHARACTER}" in text for text in texts)
    if language.model.tokenizer.kind == "char":
        assert set("".join(texts)) <= set("".join(language.lines))
    assert texts == language.model.generate("", n=50, seed=3, max_new_tokens=40)


def test_a_prompt_stays_as_it_is(language: Language) -> None:
    """The text goes on behind it, with no space between."""
    prompt = language.lines[0]
    [made] = language.model.generate_all(prompt, seed=1, max_new_tokens=5)
    assert made.text == prompt + made.generated_text
    assert made.generated_text == language.model.tokenizer.decode(made.ids)


@pytest.mark.parametrize("name", ["chinese", "thai"])
def test_no_space_is_added(shared_data: Path, tokenizer: str, name: str) -> None:
    """A model of text without spaces generates none."""
    solid = ["".join(line.split()) for line in _raw(shared_data, name)]
    model = ngramgen.train(solid, order=4, tokenizer=tokenizer)
    texts = model.generate(solid[1][:3], n=10, seed=2, top_k=20, max_new_tokens=50)
    assert sum(map(len, texts)) > 100
    assert not any(" " in text for text in texts)


@pytest.mark.skipif(find_spec("tokenizers") is None, reason="needs tokenizers, to learn subwords")
def test_subwords_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model whose subwords were learnt here opens, answers and is saved again where nothing else is installed."""
    made = ngramgen.train(EMOJI, order=3, tokenizer="bpe:300")
    made.save(tmp_path / "made.ngram")
    expected = made.generate("the", n=3, seed=1), made.score(EMOJI[0]), made.next("the")
    for name in ("tokenizers", "onnxruntime", "nltk"):
        monkeypatch.setitem(sys.modules, name, None)
    bare = ngramgen.load(tmp_path / "made.ngram")
    assert (bare.generate("the", n=3, seed=1), bare.score(EMOJI[0]), bare.next("the")) == expected
    bare.save(tmp_path / "again.ngram")
    assert (tmp_path / "again.ngram").read_bytes() == (tmp_path / "made.ngram").read_bytes()


def _pairs(line: str) -> list[str]:
    return [line[i : i + 2] for i in range(0, len(line), 2)]


def test_words_of_a_function(shared_data: Path) -> None:
    """A function of the user's cuts the text: its words are the tokens, and they join without spaces."""
    lines = _raw(shared_data, "chinese")
    model = ngramgen.train(lines, order=3, tokenizer=_pairs)
    assert model.tokenizer.kind == f"python:{__name__}:_pairs"
    for line in map(model.cleaner.text, lines):
        assert model.tokenizer.decode(model.tokenizer.encode(line)) == line
    words = {word for line in lines for word in _pairs(model.cleaner.text(line))}
    assert model.tokenizer.vocab_size == len(words) + 3
    [made] = model.generate_all("人人", seed=4, max_new_tokens=8)
    assert {model.tokenizer.token(i) for i in made.ids.tolist()} <= words
    assert made.text.startswith("人人")


def test_jieba(shared_data: Path) -> None:
    """Its words join to the text again, spaces and all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own Python
        jieba = pytest.importorskip("jieba")
        jieba.setLogLevel("ERROR")
        lines = _raw(shared_data, "chinese")
        model = ngramgen.train(lines, order=3, tokenizer=jieba.lcut)
    assert model.tokenizer.kind == "python:jieba:lcut"
    for line in map(model.cleaner.text, lines):
        assert model.tokenizer.decode(model.tokenizer.encode(line)) == line
    assert "权利" in [model.tokenizer.token(i) for i in range(model.tokenizer.vocab_size)]
    assert " " not in model.generate("人人", seed=1, max_new_tokens=20)


def test_a_function_that_has_no_place(tmp_path: Path) -> None:
    """A model that holds its tokenizer takes none, and what is no function is no tokenizer."""
    ngramgen.train(EMOJI, order=2, tokenizer="char").save(tmp_path / "m.ngram")
    with pytest.raises(OptionError, match=r"m\.ngram holds its tokenizer, char; leave out the function"):
        ngramgen.load(tmp_path / "m.ngram", tokenizer=_pairs)
    with pytest.raises(OptionError, match="tokenizer must be a string or a function, not 5"):
        ngramgen.train(EMOJI, tokenizer=5)  # type: ignore[arg-type]


def test_a_function_is_given_anew(shared_data: Path, tmp_path: Path) -> None:
    """A file names it alone: the model that is loaded generates without it, reads text with it, and imports nothing."""
    lines = _raw(shared_data, "chinese")
    made = ngramgen.train(lines, order=3, tokenizer=_pairs)
    expected = made.generate("", n=3, seed=1), made.next("", k=3)
    made.save(tmp_path / "m.ngram")
    bare = ngramgen.load(tmp_path / "m.ngram", verify=True)
    assert (bare.generate("", n=3, seed=1), bare.next("", k=3)) == expected
    for needs in (lambda: bare.score("人人"), lambda: bare.generate("人人"), lambda: bare.perplexity(lines)):
        with pytest.raises(TokenizerError, match=r"_pairs, which no file holds; pass it: load\(PATH, tokenizer="):
            needs()
    again = ngramgen.load(tmp_path / "m.ngram", tokenizer=_pairs)
    assert again.score("人人") == made.score("人人")
    assert again.generate("人人", seed=2) == made.generate("人人", seed=2)
    again.save(tmp_path / "again.ngram")
    assert (tmp_path / "again.ngram").read_bytes() == (tmp_path / "m.ngram").read_bytes()
