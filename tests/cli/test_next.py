"""`ngramgen next`."""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

import ngramgen

Invoke = Callable[..., Result]
Start = Callable[..., "subprocess.Popen[bytes]"]


def test_json(invoke: Invoke, model_path: Path) -> None:
    """--json is one list of K objects with exactly three keys, best first, as Python gives them."""
    result = invoke("next", "Once upon a", "-m", model_path, "-k", 7, "--json")
    assert (result.exit_code, result.stderr, result.stdout.count("\n")) == (0, "", 1)
    rows = json.loads(result.stdout)
    assert rows == [vars(token) for token in ngramgen.load(model_path).next("Once upon a", k=7)]
    assert [list(row) for row in rows] == [["token", "logprob", "prob"]] * 7
    assert rows[0]["token"] == " time"
    assert [row["prob"] for row in rows] == sorted((row["prob"] for row in rows), reverse=True)
    assert rows[0]["prob"] == pytest.approx(math.exp(rows[0]["logprob"]))


def test_rows(invoke: Invoke, model_path: Path) -> None:
    """For people there is a row a token: its probability, a tab, the token; ten of them."""
    tokens = ngramgen.load(model_path).next("", k=10)
    result = invoke("next", "", "-m", model_path)
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert [token for _, token in rows] == [token.token for token in tokens]
    assert [float(prob) for prob, _ in rows] == pytest.approx([token.prob for token in tokens], abs=1e-6)
    assert len({len(prob) for prob, _ in rows}) == 1


def test_odd_tokens(invoke: Invoke, tmp_path: Path) -> None:
    """A token that would break its row is shown by its escape sequence."""
    path = tmp_path / "m.ngram"
    ngramgen.train(["a\tb"], order=2, tokenizer="char", cleaning=()).save(path)
    assert invoke("next", "a", "-m", path, "-k", 1).stdout.endswith('\t"\\t"\n')


def test_contexts_from_stdin(invoke: Invoke, model_path: Path) -> None:
    """With - each line is a context with an answer of its own, the empty line too."""
    contexts = ["Once upon", "", "The fox"]
    answers = [invoke("next", context, "-m", model_path, "-k", 3, "--json").stdout for context in contexts]
    stdin = "".join(context + "\n" for context in contexts)
    assert invoke("next", "-", "-m", model_path, "-k", 3, "--json", stdin=stdin).stdout == "".join(answers)

    answers = [invoke("next", context, "-m", model_path, "-k", 3).stdout for context in contexts]
    assert invoke("next", "-", "-m", model_path, "-k", 3, stdin=stdin).stdout == "\n".join([*answers, ""])


def test_conversation(start: Start, model_path: Path) -> None:
    """A program that keeps the pipe open gets each answer before it asks on."""
    with start("next", "-", "-m", model_path, "--json") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for context in (b"Once upon\n", b"The\n"):
            process.stdin.write(context)
            process.stdin.flush()
            assert len(json.loads(process.stdout.readline())) == 10
        out, err = process.communicate()
    assert (process.returncode, out, err) == (0, b"", b"")


@pytest.mark.parametrize("k", ["0", "-3", "x"])
def test_bad_k(invoke: Invoke, k: str) -> None:
    """K below 1 is misuse."""
    result = invoke("next", "The", "-k", k)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "'-k'" in result.stderr
