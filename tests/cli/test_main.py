"""What the command line says and returns when a command fails."""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import click
import pytest
from click.testing import CliRunner, Result

from ngramgen import cli, errors
from ngramgen.cli.options import json_option, model_option, output_option, seed_option

ROOT = Path(__file__).resolve().parents[2]

TRIAL = """
import os, signal, sys, time, types
import click
from ngramgen import cli
@click.command()
def command():
    {body}
module = types.ModuleType("trial")
module.command = command
sys.modules["ngramgen.cli.trial"] = module
cli.SUMMARIES["trial"] = "A trial."
cli.main({args}, "ngramgen")
"""

Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `ngramgen trial ARGS`, where `trial` is the given command."""

    def invoke(command: click.Command, *args: str, env: dict[str, str] | None = None, color: bool = False) -> Result:
        module = ModuleType("ngramgen.cli.trial")
        module.command = command  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "ngramgen.cli.trial", module)
        monkeypatch.setitem(cli.SUMMARIES, "trial", "A trial.")
        return CliRunner().invoke(cli.main, ["trial", *args], env=env, color=color)

    return invoke


def raising(error: BaseException) -> click.Command:
    @click.command()
    def command() -> None:
        raise error

    return command


def run_process(body: str, stdout: int, args: tuple[str, ...] = ("trial",)) -> tuple[int, str]:
    """The exit status and stderr of `ngramgen ARGS` in a process of its own."""
    code = TRIAL.format(body=body, args=list(args))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False
    )
    return done.returncode, done.stderr


def closed_pipe() -> int:
    """The writing end of a pipe whose reader has left."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (errors.CorpusError("a.txt, line 3: not UTF-8."), 1, "a.txt, line 3: not UTF-8."),
        (errors.ModelNotFoundError("There is no model x."), 1, "There is no model x."),
        (errors.MissingDependencyError("Run pip install 'ngramgen[nltk]'."), 1, "Run pip install 'ngramgen[nltk]'."),
        (errors.OptionError("order must be 1 or more, not 0."), 2, "order must be 1 or more, not 0."),
        (PermissionError(13, "Permission denied", "/m.ngram"), 1, "/m.ngram: Permission denied"),
        (OSError(28, "No space left on device"), 1, "No space left on device"),
        (OSError("odd"), 1, "odd"),
        (MemoryError(), 1, "not enough memory; try less text, a lower order or stronger pruning."),
        (
            MemoryError("Unable to allocate 3 GiB"),
            1,
            "not enough memory (Unable to allocate 3 GiB); try less text, a lower order or stronger pruning.",
        ),
    ],
)
def test_one_line_for_people(run: Run, error: Exception, status: int, line: str) -> None:
    """An expected failure is one line on stderr, nothing on stdout, and the fitting status."""
    result = run(raising(error))
    assert result.stderr == f"Error: {line}\n"
    assert result.stdout == ""
    assert result.exit_code == status


def test_bugs_keep_their_traceback(run: Run) -> None:
    """An error that nobody foresaw is not dressed up as the user's."""
    result = run(raising(ZeroDivisionError("ours")))
    assert isinstance(result.exception, ZeroDivisionError)


@pytest.mark.parametrize("args", [["trial", "--nonsense"], ["nonsense"], ["--nonsense"]])
def test_misuse_is_2(run: Run, args: list[str]) -> None:
    """An unknown option or command is misuse: status 2 and the usage on stderr."""
    run(raising(ValueError()))  # makes `trial` known
    result = CliRunner().invoke(cli.main, args)
    assert result.exit_code == 2
    assert result.stderr.startswith("Usage: ")
    assert result.stdout == ""


@pytest.mark.parametrize("error", [BrokenPipeError(32, "Broken pipe"), KeyboardInterrupt()])
def test_quiet_ends(run: Run, error: BaseException) -> None:
    """A reader that left is success and Ctrl-C is 130, both without a word."""
    result = run(raising(error))
    assert result.exit_code == (130 if isinstance(error, KeyboardInterrupt) else 0)
    assert result.output == ""


@pytest.mark.parametrize("body", ["sys.stdout.write('x')", "sys.stdout.write('x' * 1_000_000)", "click.echo('x')"])
def test_closed_pipe(body: str) -> None:
    """Writing into a closed pipe, buffered or not, ends quietly with 0."""
    writer = closed_pipe()
    try:
        assert run_process(body, writer) == (0, "")
    finally:
        os.close(writer)


def test_closed_pipe_of_help() -> None:
    """The help page into a closed pipe ends quietly with 0 as well."""
    writer = closed_pipe()
    try:
        assert run_process("pass", writer, ("--help",)) == (0, "")
    finally:
        os.close(writer)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("body", ["sys.stdout.write('x')", "sys.stdout.write('x' * 1_000_000)", "click.echo('x')"])
def test_full_disk(body: str) -> None:
    """A full disk under stdout is one line that says so, and status 1."""
    with open("/dev/full", "w") as full:
        assert run_process(body, full.fileno()) == (1, "Error: No space left on device\n")


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT to oneself on Windows")
def test_interrupt() -> None:
    """SIGINT ends a command with 130 and nothing on stderr."""
    # a shell that runs this in the background has its children ignore the signal
    body = (
        "signal.signal(signal.SIGINT, signal.default_int_handler); os.kill(os.getpid(), signal.SIGINT); time.sleep(5)"
    )
    assert run_process(body, subprocess.DEVNULL) == (130, "")


@pytest.mark.parametrize(("env", "coloured"), [({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)])
def test_no_color(run: Run, env: dict[str, str], coloured: bool) -> None:
    """NO_COLOR, set and not empty, takes the colour out even where a terminal would show it."""

    @click.command()
    def command() -> None:
        click.secho("red", fg="red")

    assert ("\x1b[" in run(command, env=env, color=True).stdout) is coloured


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help(run: Run, option: str) -> None:
    """-h and --help are the same, for the group and for a command."""
    result = CliRunner().invoke(cli.main, [option])
    assert result.exit_code == 0
    for name, summary in cli.SUMMARIES.items():
        assert f"  {name} " in result.stdout
        assert summary in result.stdout

    result = run(raising(ValueError()), option)
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: main trial")


@pytest.mark.parametrize("name", list(cli.SUMMARIES))
def test_commands_exist(name: str) -> None:
    """Every command listed has its module, with a click command that explains itself and each of its options."""
    if importlib.util.find_spec(f"ngramgen.cli.{name}") is None:
        pytest.skip(f"ngramgen/cli/{name}.py is not written yet")
    command = importlib.import_module(f"ngramgen.cli.{name}").command
    assert isinstance(command, click.Command)
    assert command.help
    assert all(option.help for option in command.params if isinstance(option, click.Option))


def test_shared_options(run: Run) -> None:
    """The shared options arrive under their names, absent as None and False; output is required, seeds start at 0."""
    seen: list[tuple[object, ...]] = []

    @click.command()
    @model_option
    @seed_option
    @json_option
    @output_option
    def command(model: str | None, seed: int | None, as_json: bool, output: Path) -> None:
        seen.append((model, seed, as_json, output))

    assert run(command, "-o", "x").exit_code == 0
    assert run(command, "-m", "a.arpa", "--seed", "3", "--json", "--output", "x").exit_code == 0
    assert seen == [(None, None, False, Path("x")), ("a.arpa", 3, True, Path("x"))]
    assert run(command).exit_code == 2
    assert run(command, "-o", "x", "--seed", "-1").exit_code == 2
