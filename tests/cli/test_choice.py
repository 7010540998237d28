"""The options -m and --neural of the commands that ask a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

import ngramgen
from ngramgen.cli.choice import ModelChoice
from tests.hybrid.tiny import PARTS
from tests.neural.tiny import TEXT

Invoke = Callable[..., Result]
NOTICE = "onnxruntime is not installed, so the n-gram answers alone: pip install 'ngramgen[neural]'\n"
COMMANDS: dict[str, list[Any]] = {
    "generate": ["the cat", "--seed", 3, "--max-new-tokens", 6, "-n", 2],
    "next": ["the cat", "-k", 3],
    "score": ["-"],
    "perplexity": ["-"],
}


@pytest.mark.parametrize(("neural", "kind"), PARTS)
def test_loaded(neural: str | None, kind: type, hybrid_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The model that the options name; where all is there nothing is said."""
    assert isinstance(ModelChoice(str(hybrid_folder), neural).load().model, kind)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name", COMMANDS)
def test_commands(name: str, hybrid_folder: Path, invoke: Invoke) -> None:
    """Each takes --neural: the parts and both ways to join them differ, the n-gram answers as its own file does."""

    def answer(*words: Any, model: Path = hybrid_folder) -> str:
        result = invoke(name, *COMMANDS[name], "-m", model, *words, stdin=TEXT)
        assert (result.exit_code, result.stderr) == (0, "")
        return str(result.stdout)

    always, only, never = (answer("--neural", neural) for neural in ("always", "only", "never"))
    assert len({always, only, never}) == 3
    assert answer() == always
    assert answer("--no-speculate") == always
    assert answer(model=hybrid_folder / "model.ngram") == never
    if name != "generate":  # which draws from an n-gram alone in ways of its own
        assert answer("--neural-budget", 0) == never
    assert answer("--neural-budget", 1) == always
    assert answer("--neural", "auto") == answer("--neural-budget", 0.25)
    if name in ("generate", "next"):  # the others measure, which no clock may decide
        assert answer("--max-ms-per-token", 1e-6, "--neural-budget", 0) == answer("--neural-budget", 0)


@pytest.mark.parametrize("name", COMMANDS)
def test_adapt(name: str, model_path: Path, invoke: Invoke, tmp_path: Path) -> None:
    """Each learns the texts of --adapt, with a weight, beside a model that knows none of them."""
    notes = [tmp_path / "one.txt", tmp_path / "two.txt"]
    notes[0].write_text("the cat sat on the dragon\n" * 5)
    notes[1].write_text("the cat saw the dragon\n" * 5)

    def answer(*words: Any) -> str:
        result = invoke(name, *COMMANDS[name], "-m", model_path, *words, stdin=TEXT)
        assert (result.exit_code, result.stderr) == (0, "")
        return str(result.stdout)

    plain, one = answer(), answer("--adapt", notes[0])
    both = answer("--adapt", notes[0], "--adapt", notes[1])
    assert len({plain, one, both}) == 3
    assert answer("--adapt", notes[0], "--adapt-weight", 1) == one
    assert answer("--adapt", notes[0], "--adapt-weight", 0.1) not in (plain, one)


def test_no_text_of_ones_own(model_path: Path, invoke: Invoke, tmp_path: Path) -> None:
    """A weight without a text, a weight out of range and a file that is not there are told in a line."""
    (tmp_path / "notes.txt").write_text("the cat\n")
    for words, status, message in (
        (["--adapt-weight", 0.5], 2, "--adapt-weight needs a text of your own: give it with --adapt FILE"),
        (["--adapt", tmp_path / "notes.txt", "--adapt-weight", 2], 2, "must be a number from 0 to 1, not 2"),
        (["--adapt", tmp_path / "missing.txt"], 1, "missing.txt"),
    ):
        result = invoke("next", "the", "-m", model_path, *words)
        assert (result.exit_code, result.stdout) == (status, "")
        assert message in result.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_without_onnxruntime(name: str, untuned_folder: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    """The n-gram answers, and that is said once, on standard error; not where it was asked for."""
    monkeypatch.setattr("ngramgen.loading.find_spec", lambda name: None)
    result = invoke(name, *COMMANDS[name], "-m", untuned_folder, stdin=TEXT)
    assert (result.exit_code, result.stderr) == (0, NOTICE)
    asked = invoke(name, *COMMANDS[name], "-m", untuned_folder, "--neural", "never", stdin=TEXT)
    assert (asked.exit_code, asked.stderr, asked.stdout) == (0, "", result.stdout)


def test_refusals(untuned_folder: Path, invoke: Invoke, model_path: Path) -> None:
    """Another word, and a network where there is none, are misuse."""
    result = invoke("next", "a", "-m", untuned_folder, "--neural", "sometimes")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "'never', 'auto', 'always', 'only'" in result.stderr
    for words in (["--neural", "auto"], ["--neural-budget", 0.5], ["--max-ms-per-token", 1]):
        result = invoke("next", "a", "-m", untuned_folder, *words)
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"ngramgen tune {untuned_folder} --on TEXTFILE" in result.stderr
    result = invoke("next", "a", "-m", untuned_folder, "--neural-budget", 1.5)
    assert (result.exit_code, result.stderr) == (2, "Error: the neural budget must be a number from 0 to 1, not 1.5\n")
    result = invoke("next", "a", "-m", model_path, "--neural", "only")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "is no network; name the folder of one" in result.stderr


def test_info(untuned_folder: Path, invoke: Invoke) -> None:
    """A hybrid tells of both its parts."""
    result = invoke("info", untuned_folder)
    assert (result.exit_code, result.stderr) == (0, "")
    rows = {name: value.strip() for name, value in (line.split("  ", 1) for line in result.stdout.splitlines())}
    assert (rows["kind"], rows["order"], rows["file"], rows["weighting"]) == ("hybrid", "3", "model_int8.onnx", "fixed")
    assert ngramgen.load(untuned_folder).description()["kind"] == "hybrid"
