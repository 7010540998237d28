"""The n-gram as a LanguageModel: states, distributions, and the few words at the top."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ngramgen.errors import OptionError
from ngramgen.model import BOS, EOS, UNK, State
from ngramgen.ngram.counting import corpus_from_sentences, count
from ngramgen.ngram.distribution import Distributions
from ngramgen.ngram.estimation import estimate
from ngramgen.ngram.model import NgramModel
from ngramgen.ngram.smoothing import METHODS, smoothing_from_name

SIZE = 9
SENTENCES = st.lists(st.lists(st.integers(3, 7), max_size=6), min_size=1, max_size=8)
CONTEXTS = st.lists(st.integers(3, SIZE - 1) | st.sampled_from([UNK, EOS]), max_size=6)
ORDERS = st.integers(1, 6)


def model_of(
    sentences: list[list[int]], order: int, name: str = "modified-kneser-ney", prune: tuple[int, ...] = ()
) -> NgramModel:
    orders = count(corpus_from_sentences(sentences), SIZE, order)
    return NgramModel(estimate(orders, SIZE, smoothing_from_name(name), prune).table, None)  # type: ignore[arg-type]


def brute_force_top(model: NgramModel, context: list[int]) -> list[tuple[int, float]]:
    """All words but <unk> and <s> by falling probability, as score gives it, and then by id."""
    scores = [(w, float(model.score(np.array([*context, w]))[-1])) for w in range(2, SIZE)]
    return sorted((s for s in scores if s[1] > -math.inf), key=lambda s: (-round(s[1], 9), s[0]))


@pytest.mark.parametrize("name", METHODS)
@settings(max_examples=30, deadline=None)
@given(sentences=SENTENCES, order=ORDERS, context=CONTEXTS, prune=st.sampled_from([(), (0, 1), (0, 0, 2), (0, 9)]))
def test_all_ways_to_ask_agree(
    name: str, sentences: list[list[int]], order: int, context: list[int], prune: tuple[int, ...]
) -> None:
    """distribution, logprobs, score and top tell the same probabilities, in any context."""
    model = model_of(sentences, order, name, prune[:order])
    state = model.advance(model.start(), np.array([context], np.int32))
    logprobs = model.logprobs(state)[0]
    assert logprobs.dtype == np.float32
    assert logprobs[BOS] == -np.inf
    assert model.probabilities(state)[0] == pytest.approx(np.exp(logprobs), rel=1e-5)
    for word in range(SIZE):
        if word != BOS:
            assert logprobs[word] == pytest.approx(model.score(np.array([*context, word]))[-1], rel=1e-5, abs=2e-6)
    distribution = Distributions(model.table).after(state.contexts[0])
    assert (np.diff(distribution.scrambled) > 0).all()
    expected = brute_force_top(model, context)
    for k in (1, 2, 3, len(expected), SIZE, 1000):
        ids, found = model.top(state, k)
        assert len(ids) == min(k, len(expected))
        assert found == pytest.approx([s for _, s in expected[:k]], rel=1e-6, abs=1e-7)
        assert len(set(ids.tolist())) == len(ids)
        for word, score in zip(ids.tolist(), found.tolist(), strict=True):
            assert dict(expected)[word] == pytest.approx(score, rel=1e-6, abs=1e-7)
        # equals stand in order of id
        assert (np.diff(found) <= 1e-12).all()
        assert all(a < b for a, b, x, y in zip(ids, ids[1:], found, found[1:], strict=False) if x == y)


def test_equal_words_stand_in_order_of_id_across_the_border() -> None:
    """All five words are as likely as each other, so the first k by id are the top."""
    model = model_of([[3], [4], [5], [6], [7]], 2, "lidstone")
    ids, logprobs = model.top(model.start(), 3)
    assert ids.tolist() == [3, 4, 5]
    assert len(set(logprobs.tolist())) == 1
    for context in ([8], [UNK]):  # after these only the unigrams count, and </s> comes five times in ten
        ids, _ = model.top(model.advance(model.start(), np.array([context])), 4)
        assert ids.tolist() == [EOS, 3, 4, 5]


def test_many_equal_successors() -> None:
    """More than four times k words with the same probability: the lowest ids of them all."""
    words = list(range(3, 203))
    orders = count(corpus_from_sentences([[w] for w in reversed(words)]), 203, 2)
    model = NgramModel(estimate(orders, 203, smoothing_from_name("lidstone")).table, None)  # type: ignore[arg-type]
    ids, _ = model.top(model.start(), 7)
    assert ids.tolist() == words[:7]


@settings(max_examples=60, deadline=None)
@given(
    sentences=SENTENCES,
    order=ORDERS,
    rows=st.lists(st.lists(st.integers(0, SIZE - 1), min_size=4, max_size=4), min_size=1, max_size=4),
    data=st.data(),
)
def test_states_fork_rewind_and_advance(
    sentences: list[list[int]], order: int, rows: list[list[int]], data: st.DataObject
) -> None:
    """However a state came about, it is the one that reads its words from the start, in one row or many."""
    model = model_of(sentences, order)
    ids = np.array(rows, np.int32)
    whole = model.advance(model.start(len(rows)), ids)
    assert isinstance(whole, State)
    assert whole.batch == len(rows)
    expected = model.logprobs(whole)

    stepped = model.start(len(rows))
    for column in range(ids.shape[1]):
        stepped = model.advance(stepped, ids[:, column : column + 1])
        assert np.array_equal(model.advance(stepped, ids[:, :0]).contexts, stepped.contexts)
    assert np.array_equal(stepped.contexts, whole.contexts)
    assert np.array_equal(model.logprobs(stepped), expected)

    for row, line in enumerate(rows):
        alone = model.advance(model.start(), np.array([line]))
        assert np.array_equal(model.logprobs(alone)[0], expected[row])

    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=5))
    forked = whole.select(np.array(chosen, np.int64))
    assert np.array_equal(model.logprobs(forked), expected[chosen])

    back = data.draw(st.integers(0, ids.shape[1]))
    rewound = whole.rewind(back)
    again = model.advance(model.start(len(rows)), ids[:, : ids.shape[1] - back])
    assert np.array_equal(rewound.words, again.words)
    assert np.array_equal(rewound.contexts, again.contexts)
    assert np.array_equal(model.advance(rewound, ids[:, ids.shape[1] - back :]).contexts, whole.contexts)
    assert np.array_equal(model.logprobs(whole), expected)  # it was not changed in place


@pytest.mark.parametrize("count_", [-1, 3, 10**9])
def test_rewinding_beyond_the_start_is_refused(count_: int) -> None:
    """Two tokens were read; <s> stays."""
    model = model_of([[3, 4]], 3)
    state = model.advance(model.start(), np.array([[3, 4]]))
    assert np.array_equal(state.rewind(2).words, model.start().words)
    with pytest.raises(OptionError, match="rewind"):
        state.rewind(count_)


@pytest.mark.parametrize(
    "ids",
    [
        [[-1]],
        [[SIZE]],
        [[3, 4, SIZE]],
        np.array([[2**32 + 3]]),
        np.array([[-(2**32) + 3]]),
        [[3.5]],
        [["a"]],
        [3],
        [[3], [4]],
        [[[3]]],
    ],
)
def test_wrong_ids_are_refused(ids: Any) -> None:
    """Ids outside the vocabulary, or of the wrong type or shape, are an OptionError that says so."""
    model = model_of([[3, 4]], 3)
    with pytest.raises(OptionError, match="ids"):
        model.advance(model.start(), ids)


@pytest.mark.parametrize("ids", [[-1], [SIZE], [3.5]])
def test_wrong_ids_are_refused_by_score(ids: Any) -> None:
    """An id from the end of the vocabulary would be another word."""
    with pytest.raises(OptionError, match="ids"):
        model_of([[3, 4]], 3).score(ids)


def test_nothing_has_no_scores() -> None:
    """No tokens, no numbers."""
    assert model_of([[3, 4]], 3).score(np.zeros(0, np.int32)).tolist() == []
    assert model_of([[3, 4]], 1).score([]).tolist() == []  # type: ignore[arg-type]


def test_a_state_may_read_past_the_end_of_a_sentence() -> None:
    """After </s> nothing was seen, so the unigrams speak, whatever the order."""
    for order in range(1, 9):
        model = model_of([[3, 4]], order)
        state = model.advance(model.start(), np.array([[3, 4, EOS, 3, EOS, EOS]]))
        assert np.exp(model.logprobs(state)).sum() == pytest.approx(1, abs=1e-5)
        assert np.array_equal(model.logprobs(state)[0], model._log_unigrams)


@settings(max_examples=40, deadline=None)
@given(sentences=SENTENCES, order=ORDERS, pairs=st.lists(st.tuples(CONTEXTS, CONTEXTS), min_size=1, max_size=5))
def test_continuations_are_scored_after_their_prompts(
    sentences: list[list[int]], order: int, pairs: list[tuple[list[int], list[int]]]
) -> None:
    """Each number is the sum over the new tokens alone, whatever is scored beside it."""
    model = model_of(sentences, order)
    prompts, continuations = ([np.array(part, np.int32) for part in column] for column in zip(*pairs, strict=True))
    expected = [model.score(np.array([*prompt, *ids], np.int32))[len(prompt) :].sum() for prompt, ids in pairs]
    assert model.score_continuations(prompts, continuations) == pytest.approx(expected, abs=1e-9)
