"""`tune`: the weighting of a folder, fitted and written."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

import ngramgen
from ngramgen import tuning
from ngramgen.errors import CorpusError, ModelNotFoundError, OptionError
from ngramgen.loading import load
from ngramgen.tuning import tune
from tests.hybrid.tiny import UNSEEN, write_ngram


@pytest.fixture
def folder(untuned_folder: Path, tmp_path: Path) -> Path:
    """A copy to write into."""
    return Path(shutil.copytree(untuned_folder, tmp_path / "hybrid"))


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "unseen.txt"
    path.write_text(UNSEEN)
    return path


def test_the_mixture_is_better_than_its_parts(folder: Path, text: Path) -> None:
    """On its own text; what is told of it is what the loaded models measure there."""
    about = tune(folder, text)
    bits = about["bits_per_byte"]
    assert bits["mixture"] < 0.99 * min(bits["ngram"], bits["network"])
    for name, neural in (("mixture", "always"), ("network", "only"), ("ngram", "never")):
        assert load(folder, neural=neural).perplexity(text).bits_per_byte == pytest.approx(bits[name], abs=2e-5)
    assert about["bytes"] == len(UNSEEN.encode())
    assert about["tokens"] == load(folder).perplexity(text).tokens
    assert 0 < about["mean_weight"] < 0.5


def test_what_is_written(folder: Path, text: Path) -> None:
    """One small file more in the folder, whose report `load` tells; the same text gives the same file."""
    before = set(os.listdir(folder))
    about = tune(folder, text)
    assert set(os.listdir(folder)) - before == {"hybrid.json"}
    first = (folder / "hybrid.json").read_bytes()
    assert json.loads(first)["about"] == about
    assert load(folder).description()["tuned_on"] == about
    assert load(folder).description()["weighting"] == "fitted"
    assert tune(str(folder), UNSEEN.splitlines()) == about
    assert (folder / "hybrid.json").read_bytes() == first


def test_tuned_again(folder: Path, text: Path) -> None:
    """A file that is damaged, or of an n-gram of another order, does not stand in the way of a new one."""
    about = tune(folder, text)
    (folder / "hybrid.json").write_text("damaged")
    assert tune(folder, text) == about
    write_ngram(folder, order=4)
    assert tune(folder, text)["bits_per_byte"]["network"] == about["bits_per_byte"]["network"]
    assert load(folder).description()["order"] == 4


def test_a_failure_leaves_what_was_there(folder: Path, text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file cannot be put into its place, the old one stays and nothing lies beside it."""
    tune(folder, text)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def failing(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ngramgen.atomic.os.replace", failing)
    with pytest.raises(OSError, match="No space left"):
        tune(folder, ["the cat", "the dog"])
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_no_more_than_is_needed(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several texts those behind the first bytes that suffice are not read."""
    monkeypatch.setattr(tuning, "MOST_BYTES", 10)
    paths = [tmp_path / name for name in ("one.txt", "two.txt")]
    for path in paths:
        path.write_text("the cat sat on the mat\n")
    assert tune(folder, paths)["bytes"] == 23
    monkeypatch.setattr(tuning, "MOST_BYTES", 30)
    assert tune(folder, paths)["bytes"] == 46


def test_too_little_text(folder: Path) -> None:
    """Nothing, and less than two tokens, are no text to tune on, and nothing is written."""
    for lines in ([], [""]):
        with pytest.raises(OptionError, match=r"no text to tune on|too short"):
            tune(folder, lines)
    with pytest.raises(CorpusError):
        tune(folder, folder / "missing.txt")
    assert not (folder / "hybrid.json").exists()


def test_what_is_no_hybrid(folder: Path, text: Path, tmp_path: Path) -> None:
    """A folder without one of the parts, or a file, is refused by name."""
    with pytest.raises(OptionError, match=r"model\.ngram is no network; name the folder of one"):
        tune(folder / "model.ngram", text)
    with pytest.raises(OptionError, match=r"model\.onnx is a network alone; name a folder"):
        tune(folder / "model.onnx", text)
    (tmp_path / "ngram").mkdir()
    (folder / "model.ngram").rename(tmp_path / "ngram" / "model.ngram")
    with pytest.raises(OptionError, match=r"holds a network alone: there is no model\.ngram in it"):
        tune(folder, text)
    with pytest.raises(OptionError, match=r"model\.ngram is no network; name the folder of one"):
        tune(tmp_path / "ngram", text)
    with pytest.raises(ModelNotFoundError, match="there is no model"):
        tune(tmp_path / "nowhere", text)


def test_the_text_is_cleaned(folder: Path) -> None:
    """As for the network's training: spaces too many make no tokens."""
    lines = ["the cat sat", "the dog"]
    found = tune(folder, [line.replace(" ", "   ") for line in lines])
    assert found["tokens"] == tune(folder, lines)["tokens"]
    assert isinstance(ngramgen.load(folder).perplexity(lines).bits_per_byte, float)
