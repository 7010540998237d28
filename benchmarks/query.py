"""Scoring running text and whole next-word distributions, beside KenLM's Python module on the same core.

    python benchmarks/query.py TEXT [--work FOLDER] [--copies 20] [--runs 5]

Uses model.ngram and model.binary, which train.py has left in the work folder. Text is scored by whole processes; the
time of a run over one copy of the text is taken off, so that start-up does not count.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from peers import in_turn, ngramgen, row, run

KENLM_SCORES = """
import sys, kenlm
model = kenlm.Model(sys.argv[1])
score = model.score
print(sum(score(line) for line in open(sys.argv[2], encoding="utf-8", newline="\\n")))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--work", type=Path, default=Path("benchmark-work"))
    parser.add_argument("--copies", type=int, default=20)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    model, binary = arguments.work / "model.ngram", arguments.work / "model.binary"
    data = arguments.text.read_bytes()
    tokens = len(data.split()) + data.count(b"\n")
    many = arguments.work / "copies.txt"
    many.write_bytes(data * arguments.copies)

    def ours() -> float:
        command = [ngramgen(), "perplexity", "-m", model]
        return run([*command, many]).wall - run([*command, arguments.text]).wall

    def theirs() -> float:
        command = [sys.executable, "-c", KENLM_SCORES, binary]
        return run([*command, many]).wall - run([*command, arguments.text]).wall

    seconds = in_turn(arguments.runs, ours, theirs)
    rates = [tokens * (arguments.copies - 1) / s / 1e6 for s in seconds]
    row("score text, start-up taken off", *(f"{r:.1f} M tokens/s" for r in rates), f"{rates[0] / rates[1]:.2f}")
    distributions(model, binary, arguments.runs)


def distributions(model_path: Path, binary: Path, runs: int) -> None:
    """The whole next-word distribution after some contexts, and the ten best of it."""
    import kenlm
    import numpy as np

    from ngramgen.loading import load

    begin = time.perf_counter()
    model = load(model_path)
    opened = time.perf_counter() - begin
    begin = time.perf_counter()
    peer = kenlm.Model(str(binary))
    opened_peer = time.perf_counter() - begin
    row("open the model, warm", f"{opened * 1e3:.1f} ms", f"{opened_peer * 1e3:.1f} ms", f"{opened / opened_peer:.2f}")
    contexts = ["it was the", "she looked at", "of the", "in a great", "he said that he", "I do not", "the", ""]
    engine = model.model
    states = [engine.advance(engine.start(), model.tokenizer.encode(c)[None, :]) for c in contexts]
    vocabulary = [model.tokenizer.token(i) for i in range(3, model.tokenizer.vocab_size)]

    def ours() -> float:
        begin = time.perf_counter()
        for state in states:
            engine.logprobs(state)
        return (time.perf_counter() - begin) / len(states)

    def theirs() -> float:
        before, after = kenlm.State(), kenlm.State()
        peer.BeginSentenceWrite(before)
        for word in ("it", "was", "the"):
            peer.BaseScore(before, word, after)
            before, after = after, before
        score = peer.BaseScore
        begin = time.perf_counter()
        np.array([score(before, word, after) for word in vocabulary])
        return time.perf_counter() - begin

    ours()
    seconds = in_turn(runs, ours, theirs)
    row(
        f"a next-word distribution, {engine.vocab_size:,} words",
        *(f"{s * 1e3:.2f} ms" for s in seconds),
        f"{seconds[0] / seconds[1]:.4f}",
    )

    def best() -> float:
        begin = time.perf_counter()
        for context in contexts:
            model.next(context, k=10)
        return (time.perf_counter() - begin) / len(contexts)

    best()
    row("the ten next words, from a string", f"{in_turn(runs * 20, best)[0] * 1e3:.3f} ms", "none", "")


if __name__ == "__main__":
    main()
