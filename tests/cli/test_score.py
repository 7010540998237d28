"""`ngramgen score`."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

import ngramgen

Invoke = Callable[..., Result]
Start = Callable[..., "subprocess.Popen[bytes]"]

LINES = ["Once upon a time there was a fox.", "", "Zyxwv! The fox.", "A hare laughed at a tortoise"]


def test_numbers(invoke: Invoke, model_path: Path, tmp_path: Path) -> None:
    """Every line has its number, the same from a file, a packed file and standard input, as Python scores it."""
    text = "".join(line + "\n" for line in LINES)
    path = tmp_path / "lines.txt"
    path.write_text(text)
    packed = tmp_path / "lines.txt.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    result = invoke("score", path, "-m", model_path)
    assert (result.exit_code, result.stderr) == (0, "")
    model = ngramgen.load(model_path)
    expected = [model.score(line, base=10) for line in LINES]
    assert [float(line) for line in result.stdout.splitlines()] == pytest.approx(expected, abs=1e-6)
    for other in (
        invoke("score", packed, "-m", model_path),
        invoke("score", "-", "-m", model_path, stdin=text),
        invoke("score", "-m", model_path, stdin=text.removesuffix("\n").replace("\n", "\r\n")),
    ):
        assert other.stdout == result.stdout


def test_json(invoke: Invoke, model_path: Path) -> None:
    """--json gives an object a line with exactly four keys; </s> counts as a token, as KenLM's query does."""
    result = invoke("score", "-m", model_path, "--json", stdin="".join(line + "\n" for line in LINES))
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [list(row) for row in rows] == [["text", "log10", "tokens", "oov"]] * 4
    assert [row["text"] for row in rows] == LINES
    # Once upon a time there was a fox . </s> | </s> | Zyxwv ! The fox . </s> | A hare laughed at a tortoise </s>
    assert [row["tokens"] for row in rows] == [10, 1, 6, 7]
    assert [row["oov"] for row in rows] == [0, 0, 1, 0]
    numbers = invoke("score", "-m", model_path, stdin="".join(line + "\n" for line in LINES)).stdout.split()
    assert [f"{row['log10']:.6f}" for row in rows] == numbers


def test_no_lines(invoke: Invoke, model_path: Path) -> None:
    """No line in, no line out."""
    for options in ([], ["--json"]):
        result = invoke("score", "-m", model_path, *options, stdin="")
        assert (result.exit_code, result.output) == (0, "")


def test_many_lines(invoke: Invoke, model_path: Path) -> None:
    """Text of many blocks keeps its lines in order, with one answer each."""
    lines = [f"The fox saw {i} hares." for i in range(60_000)]  # 1.4 MB: more than one block of the reader
    result = invoke("score", "-m", model_path, "--json", stdin="".join(line + "\n" for line in lines))
    assert [json.loads(line)["text"] for line in result.stdout.splitlines()] == lines


def test_conversation(start: Start, model_path: Path) -> None:
    """A program that keeps the pipe open gets the answer to each line before it sends the next."""
    with start("score", "-m", model_path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line in (b"The fox.\n", b"\n", b"The hare\n"):
            process.stdin.write(line)
            process.stdin.flush()
            assert float(process.stdout.readline()) < 0
        out, err = process.communicate()
    assert (process.returncode, out, err) == (0, b"", b"")


def test_unreadable(invoke: Invoke, model_path: Path, tmp_path: Path) -> None:
    """A file that is not there or not UTF-8 fails with its name."""
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"The fox.\ncaf\xe9\n")
    for path, reason in ((tmp_path / "none.txt", "none.txt"), (bad, "bad.txt, line 2")):
        result = invoke("score", path, "-m", model_path)
        assert (result.exit_code, result.stdout) == (1, "")
        assert reason in result.stderr
