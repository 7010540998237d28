"""How soon the command line answers: seconds from its start to the first word, and the memory of the whole process.

    python benchmarks/startup.py [--model MODEL] [--runs 7] [--max-new-tokens 40]

Runs `ngramgen generate` as a user does, into a pipe, where the text comes when it is done, and on a terminal, where it
grows; by the n-gram alone and with the network. Medians; the first run, which reads the files from the disk, is left
out. Processor time is over all threads, and what to compare where the machine has other work.
"""

from __future__ import annotations

import argparse
import os
import pty
import statistics
import subprocess
import sys
import time
from pathlib import Path

PROMPT = "Once upon a time"
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""With it every run would compile the package, which an installation has done."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="the default shipped model if it is left out")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--max-new-tokens", type=int, default=40)
    arguments = parser.parse_args()
    script = Path(sys.executable).with_name("ngramgen")
    command = [str(script), "generate", PROMPT, "--max-new-tokens", str(arguments.max_new_tokens)]
    if arguments.model:
        command += ["--model", arguments.model]
    print("stdout    neural  first word  whole text   processor  peak MB")
    for place in ("pipe", "terminal"):
        for neural in ("never", "always"):
            runs = [measured([*command, "--neural", neural], place) for _ in range(arguments.runs + 1)][1:]
            first, whole, cpu, peak = (statistics.median(values) for values in zip(*runs, strict=True))
            print(f"{place:<9} {neural:<7} {first:7.2f} s  {whole:8.2f} s  {cpu:8.2f} s  {peak:7.0f}")


def measured(command: list[str], place: str) -> tuple[float, float, float, float]:
    """Seconds to the first byte behind the prompt, to the end, and of processor time; the peak of memory in MB."""
    source, sink = pty.openpty() if place == "terminal" else os.pipe()
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=sink, env=ENVIRONMENT)
    os.close(sink)
    first, output = None, b""
    while piece := read(source):
        output += piece
        if first is None and len(output) > len(PROMPT):
            first = time.perf_counter() - began
    _, status, usage = os.wait4(process.pid, 0)
    whole = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    os.close(source)
    if first is None or process.returncode != 0:
        sys.exit(f"{' '.join(command)} failed with exit status {process.returncode}")
    scale = 1 if sys.platform == "darwin" else 1024  # the unit of ru_maxrss in bytes
    return first, whole, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * scale / 1e6


def read(source: int) -> bytes:
    """The next bytes, none at the end."""
    try:
        return os.read(source, 1 << 16)
    except OSError:  # how Linux ends a terminal
        return b""


if __name__ == "__main__":
    main()
