"""What lmplz wrote for small corpora, against what we estimate from them.

lmplz departs from its formula in one thing. When it tallies how many n-grams of an order have a count of 1, 2, 3 and 4,
it takes the last n-gram of each order below the highest (last by its words' ids, read backwards, in order of
appearance) with its raw count, not its adjusted count. It shows in five of these cases, all with corpora of a few
lines; we keep to the formula. `lmplz_discounts` tallies as it does.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ngramgen.model import BOS, EOS
from ngramgen.ngram.arpa_reader import read_arpa
from ngramgen.ngram.arpa_writer import write_arpa
from ngramgen.ngram.counting import OrderCounts, count
from ngramgen.ngram.estimation import Estimate, estimate
from ngramgen.ngram.lookup import score_text
from ngramgen.ngram.smoothing import Discount, ModifiedKneserNey
from ngramgen.ngram.table import NgramTable
from ngramgen.text.splitting import Spans, split_whitespace
from ngramgen.text.vocabulary import SPECIALS, Vocabulary, VocabularyBuilder

TINY = ("empty_oneword", "fallback", "repeat", "singletons", "unicode", "whitespace")
OPTIONS = ("o3", "o3_interpuni0", "o3_limitvocab", "o3_prune001", "o3_prune012", "o5_nofallback_ERROR")
CASES = [f"tiny_{name}_o{order}" for name in TINY for order in (2, 3, 5)]
CASES += ["tiny_fallback_o3_nofallback_ERROR", "zh200_char_o3", "ts2000_o5"]
CASES += [f"ts2000_{options}" for options in OPTIONS]
REFUSED = [name for name in CASES if name.endswith("_ERROR")]
WRITTEN = [name for name in CASES if name not in REFUSED]
TALLY_SHOWS = {"tiny_fallback_o3", "tiny_fallback_o5", "tiny_repeat_o2", "tiny_repeat_o3", "tiny_repeat_o5"}
TOLERANCE = 2e-6

Words = NDArray[np.int32]
Entries = dict[str, tuple[float, float]]


@dataclass
class Case:
    """A corpus and what lmplz made of it."""

    folder: Path
    facts: dict[str, Any]
    corpus: bytes
    discounts: list[Discount]  # as lmplz tallies
    result: Estimate  # with these
    plain: Estimate  # with our own
    tokens: list[bytes]

    def model(self) -> list[str]:
        plain = self.folder / "model.arpa"
        if plain.exists():
            return plain.read_text("utf-8").split("\n")
        return gzip.decompress((self.folder / "model.arpa.gz").read_bytes()).decode().split("\n")


def options_of(facts: dict[str, Any]) -> dict[str, list[str]]:
    options: dict[str, list[str]] = {}
    for word in facts["options"]:
        if word.startswith("-"):
            values = options.setdefault(word, [])
        else:
            values.append(word)
    return options


def corpus_of(shared_data: Path, folder: Path, facts: dict[str, Any]) -> bytes:
    source = facts.get("source")
    if source is None:
        return (folder / "corpus.txt").read_bytes()
    lines = (
        (shared_data / source["file"]).read_text("utf-8").split("\n")[source["first_line"] - 1 : source["last_line"]]
    )
    if "segmentation" in source:
        lines = [" ".join("".join(line.split())) for line in lines]
    return "".join(f"{line}\n" for line in lines).encode()


def ids_of(spans: Spans, words: NDArray[np.integer[Any]]) -> Words:
    """The sentences of a text as ``<s> w1 ... wm </s>``, one after the other."""
    words = np.insert(words, spans.line_ends, EOS)
    ends = np.flatnonzero(words == EOS)
    return np.insert(words, np.append(0, ends[:-1] + 1), BOS).astype(np.int32)


def lines_of(text: bytes) -> Spans:
    return split_whitespace(text if text.endswith(b"\n") else text + b"\n")


def read_words(corpus: bytes, kept: list[bytes]) -> tuple[Words, list[bytes]]:
    """The corpus as ids, the kept words first and else in order of appearance, and all tokens."""
    builder = VocabularyBuilder()
    if kept:
        builder.add(split_whitespace(b" ".join(kept) + b"\n"))
    spans = lines_of(corpus)
    return ids_of(spans, builder.add(spans) + len(SPECIALS)), builder.tokens


def lmplz_discounts(words: Words, orders: list[OrderCounts]) -> list[Discount]:
    """The discounts of each order where the last n-gram of the lower ones is tallied with its raw count."""
    order = len(orders)
    padded: list[tuple[int, ...]] = []
    for sentence in np.split(words, np.flatnonzero(words == BOS)[1:]):
        line = [BOS] * (order - 2) + sentence.tolist()
        padded += [tuple(line[i : i + order]) for i in range(len(line) - order + 1)]
    last = max(padded, key=lambda gram: gram[::-1])
    discounts = []
    for k, counts in enumerate(orders, start=1):
        tally = np.bincount(np.minimum(counts.adjusted, 5), minlength=6)
        gram = last[order - k :]
        if k < order and BOS not in gram[1:]:
            same = [full for full in padded if full[order - k :] == gram]
            left_neighbours = {full[order - k - 1] for full in same}
            tally[min(len(same) if gram[0] == BOS else len(left_neighbours), 5)] -= 1
            tally[min(len(same), 5)] += 1
        discounts.append(ModifiedKneserNey().discount(tally[1:5].tolist()))
    return discounts


class GivenDiscounts(ModifiedKneserNey):
    """The method with discounts that are given, one order after the other."""

    def __init__(self, discounts: list[Discount]) -> None:
        self.left = iter(discounts)

    def discount(self, counts_of_counts: Sequence[int]) -> Discount:
        return next(self.left)


@pytest.fixture
def case(request: pytest.FixtureRequest, shared_data: Path) -> Case:
    folder = shared_data / "arpa" / "lmplz" / request.param
    facts = json.loads((folder / "case.json").read_text("utf-8"))
    options = options_of(facts)
    order = int(options["-o"][0])
    corpus = corpus_of(shared_data, folder, facts)
    vocabulary = set((folder / "vocab.txt").read_bytes().split()) if "--limit_vocab_file" in options else set()
    kept = [word for word in dict.fromkeys(corpus.split()) if word in vocabulary]
    words, tokens = read_words(corpus, kept)
    size = len(tokens) + len(SPECIALS)
    # its ids are in order of appearance, and so must ours be to find the last n-gram
    in_order, _ = read_words(corpus, [])
    discounts = lmplz_discounts(in_order, count(in_order.copy(), size, order))
    tokens = tokens[: len(kept) or None]
    results = [
        estimate(
            count(words.copy(), size, order),
            len(tokens) + len(SPECIALS),
            smoothing,
            prune=[int(threshold) for threshold in options.get("--prune", [])],
            interpolate_unigrams=options.get("--interpolate_unigrams") != ["0"],
        )
        for smoothing in (GivenDiscounts(discounts), ModifiedKneserNey())
    ]
    return Case(folder, facts, corpus, discounts, results[0], results[1], tokens)


def entries(lines: list[str]) -> Entries:
    """The n-grams of an ARPA file and their two numbers."""
    found: Entries = {}
    for line in lines:
        fields = line.split("\t")
        if len(fields) > 1:
            assert fields[1] not in found
            found[fields[1]] = float(fields[0]), float(fields[2]) if len(fields) > 2 else 0.0
    return found


@pytest.mark.parametrize("case", CASES, indirect=True)
def test_the_corpus_is_the_one_that_lmplz_read(case: Case) -> None:
    """The bytes have the recorded digest, and as many tokens and types."""
    assert hashlib.sha256(case.corpus).hexdigest() == case.facts["corpus_sha256"]
    tokens = lines_of(case.corpus).tokens()
    assert len(tokens) == case.facts["unigram_tokens"]
    assert len(set(tokens)) + len(SPECIALS) == case.facts["unigram_types"]


@pytest.mark.parametrize("case", WRITTEN, indirect=True)
def test_counts_and_discounts_are_as_printed(case: Case) -> None:
    """Each order's line of statistics is lmplz's: kept and all n-grams, and the discounts to six digits."""
    lines = []
    for k, report in enumerate(case.result.reports, start=1):
        size = f"{report.total}" if report.kept == report.total else f"{report.kept}/{report.total}"
        amounts = (f"D{k}={amount:g}" for k, amount in zip(("1", "2", "3+"), report.discount.amounts, strict=True))
        lines.append(f"{k} {size} {' '.join(amounts)}")
    assert lines == case.facts["statistics"]


@pytest.mark.parametrize("case", WRITTEN, indirect=True)
def test_our_discounts_differ_only_where_the_tally_shows(case: Case) -> None:
    """But for five tiny corpora, it makes no difference how lmplz tallies its last n-gram."""
    ours = [report.discount for report in case.plain.reports]
    assert (ours != case.discounts) == (case.folder.name in TALLY_SHOWS)


@pytest.mark.parametrize("case", WRITTEN, indirect=True)
def test_the_arpa_file_is_lmplz_own(case: Case) -> None:
    """The same head, the same n-grams, and the same probabilities and backoffs up to rounding."""
    file = io.BytesIO()
    write_arpa(file, case.result.table, Vocabulary.from_tokens(case.tokens))
    ours, theirs = file.getvalue().decode().split("\n"), case.model()
    head = len(case.result.reports) + 2
    assert ours[:head] == theirs[:head]
    assert len(ours) == len(theirs)
    found, expected = entries(ours), entries(theirs)
    assert found.keys() == expected.keys()
    difference = np.array([found[gram] for gram in expected]) - np.array(list(expected.values()))
    assert np.abs(difference).max() < TOLERANCE


@pytest.mark.parametrize("case", WRITTEN, indirect=True)
def test_reading_lmplz_file_gives_our_model(case: Case) -> None:
    """Its file scores the corpus as the table does that was estimated from it."""
    table, tokens = read_arpa(next(case.folder.glob("model.arpa*")))
    assert table.normalised
    assert table.sizes == tuple(report.kept for report in case.result.reports)
    ours = scores(case.result.table, case.tokens, case.corpus)
    assert np.allclose(scores(table, tokens, case.corpus), ours, rtol=0, atol=1e-5)


@pytest.mark.parametrize("case", REFUSED, indirect=True)
def test_where_lmplz_refuses_we_fall_back_and_say_so(case: Case) -> None:
    """A corpus whose discounts cannot be computed is estimated, and the report tells which orders fell back."""
    assert any(report.discount.fallback for report in case.plain.reports)


@pytest.mark.parametrize("order", [3, 5])
def test_sentences_score_as_with_kenlm(shared_data: Path, order: int) -> None:
    """Fifty lines of a novel have the log10 probabilities that KenLM's Python module gave."""
    recorded = json.loads((shared_data / "arpa" / "scores.json").read_text("utf-8"))
    words, tokens = read_words((shared_data / "tinyshakespeare" / "input.txt").read_bytes(), [])
    size = len(tokens) + len(SPECIALS)
    with (shared_data / "fiction" / "test.txt").open("rb") as file:
        text = b"".join(next(file) for _ in range(50))
    table = estimate(count(words, size, order), size).table
    assert np.allclose(scores(table, tokens, text), recorded[f"ts_o{order}"], rtol=2e-6, atol=1e-5)


def scores(table: NgramTable, tokens: list[bytes], text: bytes) -> NDArray[np.float64]:
    """The log10 probability of each line."""
    spans = lines_of(text)
    words = ids_of(spans, Vocabulary.from_tokens(tokens).find(spans)).astype(np.int64)
    return np.add.reduceat(np.log10(score_text(table, words)), np.flatnonzero(words == BOS))
