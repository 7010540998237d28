"""The options -m and --neural of the commands that ask a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

import ngramgen
from ngramgen.cli.models import loaded
from ngramgen.hybrid.model import HybridModel
from ngramgen.neural.model import OnnxModel
from ngramgen.ngram.model import NgramModel
from tests.hybrid.tiny import write_hybrid
from tests.neural.tiny import TEXT

Invoke = Callable[..., Result]
NOTICE = "onnxruntime is not installed, so the n-gram answers alone: pip install 'ngramgen[neural]'\n"
COMMANDS: dict[str, list[Any]] = {
    "generate": ["the cat", "--seed", 3, "--max-new-tokens", 6, "-n", 2],
    "next": ["the cat", "-k", 3],
    "score": ["-"],
    "perplexity": ["-"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for name in ("onnx", "onnxruntime", "tokenizers"):
        pytest.importorskip(name)
    folder = tmp_path_factory.mktemp("hybrid")
    write_hybrid(folder)
    return folder


@pytest.mark.parametrize(
    ("neural", "kind"), [(None, HybridModel), ("always", HybridModel), ("only", OnnxModel), ("never", NgramModel)]
)
def test_loaded(neural: str | None, kind: type, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The model that the options name; where all is there nothing is said."""
    assert isinstance(loaded(str(folder), neural).model, kind)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name", COMMANDS)
def test_commands(name: str, folder: Path, invoke: Invoke) -> None:
    """Each takes --neural: the parts and the mixture answer differently, the n-gram as its own file does."""
    outputs = []
    for words in ([], ["--neural", "always"], ["--neural", "only"], ["--neural", "never"]):
        result = invoke(name, *COMMANDS[name], "-m", folder, *words, stdin=TEXT)
        assert (result.exit_code, result.stderr) == (0, "")
        outputs.append(result.stdout)
    assert outputs[0] == outputs[1]
    assert len(set(outputs[1:])) == 3
    assert outputs[3] == invoke(name, *COMMANDS[name], "-m", folder / "model.ngram", stdin=TEXT).stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_without_onnxruntime(name: str, folder: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    """The n-gram answers, and that is said once, on standard error; not where it was asked for."""
    monkeypatch.setattr("ngramgen.loading.find_spec", lambda name: None)
    result = invoke(name, *COMMANDS[name], "-m", folder, stdin=TEXT)
    assert (result.exit_code, result.stderr) == (0, NOTICE)
    asked = invoke(name, *COMMANDS[name], "-m", folder, "--neural", "never", stdin=TEXT)
    assert (asked.exit_code, asked.stderr, asked.stdout) == (0, "", result.stdout)


def test_refusals(folder: Path, invoke: Invoke, model_path: Path) -> None:
    """Another word, and a network where there is none, are misuse."""
    result = invoke("next", "a", "-m", folder, "--neural", "sometimes")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "'never', 'always', 'only'" in result.stderr
    result = invoke("next", "a", "-m", model_path, "--neural", "only")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "is no network; name the folder of one" in result.stderr


def test_info(folder: Path, invoke: Invoke) -> None:
    """A hybrid tells of both its parts."""
    result = invoke("info", folder)
    assert (result.exit_code, result.stderr) == (0, "")
    rows = {name: value.strip() for name, value in (line.split("  ", 1) for line in result.stdout.splitlines())}
    assert (rows["kind"], rows["order"], rows["file"], rows["weighting"]) == ("hybrid", "3", "model_int8.onnx", "fixed")
    assert ngramgen.load(folder).description()["kind"] == "hybrid"
