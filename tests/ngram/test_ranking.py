"""The k likeliest next words of many contexts at once, against whole distributions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ngramgen.model import BOS, EOS, UNK
from ngramgen.ngram import ranking
from ngramgen.ngram.counting import corpus_from_sentences, count
from ngramgen.ngram.drawing import MISSING
from ngramgen.ngram.estimation import estimate
from ngramgen.ngram.model import NgramModel, NgramState
from ngramgen.ngram.ranking import RankedLists
from ngramgen.ngram.smoothing import METHODS, smoothing_from_name

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]

INTERPOLATED = [name for name, method in METHODS.items() if method.reading == "interpolate"]
SIZE = 9
SENTENCES = st.lists(st.lists(st.integers(3, SIZE - 1), max_size=6), min_size=1, max_size=10)
PRUNES = st.sampled_from([(), (0, 1), (0, 0, 1), (0, 1, 2), (0, 9), (0, 0, 9)])
PROMPTS = st.lists(st.lists(st.integers(3, SIZE - 1) | st.sampled_from([UNK, EOS]), max_size=6), min_size=1, max_size=5)
CLOSE = {"rtol": 3e-6, "atol": 0.0}  # float32 as logarithm here, as a product of float32 there


def model_of(
    sentences: list[list[int]],
    order: int,
    name: str = "modified-kneser-ney",
    prune: tuple[int, ...] = (),
    kept: int = SIZE,
    interpolate: bool = True,
    size: int = SIZE,
) -> NgramModel:
    orders = count(corpus_from_sentences(sentences), size, order)
    table = estimate(orders, kept, smoothing_from_name(name), prune[:order], interpolate).table
    return NgramModel(table, None)  # type: ignore[arg-type]


def larger_model(seed: int = 11) -> NgramModel:
    """Forty words, hundreds of contexts."""
    rng = np.random.default_rng(seed)
    sentences = [(rng.zipf(1.5, rng.integers(1, 12)) % 40 + 3).tolist() for _ in range(400)]
    return model_of(sentences, 4, size=43, kept=43)


def asked(model: NgramModel, prompts: list[list[int]]) -> tuple[Ids, Ids]:
    """The contexts of prompts, each in a row for every length that it has, and the lengths."""
    rows, lengths = [], []
    for prompt in prompts:
        contexts = model.context_grams(np.array([[BOS, *prompt]], np.int32))[0]
        present = np.count_nonzero(contexts != MISSING) if model.order > 1 else 0
        rows += [contexts] * (present + 1)
        lengths += range(present + 1)
    return np.array(rows), np.array(lengths)


def dense(model: NgramModel, contexts: Ids, lengths: Ids) -> Floats:
    """Whole distributions without <unk> and <s>, each after its context taken to its length."""
    cut = np.where(np.arange(contexts.shape[1]) < lengths[:, None], contexts, MISSING)
    rows = np.exp(model.logprobs(NgramState(model, np.zeros((len(cut), 0), np.int32), cut)).astype(np.float64))
    rows[:, [UNK, BOS]] = 0
    return rows


def alone(model: NgramModel, k: int, contexts: Ids, lengths: Ids) -> NDArray[np.uint64]:
    """The list of each row from a ranking that has been asked nothing before."""
    rows = [slice(i, i + 1) for i in range(len(contexts))]
    return np.concatenate([RankedLists(model.table, k).after(contexts[row], lengths[row]) for row in rows])


@pytest.mark.parametrize("name", INTERPOLATED)
@settings(max_examples=40, deadline=None)
@given(
    sentences=SENTENCES,
    order=st.integers(1, 5),
    prune=PRUNES,
    kept=st.integers(4, SIZE),
    interpolate=st.booleans(),
    prompts=PROMPTS,
    k=st.integers(1, SIZE + 3),
)
def test_the_k_best_of_the_distribution(
    name: str,
    sentences: list[list[int]],
    order: int,
    prune: tuple[int, ...],
    kept: int,
    interpolate: bool,
    prompts: list[list[int]],
    k: int,
) -> None:
    """After contexts of every length, <s>, <unk> and </s> in them too, in falling order, lower ids before higher."""
    model = model_of(sentences, order, name, prune, kept, interpolate)
    contexts, lengths = asked(model, [[i if i < kept else UNK for i in prompt] for prompt in prompts])
    rankings = RankedLists(model.table, k)
    lists = rankings.after(contexts, lengths)
    words, probabilities = rankings.words(lists), rankings.probabilities(lists)
    expected = dense(model, contexts, lengths)
    assert words.shape == probabilities.shape == (len(contexts), min(k, kept - 2))
    assert (words > BOS).all()
    assert (words < kept).all()
    np.testing.assert_allclose(probabilities, np.take_along_axis(expected, words, axis=1), **CLOSE)
    np.testing.assert_allclose(probabilities, np.sort(expected, axis=1)[:, ::-1][:, : words.shape[1]], **CLOSE)
    for row, probs in zip(words.tolist(), probabilities.tolist(), strict=True):
        pairs = [(-p, word) for p, word in zip(probs, row, strict=True)]
        assert pairs == sorted(set(pairs))


def test_the_lowest_ids_of_many_equals() -> None:
    """Of 200 words as likely as each other the first k by id, as successors of <s>, after <unk> and without context."""
    sentences = [[word] for word in range(202, 2, -1)]
    model = model_of(sentences, 3, "witten-bell", size=203, kept=203)
    rankings = RankedLists(model.table, 8)
    lists = rankings.after(*asked(model, [[], [UNK]]))
    # </s> is half of all unigrams
    assert rankings.words(lists).tolist() == [[EOS, *range(3, 10)]] * 4


def test_the_lowest_ids_of_equals_among_successors_and_others() -> None:
    """Where some equals follow and others do not, ids decide within both."""
    model = model_of([[9, 8], [9, 7], [6], [5], [4], [3]], 2, "witten-bell", size=10, kept=10)
    rankings = RankedLists(model.table, 8)
    contexts, lengths = asked(model, [[9]])
    lists = rankings.after(contexts, lengths)
    # 7 and 8 follow 9; the others are as likely as unigrams, but for </s> and 9
    assert rankings.words(lists)[1].tolist() == [7, 8, EOS, 9, 3, 4, 5, 6]
    probabilities = rankings.probabilities(lists)[1]
    assert probabilities[0] == probabilities[1]
    assert len(set(probabilities[4:].tolist())) == 1


@pytest.mark.parametrize("size", [8, 16])
def test_a_last_word_beside_unk(size: int) -> None:
    """A word whose id has all bits set is found also where <unk> is among the successors, though it is no candidate."""
    last = size - 1
    model = model_of([[3, UNK, 3, UNK, 3, last], [3, last, 3, last]], 3, "witten-bell", size=size, kept=size)
    assert model.table.word_bits == last.bit_length()
    contexts, lengths = asked(model, [[3], [last, 3], [UNK, 3]])
    rankings = RankedLists(model.table, 2)
    words = rankings.words(rankings.after(contexts, lengths))
    assert words.tolist() == np.argsort(-dense(model, contexts, lengths), axis=1, kind="stable")[:, :2].tolist()
    assert words[1, 0] == last


@settings(max_examples=40, deadline=None)
@given(
    sentences=SENTENCES,
    order=st.integers(1, 5),
    prune=PRUNES,
    prompts=PROMPTS,
    k=st.integers(1, SIZE),
    batches=st.lists(st.lists(st.integers(0, 99), min_size=1, max_size=9), min_size=1, max_size=6),
)
def test_neither_order_nor_company_matters(
    sentences: list[list[int]],
    order: int,
    prune: tuple[int, ...],
    prompts: list[list[int]],
    k: int,
    batches: list[list[int]],
) -> None:
    """A list is the same to the last bit alone, among others, for the first time and again."""
    model = model_of(sentences, order, "witten-bell", prune)
    contexts, lengths = asked(model, prompts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "KEPT", 1 << 10)
        expected = alone(model, k, contexts, lengths)
        rankings = RankedLists(model.table, k)
    for batch in batches:
        rows = np.array(batch) % len(contexts)
        assert np.array_equal(rankings.after(contexts[rows], lengths[rows]), expected[rows])


@pytest.mark.parametrize("k", [1, 5, 100])
@pytest.mark.parametrize("kept", [1, 1 << 12])
def test_lists_may_push_each_other_out(k: int, kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for hardly any list, of hundreds that are asked for in any order, each is still the right one."""
    model = larger_model()
    rng = np.random.default_rng(3)
    contexts, lengths = asked(model, rng.integers(3, 43, (120, 3)).tolist())
    monkeypatch.setattr(ranking, "KEPT", kept)
    expected = alone(model, k, contexts, lengths)
    rankings = RankedLists(model.table, k)
    assert len(rankings._caches[0].rows) == 16 if kept == 1 else len(rankings._caches[0].rows) > 16
    for size in (1, 2, 7, 64, 500):
        for _ in range(5):
            rows = rng.integers(0, len(contexts), size)
            assert np.array_equal(rankings.after(contexts[rows], lengths[rows]), expected[rows])


@pytest.mark.parametrize("together", [1, 2, 5])
def test_many_rows_are_ranked_in_parts(together: int) -> None:
    """Rows whose numbers would not fit beside word and probability are ranked some at a time, with the same lists."""
    model = larger_model()
    contexts, lengths = asked(model, np.random.default_rng(4).integers(3, 43, (20, 3)).tolist())
    rankings = RankedLists(model.table, 6)
    assert rankings._together == 1 << (32 - 6)
    expected = rankings.after(contexts, lengths)
    parts = RankedLists(model.table, 6)
    parts._together = together
    assert np.array_equal(parts.after(contexts, lengths), expected)
    assert np.array_equal(parts.after(contexts, lengths), expected)


def test_an_answer_is_not_what_is_kept() -> None:
    """To write into an answer changes none that comes later."""
    model = larger_model()
    contexts, lengths = asked(model, [[3, 4, 5]])
    rankings = RankedLists(model.table, 6)
    first = rankings.after(contexts, lengths)
    expected = first.copy()
    first[:] = 0
    assert np.array_equal(rankings.after(contexts, lengths), expected)


def test_threads_share_the_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight threads that ask at once, of lists that push each other out, all get the right ones."""
    monkeypatch.setattr(ranking, "KEPT", 1)
    model = larger_model()
    contexts, lengths = asked(model, np.random.default_rng(5).integers(3, 43, (60, 3)).tolist())
    expected = alone(model, 5, contexts, lengths)
    rankings = RankedLists(model.table, 5)

    def agree(seed: int) -> bool:
        rng = np.random.default_rng(seed)
        chosen = [rng.integers(0, len(contexts), 9) for _ in range(40)]
        return all(np.array_equal(rankings.after(contexts[rows], lengths[rows]), expected[rows]) for rows in chosen)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(agree, range(8)))
