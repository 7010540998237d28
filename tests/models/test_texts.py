"""What the shipped models are trained on: paragraphs put together, plays as lines, held-out texts kept out."""

from __future__ import annotations

import doctest
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

MODELS = Path(__file__).resolve().parents[2] / "models"
DATA = MODELS.parents[1] / "shared" / "data"


def program(name: str) -> ModuleType:
    """A program of models/ as a module."""
    spec = importlib.util.spec_from_file_location(f"models_{name}", MODELS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


texts, chinese = program("texts"), program("texts_chinese")
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs the shared data beside the checkout")


def test_examples() -> None:
    """The examples in the docstrings hold."""
    assert doctest.testmod(texts).failed == 0


def test_printed_lines_are_joined() -> None:
    """A printed line that ends inside of a sentence goes on in the next one; what ends there or is short does not."""
    lines = [
        "CHAPTER IV",
        "The rain had fallen all the night upon the roofs of the",
        "town, and nobody had slept who could hear it falling there,",
        "Harriet least of all.",
        "“Is it over?” she asked.",
        "Of Mans First Disobedience, and the Fruit",
        "Of that Forbidden Tree, whose mortal tast",
    ]
    assert list(texts.unwrapped(lines)) == [
        "CHAPTER IV",
        "The rain had fallen all the night upon the roofs of the town, and nobody had slept who could hear it falling "
        "there, Harriet least of all.",
        *lines[4:],
    ]


def test_a_play() -> None:
    """A speech is its speaker's name, its lines and an empty line; stage directions are left out."""
    play = b"""<PLAY><SPEECH><SPEAKER>ROMEO</SPEAKER><SPEAKER>JULIET</SPEAKER><STAGEDIR>Exeunt</STAGEDIR>
    <LINE>Good <STAGEDIR>Aside</STAGEDIR> morrow.</LINE><LINE>Go!</LINE></SPEECH>
    <SPEECH><SPEAKER>ALL</SPEAKER></SPEECH></PLAY>"""
    assert list(texts._speeches_of_a_play(play)) == ["ROMEO and JULIET:", "Good morrow.", "Go!", ""]


@needs_data
def test_scenes() -> None:
    """The plays as lines of speeches begin as the plays do, and hold no empty speech."""
    first = next(texts.scenes(DATA))
    assert first.startswith("First Citizen: / Before we proceed any further, hear me speak. // All: / Speak, speak. //")
    assert all(speech.strip(" /") for line in texts.scenes(DATA) for speech in line.split(" // "))


@needs_data
def test_what_is_set_aside_is_not_trained_on() -> None:
    """No held-out text is in the training text, but for phrases that stand everywhere; each part is 2 to 3 % of all."""
    parts = chinese.chinese(DATA)
    train = set(parts.train)
    sizes = {name: sum(map(len, getattr(parts, name))) for name in ("train", "valid", "test")}
    for name in ("valid", "test"):
        again = train & set(getattr(parts, name))
        assert all(len(line) < 20 for line in again), again
        assert 0.02 < sizes[name] / sum(sizes.values()) < 0.03
    poems = chinese.Parts()
    chinese._add_poems(DATA, poems)
    aside = {verse for poem in [*poems.valid, *poems.test] for verse in chinese._VERSE.findall(poem)}
    for poem in poems.train:
        verses = chinese._VERSE.findall(poem)
        assert 2 * sum(verse in aside for verse in verses) < len(verses)


def test_scripts_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every line once, a stretch of them as it is, the next in the other script."""
    monkeypatch.setattr(chinese, "_simplifier", lambda: str.upper)
    assert list(chinese.in_turns("abcde", 2)) == ["a", "b", "C", "D", "e"]
