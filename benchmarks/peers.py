"""What the benchmarks share: whole processes timed side by side on one core, and where the peers are."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

CORE = 0


@dataclass(frozen=True)
class Run:
    """One finished process: seconds on the clock, seconds of processor time, peak memory in GB."""

    wall: float
    cpu: float
    memory: float


def run(*commands: Sequence[str | Path], stdin: Path | None = None) -> Run:
    """Run commands one after the other on one core; times are added, memory is the largest. Raises where one fails."""
    wall = cpu = memory = 0.0
    for command in commands:
        source = stdin.open("rb") if stdin and command is commands[0] else subprocess.DEVNULL
        begin = time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=source,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            preexec_fn=_pin,
            env=_environment(),
        )
        assert process.stderr is not None
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        wall += time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{command[0]} failed with {process.returncode}:\n{errors.decode()[-2000:]}")
        cpu += usage.ru_utime + usage.ru_stime
        memory = max(memory, usage.ru_maxrss / 1e6)
    return Run(wall, cpu, memory)


def _pin() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {CORE})


def _environment() -> dict[str, str]:
    """The environment without settings that slow numpy down, one thread for all."""
    slow = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
    return {k: v for k, v in os.environ.items() if k not in slow} | {
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def in_turn(runs: int, *sides: Callable[[], float]) -> list[float]:
    """The median of each side, measured in turn (A B A B ...), so that a drift of the machine hits all alike."""
    results: list[list[float]] = [[] for _ in sides]
    for _ in range(runs):
        for side, found in zip(sides, results, strict=True):
            found.append(side())
    return [statistics.median(found) for found in results]


def ngramgen() -> str:
    """The command beside this interpreter, or on the path."""
    beside = Path(sys.executable).with_name("ngramgen")
    return str(beside) if beside.exists() else shutil.which("ngramgen") or "ngramgen"


def kenlm_program(name: str, folder: str | None) -> str:
    """lmplz or build_binary, from a folder or the path."""
    found = shutil.which(name, path=folder) if folder else shutil.which(name)
    if found is None:
        raise SystemExit(
            f"{name} is not there: build it from kenlm's source package and give its folder with --kenlm-bin"
        )
    return found


def row(*cells: object) -> None:
    """Print one row of a Markdown table."""
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def first_lines(corpus: Path, lines: int | None, folder: Path) -> Path:
    """The corpus unpacked, or its first lines, as a plain file."""
    if lines is None and corpus.suffix != ".gz":
        return corpus
    import gzip
    import itertools

    target = folder / f"corpus-{lines or 'all'}.txt"
    if not target.exists():
        with (
            gzip.open(corpus, "rb") if corpus.suffix == ".gz" else corpus.open("rb") as source,
            target.open("wb") as out,
        ):
            out.writelines(itertools.islice(source, lines))
    return target
