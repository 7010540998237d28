"""Walks through free text: what is drawn, and how likely other words would have been at each place."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ngramgen.model import BOS, EOS, UNK
from ngramgen.ngram import walking
from ngramgen.ngram.counting import corpus_from_sentences, count
from ngramgen.ngram.estimation import estimate
from ngramgen.ngram.model import NgramModel, NgramState
from ngramgen.ngram.smoothing import METHODS, smoothing_from_name
from ngramgen.ngram.truncated import Truncation
from ngramgen.ngram.walking import NgramWalk, NgramWalker, word_probabilities
from ngramgen.randomness import child_seeds
from ngramgen.sampling import SamplingOptions, build_filters
from ngramgen.sampling.filters import ranked_probabilities
from ngramgen.sampling.moment import Moment

Ids = NDArray[np.int64]

INTERPOLATED = [name for name, method in METHODS.items() if method.reading == "interpolate"]
SIZE = 9
SENTENCES = st.lists(st.lists(st.integers(3, SIZE - 1), max_size=6), min_size=1, max_size=10)
PRUNES = st.sampled_from([(), (0, 1), (0, 0, 1), (0, 1, 2), (0, 9)])
WORD = st.integers(3, SIZE - 1) | st.sampled_from([UNK, EOS])
PROMPTS = st.lists(st.lists(WORD, max_size=5), min_size=1, max_size=5)
TRUNCATED = SamplingOptions(temperature=1.5, top_k=6, top_p=0.98)
MOST_TRIES = 100_000


def model_of(
    sentences: list[list[int]],
    order: int,
    name: str = "modified-kneser-ney",
    prune: tuple[int, ...] = (),
    interpolate: bool = True,
) -> NgramModel:
    orders = count(corpus_from_sentences(sentences), SIZE, order)
    table = estimate(orders, SIZE, smoothing_from_name(name), prune[:order], interpolate).table
    return NgramModel(table, None)  # type: ignore[arg-type]


def truncation(options: SamplingOptions = TRUNCATED) -> tuple[int, Truncation]:
    return options.top_k, ranked_probabilities(options)


def walked(
    walker: NgramWalker, prompts: list[list[int]], steps: int, seed: int = 1, few: int = 64, tries: int = MOST_TRIES
) -> NgramWalk:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walking, "_FEW", few)
        patch.setattr(walking, "_TRIES", tries)
        return walker.walk(walker.begin(prompts), child_seeds(seed, 0, len(prompts)), steps)


def grams(model: NgramModel, prompts: list[list[int]]) -> Ids:
    return np.concatenate([model.context_grams(np.array([[BOS, *prompt]], np.int32)) for prompt in prompts])


@pytest.mark.parametrize("name", INTERPOLATED)
@settings(max_examples=25, deadline=None)
@given(
    sentences=SENTENCES,
    order=st.integers(1, 5),
    prune=PRUNES,
    interpolate=st.booleans(),
    prompts=PROMPTS,
    ids=st.lists(WORD, min_size=1, max_size=3),
)
def test_other_words_are_as_likely_as_score_says(
    name: str,
    sentences: list[list[int]],
    order: int,
    prune: tuple[int, ...],
    interpolate: bool,
    prompts: list[list[int]],
    ids: list[int],
) -> None:
    """At each place of each walk, for one token or several, </s> and <unk> among them."""
    model = model_of(sentences, order, name, prune, interpolate)
    walk = walked(model.walker(), prompts, 4, tries=8)
    found = walk.logprobs(ids)
    assert found.shape == (len(prompts), 5)
    assert walk.logprobs([]).tolist() == np.zeros((len(prompts), 5)).tolist()
    for row, prompt in enumerate(prompts):
        for place in range(5):
            read = [*prompt, *walk.tokens[row, :place].tolist()]
            expected = model.score(np.array([*read, *ids]))[len(read) :].sum()
            assert found[row, place] == pytest.approx(expected, rel=1e-6, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(sentences=SENTENCES, name=st.sampled_from(INTERPOLATED), order=st.integers(1, 5), prompts=PROMPTS)
def test_word_probabilities_are_those_of_the_distribution(
    sentences: list[list[int]], name: str, order: int, prompts: list[list[int]]
) -> None:
    """Word by word they are the rows of logprobs, and sum to 1."""
    model = model_of(sentences, order, name)
    contexts = grams(model, prompts)
    rows = np.stack([word_probabilities(model.table, contexts, word) for word in range(SIZE)], axis=1)
    logprobs = model.logprobs(NgramState(model, np.zeros((len(contexts), 0), np.int32), contexts))
    np.testing.assert_allclose(rows, np.exp(logprobs), rtol=1e-5)
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("few", [0, 10**9])
@pytest.mark.parametrize("truncated", [False, True])
@settings(max_examples=25, deadline=None)
@given(
    sentences=st.lists(st.lists(st.integers(3, SIZE - 1), min_size=1, max_size=6), min_size=1, max_size=8),
    order=st.integers(1, 5),
    prune=PRUNES,
    prompts=PROMPTS,
    seed=st.integers(0, 2**64 - 1),
)
def test_a_walk_goes_on_and_on(
    few: int,
    truncated: bool,
    sentences: list[list[int]],
    order: int,
    prune: tuple[int, ...],
    prompts: list[list[int]],
    seed: int,
) -> None:
    """No special token is drawn, and place t is where a text of t words has come to."""
    model = model_of(sentences, order, "witten-bell", prune)
    walker = model.walker(truncation(SamplingOptions(top_k=5)) if truncated else None)
    walk = walked(walker, prompts, 12, seed, few)
    assert walk.tokens.shape == (len(prompts), 12)
    assert (walk.tokens > EOS).all()
    assert (walk.tokens < SIZE).all()
    rows, places = (part.ravel() for part in np.indices((len(prompts), 13)))
    read = [[*prompts[r], *walk.tokens[r, :p].tolist()] for r, p in zip(rows.tolist(), places.tolist(), strict=True)]
    assert np.array_equal(walk.at(rows, places), grams(model, read))
    assert np.array_equal(walk.at(rows, places), walker.begin(read))


@settings(max_examples=40, deadline=None)
@given(
    sentences=SENTENCES,
    name=st.sampled_from(INTERPOLATED),
    order=st.integers(1, 5),
    prune=PRUNES,
    prompts=PROMPTS,
    seed=st.integers(0, 2**64 - 1),
)
def test_side_by_side_is_one_by_one(
    sentences: list[list[int]], name: str, order: int, prune: tuple[int, ...], prompts: list[list[int]], seed: int
) -> None:
    """The same tokens and contexts, however often </s> has to be drawn again, and for a row alone."""
    model = model_of(sentences, order, name, prune)
    together = walked(model.walker(), prompts, 15, seed, few=0, tries=64)
    single = walked(model.walker(), prompts, 15, seed, few=10**9, tries=64)
    assert np.array_equal(together.tokens, single.tokens)
    assert np.array_equal(together.contexts, single.contexts)
    batch = NgramWalker(model.table, model.walker().drawer)  # which draws </s> again for all such rows at once
    assert np.array_equal(walked(batch, prompts, 15, seed, tries=64).tokens, single.tokens)


@settings(max_examples=30, deadline=None)
@given(sentences=SENTENCES, prompts=PROMPTS, truncated=st.booleans(), seed=st.integers(0, 2**64 - 1))
def test_a_walk_does_not_depend_on_its_company(
    sentences: list[list[int]], prompts: list[list[int]], truncated: bool, seed: int
) -> None:
    """Each row is what its place and seed give alone."""
    model = model_of(sentences, 3, "witten-bell")
    walker = model.walker(truncation() if truncated else None)
    together = walked(walker, prompts, 10, seed, few=0, tries=64)
    for row, prompt in enumerate(prompts):
        fresh = model.walker(truncation() if truncated else None)
        own = child_seeds(seed, row, 1)
        assert np.array_equal(fresh.walk(fresh.begin([prompt]), own, 10).tokens[0], together.tokens[row])


@settings(max_examples=30, deadline=None)
@given(sentences=SENTENCES, order=st.integers(1, 5), prompts=PROMPTS, data=st.data())
def test_to_follow_is_to_read_on(
    sentences: list[list[int]], order: int, prompts: list[list[int]], data: st.DataObject
) -> None:
    """After more tokens, for each row as many as it likes, stands what a longer prompt begins with."""
    model = model_of(sentences, order)
    walker = model.walker()
    begin = walker.begin(prompts)
    assert np.array_equal(begin, grams(model, prompts))
    more = [data.draw(st.lists(WORD, max_size=4)) for _ in prompts]
    before = begin.copy()
    after = walker.follow(begin, more)
    assert np.array_equal(begin, before)
    assert np.array_equal(after, walker.begin([[*prompt, *ids] for prompt, ids in zip(prompts, more, strict=True)]))


TINY = [[3, 4, 5], [3, 5], [4, 3, 4], [4], [5, 5, 3, 6], [6, 4, 5]]


def tail(statistic: float, freedom: int) -> float:
    """P(chi-square > statistic), by the cube-root approximation of Wilson and Hilferty (1931)."""
    spread = 2 / (9 * freedom)
    z = ((statistic / freedom) ** (1 / 3) - (1 - spread)) / math.sqrt(spread)
    return 0.5 * math.erfc(z / math.sqrt(2))


def without_end(model: NgramModel, options: SamplingOptions, prompt: list[int]) -> NDArray[np.float64]:
    """The filtered distribution after a prompt, given that </s> does not come."""
    state = model.advance(model.start(), np.array([prompt], np.int32))
    row = np.exp(build_filters(options)(model.logprobs(state), Moment.first())[0])
    row[EOS] = 0
    result: NDArray[np.float64] = row / row.sum()
    return result


@pytest.mark.parametrize(
    ("options", "walks", "few"),
    [
        pytest.param(SamplingOptions(), 10_000, 0, id="side by side"),
        pytest.param(SamplingOptions(), 10_000, 10**9, id="one by one"),
        pytest.param(TRUNCATED, 100_000, 0, id="truncated"),
    ],
)
@pytest.mark.parametrize("prompt", [[], [4], [3, 5]])
def test_words_come_as_often_as_without_the_end(
    options: SamplingOptions, walks: int, few: int, prompt: list[int]
) -> None:
    """Pairs of words fit the distributions given that </s> does not come (chi-square, p > 1e-4)."""
    model = model_of(TINY, 3, "witten-bell")
    walker = model.walker(None if options.is_plain else truncation(options))
    contexts = np.repeat(walker.begin([prompt]), walks, axis=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walking, "_FEW", few)
        tokens = walker.walk(contexts, child_seeds(5, 0, walks), 2).tokens
    first = without_end(model, options, prompt)
    second = np.stack([without_end(model, options, [*prompt, word]) for word in range(SIZE)])
    expected = (first[:, None] * second).ravel() * walks
    found = np.bincount(tokens[:, 0] * SIZE + tokens[:, 1], minlength=SIZE * SIZE)
    assert not found[expected == 0].any()
    often = expected >= 5
    statistic = float(((found[often] - expected[often]) ** 2 / expected[often]).sum())
    assert expected[~often].sum() < walks / 200
    assert tail(statistic, np.count_nonzero(often) - 1) > 1e-4
    assert model.logprobs(model.advance(model.start(), np.array([[*prompt, 5]])))[0, EOS] > math.log(0.2)


def test_the_end_where_there_is_no_other_word() -> None:
    """Where </s> is all that may be drawn, it comes, and the walk goes on behind it."""
    model = model_of([[3], [3], [3]], 2)
    walk = walked(model.walker(truncation(SamplingOptions(top_k=1))), [[3]], 2, tries=64)
    assert walk.tokens[0, 0] == EOS
    assert np.array_equal(walk.at(np.array([0]), np.array([1])), grams(model, [[3, EOS]]))


@pytest.mark.parametrize("truncated", [False, True])
@pytest.mark.parametrize("few", [0, 64])
def test_walks_of_nothing(truncated: bool, few: int) -> None:
    """No rows, or no steps, give empty walks of the right shape."""
    model = model_of(TINY, 3)
    walker = model.walker(truncation() if truncated else None)
    none = walked(walker, [], 3, few=few)
    assert none.tokens.shape == (0, 3)
    assert none.logprobs([3]).shape == (0, 4)
    still: Any = walked(walker, [[3], [4, 5]], 0, few=few)
    assert still.tokens.shape == (2, 0)
    assert np.array_equal(still.at(np.array([1, 0]), np.array([0, 0])), walker.begin([[4, 5], [3]]))


def test_a_prompt_is_an_array_or_a_list() -> None:
    """Ids of any integer type begin a walk."""
    walker = model_of(TINY, 3).walker()
    expected = walker.begin([[3, 4], [5]])
    assert np.array_equal(walker.begin([np.array([3, 4], np.int32), np.array([5], np.uint8)]), expected)  # type: ignore[list-item]
