"""`ngramgen train`."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

import ngramgen
from ngramgen import training
from ngramgen.ngram.smoothing import METHODS

Invoke = Callable[..., Result]
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Two lines, small enough to count by hand."""
    path = tmp_path / "corpus.txt"
    path.write_text("a b\na c\n")
    return path


def described(invoke: Invoke, *args: object, stdin: str | None = None) -> dict[str, Any]:
    result = invoke("train", *args, "--json", stdin=stdin)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.count("\n") == 1
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_summary(invoke: Invoke, corpus: Path, tmp_path: Path) -> None:
    """The model is written, stdout stays empty, and stderr gives the counts as lmplz does and a word about fallback."""
    output = tmp_path / "m.ngram"
    result = invoke("train", corpus, "-o", output, "--order", 2, "--tokenizer", "whitespace")
    assert (result.exit_code, result.stdout) == (0, "")
    # <unk> <s> </s> a b c | <s>a ab b</s> ac c</s>
    assert "\n1 6 D1=0.5 D2=1 D3+=1.5 (fallback)\n2 5 D1=0.5 D2=1 D3+=1.5 (fallback)\n" in result.stderr
    assert "the discounts of order 1, 2 cannot be estimated" in result.stderr
    assert f"Wrote {output}: " in result.stderr
    assert ngramgen.load(output).next("a", k=1)[0].token == "b"


def test_json(invoke: Invoke, corpus: Path, tmp_path: Path) -> None:
    """--json describes the model on stdout, as info does of the file afterwards."""
    output = tmp_path / "m.ngram"
    found = described(invoke, corpus, "-o", output, "--order", 2, "--tokenizer", "whitespace")
    assert found["corpus"] == {"bytes": 8, "lines": 2, "tokens": 4}
    assert found["ngrams"] == [6, 5]
    assert found["vocab_size"] == 6
    assert found["file_bytes"] == output.stat().st_size
    assert json.loads(invoke("info", output, "--json").stdout) == found


def test_same_as_python(invoke: Invoke, tmp_path: Path) -> None:
    """The command writes, byte for byte, what train and save write, from files and from standard input."""
    sample = ngramgen.sample_text()
    ngramgen.train(sample, order=3).save(tmp_path / "python.ngram")
    invoke("train", sample, "-o", tmp_path / "file.ngram", "--order", 3)
    invoke("train", "-", "-o", tmp_path / "stdin.ngram", "--order", 3, stdin=sample.read_text())
    expected = (tmp_path / "python.ngram").read_bytes()
    assert (tmp_path / "file.ngram").read_bytes() == expected
    assert (tmp_path / "stdin.ngram").read_bytes() == expected


def test_arpa(invoke: Invoke, corpus: Path, tmp_path: Path) -> None:
    """The suffix of the output chooses ARPA, packed or not."""
    for name in ("m.arpa", "m.arpa.gz"):
        assert invoke("train", corpus, "-o", tmp_path / name, "--order", 2).exit_code == 0
    plain = (tmp_path / "m.arpa").read_bytes()
    assert b"\\data\\\n" in plain
    assert gzip.decompress((tmp_path / "m.arpa.gz").read_bytes()) == plain


def test_model_options(invoke: Invoke, corpus: Path, tmp_path: Path) -> None:
    """Every option of the estimate reaches it."""
    words = tmp_path / "words.txt"
    words.write_text("a\nb\n")
    arguments = [corpus, "-o", tmp_path / "m.ngram", "--order", 2, "--tokenizer", "whitespace"]

    found = described(invoke, *arguments, "--prune", "0,1", "--smoothing", "lidstone:0.01")
    assert found["prune"] == [0, 1]
    assert found["smoothing"] == {"name": "lidstone", "amount": 0.01}
    assert found["orders"][1]["kept"] == 1  # <s> a, the only pair that comes twice
    assert described(invoke, *arguments, "--vocab-size", 1)["vocab_size"] == 4  # a and the three specials
    assert described(invoke, *arguments, "--vocab-min-count", 2)["vocab_size"] == 4
    assert described(invoke, *arguments, "--vocab-file", words)["vocab_size"] == 5
    assert described(invoke, *arguments)["interpolate_unigrams"] is True
    assert described(invoke, *arguments, "--no-interpolate-unigrams")["interpolate_unigrams"] is False


def test_copy_filter(invoke: Invoke, tmp_path: Path) -> None:
    """--copy-filter stores the runs and tells of them; what holds no filter is refused before the corpus is read."""
    output = tmp_path / "m.ngram"
    found = described(invoke, ngramgen.sample_text(), "-o", output, "--order", 2, "--copy-filter", 6)["copy_filter"]
    assert found["length"] == 6
    assert found["bytes"] == ngramgen.load(output).model.copies.bits.nbytes
    assert 0.003 < found["false_positive_rate"] < 0.005
    assert f"copy filter           length 6, bytes {found['bytes']}, " in invoke("info", output).stdout
    assert "copy_filter" not in described(invoke, ngramgen.sample_text(), "-o", output, "--order", 2)
    result = invoke("train", "none.txt", "-o", tmp_path / "m.arpa", "--copy-filter", 6)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "an ARPA file cannot hold a copy filter" in result.stderr
    result = invoke("train", ngramgen.sample_text(), "-o", output, "--copy-filter", 1)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "copy_filter must be an integer from 2 to 64, not 1" in result.stderr


def test_record_field(invoke: Invoke, tmp_path: Path) -> None:
    """--field names the text of records, and --errors replace lets foreign bytes pass."""
    records = tmp_path / "a.jsonl"
    records.write_text('{"body": "a b"}\n{"body": "a c"}\n')
    output = tmp_path / "m.ngram"
    assert described(invoke, records, "-o", output, "--field", "body")["corpus"]["lines"] == 2

    latin = tmp_path / "latin.txt"
    latin.write_bytes(b"caf\xe9\n")
    result = invoke("train", latin, "-o", output)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "latin.txt, line 1" in result.stderr
    assert described(invoke, latin, "-o", output, "--errors", "replace")["corpus"]["lines"] == 1


def test_cleaning(invoke: Invoke, corpus: Path, tmp_path: Path) -> None:
    """Named steps replace the tokenizer's own, shortcuts come behind them, and --no-clean leaves only shortcuts."""
    output = tmp_path / "m.ngram"
    default = ["nfc", "control", "whitespace"]
    shortcuts = ["--lowercase", "--min-length", 2, "--max-length", 90, "--deduplicate"]
    added = ["lowercase", "min-length=2", "max-length=90", "deduplicate"]
    for options, expected in (
        ([], default),
        (["--tokenizer", "whitespace"], []),
        (["--clean", "nfc,lowercase", "--clean", "min-length=1"], ["nfc", "lowercase", "min-length=1"]),
        (["--no-clean"], []),
        (shortcuts, default + added),
        (["--no-clean", "--lowercase"], ["lowercase"]),
        (["--tokenizer", "whitespace", *shortcuts], added),
        (["--clean", "control", "--lowercase"], ["control", "lowercase"]),
    ):
        assert described(invoke, corpus, "-o", output, *options)["cleaning"] == expected, options


@pytest.mark.parametrize("smoothing", METHODS)
def test_arpa_of_every_smoothing(
    invoke: Invoke, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, smoothing: str
) -> None:
    """What ARPA cannot hold is refused before training; nothing else is."""
    arguments = ["train", corpus, "-o", tmp_path / "m.arpa", "--order", 2, "--smoothing", smoothing]
    if smoothing not in ("lidstone", "laplace"):
        assert invoke(*arguments).exit_code == 0
        return
    monkeypatch.setattr(training, "train", None)  # not called
    result = invoke(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"cannot hold a model with {smoothing} smoothing" in result.stderr


def test_subwords(invoke: Invoke, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--tokenizer bpe:N learns them from the text; what does not go with them is misuse, told before training."""
    pytest.importorskip("tokenizers")
    output = tmp_path / "m.ngram"
    found = described(invoke, corpus, "-o", output, "--tokenizer", "bpe:270")
    assert (found["tokenizer"], found["vocab_size"]) == ("bpe", 259)  # no pair of tokens comes twice within a word
    assert ngramgen.load(output).score("a b") > ngramgen.load(output).score("b a")
    monkeypatch.setattr(training, "train", None)  # not called
    for name, options, named in (
        ("m.arpa", ["--tokenizer", "bpe"], "cannot hold bpe's tokens"),
        ("n.ngram", ["--tokenizer", "bpe:9"], "vocabulary of 9 entries is too small"),
        ("n.ngram", ["--tokenizer", "bpe:none.json"], "none.json cannot be read"),
        ("n.ngram", ["--tokenizer", f"bpe:{corpus}"], "corpus.txt is no tokenizer.json"),
    ):
        result = invoke("train", corpus, "-o", tmp_path / name, *options)
        assert (result.exit_code, result.stdout) == (2, "")
        assert named in result.stderr


def test_no_discount_fallback(invoke: Invoke, corpus: Path, tmp_path: Path) -> None:
    """Without fallback a text that is too small is refused and no file appears."""
    result = invoke("train", corpus, "-o", tmp_path / "m.ngram", "--no-discount-fallback")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "cannot be estimated" in result.stderr
    assert list(tmp_path.iterdir()) == [corpus]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--prune", "0,x"], "'--prune'"),
        (["--prune", "3,1"], "prune"),
        (["--order", "0"], "order"),
        (["--order", "99"], "order"),
        (["--smoothing", "good"], "good"),
        (["--clean", "soap"], "soap"),
        (["--clean", "nfc", "--no-clean"], "--no-clean"),
        (["--vocab-size", "0"], "vocab_size"),
        (["--errors", "ignore"], "'--errors'"),
        (["--sentences", "comma"], "comma"),
        (["--tokenizer", "words"], "there is no tokenizer 'words'"),
    ],
)
def test_misuse(invoke: Invoke, corpus: Path, tmp_path: Path, options: list[str], named: str) -> None:
    """An option out of its range is misuse, named in the message, and no file appears."""
    result = invoke("train", corpus, "-o", tmp_path / "m.ngram", *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert named in result.stderr
    assert list(tmp_path.iterdir()) == [corpus]


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("no/m.ngram", 1, "there is no folder"),
        ("folder.ngram", 1, "is a folder"),
        ("corpus.txt/m.ngram", 1, "is not a folder"),
        ("m.bin", 2, "names no kind of model"),
        ("m", 2, "names no kind of model"),
    ],
)
def test_output_refused_before_training(
    invoke: Invoke,
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    status: int,
    reason: str,
) -> None:
    """An output that could not be written is refused before the corpus is read."""
    monkeypatch.setattr(training, "train", None)  # not called
    (tmp_path / "folder.ngram").mkdir()
    result = invoke("train", corpus, "-o", tmp_path / name)
    assert (result.exit_code, result.stdout) == (status, "")
    assert reason in result.stderr
    assert str(tmp_path / name) in result.stderr


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a user whom permissions bind")
def test_read_only_folder(invoke: Invoke, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without permission to write is refused before the corpus is read."""
    monkeypatch.setattr(training, "train", None)
    folder = tmp_path / "folder"
    folder.mkdir(0o500)
    result = invoke("train", corpus, "-o", folder / "m.ngram")
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr


@pytest.mark.skipif(os.name == "nt", reason="no named pipes on Windows")
def test_device_is_refused(invoke: Invoke, corpus: Path, tmp_path: Path) -> None:
    """A pipe or device as output is refused, not replaced by a file."""
    pipe = tmp_path / "m.ngram"
    os.mkfifo(pipe)
    result = invoke("train", corpus, "-o", pipe)
    assert result.exit_code == 1
    assert "is a pipe or a device" in result.stderr
    assert pipe.is_fifo()


def test_missing_corpus(invoke: Invoke, tmp_path: Path) -> None:
    """A corpus that is not there, or is empty, fails with its reason."""
    result = invoke("train", tmp_path / "none.txt", "-o", tmp_path / "m.ngram")
    assert (result.exit_code, result.stderr) == (1, f"Error: There is no file {tmp_path / 'none.txt'}.\n")
    assert invoke("train", "-", "-o", tmp_path / "m.ngram", stdin="").exit_code == 1
    assert invoke("train", "-o", tmp_path / "m.ngram").exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_bar_on_a_terminal(start: Start, tmp_path: Path) -> None:
    """The reading of the corpus is shown where standard error is a terminal, of unknown size too."""
    pty = pytest.importorskip("pty", reason="no pseudo-terminals here")
    sample = ngramgen.sample_text()
    for corpus in (sample, "-"):
        ours, theirs = pty.openpty()
        with (
            sample.open("rb") as text,
            start("train", corpus, "-o", tmp_path / "m.ngram", stdin=text.fileno(), stderr=theirs) as process,
        ):
            os.close(theirs)
            shown = b""
            while b"Wrote" not in shown:
                shown += os.read(ours, 4096)
            assert process.communicate()[0] == b""
        os.close(ours)
        assert process.returncode == 0
        assert b"Reading" in shown
