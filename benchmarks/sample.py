"""What filters, keywords and beams cost: tokens a second of a 5-gram, and sentences around a word beside markovify's.

    python benchmarks/sample.py CORPUS.txt[.gz] [--lines 100000] [--work FOLDER] [--model MODEL.ngram] [--runs 3]

Trains sampled.ngram in the work folder, with a filter of 6-token runs for max_copied_words, unless it is there or a
model of the same corpus is given. All texts have at most 100 tokens.

Each way of sampling is measured three times a run: 256 texts of a model that was just opened ("cold"), then 10,240
texts in batches of 256, or as many batches as fit into --limit seconds at the rate of the first ("steady"), then texts
one at a time for --limit / 10 seconds, after as many that do not count. A token is a word or the end of a text.

A keyword is a word of letters whose rank by frequency lies between 1,000 and 20,000. A sentence is a line of at most 30
words that holds it. markovify (compiled, state size 2, without its test for overlap) draws until one does or --cap
seconds are over. Log-probabilities are those of ngramgen's model, natural, a token; so for markovify's sentences too.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import re
import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from peers import CORE, first_lines, ngramgen, row, run

COPIED_WORDS = 5
WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "temperature 0.8, top_k 50, top_p 0.95": {"temperature": 0.8, "top_k": 50, "top_p": 0.95},
    "top_k 50": {"top_k": 50},
    "top_p 0.95": {"top_p": 0.95},
    "min_p 0.05": {"min_p": 0.05},
    "temperature 0.8": {"temperature": 0.8},
    "repetition_penalty 1.1, top_k 50": {"repetition_penalty": 1.1, "top_k": 50},
    f"max_copied_words {COPIED_WORDS}": {"max_copied_words": COPIED_WORDS},
}
BATCH, BATCHES, TOKENS, WORDS = 256, 40, 100, 30
BEAMS, PROMPTS = 5, 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--lines", type=int)
    parser.add_argument("--work", type=Path, default=Path("benchmark-work"))
    parser.add_argument("--model", type=Path, help="a model of that corpus, for one that is trained now")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--limit", type=float, default=20, help="seconds for the many texts of one way of sampling")
    parser.add_argument("--keywords", type=int, default=100)
    parser.add_argument("--ranks", type=int, nargs=2, default=(1000, 20_000), metavar=("FROM", "TO"))
    parser.add_argument("--cap", type=float, default=10, help="seconds that markovify gets for a keyword")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    arguments.work.mkdir(exist_ok=True)
    corpus = first_lines(arguments.corpus, arguments.lines, arguments.work)
    path = arguments.model or trained(corpus, arguments.work / "sampled.ngram")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {CORE})
    filters(path, arguments.runs, arguments.limit)
    beams(path, corpus, arguments.runs)
    keywords(path, corpus, arguments)


def trained(corpus: Path, path: Path) -> Path:
    """The model of this corpus, made where it is not there."""
    if not path.exists():
        options = ["--order", "5", "--tokenizer", "whitespace", "--copy-filter", str(COPIED_WORDS + 1)]
        run([ngramgen(), "train", corpus, "-o", path, *options])
    return path


def filters(path: Path, runs: int, limit: float) -> None:
    """Tokens a second of each way of sampling, the ways in turn."""
    import ngramgen
    from ngramgen.errors import OptionError

    rates: dict[str, list[tuple[float, float, float]]] = {name: [] for name in WAYS}
    refused: dict[str, OptionError] = {}
    for number in range(runs):
        for name, options in WAYS.items():
            if name in refused:
                continue
            model = ngramgen.load(path)
            common = {"max_new_tokens": TOKENS, "with_logprob": False, **options}
            begin = time.perf_counter()
            try:
                cold = rate(model.generate_all(n=BATCH, batch_size=BATCH, seed=number, **common))
            except OptionError as error:
                refused[name] = error
                continue
            count = max(1, min(BATCHES, int(limit / (time.perf_counter() - begin))))
            many = model.generate_all(n=BATCH * count, batch_size=BATCH, seed=runs + number, **common)
            steady = rate(many)
            single = alone(model, common, 2 * runs + number)
            rate(single, limit / 10)
            rates[name].append((rate(single, limit / 10), cold, steady))
    row("tokens/s", "one at a time", f"{BATCH} at once, cold", f"{BATCH} at once, steady")
    row("---", "---", "---", "---")
    for name, found in rates.items():
        if name in refused:
            row(name, refused[name], "", "")
        else:
            row(name, *(f"{statistics.median(values):,.0f}" for values in zip(*found, strict=True)))


def alone(model: Any, common: dict[str, Any], seed: int) -> Iterator[Any]:
    """Texts without end, each from a call of its own."""
    return (next(model.generate_all(n=1, seed=seed, first_index=index, **common)) for index in itertools.count())


def rate(texts: Iterable[Any], seconds: float = float("inf")) -> float:
    """Tokens a second of these texts, as far as they come in time."""
    begin, tokens = time.perf_counter(), 0
    for one in texts:
        tokens += len(one.ids) + (one.finish_reason == "eos")
        if time.perf_counter() - begin > seconds:
            break
    return tokens / (time.perf_counter() - begin)


def beams(path: Path, corpus: Path, runs: int) -> None:
    """Tokens a second of the best continuations of the first three words of some lines."""
    import ngramgen

    with corpus.open(encoding="utf-8") as lines:
        beginnings = (" ".join(line.split()[:3]) for line in lines)
        prompts = list(itertools.islice((text for text in beginnings if text.count(" ") == 2), PROMPTS))
    rates = []
    for _ in range(runs):
        model = ngramgen.load(path)
        rates.append(rate(model.generate_all(prompts, num_beams=BEAMS, max_new_tokens=WORDS, with_logprob=False)))
    row(f"{BEAMS} beams, the best of each search", f"{statistics.median(rates):,.0f}", "", "")


def keywords(path: Path, corpus: Path, arguments: argparse.Namespace) -> None:
    """Seconds and quality of sentences that hold a given word."""
    import ngramgen

    model = ngramgen.load(path)
    chosen = some_words(model, arguments.ranks, arguments.keywords, arguments.seed)
    print()
    row(f"{len(chosen)} sentences of at most {WORDS} words", "seconds", "failed", "log-probability a token")
    row("---", "---", "---", "---")
    outcome("with a keyword each, ngramgen", model, *ours(model, chosen, arguments.seed))
    outcome("without, ngramgen", model, *ours(model, [None] * len(chosen), arguments.seed))
    outcome("with a keyword each, markovify", model, *theirs(corpus, chosen, arguments.seed, arguments.cap))
    outcome("without, markovify", model, *theirs(corpus, [None] * len(chosen), arguments.seed, arguments.cap))


def some_words(model: Any, ranks: tuple[int, int], count: int, seed: int) -> list[str]:
    """Words of letters; an id tells how frequent its word is, and three are special."""
    low, high = ranks
    between = [model.tokenizer.token(rank + 2) for rank in range(low, min(high, model.tokenizer.vocab_size - 3) + 1)]
    letters = [word for word in between if word.isalpha()]
    return random.Random(seed).sample(letters, min(count, len(letters)))


def ours(model: Any, words: Sequence[str | None], seed: int) -> tuple[float, list[str | None]]:
    """Seconds in all, and the sentences; None where none was found."""
    from ngramgen.errors import ConstraintError

    sentences: list[str | None] = []
    begin = time.perf_counter()
    for index, word in enumerate(words):
        wanted = {} if word is None else {"contains": word}
        made = model.generate_all(
            seed=seed, first_index=index, with_logprob=False, max_new_tokens=TOKENS, max_words=WORDS, **wanted
        )
        try:
            sentences.append(next(made).text)
        except ConstraintError:
            sentences.append(None)
    return time.perf_counter() - begin, sentences


def theirs(corpus: Path, words: Sequence[str | None], seed: int, cap: float) -> tuple[float, list[str | None]]:
    """The same by drawing sentences until one holds the word."""
    import markovify

    compiled = markovify.NewlineText(corpus.read_text(encoding="utf-8"), state_size=2).compile()
    random.seed(seed)
    sentences: list[str | None] = []
    begin = time.perf_counter()
    for word in words:
        pattern = re.compile("" if word is None else rf"(?<![^\W_]){re.escape(word)}(?![^\W_])")
        sentences.append(rejected_until(compiled, pattern, time.perf_counter() + cap))
    return time.perf_counter() - begin, sentences


def rejected_until(compiled: Any, pattern: re.Pattern[str], end: float) -> str | None:
    while time.perf_counter() < end:
        text = compiled.make_sentence(test_output=False, tries=1, max_words=WORDS)
        if text is not None and pattern.search(text):
            return str(text)
    return None


def outcome(name: str, model: Any, seconds: float, sentences: Sequence[str | None]) -> None:
    found = [text for text in sentences if text is not None]
    tokens = sum(len(text.split()) + 1 for text in found)
    mean = f"{sum(model.score(text) for text in found) / tokens:.2f}" if found else "none"
    row(name, f"{seconds:.2f}", f"{len(sentences) - len(found)} of {len(sentences)}", mean)


if __name__ == "__main__":
    main()
