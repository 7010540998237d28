"""The package from outside: its names, its weight at import, and what travels with it."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

import ngramgen

ROOT = Path(__file__).resolve().parent.parent
TEST_COMMAND = "python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]' && .venv/bin/python -m pytest"

LIST_HEAVY = "print('HEAVY', sorted({'numpy', 'nltk', 'onnxruntime', 'torch'} & set(sys.modules)))"
RUN_MAIN = (
    "import sys, atexit; atexit.register(lambda: {list}); from ngramgen.cli import main; main({args}, 'ngramgen')"
)


def run_python(code: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ | env, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_public_names_are_pinned() -> None:
    """The public names are these and no others."""
    assert ngramgen.__all__ == [
        "ArpaError",
        "Cleaner",
        "ConstraintError",
        "Constraints",
        "CorpusError",
        "MissingDependencyError",
        "ModelFormatError",
        "ModelNotFoundError",
        "NgramgenError",
        "NoPromptError",
        "OptionError",
        "PromptTypeError",
        "SamplingOptions",
        "TextModel",
        "TokenizerError",
        "TrainingError",
        "__version__",
        "load",
        "pipeline",
        "sample_text",
        "train",
    ]


@pytest.mark.parametrize("name", ngramgen.__all__)
def test_public_names_resolve(name: str) -> None:
    """Every public name leads to something, and dir() shows it."""
    assert getattr(ngramgen, name) is not None
    assert name in dir(ngramgen)


def test_unknown_name() -> None:
    """A name that is not there is an AttributeError that says which."""
    with pytest.raises(AttributeError, match="'ngramgen' has no attribute 'laod'"):
        ngramgen.laod  # noqa: B018


def test_import_is_light() -> None:
    """`import ngramgen` imports neither numpy, nltk, onnxruntime nor torch."""
    assert run_python(f"import sys, ngramgen; {LIST_HEAVY}") == "HEAVY []\n"


@pytest.mark.parametrize("option", ["--help", "-h", "--version"])
def test_help_is_light(option: str) -> None:
    """The group's help and version import none of the heavy packages."""
    output = run_python(RUN_MAIN.format(list=LIST_HEAVY, args=[option]))
    assert "ngramgen" in output
    assert output.endswith("HEAVY []\n")


def test_completion_is_light() -> None:
    """Completing a command's name imports none of the heavy packages."""
    output = run_python(
        RUN_MAIN.format(list=LIST_HEAVY, args=[]),
        _NGRAMGEN_COMPLETE="bash_complete",
        COMP_WORDS="ngramgen tr",
        COMP_CWORD="1",
    )
    assert output == "plain,train\nHEAVY []\n"


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("OptionError", ValueError),
        ("CorpusError", ValueError),
        ("TrainingError", ValueError),
        ("TokenizerError", ValueError),
        ("ModelNotFoundError", FileNotFoundError),
        ("ModelFormatError", ValueError),
        ("ArpaError", ValueError),
        ("MissingDependencyError", ImportError),
    ],
)
def test_errors_are_also_builtins(name: str, builtin: type[Exception]) -> None:
    """Each error is an NgramgenError and the built-in that fits, and prints its message alone."""
    error = getattr(ngramgen, name)
    assert issubclass(error, ngramgen.NgramgenError)
    assert issubclass(error, builtin)
    assert str(error("what went wrong")) == "what went wrong"


def test_sample_text_exists() -> None:
    """The sample text is there: ASCII, one paragraph a line, no blank line, at least 60 kB."""
    data = ngramgen.sample_text().read_bytes()
    assert len(data) >= 60_000
    assert data.isascii()
    assert all(line.strip() for line in data.decode().splitlines())


def test_installed_version() -> None:
    """The version that pip sees is the package's own."""
    try:
        installed = importlib.metadata.version("ngramgen")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("ngramgen is not installed here, only on the path")
    assert installed == ngramgen.__version__


def test_ci_runs_the_readme_test_command() -> None:
    """.ci/run holds the test command word for word as README.md gives it."""
    readme = ROOT / "README.md"
    if not readme.exists():
        pytest.skip("there is no README.md")
    assert TEST_COMMAND in readme.read_text(encoding="utf-8").splitlines()
    commands = [line.strip() for line in (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()]
    assert TEST_COMMAND in commands
