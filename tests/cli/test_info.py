"""`ngramgen info`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from click.testing import CliRunner, Result

import ngramgen
from ngramgen.cli import main
from tests.shipping import Ship

Invoke = Callable[..., Result]


def test_json(invoke: Invoke, model_path: Path) -> None:
    """--json is the model's description and the size of its file."""
    result = invoke("info", model_path, "--json")
    assert (result.exit_code, result.stderr, result.stdout.count("\n")) == (0, "", 1)
    expected = ngramgen.load(model_path).description() | {"file_bytes": model_path.stat().st_size}
    assert json.loads(result.stdout) == expected


def test_rows(invoke: Invoke, model_path: Path) -> None:
    """For people there is a labelled row for each thing known, in words."""
    found = json.loads(invoke("info", model_path, "--json").stdout)
    rows = dict(line.split("  ", 1) for line in invoke("info", model_path).stdout.splitlines())
    rows = {name: value.strip() for name, value in rows.items()}
    assert rows["order"] == "3"
    assert rows["smoothing"] == "modified-kneser-ney"
    assert rows["cleaning"] == "nfc, control, whitespace"
    assert rows["corpus"].startswith("183 lines, ")
    assert rows["normalised"] == "yes"
    for k, order in enumerate(found["orders"], start=1):
        assert rows[f"{k}-grams"].startswith(f"{order['kept']} D1={order['discounts'][0]:g} ")


def test_arpa(invoke: Invoke, model_path: Path, tmp_path: Path) -> None:
    """A model read from ARPA is described as far as it is known."""
    path = tmp_path / "m.arpa"
    ngramgen.load(model_path).save(path)
    result = invoke("info", path)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "3-grams" in result.stdout


def test_shipped_models(invoke: Invoke, model_path: Path, ship: Ship) -> None:
    """A name is a shipped model, no name the default one; a folder with an n-gram alone is as its file."""
    files = {"model.ngram": model_path.read_bytes()}
    ship(english=files, other={"model.ngram": b"damaged"})
    expected = invoke("info", model_path).stdout
    assert invoke("info").stdout == invoke("info", "english").stdout == expected
    assert "other/model.ngram" in invoke("info", "other").stderr


def test_a_notice(invoke: Invoke, model_path: Path, tmp_path: Path) -> None:
    """What is described where the network is missing is the n-gram, and that is said."""
    (tmp_path / "model.ngram").write_bytes(model_path.read_bytes())
    (tmp_path / "hybrid.json").write_text("{}")
    result = invoke("info", tmp_path)
    assert result.stdout == invoke("info", model_path).stdout
    assert result.stderr == f"{tmp_path} holds no network, so the n-gram answers alone\n"


def test_missing_model(invoke: Invoke, ship: Ship) -> None:
    """A model that is not there fails with its name; without a name we are told how to get one."""
    ship()
    result = invoke("info", "none.ngram")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "none.ngram" in result.stderr
    result = invoke("info")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "ngramgen train" in result.stderr


def test_damaged_model(invoke: Invoke, model_path: Path, tmp_path: Path) -> None:
    """A file cut short is one line on stderr."""
    path = tmp_path / "cut.ngram"
    path.write_bytes(model_path.read_bytes()[:-1000])
    result = invoke("info", path)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert "cut.ngram" in result.stderr


def test_verify(invoke: Invoke, model_path: Path, tmp_path: Path) -> None:
    """--verify reads all of the file: a wrong byte deep inside is one line on stderr that names the section."""
    assert invoke("info", model_path, "--verify").stdout == invoke("info", model_path).stdout
    path = tmp_path / "wrong.ngram"
    data = bytearray(model_path.read_bytes())
    data[-64] ^= 1  # the last section's first byte
    path.write_bytes(data)
    assert invoke("info", path).exit_code == 0
    result = invoke("info", path, "--verify")
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert f"{path}: section 'contexts.3'" in result.stderr


def test_a_damaged_story_of_the_making_is_one_sentence(tmp_path: Path) -> None:
    """A file whose orders are told in another form ends in one line, and --json still shows it."""
    from ngramgen.ngram.storage import save_ngram
    from ngramgen.training import train

    made = train(["a b"], order=2, tokenizer="whitespace")
    path = tmp_path / "odd.ngram"
    save_ngram(path, made.model, (), {"orders": [1, 2]})
    result = CliRunner().invoke(main, ["info", str(path)])
    assert result.exit_code == 1
    assert "odd.ngram: what the file tells of its making is damaged" in result.stderr
    assert CliRunner().invoke(main, ["info", str(path), "--json"]).exit_code == 0
