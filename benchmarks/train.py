"""Text to a file that is ready to query: `ngramgen train` beside KenLM's lmplz and build_binary (probing).

    python benchmarks/train.py CORPUS.txt[.gz] [--lines 100000] [--kenlm-bin FOLDER] [--runs 3] [--work FOLDER]

Leaves model.ngram, model.arpa and model.binary in the work folder for the other benchmarks.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
from pathlib import Path

from peers import first_lines, kenlm_program, ngramgen, row, run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--lines", type=int)
    parser.add_argument("--kenlm-bin")
    parser.add_argument("--memory", default="4G", help="lmplz's -S")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path("benchmark-work"))
    arguments = parser.parse_args()
    arguments.work.mkdir(exist_ok=True)
    corpus = first_lines(arguments.corpus, arguments.lines, arguments.work)
    model, arpa, binary = (arguments.work / name for name in ("model.ngram", "model.arpa", "model.binary"))
    lmplz, build = (kenlm_program(name, arguments.kenlm_bin) for name in ("lmplz", "build_binary"))
    ours = [ngramgen(), "train", corpus, "-o", model, "--order", "5", "--tokenizer", "whitespace"]
    theirs = [lmplz, "-o", "5", "-S", arguments.memory, "-T", arguments.work, "--text", corpus, "--arpa", arpa]
    found = []
    for _ in range(arguments.runs):
        found.append((run(ours), run(theirs), run([build, "-T", arguments.work, "probing", arpa, binary])))
    info = json.loads(subprocess.run([ngramgen(), "info", model, "--json"], capture_output=True, check=True).stdout)
    grams = sum(info["ngrams"])
    row("", "ngramgen", "KenLM", "ratio")
    row("---", "---", "---", "---")
    wall = [(a.wall, b.wall + c.wall) for a, b, c in found]
    row(
        f"train, {info['corpus']['tokens']:,} tokens, {grams:,} n-grams",
        f"{statistics.median(a for a, _ in wall):.1f} s",
        f"{statistics.median(b for _, b in wall):.1f} s",
        f"{statistics.median(a / b for a, b in wall):.2f}",
    )
    memory = [max(a.memory for a, _, _ in found), max(max(b.memory, c.memory) for _, b, c in found)]
    row("peak memory", *(f"{m:.2f} GB" for m in memory), f"{memory[0] / memory[1]:.2f}")
    sizes = [path.stat().st_size / grams for path in (model, binary)]
    row("bytes an n-gram on disk", *(f"{s:.2f}" for s in sizes), f"{sizes[0] / sizes[1]:.2f}")


if __name__ == "__main__":
    main()
