"""Marginals and what adapting them takes: against plain sums over whole rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ngramgen.model import BOS, EOS, UNK
from ngramgen.ngram import marginals as module
from ngramgen.ngram.evidence import contexts_of_text
from ngramgen.ngram.marginals import Adapted, can_adapt, marginals
from ngramgen.ngram.model import NgramModel, NgramState
from ngramgen.ngram.smoothing import METHODS
from ngramgen.ngram.table import NgramTable
from tests.ngram.test_lookup import SENTENCES, SIZE, table_of

MIXED = ["modified-kneser-ney", "kneser-ney", "absolute-discounting", "witten-bell"]
PRUNED = st.sampled_from([(), (0, 1), (0, 0, 1), (0, 9)])
COUNTS = st.lists(st.integers(0, 3), min_size=SIZE - 2, max_size=SIZE - 2)


def rows_behind(table: NgramTable, contexts: Any) -> Any:
    """p(w|h) for rows of contexts, (R, V)."""
    state = NgramState(NgramModel(table, None), np.zeros((len(contexts), 0), np.int32), contexts)  # type: ignore[arg-type]
    return np.exp(state.model.logprobs(state).astype(np.float64))


def behind(table: NgramTable, *words: int) -> Any:
    """p(w|h) behind these words, (V,); behind </s> a sentence begins."""
    words = tuple(BOS if word == EOS else word for word in words)
    model = NgramModel(table, None)  # type: ignore[arg-type]
    return rows_behind(table, model.context_grams(np.array([words], np.int32)))[0]


def test_which_can_be_adapted() -> None:
    """Those that mix their orders."""
    assert [name for name in METHODS if can_adapt(table_of([[3, 4], [3, 5]], 3, name))] == MIXED


def test_a_word_twice_as_likely() -> None:
    """With q = 0.01 as if 0.01 T = 100 had come: 100 more make 2 to the power of 0.7, 300 more 4 to the power."""
    table = table_of([[3, 4], [3, 5]], 1)
    counts = np.zeros(SIZE, np.int64)
    counts[[3, 5]] = 100, 300
    found = Adapted.to(table, np.full(SIZE, 0.01), counts)
    assert found.factors == pytest.approx([1, 1, 1, 2**0.7, 1, 4**0.7, 1, 1, 1])
    gain = (2**0.7 - 1) * table.unigrams[3] + (4**0.7 - 1) * table.unigrams[5]
    assert found.totals(np.array([[BOS], [4]])) == pytest.approx([1 + gain] * 2)


def test_marginals_of_one_order() -> None:
    """They are the unigrams."""
    table = table_of([[3, 4], [3, 5]], 1)
    assert marginals(table).tolist() == table.unigrams.tolist()


def test_marginals_of_two_orders_by_hand() -> None:
    """Witten-Bell, where 3 comes alone: 3 and </s> are a in the unigrams, the six others c, 2 a + 6 c = 1.

    Behind <s>, as behind </s>, comes 3, and behind 3 </s>, once each, and gamma is 1 / 2: 1 / 2 + a / 2, and a / 2 of
    the other. Behind all others the unigrams come. So two steps from the unigrams are:
    """
    table = table_of([[3]], 2, "witten-bell")
    a, c = float(table.unigrams[3]), float(table.unigrams[4])
    assert 2 * a + 6 * c == pytest.approx(1)
    three, end, other = a, a, c
    for _ in range(2):
        rest = (three + end) / 2 + 6 * other
        three, end, other = end / 2 + rest * a, three / 2 + rest * a, rest * c
    assert marginals(table) == pytest.approx([other, 0, end, three, other, other, other, other, other])


@pytest.mark.parametrize("name", MIXED)
@settings(max_examples=15, deadline=None)
@given(sentences=SENTENCES, order=st.integers(2, 5), prune=PRUNED)
def test_marginals_are_three_steps(name: str, sentences: list[list[int]], order: int, prune: tuple[int, ...]) -> None:
    """A word from the unigrams, two by grams of two words, one by grams of three where the two before it are a gram."""
    table = table_of(sentences, order, name, prune[:order])
    unigrams = table.unigrams.astype(np.float64)
    by_pairs = np.array([behind(table, word) for word in range(SIZE)])
    first = unigrams @ by_pairs
    expected = np.zeros(SIZE)
    for v in range(SIZE):
        gamma = float(table.unigram_contexts[BOS if v == EOS else v, 0])
        own = by_pairs[v] - gamma * unigrams
        for w in range(SIZE):
            expected += first[v] * own[w] * (behind(table, v, w) if order > 2 and w != EOS else by_pairs[w])
            expected += first[v] * gamma * unigrams[w] * by_pairs[w]
    if order == 2:
        expected = first @ by_pairs
    assert marginals(table) == pytest.approx(expected, abs=1e-6)


def test_marginals_are_nearer_to_the_text_than_unigrams() -> None:
    """3 comes often, but behind one word alone: Kneser-Ney's unigrams take it for rare."""
    drawn = np.random.default_rng(0).integers(4, 9, (60, 4)).tolist()
    sentences = [[word for one in line for word in ((5, 3) if one == 5 else (one,))] for line in drawn]
    words = np.array([word for line in sentences for word in (*line, EOS)])
    shares = np.bincount(words, minlength=SIZE) / len(words)
    table = table_of(sentences, 3, "modified-kneser-ney")
    assert table.unigrams[3] < 0.6 * shares[3]
    assert abs(marginals(table)[3] - shares[3]) < 0.2 * abs(table.unigrams[3] - shares[3])


@pytest.mark.parametrize("name", MIXED)
@pytest.mark.parametrize("together", [1, 4, module._TOGETHER])
@settings(max_examples=10, deadline=None)
@given(sentences=SENTENCES, order=st.integers(1, 5), prune=PRUNED, counts=COUNTS)
def test_totals_are_sums_over_rows(
    name: str, together: int, sentences: list[list[int]], order: int, prune: tuple[int, ...], counts: list[int]
) -> None:
    """Z(h) = sum_w a(w) p(w|h), whatever stands in other rows and however many grams are worked on at a time."""
    table = table_of(sentences, order, name, prune[:order])
    text = np.array([word for line in sentences for word in (BOS, *line, UNK, 8, EOS)], np.int64)
    contexts = contexts_of_text(table, text)
    found = Adapted.to(table, np.full(SIZE, 1e-5), np.array([0, 0, *counts]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_TOGETHER", together)
        totals = found.totals(contexts)
    assert totals == pytest.approx(rows_behind(table, contexts) @ found.factors.astype(np.float64), rel=1e-5)
    for row in range(len(text)):
        assert found.totals(contexts[row : row + 1]) == pytest.approx(totals[row : row + 1])
