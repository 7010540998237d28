"""`ngramgen generate`."""

from __future__ import annotations

import json
import math
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

import ngramgen

Invoke = Callable[..., Result]
Start = Callable[..., "subprocess.Popen[bytes]"]


def terminal() -> tuple[int, int]:
    """Our end and the command's end of a terminal."""
    pty = pytest.importorskip("pty", reason="no pseudo-terminals here")
    ours, theirs = pty.openpty()
    return ours, theirs


def read_terminal(descriptor: int) -> str:
    chunks = []
    while True:
        try:
            chunk = os.read(descriptor, 4096)
        except OSError:  # Linux says so when the other end is closed
            break
        if not chunk:
            break
        chunks.append(chunk)
    return b"".join(chunks).decode().replace("\r\n", "\n")


def test_prompt_and_continuation(invoke: Invoke, model_path: Path) -> None:
    """n texts, one a line, each the prompt with its continuation, as Python gives them for that seed."""
    result = invoke("generate", "Once upon a", "-m", model_path, "-n", 5, "--seed", 3)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == ngramgen.load(model_path).generate("Once upon a", n=5, seed=3)
    assert all(line.startswith("Once upon a") for line in result.stdout.splitlines())


def test_seed(invoke: Invoke, model_path: Path) -> None:
    """The same seed gives the same text, another gives another, and without one chance is fresh."""
    outputs = [
        invoke("generate", "-m", model_path, "-n", 4, *options).stdout
        for options in (["--seed", 1], ["--seed", 1], ["--seed", 2], [], [])
    ]
    assert outputs[0] == outputs[1]
    assert len(set(outputs)) == 4


def test_json(invoke: Invoke, model_path: Path) -> None:
    """--json gives an object a line with exactly the five keys, and their values belong together."""
    result = invoke("generate", "Once upon", "-m", model_path, "-n", 20, "--seed", 1, "--json", "--max-new-tokens", 30)
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(rows) == 20
    for row in rows:
        assert list(row) == ["text", "generated_text", "tokens", "logprob", "finish_reason"]
        assert row["text"] == "Once upon" + row["generated_text"]
        assert "".join(row["tokens"]) == row["generated_text"]  # the word tokenizer loses nothing
        assert row["logprob"] < 0
        assert row["finish_reason"] == "length" if len(row["tokens"]) == 30 else "eos"
    plain = invoke("generate", "Once upon", "-m", model_path, "-n", 20, "--seed", 1, "--max-new-tokens", 30)
    assert plain.stdout.splitlines() == [row["text"] for row in rows]


def test_logprob_is_the_score(invoke: Invoke, tmp_path: Path) -> None:
    """The logprob of a text that was begun from nothing and ended is what `score` says of it, in another base."""
    path = tmp_path / "m.ngram"
    # with this tokenizer the text of tokens is always split into the same tokens again
    ngramgen.train(ngramgen.sample_text(), order=3, tokenizer="whitespace").save(path)
    generated = invoke("generate", "-m", path, "-n", 30, "--seed", 5, "--json", "--max-new-tokens", 500)
    rows = [json.loads(line) for line in generated.stdout.splitlines()]
    ended = [row for row in rows if row["finish_reason"] == "eos"]
    assert ended
    scored = invoke("score", "-m", path, stdin="".join(row["text"] + "\n" for row in ended))
    for row, log10 in zip(ended, scored.stdout.splitlines(), strict=True):
        assert row["logprob"] / math.log(10) == pytest.approx(float(log10), abs=1e-3)


def test_options_reach_the_sampler(invoke: Invoke, model_path: Path) -> None:
    """Greedy texts are all the same, a stop string ends a text before it, and lengths are kept."""
    greedy = invoke("generate", "The", "-m", model_path, "-n", 3, "--greedy", "--max-new-tokens", 7).stdout
    assert len(set(greedy.splitlines())) == 1

    arguments = ["-m", model_path, "-n", 20, "--json", "--seed", 1]
    stopped = invoke("generate", "The", *arguments, "--stop", ".", "--stop", "!", "--max-new-tokens", 200).stdout
    for row in map(json.loads, stopped.splitlines()):
        assert "." not in row["generated_text"]
        assert "!" not in row["generated_text"]
    assert '"stop"' in stopped

    filtered = ["--top-k", 5, "--top-p", 0.9, "--min-p", 0.01, "--typical-p", 0.9, "--repetition-penalty", 1.1]
    lengths = ["--min-new-tokens", 4, "--max-new-tokens", 6, "--temperature", 0.7]
    for row in map(json.loads, invoke("generate", "The", *arguments, *filtered, *lengths).stdout.splitlines()):
        assert 4 <= len(row["tokens"]) <= 6


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--top-p", "0"),
        ("--temperature", "nan"),
        ("--temperature", "-1"),
        ("--stop", ""),
        ("--seed", "-1"),
        ("-n", "0"),
    ],
)
def test_bad_options(invoke: Invoke, option: str, value: str) -> None:
    """An option out of its range is misuse, told before a model is looked for."""
    result = invoke("generate", "-m", "there-is-no-model.ngram", option, value)
    assert (result.exit_code, result.stdout) == (2, "")
    assert option.strip("-").replace("-", "_") in result.stderr.replace("--", "")
    assert "there-is-no-model" not in result.stderr


def test_no_model(invoke: Invoke) -> None:
    """A model that is not there is a failure in one line."""
    result = invoke("generate", "-m", "there-is-no-model.ngram")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: ")
    assert "there-is-no-model.ngram" in result.stderr
    assert result.stderr.count("\n") == 1


def test_prompt_from_stdin(invoke: Invoke, model_path: Path) -> None:
    """- takes the prompt from standard input, without its last line break."""
    options = ["-m", model_path, "--seed", 1]
    assert (
        invoke("generate", "-", *options, stdin="Once upon\n").stdout
        == invoke("generate", "Once upon", *options).stdout
    )
    assert invoke("generate", "-", *options, stdin="").stdout == invoke("generate", *options).stdout
    assert invoke("generate", "-", *options, stdin="a\n\n").stdout.startswith("a\n")

    result = invoke("generate", "-", *options, stdin=b"caf\xe9\n")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "standard input, line 1" in result.stderr


@pytest.mark.skipif(os.name == "nt", reason="arguments are bytes only on POSIX")
def test_argument_that_is_not_utf8(start: Start) -> None:
    """A prompt in another encoding is misuse, not a traceback."""
    with start("generate", b"caf\xe9") as process:
        out, err = process.communicate()
    assert (process.returncode, out) == (2, b"")
    assert b"Error: Invalid value for PROMPT: it is not UTF-8 text.\n" in err


def test_output_file(invoke: Invoke, model_path: Path, tmp_path: Path) -> None:
    """-o writes what standard output would have got, whole, and a link stays a link."""
    arguments = ["generate", "The", "-m", model_path, "-n", 50, "--seed", 1]
    expected = invoke(*arguments).stdout
    link = tmp_path / "link.txt"
    link.symlink_to(tmp_path / "texts.txt")
    result = invoke(*arguments, "-o", link)
    assert (result.exit_code, result.output) == (0, "")
    assert (tmp_path / "texts.txt").read_text(encoding="utf-8") == expected
    assert link.is_symlink()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link.txt", "texts.txt"]


def test_output_that_cannot_be_written(invoke: Invoke, tmp_path: Path) -> None:
    """A missing folder or a folder as output is told before a model is looked for."""
    for output, reason in ((tmp_path / "no" / "a.txt", "there is no folder"), (tmp_path, "is a folder")):
        result = invoke("generate", "-m", "there-is-no-model.ngram", "-o", output)
        assert result.exit_code == 1
        assert reason in result.stderr
        assert str(output) in result.stderr


@pytest.mark.skipif(os.name == "nt", reason="no /dev/null on Windows")
def test_output_to_a_device(invoke: Invoke, model_path: Path) -> None:
    """A device is written to, not replaced by a file."""
    assert invoke("generate", "-m", model_path, "-o", os.devnull).exit_code == 0
    assert not Path(os.devnull).is_file()


def test_interrupted_output(invoke: Invoke, model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When generation breaks off, the old file is still there and nothing else is."""
    output = tmp_path / "texts.txt"
    output.write_text("old")

    def broken(*args: object, **options: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(ngramgen.TextModel, "_generation", broken)
    assert invoke("generate", "-m", model_path, "-o", output).exit_code == 130
    assert output.read_text() == "old"
    assert list(tmp_path.iterdir()) == [output]


def test_growing_on_a_terminal(start: Start, invoke: Invoke, model_path: Path) -> None:
    """On a terminal a single text is streamed, and is the one that a pipe gets, and that comes among many."""
    ours, theirs = terminal()
    arguments = ["generate", "Once upon a", "-m", model_path, "--seed", 4, "--max-new-tokens", 20]
    with start(*arguments, stdout=theirs) as process:
        os.close(theirs)
        shown = read_terminal(ours)
        assert process.communicate()[1] == b""
    os.close(ours)
    assert shown == invoke(*arguments).stdout
    assert invoke(*arguments, "-n", 2).stdout.startswith(shown)


def test_bar_on_a_terminal(start: Start, model_path: Path, tmp_path: Path) -> None:
    """Progress towards a file is shown where standard error is a terminal."""
    ours, theirs = terminal()
    with start("generate", "-m", model_path, "-n", 3, "-o", tmp_path / "a.txt", stderr=theirs) as process:
        os.close(theirs)
        shown = read_terminal(ours)
        process.communicate()
    os.close(ours)
    assert process.returncode == 0
    assert "Generating" in shown
    assert "100%" in shown


def test_reader_that_leaves(start: Start, model_path: Path) -> None:
    """`generate -n 20000 | head -1` ends quietly with success."""
    with start("generate", "-m", model_path, "-n", 20000, "--max-new-tokens", 50) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_utf8_in_any_locale(start: Start, tmp_path: Path) -> None:
    """What is written is UTF-8, whatever encoding Python would choose for standard output."""
    path = tmp_path / "m.ngram"
    ngramgen.train(["狐狸 ☃ é"], order=2, tokenizer="char").save(path)
    with start("generate", "狐狸", "-m", path, "--greedy") as process:
        out, err = process.communicate()
    assert (process.returncode, err) == (0, b"")
    assert out.decode("utf-8").startswith("狐狸 ☃")


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        (
            ["--contains", "fox", "--contains", "crow", "--max-words", 20],
            {"contains": ("fox", "crow"), "max_words": 20},
        ),
        (
            ["--contains", "king", "--contains", "gold", "--in-order"],
            {"contains": ("king", "gold"), "in_order": True},
        ),
        (["--starts-with", "The king", "--min-words", 6], {"starts_with": "The king", "min_words": 6}),
        (["--ends-with", "the king.", "--max-chars", 80], {"ends_with": "the king.", "max_chars": 80}),
        (["--min-chars", 40, "--sentences", 1], {"min_chars": 40, "sentences": 1}),
        (["--regex", r"The [a-z ]+\."], {"regex": r"The [a-z ]+\."}),
        (["--choices", r"a king\, said the fox,the crow"], {"choices": ("a king, said the fox", "the crow")}),
        (
            ["--template", "The {1..3 words} of the {choices:king,fox}."],
            {"template": "The {1..3 words} of the {choices:king,fox}."},
        ),
    ],
    ids=lambda value: str(value[0]) if isinstance(value, list) else "",
)  # fmt: skip
def test_constraints(invoke: Invoke, model_path: Path, flags: list[object], wanted: dict[str, Any]) -> None:
    """The flags of a text's form are the constraints of that name: the texts are those of Python, and as asked."""
    result = invoke("generate", "-m", model_path, "-n", 3, "--seed", 4, *flags)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines == ngramgen.load(model_path).generate(n=3, seed=4, **wanted)
    assert [ngramgen.Constraints(**wanted).refusal_of(line) for line in lines] == [None] * 3


def test_constraints_speak_of_the_continuation(invoke: Invoke, model_path: Path) -> None:
    """With a prompt the words that are asked for come behind it, in JSON too, and the text is whole."""
    flags = ["-m", model_path, "--contains", "time", "--seed", 1, "--json"]
    result = invoke("generate", "Once upon a time", *flags)
    (row,) = map(json.loads, result.stdout.splitlines())
    assert row["text"].startswith("Once upon a time")
    assert ngramgen.Constraints(contains=("time",)).refusal_of(row["generated_text"]) is None
    assert row["finish_reason"] == "eos"


@pytest.mark.parametrize(
    ("flags", "status", "why"),
    [
        (["--contains", "zyzzyva"], 1, 'cannot write "zyzzyva"'),
        (["--contains", "fox", "--contains", "crow", "--contains", "king", "--max-words", 1], 1, "guided ones"),
        (["--regex", "[0-9]{9}"], 1, "cannot spell"),
        (["--regex", "(a"], 2, "no regular expression"),
        (["--template", "{x}"], 2, "a hole is like"),
        (["--contains", "fox", "--greedy"], 2, "greedy does not go with constraints"),
        (["--contains", "fox", "--stop", "crow"], 2, "stop does not go with constraints"),
        (["--max-words", 0], 2, "max_words is 0"),
        (["--contains", ""], 2, "empty text"),
    ],
    ids=str,
)
def test_constraints_that_cannot_be_met(
    invoke: Invoke, model_path: Path, flags: list[object], status: int, why: str
) -> None:
    """What no text meets is one sentence on standard error and status 1; what means nothing, status 2."""
    result = invoke("generate", "-m", model_path, *flags)
    assert (result.exit_code, result.stdout) == (status, "")
    assert why in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stderr.strip().splitlines()[-1].startswith("Error: ")
