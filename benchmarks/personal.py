"""What learning the first half of a text does for its second half.

    python benchmarks/personal.py MODEL... --text TEXT.txt [--begin LINE]...

Each MODEL is what ``ngramgen.load`` takes. ``--begin`` tells at which lines, from 1, the works of a file begin; each is
cut into halves of bytes, at a line. The mean over the works is that of their bits per byte. Time is processor time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path

from peers import CORE, row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL")
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--begin", type=int, action="append", default=[])
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {CORE})
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        os.environ.pop(name, None)
    lines = arguments.text.read_text(encoding="utf-8").splitlines()
    begins = [begin - 1 for begin in arguments.begin or [1]]
    works = [lines[first:last] for first, last in zip(begins, [*begins[1:], len(lines)], strict=True)]
    row("", "second half", "first half learnt", "less", "by work", "words learnt a second", "next, ms")
    row(*["---"] * 7)
    for path in arguments.models:
        row(path.name, *measured(path, works))


def measured(path: Path, works: list[list[str]]) -> list[str]:
    import ngramgen

    model = ngramgen.load(path)
    before, after, words, seconds, answers = [], [], 0, 0.0, []
    for work in works:
        first, second = halves(work)
        model.forget()
        before.append(model.perplexity(second).bits_per_byte)
        begun = time.process_time()
        model.learn("\n".join(first))
        seconds += time.process_time() - begun
        words += sum(len(line.split()) for line in first)
        after.append(model.perplexity(second).bits_per_byte)
        for line in second[:50]:
            begun = time.process_time()
            model.next(line[:60])
            answers.append(time.process_time() - begun)
    one, other = statistics.mean(before), statistics.mean(after)
    by_work = ", ".join(f"{1 - b / a:.1%}" for a, b in zip(before, after, strict=True))
    speed, answer = f"{words / seconds:,.0f}", f"{1000 * statistics.median(answers):.2f}"
    return [f"{one:.4f}", f"{other:.4f}", f"{1 - other / one:.1%}", by_work, speed, answer]


def halves(lines: list[str]) -> tuple[list[str], list[str]]:
    """Cut at the line where half of the bytes are over."""
    half, read = sum(len(line.encode()) + 1 for line in lines) / 2, 0
    for number, line in enumerate(lines):
        if read >= half:
            return lines[:number], lines[number:]
        read += len(line.encode()) + 1
    return lines, []


if __name__ == "__main__":
    main()
