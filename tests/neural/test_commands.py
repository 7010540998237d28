"""Every command that takes a model takes the folder of a network."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from click.testing import CliRunner

import ngramgen
from ngramgen.cli import main
from tests.neural.tiny import TEXT


def run(*arguments: object, text: str | None = None) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], input=text)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def test_generate(own_folder: Path) -> None:
    """The command writes what the library makes by the same seed."""
    found = run("generate", "the cat", "-m", own_folder, "--seed", 3, "--max-new-tokens", 6)
    model = ngramgen.load(own_folder)
    assert found == f"{model.generate('the cat', seed=3, max_new_tokens=6)}\n"


def test_next(own_folder: Path) -> None:
    """The likeliest tokens, best first."""
    found = json.loads(run("next", "the cat", "-m", own_folder, "-k", 3, "--json"))
    assert [one["token"] for one in found] == [one.token for one in ngramgen.load(own_folder).next("the cat", k=3)]


def test_score_and_perplexity(own_folder: Path, tmp_path: Path) -> None:
    """score takes each line alone, so that equal lines have equal scores; perplexity reads on from line to line."""
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    lines = TEXT.split("\n")[:-1]
    scores = [float(line) for line in run("score", "-m", own_folder, text="\n".join([*lines, lines[0]]) + "\n").split()]
    model = ngramgen.load(own_folder)
    assert scores == pytest.approx([model.score(line, base=10) for line in [*lines, lines[0]]], abs=1e-5)
    found = json.loads(run("perplexity", path, "-m", own_folder, "--json"))
    ids = model.tokenizer.encode(TEXT)
    assert found["log10"] == pytest.approx(model.model.score(ids).sum() / math.log(10), abs=1e-4)
    assert found["log10"] != pytest.approx(sum(scores[:-1]), abs=0.01)


def test_info(own_folder: Path) -> None:
    """What a network is, for people and for programs, of a folder and of a file."""
    rows = dict(line.split("  ", 1) for line in run("info", own_folder).splitlines())
    assert rows["kind"].strip() == "network"
    assert rows["file"].strip() == "model_int8.onnx"
    assert rows["file bytes"].strip().endswith("kB")
    found = json.loads(run("info", own_folder / "model.onnx", "--json"))
    assert found == ngramgen.load(own_folder / "model.onnx").description()


def test_a_network_is_not_converted(own_folder: Path, tmp_path: Path) -> None:
    """It cannot be written as an ARPA file: one line says so."""
    result = CliRunner().invoke(main, ["convert", str(own_folder), str(tmp_path / "m.arpa")])
    assert result.exit_code == 2
    assert "only an n-gram model" in result.stderr
