"""The k likeliest next words of one context at a time: those that are found for many, to the last bit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ngramgen.model import BOS, EOS, UNK
from ngramgen.ngram import single
from ngramgen.ngram.counting import corpus_from_sentences, count
from ngramgen.ngram.drawing import MISSING, Base, ScalarDrawer
from ngramgen.ngram.estimation import estimate
from ngramgen.ngram.model import NgramModel
from ngramgen.ngram.ranking import RankedLists
from ngramgen.ngram.single import SingleLists, SingleTruncatedDrawer
from ngramgen.ngram.smoothing import METHODS, smoothing_from_name
from ngramgen.ngram.table import NgramTable
from ngramgen.ngram.truncated import TruncatedDrawer
from ngramgen.sampling import SamplingOptions
from ngramgen.sampling.filters import ranked_probabilities

Ids = NDArray[np.int64]

INTERPOLATED = [name for name, method in METHODS.items() if method.reading == "interpolate"]
SIZE = 9
SENTENCES = st.lists(st.lists(st.integers(3, SIZE - 1), max_size=6), min_size=1, max_size=10)
PRUNES = st.sampled_from([(), (0, 1), (0, 0, 1), (0, 1, 2), (0, 9), (0, 0, 9)])
PROMPTS = st.lists(st.lists(st.integers(3, SIZE - 1) | st.sampled_from([UNK, EOS]), max_size=6), min_size=1, max_size=5)


def model_of(
    sentences: list[list[int]],
    order: int,
    name: str = "witten-bell",
    prune: tuple[int, ...] = (),
    kept: int = SIZE,
    interpolate: bool = True,
    size: int = SIZE,
) -> NgramModel:
    orders = count(corpus_from_sentences(sentences), size, order)
    table = estimate(orders, kept, smoothing_from_name(name), prune[:order], interpolate).table
    return NgramModel(table, None)  # type: ignore[arg-type]


def larger_model() -> NgramModel:
    """Forty words, hundreds of contexts, some with more successors than are put in their places one by one."""
    rng = np.random.default_rng(11)
    sentences = [(rng.zipf(1.5, rng.integers(1, 12)) % 40 + 3).tolist() for _ in range(400)]
    return model_of(sentences, 4, size=43, kept=43)


def contexts_of(model: NgramModel, prompt: list[int]) -> Ids:
    return model.context_grams(np.array([[BOS, *prompt]], np.int32))


def without_missing(row: Ids) -> list[int]:
    return [gram for gram in row.tolist() if gram != MISSING]


def assert_as_ranked(table: NgramTable, k: int, contexts: Ids, lists: SingleLists) -> None:
    """What is found for one context is bit for bit what RankedLists finds."""
    ranked = RankedLists(table, k)
    lengths = np.count_nonzero(contexts[:, : table.order - 1] != MISSING, axis=1)
    for row, expected in zip(contexts, ranked.after(contexts, lengths), strict=True):
        probabilities, words = lists.after(without_missing(row))
        assert words == ranked.words(expected).tolist()
        assert probabilities.dtype == np.float32
        assert probabilities.tolist() == ranked.probabilities(expected).tolist()


@pytest.mark.parametrize("few", [0, 2, 8, 1000])
@settings(max_examples=50, deadline=None)
@given(
    sentences=SENTENCES,
    name=st.sampled_from(INTERPOLATED),
    order=st.integers(1, 5),
    prune=PRUNES,
    kept=st.integers(4, SIZE),
    interpolate=st.booleans(),
    prompts=PROMPTS,
    k=st.integers(1, SIZE + 3),
)
def test_one_context_at_a_time_is_many(
    few: int,
    sentences: list[list[int]],
    name: str,
    order: int,
    prune: tuple[int, ...],
    kept: int,
    interpolate: bool,
    prompts: list[list[int]],
    k: int,
) -> None:
    """The same words and float32 probabilities, however many successors are put in their places one by one."""
    model = model_of(sentences, order, name, prune, kept, interpolate)
    prompts = [[i if i < kept else UNK for i in prompt] for prompt in prompts]
    contexts = np.concatenate([contexts_of(model, prompt) for prompt in prompts])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(single, "_FEW", few)
        assert_as_ranked(model.table, k, contexts, SingleLists(RankedLists(model.table, k)))


@pytest.mark.parametrize("k", [1, 5, 30, 100])
@pytest.mark.parametrize("kept", [1, 500, 1 << 22])
def test_what_is_kept_may_be_dropped(k: int, kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of contexts in any order, each more than once, with room for hardly any."""
    monkeypatch.setattr(single, "KEPT", kept)
    model = larger_model()
    rng = np.random.default_rng(3)
    contexts = np.concatenate([contexts_of(model, prompt) for prompt in rng.integers(3, 43, (100, 3)).tolist()])
    lists = SingleLists(RankedLists(model.table, k))
    for _ in range(3):
        assert_as_ranked(model.table, k, contexts[rng.integers(0, len(contexts), 100)], lists)


@pytest.mark.parametrize("size", [8, 16])
@pytest.mark.parametrize("few", [0, 8])
def test_a_last_word_beside_unk(size: int, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A word whose id has all bits set is found also where <unk> is among the successors."""
    monkeypatch.setattr(single, "_FEW", few)
    last = size - 1
    model = model_of([[3, UNK, 3, UNK, 3, last], [3, last, 3, last]], 3, size=size, kept=size)
    contexts = np.concatenate([contexts_of(model, prompt) for prompt in ([3], [last, 3], [UNK, 3])])
    lists = SingleLists(RankedLists(model.table, 2))
    assert_as_ranked(model.table, 2, contexts, lists)
    assert lists.after([3])[1][0] == last


@pytest.mark.parametrize("few", [0, 8])
def test_words_that_rounding_makes_equal(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two words that differ in the last bit before they are scaled, and not behind it, stand in order of id."""
    monkeypatch.setattr(single, "_FEW", few)
    model = model_of([[3, 6], [7, 3, 6], [7, 3, 8], [8, 6]], 3)
    table = model.table
    high = np.nextafter(np.float32(0.24), np.float32(1))
    low, gamma = np.float32(0.24), np.float32(0.53)
    assert high > low
    assert high * gamma == low * gamma
    unigrams = table.unigrams.copy()
    unigrams[4], unigrams[5] = low, high
    first = table.unigram_contexts.copy()
    first[:, 0] = 1
    orders = []
    for order in table.orders:
        pairs = order.contexts.copy()
        pairs[1:, 0] = gamma  # the first is that of a gram that nothing follows
        orders.append(replace(order, contexts=pairs))
    changed = replace(table, unigrams=unigrams, unigram_contexts=first, orders=tuple(orders))
    contexts = contexts_of(model, [7, 3])
    assert (contexts != MISSING).all()
    ranked = RankedLists(changed, 7)
    for length, order in ((1, [5, 4]), (2, [4, 5])):
        words = ranked.words(ranked.after(contexts, np.array([length])))[0].tolist()
        assert [word for word in words if word in (4, 5)] == order
    assert_as_ranked(changed, 7, contexts, SingleLists(RankedLists(changed, 7)))


@settings(max_examples=60, deadline=None)
@given(
    sentences=SENTENCES,
    order=st.integers(1, 5),
    prune=PRUNES,
    prompts=PROMPTS,
    numbers=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=12),
    options=st.sampled_from(
        [
            SamplingOptions(top_k=1),
            SamplingOptions(top_k=4),
            SamplingOptions(top_k=50, temperature=0.8, top_p=0.9),
            SamplingOptions(top_k=6, temperature=1.5, min_p=0.1),
            SamplingOptions(top_k=6, typical_p=0.6),
        ]
    ),
)
def test_one_sequence_draws_what_a_row_does(
    sentences: list[list[int]],
    order: int,
    prune: tuple[int, ...],
    prompts: list[list[int]],
    numbers: list[float],
    options: SamplingOptions,
) -> None:
    """The same words and contexts for the same numbers, step after step."""
    model = model_of(sentences, order, prune=prune)
    ranked = RankedLists(model.table, options.top_k)
    rows = TruncatedDrawer(ranked, ranked_probabilities(options))
    scalar = ScalarDrawer(model.table, Base(model.table))
    one = SingleTruncatedDrawer(SingleLists(ranked), ranked_probabilities(options), scalar)
    for prompt in prompts:
        contexts = contexts_of(model, prompt)
        row = without_missing(contexts[0])
        for number in numbers:
            words, contexts = rows.draw(contexts, np.array([number]))
            word, row = one.draw(row, number)
            assert word == words[0]
            assert row == without_missing(contexts[0])


def test_the_end_where_nothing_else_has_a_probability() -> None:
    """In a model that knows <unk> only, </s> comes."""
    model = model_of([[], [], [4, 4, 5]], 1, "modified-kneser-ney", kept=4, interpolate=False)
    assert model.table.unigrams.tolist() == [1, 0, 0, 0]
    lists, scalar = SingleLists(RankedLists(model.table, 2)), ScalarDrawer(model.table, Base(model.table))
    drawer = SingleTruncatedDrawer(lists, ranked_probabilities(SamplingOptions(top_k=2)), scalar)
    assert [drawer.draw([3], number)[0] for number in (0, 0.5, 0.999)] == [EOS] * 3


def test_threads_share_the_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight threads that ask at once, of lists that are dropped again and again, all get the right ones."""
    monkeypatch.setattr(single, "KEPT", 300)
    model = larger_model()
    prompts = np.random.default_rng(5).integers(3, 43, (60, 3)).tolist()
    rows = [without_missing(contexts_of(model, prompt)[0]) for prompt in prompts]
    lists = SingleLists(RankedLists(model.table, 5))
    expected = [SingleLists(RankedLists(model.table, 5)).after(row)[1] for row in rows[:20]]

    def agree(seed: int) -> bool:
        chosen = np.random.default_rng(seed).integers(0, 20, 300).tolist()
        return all(lists.after(rows[i])[1] == expected[i] for i in chosen)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(agree, range(8)))
