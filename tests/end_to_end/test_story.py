"""The way of a user: train, save, load, and then everything that one does with a model."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import ngramgen


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the fables that travel with ngramgen."""
    path = tmp_path_factory.mktemp("story") / "fables.ngram"
    ngramgen.train(ngramgen.sample_text(), order=4).save(path)
    return path


@pytest.fixture(scope="module")
def model(path: Path) -> ngramgen.TextModel:
    return ngramgen.load(path)


def test_it_writes(model: ngramgen.TextModel) -> None:
    """A prompt goes on, the same way for the same seed and another way for another."""
    text = model.generate("Once upon a time", seed=1)
    assert isinstance(text, str)
    assert text.startswith("Once upon a time ")
    assert len(text) > len("Once upon a time ")
    assert text == model.generate("Once upon a time", seed=1)
    texts = model.generate("Once upon a time", n=20, seed=1)
    assert texts[0] == text
    assert len(set(texts)) == 20
    assert "  " not in "".join(texts)
    assert model.generate("Once upon a time") != model.generate("Once upon a time")


def test_it_writes_from_nothing_and_from_the_unknown(model: ngramgen.TextModel) -> None:
    """Neither an empty prompt nor words that it never read leave it speechless."""
    assert model.generate(seed=3)
    assert model.generate("Zyxgorb frumious", seed=3) != "Zyxgorb frumious"
    assert model.generate("Он сказал", seed=3) != "Он сказал"


def test_it_streams(model: ngramgen.TextModel) -> None:
    """The pieces come one by one and are the text."""
    pieces = list(model.stream("A fox", seed=4, max_new_tokens=20))
    assert len(pieces) > 5
    assert "A fox" + "".join(pieces) == model.generate("A fox", seed=4, max_new_tokens=20)


def test_it_obeys(model: ngramgen.TextModel) -> None:
    """Length, stop strings and a cold temperature do what they say."""
    assert model.generate("A fox", max_new_tokens=0) == "A fox"
    for seed in range(5):
        assert "." not in model.generate("A fox", seed=seed, stop=".")
        [made] = model.generate_all("A fox", seed=seed, max_new_tokens=3)
        assert len(made.ids) <= 3
    assert model.generate("A fox", temperature=0) == model.generate("A fox", greedy=True, seed=8)


def test_it_suggests(model: ngramgen.TextModel) -> None:
    """After "Once upon a" comes time, almost surely."""
    best = model.next("Once upon a", k=3)
    assert best[0].token == " time"
    assert best[0].prob > 0.5
    assert best[0].prob > best[1].prob >= best[2].prob
    assert len(model.next("Once upon a ", k=1)) == 1


def test_it_judges(model: ngramgen.TextModel) -> None:
    """A sentence of its kind is likelier than its words shuffled, and its own text than another's."""
    assert model.score("The fox ran down to the river.") > model.score("river. the The down ran to fox")
    own = model.perplexity(ngramgen.sample_text())
    other = model.perplexity(["The committee will reconvene on Thursday to discuss quarterly liabilities."])
    assert 1 < own.perplexity < other.perplexity
    assert own.oov == 0 < other.oov
    assert 0 < own.bits_per_byte < 8
    lines = ngramgen.sample_text().read_text("utf-8").splitlines()
    assert math.fsum(model.score(line, base=10) for line in lines) == pytest.approx(own.log10)


def test_it_travels(model: ngramgen.TextModel, path: Path, tmp_path: Path) -> None:
    """A model of words between white space goes through ARPA and back; the .ngram file is the same each time."""
    model.save(tmp_path / "again.ngram")
    assert (tmp_path / "again.ngram").read_bytes() == path.read_bytes()
    made = ngramgen.train(ngramgen.sample_text(), order=3, tokenizer="whitespace")
    made.save(tmp_path / "fables.arpa.gz")
    back = ngramgen.load(tmp_path / "fables.arpa.gz")
    line = "The fox ran down to the river."
    assert back.score(line) == pytest.approx(made.score(line), abs=1e-3)
    assert back.next("Once upon a", k=1)[0].token == "time"
    assert isinstance(back.generate("The fox", seed=1), str)


def test_it_fits_a_small_device(tmp_path: Path) -> None:
    """Pruned and with fewer words the file is smaller, and it still writes."""
    sizes = []
    for options in ({}, {"prune": (0, 0, 1)}, {"prune": (0, 1), "vocab_size": 500}):
        ngramgen.train(ngramgen.sample_text(), order=4, **options).save(tmp_path / "m.ngram")  # type: ignore[arg-type]
        sizes.append((tmp_path / "m.ngram").stat().st_size)
        assert len(ngramgen.load(tmp_path / "m.ngram").generate("The fox", n=100, seed=1)) == 100
    assert sizes == sorted(sizes, reverse=True)
