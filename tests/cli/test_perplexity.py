"""`ngramgen perplexity`."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Invoke = Callable[..., Result]

KEYS = ["tokens", "oov", "log10", "perplexity", "perplexity_excluding_oov", "bits_per_byte"]
BESIDE = ["neural_calls", "ms_per_token"]
TEXT = "Once upon a time there was a fox.\nZyxwv! The fox.\n"


def test_json(invoke: Invoke, model_path: Path) -> None:
    """--json is one object with exactly these keys, which agree with `score` and with each other."""
    result = invoke("perplexity", "-", "-m", model_path, "--json", stdin=TEXT)
    assert (result.exit_code, result.stderr, result.stdout.count("\n")) == (0, "", 1)
    found = json.loads(result.stdout)
    assert list(found) == KEYS + BESIDE
    assert found["neural_calls"] == 0
    assert found["ms_per_token"] > 0
    rows = [json.loads(row) for row in invoke("score", "-m", model_path, "--json", stdin=TEXT).stdout.splitlines()]
    assert found["tokens"] == 16  # 9 and 5 words and marks, and two ends
    assert found["oov"] == 1
    assert found["log10"] == pytest.approx(sum(row["log10"] for row in rows))
    assert found["perplexity"] == pytest.approx(10 ** (-found["log10"] / 16))
    assert found["perplexity_excluding_oov"] < found["perplexity"]
    assert found["bits_per_byte"] == pytest.approx(-found["log10"] * math.log2(10) / len(TEXT))


def test_files(invoke: Invoke, model_path: Path, tmp_path: Path) -> None:
    """Several files, standard input among them, are measured as one text."""
    parts = TEXT.splitlines(keepends=True)
    first = tmp_path / "first.txt"
    first.write_text(parts[0])
    whole = invoke("perplexity", "-", "-m", model_path, "--json", stdin=TEXT)
    apart = invoke("perplexity", first, "-", "-m", model_path, "--json", stdin=parts[1])
    one, other = (json.loads(result.stdout) for result in (apart, whole))
    assert {key: one[key] for key in KEYS} == pytest.approx({key: other[key] for key in KEYS})


def test_rows(invoke: Invoke, model_path: Path) -> None:
    """For people there is a labelled row a number."""
    found = json.loads(invoke("perplexity", "-", "-m", model_path, "--json", stdin=TEXT).stdout)
    rows = [line.split() for line in invoke("perplexity", "-", "-m", model_path, stdin=TEXT).stdout.splitlines()]
    assert [name for name, _ in rows] == KEYS
    assert {name: float(value) for name, value in rows} == pytest.approx({key: found[key] for key in KEYS}, rel=1e-4)


def test_nothing_to_measure(invoke: Invoke, model_path: Path) -> None:
    """Where a number has no value, JSON says null."""
    found = json.loads(invoke("perplexity", "-", "-m", model_path, "--json", stdin="").stdout)
    assert (found["tokens"], found["perplexity"], found["bits_per_byte"]) == (0, None, None)


def test_missing_file(invoke: Invoke, model_path: Path) -> None:
    """A file that is not there fails with its name; no file at all is misuse."""
    result = invoke("perplexity", "none.txt", "-m", model_path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "none.txt" in result.stderr
    assert invoke("perplexity", "-m", model_path).exit_code == 2
