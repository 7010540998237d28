"""`ngramgen novelty`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

import ngramgen

Invoke = Callable[..., Result]

KEYS = ["lines", "tokens", "words", "run_length", "runs", "copied_runs", "copied_share"]
KEYS += ["longest_copied", "longest_copied_line", "longest_copied_text"]
TEXT = "It began so: once upon a time a fox found a bunch of bananas.\nNothing else.\n"


@pytest.fixture(scope="module")
def filtered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("novelty") / "fables.ngram"
    ngramgen.train(ngramgen.sample_text(), order=2, copy_filter=4).save(path)
    return path


def test_json(invoke: Invoke, filtered: Path) -> None:
    """--json is one object: "Once upon a time a fox found a bunch of grapes" begins the fables, here without Once."""
    result = invoke("novelty", "-", "-m", filtered, "--json", stdin=TEXT)
    assert (result.exit_code, result.stderr, result.stdout.count("\n")) == (0, "", 1)
    found = json.loads(result.stdout)
    assert list(found) == KEYS
    assert (found["lines"], found["tokens"], found["words"], found["runs"]) == (2, 16 + 3, 14 + 2, 13)
    assert found["longest_copied_text"] == "upon a time a fox found a bunch of"
    assert (found["longest_copied"], found["longest_copied_line"]) == (9, 1)
    assert found["copied_share"] == found["copied_runs"] / 13


def test_against(invoke: Invoke, filtered: Path, tmp_path: Path) -> None:
    """--against reads another text as train would, several of them as one, with runs and tokens of one's own choice."""
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text("Upon  a time\n")
    second.write_text("a fox found a bunch of grapes\n")
    result = invoke("novelty", "-", "--against", first, "--against", second, "--length", 3, "--json", stdin=TEXT)
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert list(found) == KEYS
    assert found["run_length"] == 3
    assert (found["copied_runs"], found["longest_copied_text"]) == (4, "a fox found a bunch of")
    same = invoke("novelty", "-", "--against", ngramgen.sample_text(), "--length", 4, "--json", stdin=TEXT)
    assert json.loads(same.stdout)["longest_copied"] == 9
    found = json.loads(invoke("novelty", "-", "--against", first, "--tokenizer", "char", "--json", stdin=TEXT).stdout)
    assert (found["run_length"], found["longest_copied_text"]) == (6, "pon a time")
    assert json.loads(invoke("novelty", "-", "--against", first, "--json", stdin=TEXT).stdout)["run_length"] == 6


def test_rows(invoke: Invoke, filtered: Path, tmp_path: Path) -> None:
    """For people there is a labelled row a number, over all files together."""
    lines = TEXT.splitlines(keepends=True)
    (tmp_path / "second.txt").write_text(lines[0])
    result = invoke("novelty", "-", tmp_path / "second.txt", "-m", filtered, stdin=lines[1])
    assert (result.exit_code, result.stderr) == (0, "")
    rows = dict(line.split(None, 1) for line in result.stdout.splitlines())
    assert list(rows) == KEYS
    assert rows["longest_copied_line"] == "2"
    assert rows["copied_share"] == f"{int(rows['copied_runs']) / 13:.6f}"


def test_nothing_to_measure(invoke: Invoke, filtered: Path) -> None:
    """Where a number has no value, JSON says null, and people are told so."""
    found = json.loads(invoke("novelty", "-", "-m", filtered, "--json", stdin="").stdout)
    assert (found["runs"], found["copied_share"], found["longest_copied_line"]) == (0, None, None)
    rows = invoke("novelty", "-", "-m", filtered, stdin="").stdout
    assert "copied_share         nan\n" in rows
    assert "longest_copied_line  none\n" in rows


def test_refusals(invoke: Invoke, filtered: Path, model_path: Path) -> None:
    """Options that exclude each other, a model without a filter and files that are not there are one line each."""
    for args, status, text in [
        (("-", "-m", filtered, "--against", filtered), 2, "--against and --model exclude each other"),
        (("-", "-m", filtered, "--length", 3), 2, "--length and --tokenizer go with --against"),
        (("-", "-m", filtered, "--tokenizer", "char"), 2, "--length and --tokenizer go with --against"),
        (("-", "--against", "none.txt"), 1, "none.txt"),
        (("none.txt", "-m", filtered), 1, "none.txt"),
        (("-", "--against", "-", "--length", 1), 2, "length must be an integer from 2 to 64, not 1"),
        (("-", "--against", ngramgen.sample_text(), "--tokenizer", "x"), 2, "there is no tokenizer 'x'"),
        (("-", "-m", model_path), 2, "train an n-gram model with --copy-filter 6"),
        (("-", "-m", "none.ngram"), 1, "none.ngram"),
        ((), 2, "FILE"),
    ]:
        result = invoke("novelty", *args, stdin="a b\n")
        assert (result.exit_code, result.stdout) == (status, ""), args
        assert text in result.stderr
        assert "Traceback" not in result.stderr
