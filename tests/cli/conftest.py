"""What the tests of the commands share: a small model and two ways to run a command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import ngramgen
from ngramgen import cli

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trigram model of the sample text."""
    path = tmp_path_factory.mktemp("model") / "fables.ngram"
    ngramgen.train(ngramgen.sample_text(), order=3).save(path)
    return path


@pytest.fixture
def invoke() -> Callable[..., Result]:
    """Runs `ngramgen ARGS` in this process; what is not an expected failure is raised."""

    def run(*args: object, stdin: bytes | str | None = None) -> Result:
        return CliRunner().invoke(cli.main, [str(arg) for arg in args], input=stdin, catch_exceptions=False)

    return run


@pytest.fixture
def start() -> Callable[..., subprocess.Popen[bytes]]:
    """Starts `ngramgen ARGS` in a process of its own, with pipes where nothing else is said."""

    def popen(*args: object, **streams: int) -> subprocess.Popen[bytes]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
        words = [arg if isinstance(arg, bytes) else str(arg) for arg in args]
        process: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, "-m", "ngramgen", *words],
            cwd=ROOT,
            env=os.environ | {"PYTHONIOENCODING": "latin-1", "TERM": "xterm"},  # ours is UTF-8 all the same
            **pipes,  # type: ignore[call-overload]
        )
        return process

    return popen
