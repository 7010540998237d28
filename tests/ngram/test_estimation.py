"""Estimated tables against the recursion written out over dictionaries of tuples."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from ngramgen.errors import OptionError, TrainingError
from ngramgen.model import BOS, EOS, UNK
from ngramgen.ngram import counting, estimation
from ngramgen.ngram.counting import corpus_from_sentences, count
from ngramgen.ngram.estimation import Estimate, estimate, prune_thresholds
from ngramgen.ngram.lookup import score_text
from ngramgen.ngram.model import NgramModel, NgramState
from ngramgen.ngram.smoothing import METHODS, smoothing_from_name

Gram = tuple[int, ...]

NAMES = [*METHODS, "lidstone:2.5", "stupid-backoff:0.9"]
SIZE = 7  # ids 3 to 5 occur in corpora, 6 never

SENTENCES = st.lists(st.lists(st.integers(3, 5), max_size=5), min_size=1, max_size=7)
# counts of 1 to 4 in plenty, so that discounts can be estimated
RICH = st.builds(
    lambda seed, n: [
        w.tolist() for w in np.split(np.random.default_rng(seed).zipf(1.4, 8 * n) % 3 + 3, range(8, 8 * n, 8))
    ],
    st.integers(0, 1000),
    st.integers(2, 8),
)


@dataclass(frozen=True, eq=False)
class Oracle:
    """p(w|h) by direct recursion: docs/DESIGN's formulas over dictionaries."""

    sentences: list[list[int]]
    order: int
    name: str
    kept_vocab: int = SIZE
    prune: tuple[int, ...] = ()
    interpolate: bool = True

    @cached_property
    def raw(self) -> list[Counter[Gram]]:
        lines = [(BOS, *sentence, EOS) for sentence in self.sentences]
        result = [
            Counter(line[i : i + k] for line in lines for i in range(len(line) - k + 1))
            for k in range(1, self.order + 1)
        ]
        del result[0][(BOS,)]
        return result

    @cached_property
    def used(self) -> list[dict[Gram, int]]:
        if not self.name.endswith("kneser-ney"):
            return [dict(counts) for counts in self.raw]
        result: list[dict[Gram, int]] = []
        for own, longer in zip(self.raw[:-1], self.raw[1:], strict=True):
            left = Counter(gram[1:] for gram in longer)
            result.append({gram: own[gram] if gram[0] == BOS else left[gram] for gram in own})
        return [*result, dict(self.raw[-1])]

    @cached_property
    def tallies(self) -> list[list[int]]:
        """t1 to t4 of each order; lmplz tallies the suffixes of the gram that it comes to last by their raw counts."""
        found = [Counter(counts.values()) for counts in self.used]
        if self.name == "modified-kneser-ney":
            padded = [(BOS,) * (self.order - 2) + (BOS, *sentence, EOS) for sentence in self.sentences]
            ends = [line[max(0, i - self.order) : i] for line in padded for i in range(1, len(line) + 1)]
            last = max((gram for gram in ends if gram[-1] != BOS), key=lambda gram: gram[::-1])
            for k in range(1, self.order):
                gram = last[-k:]
                if BOS not in gram[1:]:
                    found[k - 1][self.used[k - 1][gram]] -= 1
                    found[k - 1][self.raw[k - 1][gram]] += 1
        return [[t[c] for c in (1, 2, 3, 4)] for t in found]

    @cached_property
    def discounts(self) -> list[tuple[float, float, float]]:
        return [self.discount(t) for t in self.tallies]

    def discount(self, t: list[int]) -> tuple[float, float, float]:
        if self.name == "modified-kneser-ney":
            if 0 in t[:3]:
                return 0.5, 1.0, 1.5
            y = t[0] / (t[0] + 2 * t[1])
            amounts = [k - (k + 1) * y * t[k] / t[k - 1] for k in (1, 2, 3)]
            first, second, third = amounts
            return (first, second, third) if 0 <= second <= 2 and 0 <= third <= 3 else (0.5, 1.0, 1.5)
        if self.name in ("kneser-ney", "absolute-discounting"):
            amount = min(t[0] / (t[0] + 2 * t[1]), 0.99) if t[0] else 0.5
            return amount, amount, amount
        return 0.0, 0.0, 0.0

    @property
    def is_borderline(self) -> bool:
        """Whether rounding decides that a discount is below 0, so that there is a fallback."""
        return self.name == "modified-kneser-ney" and any(
            0 not in (a, b, c) and (3 * a * c == 2 * (a + 2 * b) * b or 4 * a * d == 3 * (a + 2 * b) * c)
            for a, b, c, d in self.tallies
        )

    def worth(self, k: int, used: int) -> float:
        return used - (self.discounts[k - 1][min(used, 3) - 1] if used else 0)

    def denominator(self, counts: list[int]) -> float:
        base, _, argument = self.name.partition(":")
        if base == "witten-bell":
            return sum(counts) + len(counts)
        if base in ("lidstone", "laplace"):
            amount = float(argument or (1.0 if base == "laplace" else 0.1))
            return sum(counts) + amount * (self.kept_vocab - 1)
        return sum(counts)

    @property
    def factor(self) -> float | None:
        base, _, argument = self.name.partition(":")
        return float(argument or 0.4) if base == "stupid-backoff" else None

    def is_kept(self, gram: Gram) -> bool:
        if max(gram) >= self.kept_vocab:
            return False
        threshold = prune_thresholds(self.prune, self.order)[len(gram) - 1]
        return len(gram) == 1 or self.raw[len(gram) - 1].get(gram, 0) > threshold

    @cached_property
    def successors(self) -> dict[Gram, dict[int, int]]:
        found: dict[Gram, dict[int, int]] = defaultdict(dict)
        for counts in self.used[1:]:
            for gram, used in counts.items():
                found[gram[:-1]][gram[-1]] = used
        return found

    @lru_cache(None)  # noqa: B019
    def unigrams(self) -> list[float]:
        counts = {gram[0]: used for gram, used in self.used[0].items()}
        denominator = self.denominator(list(counts.values()))
        result = [self.worth(1, counts.get(w, 0)) / denominator for w in range(self.kept_vocab)]
        left_over = 1 - sum(result)
        for w in range(self.kept_vocab):
            if self.factor is not None:
                result[w] = result[w] if counts.get(w) else self.factor / (self.kept_vocab - 1)
            elif self.interpolate:
                result[w] += left_over / (self.kept_vocab - 1)
        if self.factor is None and not self.interpolate:
            result[UNK] += left_over
        result[BOS] = 0
        return result

    @lru_cache(None)  # noqa: B019
    def p(self, word: int, context: Gram) -> float:
        """The probability of a word after a context, of which only the last order - 1 words matter."""
        context = context[max(0, len(context) - self.order + 1) :] if self.order > 1 else ()
        if not context:
            return self.unigrams()[word]
        found = self.successors.get(context, {})
        if not found or not self.is_kept(context):
            return self.p(word, context[1:])
        k = len(context) + 1
        denominator = self.denominator(list(found.values()))
        kept = {w: self.worth(k, used) / denominator for w, used in found.items() if self.is_kept((*context, w))}
        gamma = 1 - sum(kept.values()) if self.factor is None else self.factor
        if self.factor is not None:
            return kept[word] if word in kept else gamma * self.p(word, context[1:])
        if self.name.startswith(("lidstone", "laplace")):
            lower = 0.0 if word == BOS else 1 / (self.kept_vocab - 1)
        else:
            lower = self.p(word, context[1:])
        return kept.get(word, 0.0) + gamma * lower

    def estimated(self) -> Estimate:
        orders = count(corpus_from_sentences(self.sentences), SIZE, self.order)
        return estimate(orders, self.kept_vocab, smoothing_from_name(self.name), self.prune, self.interpolate)

    def contexts(self) -> list[Gram]:
        """Every context of the corpus, and some that it does not have."""
        lines = [(BOS, *sentence) for sentence in self.sentences]
        seen = {line[i:j] for line in lines for i in range(len(line)) for j in range(i + 1, len(line) + 1)}
        seen = {gram for gram in seen if len(gram) <= self.order}
        others = {
            (BOS, 3, 6, 3),
            (UNK,),
            (6,),
            (3, UNK, 4),
            (5, 5, 5, 5, 5),
            (BOS, UNK),
            (3, EOS),
            (EOS, 4),
            (BOS, BOS),
        }
        return sorted(tuple(w if w < self.kept_vocab else UNK for w in gram) for gram in seen | others)


def assert_as_oracle(oracle: Oracle) -> None:
    """The whole distribution in every context, its sum, and the score of running text."""
    table = oracle.estimated().table
    model = NgramModel(table, None)  # type: ignore[arg-type]
    assert table.order == oracle.order
    for context in oracle.contexts():
        row = np.array([context], np.int32)
        found = np.exp(model.logprobs(NgramState(model, row, model.context_grams(row)))[0])
        expected = [oracle.p(word, context) for word in range(oracle.kept_vocab)]
        assert found == pytest.approx(expected, rel=2e-5, abs=1e-7), context
        if oracle.factor is None:
            assert table.normalised
            assert found.sum(dtype=np.float64) == pytest.approx(1, abs=1e-5)
    sentences = [
        [w if w < oracle.kept_vocab else UNK for w in s] for s in [*oracle.sentences, [3, UNK, 4], [], [5, 4, 3]]
    ]
    text = corpus_from_sentences(sentences).astype(np.int64)
    expected = [
        1.0 if w == BOS else oracle.p(w, (BOS, *s, EOS)[:i]) for s in sentences for i, w in enumerate((BOS, *s, EOS))
    ]
    assert score_text(table, text) == pytest.approx(expected, rel=2e-5, abs=1e-7)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30, deadline=None)
@given(sentences=SENTENCES | RICH, order=st.integers(1, 8))
@example(sentences=[[]], order=1)
@example(sentences=[[]], order=3)
@example(sentences=[[3]], order=8)
@example(sentences=[[3, 3, 3, 3, 3]] * 4, order=3)
def test_probabilities_are_the_recursion(name: str, sentences: list[list[int]], order: int) -> None:
    """Every method gives every word in every context, seen or not, the probability of its formula."""
    oracle = Oracle(sentences, order, name)
    assume(not oracle.is_borderline)
    assert_as_oracle(oracle)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30, deadline=None)
@given(
    sentences=SENTENCES | RICH,
    order=st.integers(1, 5),
    steps=st.lists(st.integers(0, 2), min_size=1, max_size=5),
    kept_vocab=st.integers(3, SIZE),
    interpolate=st.booleans(),
)
@example(sentences=[[3, 4, 5]] * 2, order=3, steps=[0, 0, 2], kept_vocab=SIZE, interpolate=True)
@example(sentences=[[3, 4, 5]], order=4, steps=[2], kept_vocab=3, interpolate=False)
def test_what_is_dropped_leaves_its_mass(
    name: str, sentences: list[list[int]], order: int, steps: list[int], kept_vocab: int, interpolate: bool
) -> None:
    """So it is with grams pruned by count, with a limited vocabulary, and with unigrams that are not interpolated."""
    base = name.partition(":")[0]
    interpolate = interpolate or base in ("lidstone", "laplace", "stupid-backoff")
    prune = tuple(np.cumsum(steps[:order]).tolist())
    oracle = Oracle(sentences, order, name, kept_vocab, prune, interpolate)
    assume(not oracle.is_borderline)
    assert_as_oracle(oracle)


@pytest.mark.parametrize("block", [1, 2, 7])
@pytest.mark.parametrize("prune", [(), (0, 0, 1)])
def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch, block: int, prune: tuple[int, ...]) -> None:
    """Sums over contexts are the same however few grams are added up at a time."""
    monkeypatch.setattr(counting, "BLOCK", block)
    monkeypatch.setattr(estimation, "BLOCK", block)
    rng = np.random.default_rng(block)
    sentences = [(rng.zipf(1.4, 9) % 3 + 3).tolist() for _ in range(20)]
    for name in ("modified-kneser-ney", "witten-bell", "lidstone"):
        assert_as_oracle(Oracle(sentences, 4, name, prune=prune))


@settings(max_examples=30, deadline=None)
@given(sentences=SENTENCES | RICH, order=st.integers(1, 5), steps=st.lists(st.integers(0, 2), max_size=3))
def test_reports_count_what_was_kept(sentences: list[list[int]], order: int, steps: list[int]) -> None:
    """Each order's report has as many grams as the oracle, and as many kept as the table holds."""
    prune = tuple(np.cumsum(steps[:order]).tolist())
    oracle = Oracle(sentences, order, "witten-bell", 5, prune)
    result = oracle.estimated()
    assert tuple(report.kept for report in result.reports) == result.table.sizes
    for k, report in enumerate(result.reports[1:], start=2):
        grams = oracle.raw[k - 1]
        assert report.total == len(grams)
        assert report.kept == sum(map(oracle.is_kept, grams))


def test_fallback_is_reported() -> None:
    """Where nothing occurs three times, the discounts are 0.5, 1, 1.5 and the report says so."""
    oracle = Oracle([[3, 4], [3, 5]], 2, "modified-kneser-ney")
    reports = oracle.estimated().reports
    assert [report.discount.fallback for report in reports] == [True, True]
    assert reports[0].discount.amounts == (0.5, 1.0, 1.5)


def test_the_counts_are_used_up() -> None:
    """The list is emptied, so that memory goes while the table grows."""
    orders = count(corpus_from_sentences([[3, 4]]), 5, 2)
    estimate(orders, 5)
    assert orders == []


@pytest.mark.parametrize(
    ("prune", "order", "thresholds"),
    [
        ((), 3, (0, 0, 0)),
        ((0,), 1, (0,)),
        ((0, 1), 4, (0, 1, 1, 1)),
        ([0, 0, 2], 3, (0, 0, 2)),
        (np.array([0, 1]), 2, (0, 1)),
        (iter([0, 1]), 2, (0, 1)),
    ],
)
def test_thresholds_are_filled_up(prune: Any, order: int, thresholds: tuple[int, ...]) -> None:
    """The last one holds for the orders beyond it, and all are plain integers."""
    found = prune_thresholds(prune, order)
    assert found == thresholds
    assert all(type(number) is int for number in found)


@pytest.mark.parametrize("prune", [3, None, "0,1", (0.5,), (True,), ("0",), (-1,), (1, 0), (0, 0, 0, 0), (math.nan,)])
def test_wrong_thresholds_are_an_option_error(prune: Any) -> None:
    """The message names the option."""
    with pytest.raises(OptionError, match="prune"):
        prune_thresholds(prune, 3)


@pytest.mark.parametrize("name", ["lidstone", "laplace", "stupid-backoff"])
def test_interpolation_cannot_be_turned_off_where_there_is_none(name: str) -> None:
    """An option that could mean nothing is refused, not ignored."""
    with pytest.raises(OptionError, match="interpolate_unigrams"):
        Oracle([[3]], 2, name, interpolate=False).estimated()


def test_no_sentences_are_a_training_error() -> None:
    """There is nothing to estimate from no tokens."""
    with pytest.raises(TrainingError, match="no tokens"):
        estimate(count(np.zeros(0, np.int32), 3, 1), 3)
