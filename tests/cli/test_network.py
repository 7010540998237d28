"""`ngramgen train --engine transformer`."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import Result

import ngramgen
from ngramgen.cli import network
from ngramgen.cli.train import command
from ngramgen.neural.curve import CurvePoint
from ngramgen.neural.options import setting_names, settings

Invoke = Callable[..., Result]
Start = Callable[..., "subprocess.Popen[bytes]"]

SHAPE = {"vocab_size": 300, "layers": 1, "width": 32, "heads": 2, "kv_heads": 2, "hidden": 64, "context": 32}
SMALL = [
    "--engine",
    "transformer",
    "--size",
    "tiny",
    *(word for name, value in SHAPE.items() for word in ("--set", f"{name}={value}")),
    "--set",
    "compile=false",
]


def parsed(*words: str) -> dict[str, Any]:
    return command.make_context("train", ["corpus.txt", "-o", "network", *words]).params


@pytest.mark.parametrize(
    ("word", "seconds"), [("90s", 90), ("90", 90), ("60m", 3600), ("1.5h", 5400), ("0.5s", 0.5), (" 2m ", 120)]
)
def test_durations(word: str, seconds: float) -> None:
    """A time is written in seconds, minutes or hours."""
    assert parsed("--time", word)["seconds"] == seconds


@pytest.mark.parametrize(("word", "count"), [("500k", 500_000), ("20M", 20_000_000), ("1.5M", 1_500_000), ("7", 7)])
def test_counts(word: str, count: int) -> None:
    """A number of tokens may be written in thousands or millions."""
    assert parsed("--tokens", word)["tokens"] == count


def test_settings() -> None:
    """--set takes numbers and truth values by name, with - or _, and the last of a name counts."""
    words = ["width=64", "batch-size=8", "adam_beta1=0.7", "compile=false", "width=96"]
    found = parsed(*(word for one in words for word in ("--set", one)))["named"]
    assert found == {"width": 96, "batch_size": 8, "adam_beta1": 0.7, "compile": False}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--time", "1d"], "'1d' is no duration; write such as 90s, 60m or 1.5h."),
        (["--time", "-5s"], "'-5s' is no duration"),
        (["--time", "nan"], "'nan' is no duration"),
        (["--tokens", "many"], "'many' is no number of tokens; write such as 500k, 20M or 1000000."),
        (["--tokens", "5G"], "'5G' is no number of tokens"),
        (["--set", "width"], "'width' is no NAME=VALUE."),
        (["--set", "width=wide"], "'wide' is no number, true or false."),
        (["--set", "seed=3"], "there is no setting 'seed'; they are adam_beta1, "),
        (["--set", "report=3"], "there is no setting 'report'"),
    ],
)
def test_refused_words(words: list[str], message: str) -> None:
    """What is no time, number or setting is refused with what would be one."""
    with pytest.raises(click.BadParameter) as raised:
        parsed(*words)
    assert message in raised.value.message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--engine", "transformer"], "Give --time or --tokens, and not both"),
        (["--engine", "transformer", "--time", "5s", "--tokens", "5"], "Give --time or --tokens, and not both"),
        (["--tokens", "5", "--order", "3"], "--order is an option of an n-gram; leave it out"),
        (["--tokens", "5", "--vocab-size", "300"], "--vocab-size is an option of an n-gram"),
        (["--tokens", "5", "--copy-filter", "6"], "--copy-filter is an option of an n-gram"),
        (["--size", "tiny"], "--size is an option of --engine transformer; leave it out"),
        (["--resume"], "--resume is an option of --engine transformer"),
        (["--set", "width=32"], "--set is an option of --engine transformer"),
        (["--tokens", "0"], "tokens must be above 0, not 0"),
        (["--tokens", "5", "--set", "width=95"], "width must be heads times a multiple of 16"),
        (["--tokens", "5", "--seed", "-1"], "seed must be 0 or more, not -1"),
        (["--tokens", "5", "--size", "tiny", "--init-from", "english"], "--init-from decides the size of the network"),
        (["--tokens", "5", "--set", "hidden=512", "--init-from", "english"], "leave hidden out"),
        (["--tokens", "5", "--resume", "--init-from", "english"], "leave --init-from out"),
        (["--init-from", "english"], "--init-from is an option of --engine transformer"),
        (["--tokens", "5", "--tokenizer", "word"], "a network reads subwords: bpe, bpe:N or"),
        (["--tokens", "5", "--tokenizer", "bpe:9"], "a bpe vocabulary of 9 entries is too"),
        (["--tokens", "5", "--tokenizer", "bpe:no.json"], "the tokenizer no.json cannot be"),
    ],
)
def test_conflicts(invoke: Invoke, tmp_path: Path, words: list[str], message: str) -> None:
    """Options that do not go together, or are out of their range, are misuse, and nothing is written."""
    if words[0] == "--tokens":  # what is trained so is a network
        words = ["--engine", "transformer", *words]
    result = invoke("train", ngramgen.sample_text(), "-o", tmp_path / "network", *words)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["m.ngram", "m.arpa", "m.arpa.gz"])
def test_file_as_output(invoke: Invoke, tmp_path: Path, name: str) -> None:
    """A network is a folder: the name of a file is refused."""
    result = invoke("train", ngramgen.sample_text(), "-o", tmp_path / name, *SMALL, "--tokens", "1k")
    assert result.exit_code == 2
    assert "names a file; a network is a folder." in result.stderr


def test_file_in_the_way(invoke: Invoke, tmp_path: Path) -> None:
    """A file where the folder would be is left as it is."""
    path = tmp_path / "network"
    path.write_text("mine")
    result = invoke("train", ngramgen.sample_text(), "-o", path, *SMALL, "--tokens", "1k")
    assert (result.exit_code, path.read_text()) == (2, "mine")
    assert "is a file; name a folder." in result.stderr


def test_resume_of_standard_input(invoke: Invoke, tmp_path: Path) -> None:
    """Standard input cannot be told from another, so nothing is resumed with it."""
    result = invoke("train", "-", "-o", tmp_path / "network", *SMALL, "--tokens", "1k", "--resume", stdin="a\n")
    assert result.exit_code == 2
    assert "--resume needs files" in result.stderr


def test_defaults() -> None:
    """The defaults of the command are those of Python."""
    found = parsed()
    assert {name: found[name] for name in ("size", "device", "seed", "resume", "valid", "precisions", "named")} == {
        "size": "small",
        "device": "auto",
        "seed": 1,
        "resume": False,
        "valid": (),
        "precisions": (),
        "named": {},
    }


def test_whole_run(invoke: Invoke, tmp_path: Path) -> None:
    """A training tells how it goes, goes on where it ended, and another precision is written from its checkpoint."""
    pytest.importorskip("torch", reason="training needs torch")
    folder, sample = tmp_path / "network", ngramgen.sample_text()
    result = invoke("train", sample, "-o", folder, *SMALL, "--tokens", "20k")
    assert (result.exit_code, result.stdout) == (0, "")
    lines = result.stderr.splitlines()
    assert lines[0] == "Reading the text ..."
    assert [line.split()[0] for line in lines[1:9]] == ["13%", "26%", "38%", "51%", "64%", "77%", "90%", "100%"]
    assert lines[4].split()[1:4] == ["10", "k", "tokens"]
    assert lines[8].endswith("bits per byte  0:00 left")
    assert [line.partition(":")[0] for line in lines[9:11]] == [
        f"Wrote {folder / 'model.onnx'}",
        f"Wrote {folder / 'model_int8.onnx'}",
    ]
    assert "bits per byte, in " in lines[11]

    first = json.loads((folder / "training.json").read_text())
    assert first["tokens"] == 20480  # steps of 16 times 32
    assert json.loads((folder / "config.json").read_text()) | SHAPE == json.loads((folder / "config.json").read_text())

    result = invoke("train", sample, "-o", folder, *SMALL, "--tokens", "20k")
    assert result.exit_code == 2
    assert "holds a training: go on with it by resume" in result.stderr

    result = invoke("train", sample, "-o", folder, *SMALL, "--tokens", "30k", "--resume", "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found == json.loads((folder / "training.json").read_text())
    assert found["tokens"] == 30208
    assert found["valid_bits_per_byte"] < first["valid_bits_per_byte"] < 5

    result = invoke("export", folder, "--precision", "q4")
    assert (result.exit_code, result.stdout) == (0, "")
    assert f"{folder / 'model_q4.onnx'}: " in result.stderr
    assert (folder / "model_q4.onnx").exists()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a system with SIGKILL")
def test_killed(invoke: Invoke, start: Start, tmp_path: Path) -> None:
    """A training that is killed while it saves all the time leaves a whole checkpoint, from which --resume goes on."""
    pytest.importorskip("torch", reason="training needs torch")
    from ngramgen.neural.checkpoint import load_checkpoint

    latest = tmp_path / "network" / "training" / "latest.pt"
    args = ["train", ngramgen.sample_text(), "-o", tmp_path / "network", *SMALL]
    process = start(*args, "--tokens", "1000M", "--set", "checkpoint_seconds=1e-9", stderr=subprocess.DEVNULL)
    with process:
        end = time.monotonic() + 30
        while not latest.exists() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.1)
        process.kill()
    assert process.returncode == -signal.SIGKILL  # and not ended by itself before
    step = load_checkpoint(latest)["step"]
    assert step >= 1
    result = invoke(*args, "--tokens", (step + 2) * 16 * 32, "--resume", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["steps"] == step + 2


def test_tokenizer_size(invoke: Invoke, tmp_path: Path) -> None:
    """bpe:N learns N entries, and bpe:FILE takes those of another network."""
    pytest.importorskip("torch", reason="training needs torch")
    sample = ngramgen.sample_text()
    words = [word for word in SMALL if word != "vocab_size=300"]
    words.remove("--set")
    sizes = []
    for name, tokenizer in (("one", "bpe:270"), ("two", f"bpe:{tmp_path / 'one' / 'tokenizer.json'}")):
        result = invoke("train", sample, "-o", tmp_path / name, *words, "--tokens", 512, "--tokenizer", tokenizer)
        assert result.exit_code == 0, result.stderr
        sizes.append(json.loads((tmp_path / name / "config.json").read_text())["vocab_size"])
    assert sizes == [270, 270]


def test_cleaning(invoke: Invoke, tmp_path: Path) -> None:
    """The cleaning options are those of an n-gram, and the steps are written down."""
    pytest.importorskip("torch", reason="training needs torch")
    found = []
    for words in (["--lowercase"], ["--no-clean"]):
        folder = tmp_path / words[0]
        args = ["train", ngramgen.sample_text(), "-o", folder, *SMALL, "--tokens", 512, *words, "--json"]
        found.append(json.loads(invoke(*args).stdout)["cleaning"])
    assert found == [["nfc", "control", "whitespace", "lowercase"], []]


def test_page_lists_settings() -> None:
    """docs/training.md has a row for every setting, with the default of the size small."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| `")]
    config, options = settings("small", {}, tokens=1)
    values = asdict(config) | asdict(options)
    expected = {name: json.dumps(values[name]) for name in setting_names()}
    shown = {row[0].strip("`"): row[1].replace(",", "") for row in rows if row[0].strip("`") in expected}
    assert {name: json.loads(value) for name, value in shown.items()} == {
        name: json.loads(value) for name, value in expected.items()
    }


@pytest.mark.parametrize(
    ("values", "bits", "line"),
    [
        ((0.05, 1, 2_048, 3.4, 75.0), None, "  5%  2 k tokens  0:03  1:15 left"),
        ((0.5, 9, 4_100_000, 1800.0, 3700.0), None, " 50%  4.1 M tokens  30:00  1:01:40 left"),
        ((1.0, 9, 8_200_000, 3600.0, 0.0), 1.46214, "100%  8.2 M tokens  1:00:00  1.4621 bits per byte  0:00 left"),
    ],
)
def test_line(values: tuple[Any, ...], bits: float | None, line: str) -> None:
    """A line of progress tells the share, the tokens, the time, the measurement if there is one, and the end."""
    pytest.importorskip("torch", reason="training needs torch")
    from ngramgen.neural.trainer import Progress

    point = None if bits is None else CurvePoint(3600.0, 9, 8_200_000, 0.0, 1.5, bits)
    assert network._line(Progress(*values, point)) == line
