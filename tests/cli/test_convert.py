"""`ngramgen convert`."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import Result

import ngramgen
from ngramgen import loading

Invoke = Callable[..., Result]

# Three words, all probabilities 1/4: log10(1/4) = -0.60206. The last line of the unigrams is not.
ARPA = """\\data\\
ngram 1=5

\\1-grams:
-0.60206\t<unk>
-99\t<s>
-0.60206\t</s>
-0.60206\ta
{last}\tb

\\end\\
"""


def scores(invoke: Invoke, model: Path) -> list[float]:
    text = "the fox saw a hare .\nOnce upon a time .\n"
    return [float(line) for line in invoke("score", "-m", model, stdin=text).stdout.splitlines()]


def test_there_and_back(invoke: Invoke, tmp_path: Path) -> None:
    """From .ngram to ARPA, to packed ARPA, to .ngram: the scores stay and nothing is printed."""
    paths = [tmp_path / name for name in ("a.ngram", "b.arpa", "c.arpa.gz", "d.ngram")]
    ngramgen.train(ngramgen.sample_text(), order=3, tokenizer="whitespace").save(paths[0])
    for source, target in pairwise(paths):
        result = invoke("convert", source, target)
        assert (result.exit_code, result.output) == (0, "")
    assert gzip.decompress(paths[2].read_bytes()).startswith(b"\\data\\\n")
    expected = scores(invoke, paths[0])
    for path in paths[1:]:
        assert scores(invoke, path) == pytest.approx(expected, abs=1e-4)


def test_lenient(invoke: Invoke, tmp_path: Path) -> None:
    """A positive log-probability is refused with its line, and taken with --lenient."""
    source, target = tmp_path / "a.arpa", tmp_path / "a.ngram"
    source.write_text(ARPA.format(last="0.1"))
    result = invoke("convert", source, target)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "a.arpa, line 9" in result.stderr
    assert not target.exists()
    assert invoke("convert", source, target, "--lenient").exit_code == 0
    assert target.exists()


def test_good_arpa(invoke: Invoke, tmp_path: Path) -> None:
    """An ARPA file of another program is read as it says."""
    source, target = tmp_path / "a.arpa", tmp_path / "a.ngram"
    source.write_text(ARPA.format(last="-0.60206"))
    assert invoke("convert", source, target).exit_code == 0
    # a, b and </s>, a quarter each
    assert float(invoke("score", "-m", target, stdin="a b\n").stdout) == pytest.approx(3 * -0.60206)


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [("no/m.ngram", 1, "there is no folder"), ("m.bin", 2, "names no kind of model"), (".", 2, "no kind of model")],
)
def test_output_refused_first(
    invoke: Invoke,
    model_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    status: int,
    reason: str,
) -> None:
    """An output that could not be written is refused before the model is read."""
    monkeypatch.setattr(loading, "load", None)  # not called
    result = invoke("convert", model_path, tmp_path / name)
    assert (result.exit_code, result.stdout) == (status, "")
    assert reason in result.stderr


def test_missing_source(invoke: Invoke, tmp_path: Path) -> None:
    """A source that is not there fails with its name."""
    result = invoke("convert", "none.arpa", tmp_path / "m.ngram")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "none.arpa" in result.stderr
