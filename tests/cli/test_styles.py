"""``ngramgen generate --style``, and the defaults that models bring along."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

import ngramgen
from ngramgen.styles import STYLES
from tests.cli.test_generate import read_terminal, terminal
from tests.shipping import Ship

Invoke = Callable[..., Result]
SPEECH = "ROMEO: / Good morrow, good Juliet. / Come. // JULIET: / Good Romeo, go. / Go!"


@pytest.fixture(scope="module")
def plays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that knows one scene and has defaults."""
    folder = tmp_path_factory.mktemp("plays")
    ngramgen.train([SPEECH], order=4).save(folder / "model.ngram")
    (folder / "generation.json").write_text('{"temperature": 0.5, "max_new_tokens": 30}')
    return folder


@pytest.fixture
def shipped(ship: Ship, plays: Path) -> Path:
    return ship(shakespeare=plays)


@pytest.mark.usefixtures("shipped")
def test_a_style_is_its_model_prompt_options_and_lines(invoke: Invoke) -> None:
    """The text is the one that Python gets from the same parts, shown in lines; what the user gives wins."""
    style = STYLES["play"]
    model = ngramgen.load(style.folder())
    prompt, options = style.asked("ROMEO:\n")
    expected = style.shown(model.generate(prompt, seed=3, **options))
    result = invoke("generate", "ROMEO:\n", "--style", "play", "--seed", 3)
    assert (result.exit_code, result.stdout) == (0, expected + "\n")
    assert expected.startswith("ROMEO:\n")
    result = invoke("generate", "--style", "play", "--seed", 3, "--max-new-tokens", 2, "--json")
    assert len(json.loads(result.stdout)["tokens"]) == 2


@pytest.mark.usefixtures("shipped")
def test_texts_of_several_lines_are_set_apart(invoke: Invoke) -> None:
    """An empty line stands behind each of several; JSON shows the same texts, one object a line."""
    words = ("generate", "--style", "play", "--seed", 3, "-n", 3)
    rows = [json.loads(line) for line in invoke(*words, "--json").stdout.splitlines()]
    assert invoke(*words).stdout == "".join(row["text"] + "\n\n" for row in rows)
    assert all("/" not in row["text"] + row["generated_text"] for row in rows)


@pytest.mark.usefixtures("shipped")
def test_options_that_do_not_go_with_a_style_are_left_out(invoke: Invoke) -> None:
    """Greedy texts and beams are to be had in a style."""
    for option in (["--greedy"], ["--num-beams", 2], ["--contains", "Romeo"]):
        assert invoke("generate", "--style", "play", "--seed", 1, *option).exit_code == 0


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--style", "play", "-m", "x.ngram"], 2, "--style play brings the model shakespeare"),
        (["--style", "news"], 2, "docs/models.md"),
        (["--style", "ode"], 2, "'ode' is not one of 'story'"),
        (["--style", "poem"], 1, "the style poem needs the model chinese, which this installation lacks"),
    ],
)
@pytest.mark.usefixtures("shipped")
def test_what_a_style_cannot_do_is_said(invoke: Invoke, words: list[str], status: int, message: str) -> None:
    """One sentence, and the status of a misuse or of a failure."""
    result = invoke("generate", *words)
    assert result.exit_code == status
    assert message in result.stderr


def test_defaults_of_the_model_count_where_nothing_is_typed(invoke: Invoke, plays: Path) -> None:
    """The help's default is one only for models without their own; typed, it counts."""
    alone = ngramgen.load(plays / "model.ngram")
    for words, options in (
        ([], {"temperature": 0.5, "max_new_tokens": 30}),
        (["--temperature", 1, "--max-new-tokens", 100], {}),
        (["--top-k", 2], {"temperature": 0.5, "max_new_tokens": 30, "top_k": 2}),
    ):
        result = invoke("generate", "-m", plays, "--seed", 4, "-n", 3, *words)
        assert result.stdout.splitlines() == alone.generate(n=3, seed=4, **options)
    assert re.search(r"^sampling defaults +temperature 0.5, max_new_tokens 30$", invoke("info", plays).stdout, re.M)


def test_end_sentence(invoke: Invoke, plays: Path) -> None:
    """The flag ends texts as it does in Python."""
    result = invoke("generate", "-m", plays, "--seed", 4, "-n", 5, "--end-sentence", "--max-new-tokens", 9)
    model = ngramgen.load(plays)
    assert result.stdout.splitlines() == model.generate(n=5, seed=4, end_sentence=True, max_new_tokens=9)


def test_on_a_terminal_a_model_with_defaults_streams_the_same(
    start: Callable[..., subprocess.Popen[bytes]], plays: Path
) -> None:
    """What is shown as it grows is the text that Python gets."""
    ours, theirs = terminal()
    with start("generate", "-m", plays, "--seed", 4, stdout=theirs) as process:
        os.close(theirs)
        shown = read_terminal(ours)
        assert process.communicate()[1] == b""
    os.close(ours)
    assert shown == f"{ngramgen.load(plays).generate(seed=4)}\n"
