"""`ngramgen tune`."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.hybrid.tiny import UNSEEN

Invoke = Callable[..., Result]


@pytest.fixture
def folder(untuned_folder: Path, tmp_path: Path) -> Path:
    """A copy to write into, with a text."""
    folder = Path(shutil.copytree(untuned_folder, tmp_path / "hybrid"))
    (folder / "unseen.txt").write_text(UNSEEN)
    return folder


def test_for_people(invoke: Invoke, folder: Path) -> None:
    """A line for each part, for the mixture and for some budgets, which are what perplexity says of them then."""
    result = invoke("tune", folder, "--on", folder / "unseen.txt")
    assert (result.exit_code, result.stderr) == (0, "")
    rows = [re.split(r"  +| (?=bits)", line) for line in result.stdout.splitlines()]
    assert [(name, unit) for name, _, unit in rows] == [
        (name, "bits per byte")
        for name in ("ngram", "network", "mixture", "auto 0.1", "auto 0.25", "auto 0.5", "auto 0.75")
    ]
    options = [["--neural", neural] for neural in ("never", "only", "always")]
    options += [["--neural-budget", budget] for budget in (0.1, 0.25, 0.5, 0.75)]
    for (_, value, _), words in zip(rows, options, strict=True):
        measured = invoke("perplexity", folder / "unseen.txt", "-m", folder, *words, "--json")
        assert float(value) == pytest.approx(json.loads(measured.stdout)["bits_per_byte"], abs=1e-4)


def test_json(invoke: Invoke, folder: Path) -> None:
    """One object with what is written into the folder; texts may be several, one of them standard input."""
    result = invoke("tune", folder, "--on", folder / "unseen.txt", "--on", "-", "--json", stdin="the cat\n")
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert found == json.loads((folder / "hybrid.json").read_text())["about"]
    assert found["bytes"] == len(UNSEEN.encode()) + 8
    assert set(found) == {"bytes", "tokens", "mean_weight", "mean_cache_weight", "bits_per_byte", "auto_bits_per_byte"}
    assert set(found["bits_per_byte"]) == {"ngram", "network", "mixture"}


def test_misuse(invoke: Invoke, folder: Path, model_path: Path) -> None:
    """No text, no such text, no hybrid: one line each, and nothing is written."""
    for words, status, message in (
        (["tune", folder], 2, "Missing option '--on'"),
        (["tune", folder, "--on", folder / "missing.txt"], 1, "missing.txt"),
        (["tune", model_path, "--on", folder / "unseen.txt"], 2, "is no network; name the folder of one"),
        (["tune", folder / "nowhere", "--on", folder / "unseen.txt"], 1, "there is no model"),
    ):
        result = invoke(*words)
        assert (result.exit_code, result.stdout) == (status, "")
        assert message in " ".join(result.stderr.split())
    assert not (folder / "hybrid.json").exists()
