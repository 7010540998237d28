"""Tokens drawn a second, beside markovify and NLTK on the same text and core.

    python benchmarks/generate.py CORPUS.txt[.gz] [--lines 100000] [--work FOLDER] [--runs 3]

Uses model.ngram, which train.py has left in the work folder. markovify's model (state size 2, as it comes) is an
unsmoothed trigram; it is compiled, and drawn with and without its test for overlap with the corpus, whose failures are
None. NLTK's Kneser-Ney takes minutes for one sentence of such a model, so it is trained on the first 2,000 lines.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from peers import CORE, first_lines, row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--lines", type=int)
    parser.add_argument("--work", type=Path, default=Path("benchmark-work"))
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {CORE})
    corpus = first_lines(arguments.corpus, arguments.lines, arguments.work)
    import markovify

    import ngramgen

    model = ngramgen.load(arguments.work / "model.ngram")
    compiled = markovify.NewlineText(corpus.read_text(encoding="utf-8")).compile()

    def many(seed: int) -> int:
        texts = model.generate_all(n=100_000, seed=seed, with_logprob=False, max_new_tokens=100)
        return sum(len(one.ids) + 1 for one in texts)

    def single(seed: int) -> int:
        made = (model.generate_all(seed=seed + i, max_new_tokens=100, with_logprob=False) for i in range(500))
        return sum(len(next(one).ids) + 1 for one in made)

    def peer(test_output: bool, count: int) -> Callable[[int], int]:
        def draw(seed: int) -> int:
            random.seed(seed)
            texts = (compiled.make_sentence(test_output=test_output, tries=10) for _ in range(count))
            return sum(len(text.split()) + 1 for text in texts if text is not None)

        return draw

    sides = [many, single, peer(False, 20_000), peer(True, 200)]
    rates: list[list[float]] = [[] for _ in sides]
    for run in range(arguments.runs):
        for side, found in zip(sides, rates, strict=True):
            begin = time.perf_counter()
            tokens = side(run)
            found.append(tokens / (time.perf_counter() - begin))
    batch, one, fast, tested = (statistics.median(found) for found in rates)
    random.seed(1)
    failures = sum(compiled.make_sentence(tries=10) is None for _ in range(200)) / 200
    row("", "ngramgen", "markovify", "ratio")
    row("---", "---", "---", "---")
    row("100,000 sentences at once", f"{batch:,.0f} tokens/s", f"{fast:,.0f} tokens/s", f"{batch / fast:.2f}")
    row("sentences one by one", f"{one:,.0f} tokens/s", f"{fast:,.0f} tokens/s", f"{one / fast:.2f}")
    row(f"with markovify's overlap test ({failures:.0%} None)", "", f"{tested:,.0f} tokens/s", f"{batch / tested:.0f}")
    row("NLTK Kneser-Ney, trigram of 2,000 lines", "", f"{nltk_rate(corpus):.2f} tokens/s", "")


def nltk_rate(corpus: Path) -> float:
    """Tokens a second that NLTK's interpolated Kneser-Ney trigram draws."""
    from nltk.lm import KneserNeyInterpolated
    from nltk.lm.preprocessing import padded_everygram_pipeline

    with corpus.open(encoding="utf-8") as lines:
        sentences = [line.split() for line in itertools.islice(lines, 2000)]
    model = KneserNeyInterpolated(3)
    model.fit(*padded_everygram_pipeline(3, sentences))
    begin = time.perf_counter()
    tokens = 0
    while time.perf_counter() - begin < 10:
        model.generate(1, text_seed=["<s>", "<s>"], random_seed=tokens)
        tokens += 1
    return tokens / (time.perf_counter() - begin)


if __name__ == "__main__":
    main()
