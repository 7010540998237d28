"""Sentences are lines, or what Punkt finds in them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ngramgen.errors import MissingDependencyError, OptionError
from ngramgen.text.sentences import split_sentences


@pytest.fixture
def punkt_data(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = pytest.importorskip("nltk.data", reason="needs NLTK")
    monkeypatch.setattr(data, "path", [str(shared_data / "nltk_data")])


def split(text: str, *method: str) -> str:
    return b"".join(split_sentences([text.encode()], *method)).decode()


def test_lines_stay_as_they_are():
    """The method "line" gives the same blocks."""
    blocks = [b"One. Two.\n\n", b"Three.\n"]
    assert all(a is b for a, b in zip(split_sentences(blocks, "line"), blocks, strict=True))


@pytest.mark.usefixtures("punkt_data")
class TestPunkt:
    def test_a_paragraph_a_line(self):
        """Each line is split into its sentences, and abbreviations do not end one."""
        assert split("Mr. Fox ran. Did he hide?\nNo.\n", "punkt") == "Mr. Fox ran.\nDid he hide?\nNo.\n"

    def test_a_sentence_never_spans_lines(self):
        """A line break ends a sentence whatever stands before it."""
        assert split("Mr.\nFox ran\naway.\n", "punkt") == "Mr.\nFox ran\naway.\n"

    def test_empty_lines_stay(self):
        """A line without a sentence stays as an empty line, and space around sentences goes."""
        assert split("\n  One.  Two. \n \t\n", "punkt") == "\nOne.\nTwo.\n\n"

    def test_languages(self):
        """The language is an argument or part of the method, which goes first."""
        text = "Das sind z.B. Hunde. Ja.\n"
        assert split(text, "punkt:german") == split(text, "punkt", "german") == split(text, "punkt:german", "english")
        assert split(text, "punkt:german") == "Das sind z.B. Hunde.\nJa.\n"

    def test_nothing_is_lost(self, shared_data):
        """The characters of novels are the same after splitting, and there are more lines."""
        text = "".join((shared_data / "fiction" / "valid.txt").read_text(encoding="utf-8").splitlines(True)[:300])
        found = split(text, "punkt")
        assert "".join(found.split()) == "".join(text.split())
        assert found.count("\n") > text.count("\n")

    def test_a_language_without_data(self):
        """A language that is not installed is refused with the way to get it."""
        with pytest.raises(MissingDependencyError, match=r"'klingon'.*nltk\.downloader punkt_tab.*NLTK_DATA"):
            split_sentences([], "punkt:klingon")

    def test_a_language_that_is_a_path(self):
        """A language's name cannot lead out of the data folder."""
        with pytest.raises(OptionError, match=r"'\.\./english'"):
            split_sentences([], "punkt:../english")


def test_without_nltk(monkeypatch):
    """Without NLTK the error, at the call, gives the command that installs it."""
    monkeypatch.setitem(sys.modules, "nltk.tokenize.punkt", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'ngramgen\[nltk\]'"):
        split_sentences([], "punkt")


def test_without_any_data(monkeypatch, tmp_path):
    """Without data even English is refused with the way to get it."""
    data = pytest.importorskip("nltk.data", reason="needs NLTK")
    monkeypatch.setattr(data, "path", [str(tmp_path)])
    with pytest.raises(MissingDependencyError, match=r"'english'.*punkt_tab"):
        split_sentences([], "punkt")


@pytest.mark.parametrize("method", ["", "words", "punkt:", "line:german", "PUNKT"])
def test_other_methods(method):
    """Another method is refused with those there are."""
    with pytest.raises(OptionError, match="choose line, punkt or punkt:LANGUAGE"):
        split_sentences([], method)
