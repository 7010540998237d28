"""Draws among the k likeliest words: the right distribution, and the same words in any company."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ngramgen.model import BOS, EOS, UNK
from ngramgen.ngram import model as model_module
from ngramgen.ngram import truncated
from ngramgen.ngram.counting import corpus_from_sentences, count
from ngramgen.ngram.drawing import contexts_after
from ngramgen.ngram.estimation import estimate
from ngramgen.ngram.model import NgramModel, NgramState
from ngramgen.ngram.ranking import RankedLists
from ngramgen.ngram.smoothing import smoothing_from_name
from ngramgen.ngram.truncated import OneRow, TruncatedDrawer, Truncation
from ngramgen.randomness import child_seeds, uniforms
from ngramgen.sampling import SamplingOptions, build_filters
from ngramgen.sampling.filters import ranked_probabilities
from ngramgen.sampling.moment import Moment

Ids = NDArray[np.int64]
Drawn = list[tuple[list[int], bool]]

SIZE = 8
SENTENCES = st.lists(st.lists(st.integers(3, SIZE - 1), max_size=6), min_size=1, max_size=6)
OPTIONS = [
    SamplingOptions(temperature=0.8, top_k=5, top_p=0.9),
    SamplingOptions(top_k=12),
    SamplingOptions(temperature=1.5, top_k=50, min_p=0.05),
    SamplingOptions(temperature=0.7, top_k=20, typical_p=0.7),
    SamplingOptions(top_k=30, epsilon_cutoff=0.02),
    SamplingOptions(top_k=30, eta_cutoff=0.05),
    SamplingOptions(temperature=2.0, top_k=30, top_n_sigma=2.5),
    SamplingOptions(top_k=30, top_p=0.95, min_p=0.01, typical_p=0.9, epsilon_cutoff=0.001),
]
NAMES = [f"{number}: top_k {options.top_k}" for number, options in enumerate(OPTIONS)]


def model_of(
    sentences: list[list[int]],
    order: int,
    name: str = "modified-kneser-ney",
    prune: tuple[int, ...] = (),
    size: int = SIZE,
    kept: int | None = None,
    interpolate: bool = True,
) -> NgramModel:
    orders = count(corpus_from_sentences(sentences), size, order)
    table = estimate(orders, kept or size, smoothing_from_name(name), prune[:order], interpolate).table
    return NgramModel(table, None)  # type: ignore[arg-type]


def larger_model() -> NgramModel:
    """Forty words, hundreds of contexts."""
    rng = np.random.default_rng(11)
    sentences = [(rng.zipf(1.5, rng.integers(1, 12)) % 40 + 3).tolist() for _ in range(400)]
    return model_of(sentences, 4, size=45)


def truncation_of(options: SamplingOptions) -> tuple[int, Truncation]:
    return options.top_k, ranked_probabilities(options)


def drawer_of(model: NgramModel, options: SamplingOptions) -> TruncatedDrawer:
    k, truncation = truncation_of(options)
    return TruncatedDrawer(RankedLists(model.table, k), truncation)


def contexts_of(model: NgramModel, prompt: list[int]) -> Ids:
    return model.context_grams(np.array([[BOS, *prompt]], np.int32))


def chi_square(observed: NDArray[Any], expected: NDArray[Any]) -> tuple[float, int]:
    """The statistic over words expected at least five times, the others as one, and its degrees of freedom."""
    often = expected >= 5
    found = np.append(observed[often], observed[~often].sum())
    want = np.append(expected[often], expected[~often].sum())
    if want[-1] < 5:
        found, want = found[:-1], want[:-1]
    return float(((found - want) ** 2 / want).sum()), len(want) - 1


def tail(statistic: float, freedom: int) -> float:
    """P(chi-square > statistic), by the cube-root approximation of Wilson and Hilferty (1931)."""
    spread = 2 / (9 * freedom)
    z = ((statistic / freedom) ** (1 / 3) - (1 - spread)) / math.sqrt(spread)
    return 0.5 * math.erfc(z / math.sqrt(2))


@pytest.mark.parametrize("options", OPTIONS, ids=NAMES)
def test_a_million_draws_have_the_distribution(options: SamplingOptions) -> None:
    """In five contexts, 200,000 draws each fit the filtered whole distribution (p > 1e-4)."""
    model = larger_model()
    drawer = drawer_of(model, options)
    filters = build_filters(options)
    for number, prompt in enumerate(([], [4], [4, 4], [3, 5, UNK], [44])):
        contexts = contexts_of(model, prompt)
        logprobs = model.logprobs(NgramState(model, np.zeros((1, 0), np.int32), contexts))
        expected = np.exp(filters(logprobs, Moment.first())[0]) * 200_000
        found = np.zeros(45, np.int64)
        for begin in range(0, 200_000, 50_000):
            numbers = uniforms(child_seeds(number, begin, 50_000), 0)
            words, _ = drawer.draw(np.repeat(contexts, 50_000, axis=0), numbers)
            found += np.bincount(words, minlength=45)
        assert np.count_nonzero(expected) > 1
        assert not found[expected == 0].any()
        assert tail(*chi_square(found, expected)) > 1e-4


def test_the_chi_square_test_can_fail() -> None:
    """Draws without the temperature do not pass for draws with 0.9."""
    model = larger_model()
    contexts = np.repeat(contexts_of(model, [4]), 50_000, axis=0)
    numbers = uniforms(child_seeds(1, 0, 50_000), 0)
    warm, cold = (
        np.bincount(drawer_of(model, SamplingOptions(top_k=5, temperature=t)).draw(contexts, numbers)[0], minlength=45)
        for t in (1, 0.9)
    )
    assert tail(*chi_square(warm, cold.astype(float))) < 1e-4


def test_borders_by_hand() -> None:
    """Of the three likeliest words, as likely as 4 : 2 : 1, numbers up to 4/7 give the first, up to 6/7 the second."""

    def truncation(logprobs: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.broadcast_to([4 / 7, 2 / 7, 1 / 7], logprobs.shape)

    model = model_of([[5], [5], [5], [4], [4], [3]], 2, "witten-bell")
    drawer = TruncatedDrawer(RankedLists(model.table, 3), truncation)
    numbers = np.array([0, 4 / 7 - 1e-9, 4 / 7 + 1e-9, 6 / 7 - 1e-9, 6 / 7 + 1e-9, math.nextafter(1, 0)])
    words, contexts = drawer.draw(np.repeat(contexts_of(model, []), 6, axis=0), numbers)
    likeliest = model.top(model.start(), 3)[0].tolist()
    assert words.tolist() == [likeliest[i] for i in (0, 0, 1, 1, 2, 2)]
    assert np.array_equal(contexts[:, 0], words)


def test_a_word_that_is_left_out_is_never_drawn() -> None:
    """Neither at 0 nor next to 1, wherever in the list it stands."""
    model = larger_model()
    for kept in itertools.product([False, True], repeat=4):
        if not any(kept):
            continue
        row = np.where(kept, 1 / sum(kept), 0)

        def truncation(logprobs: NDArray[np.float64], row: NDArray[np.float64] = row) -> NDArray[np.float64]:
            return np.broadcast_to(row, logprobs.shape)

        rankings = RankedLists(model.table, 4)
        contexts = np.repeat(contexts_of(model, [4]), 400, axis=0)
        likeliest = rankings.words(rankings.after(contexts[:1], np.array([2])))[0]
        numbers = np.append(np.arange(399) / 399, math.nextafter(1, 0))
        words, _ = TruncatedDrawer(rankings, truncation).draw(contexts, numbers)
        assert set(words.tolist()) == set(likeliest[list(kept)].tolist())


def test_the_end_where_nothing_else_has_a_probability() -> None:
    """In a model that knows <unk> only, </s> comes."""
    model = model_of([[], [], [4, 4, 5]], 1, kept=4, interpolate=False)
    assert model.table.unigrams.tolist() == [1, 0, 0, 0]
    for options in (OPTIONS[0], SamplingOptions(top_k=1)):
        words, _ = drawer_of(model, options).draw(np.repeat(contexts_of(model, [3]), 3, axis=0), np.array([0, 0.5, 1]))
        assert words.tolist() == [EOS] * 3


@pytest.mark.parametrize("kept", [1, 1 << 12])
@pytest.mark.parametrize("options", [*OPTIONS[:4], SamplingOptions(top_k=1)], ids=[*NAMES[:4], "top_k 1"])
def test_rows_do_not_see_one_another(options: SamplingOptions, kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row draws the same word, and comes to the same contexts, alone and among others, known before or not."""
    monkeypatch.setattr(truncated, "KEPT", kept)
    model = larger_model()
    rng = np.random.default_rng(8)
    contexts = np.concatenate([contexts_of(model, prompt) for prompt in rng.integers(3, 45, (150, 3)).tolist()])
    contexts = np.concatenate([contexts, contexts_of(model, []), contexts_of(model, [UNK])])
    numbers = rng.random(len(contexts))
    pairs = [
        drawer_of(model, options).draw(contexts[i : i + 1], numbers[i : i + 1]) for i in range(0, len(contexts), 3)
    ]
    words, after = (np.concatenate(part) for part in zip(*pairs, strict=True))
    assert np.array_equal(after, contexts_after(model.table, contexts[::3], words))
    drawer = drawer_of(model, options)
    for size in (1, 2, 30, 500):
        rows = rng.integers(0, len(words), size)
        found, reached = drawer.draw(contexts[3 * rows], numbers[3 * rows])
        assert np.array_equal(found, words[rows])
        assert np.array_equal(reached, after[rows])
    single = OneRow(drawer)
    for row in range(0, len(words), 7):
        word, reached = single.draw(contexts[3 * row : 3 * row + 1], float(numbers[3 * row]))
        assert word == words[row]
        assert np.array_equal(reached, after[row : row + 1])


def drawn(
    model: NgramModel,
    prompts: list[NDArray[np.int32]],
    length: int,
    seeds: NDArray[np.uint64],
    options: SamplingOptions,
    few: int = 0,
    rows: int = 1 << 14,
) -> Drawn:
    """Sequences one by one, where they are few, or side by side in so many rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_module, "_FEW_TRUNCATED", few)
        patch.setattr(model_module, "ROWS", rows)
        made = model.sample_sequences(prompts, length, seeds, truncation=truncation_of(options))
        return [(ids.tolist(), bool(ended)) for ids, ended in made]


@pytest.mark.parametrize("rows", [1, 3, 8192])
@settings(max_examples=30, deadline=None)
@given(
    sentences=SENTENCES,
    order=st.integers(1, 5),
    prune=st.sampled_from([(), (0, 0, 1), (0, 9)]),
    prompts=st.lists(st.lists(st.integers(0, SIZE - 1), max_size=4), min_size=1, max_size=4),
    n=st.integers(1, 20),
    length=st.sampled_from([0, 1, 2, 70]),
    seed=st.integers(0, 2**64 - 1),
    options=st.sampled_from([*OPTIONS, SamplingOptions(top_k=1), SamplingOptions(top_k=2, temperature=3)]),
)
def test_sequences_are_the_same_in_every_way(
    rows: int,
    sentences: list[list[int]],
    order: int,
    prune: tuple[int, ...],
    prompts: list[list[int]],
    n: int,
    length: int,
    seed: int,
    options: SamplingOptions,
) -> None:
    """One by one, side by side in any number of rows, and as they come: token for token."""
    model = model_of(sentences, order, "witten-bell", prune)
    arrays = [np.array(prompt, np.int32) for prompt in prompts]
    mixed = list(itertools.islice(itertools.cycle(arrays), n))
    seeds = child_seeds(seed, 0, n)
    together = drawn(model, mixed, length, seeds, options, rows=rows)
    assert len(together) == n
    assert drawn(model, mixed, length, seeds, options, few=n) == together
    for i, (ids, ended) in enumerate(together):
        assert len(ids) <= length
        assert ended or len(ids) == length
        assert not {UNK, BOS, EOS} & set(ids)
        if i < 5:
            assert drawn(model, [mixed[i]], length, seeds[i : i + 1], options) == [(ids, ended)]
            stream = model.sample_stream(mixed[i], seeds[i], truncation=truncation_of(options))
            assert list(itertools.islice(stream, len(ids) + ended)) == [*ids, *[EOS] * ended]


def test_what_was_drawn_before_does_not_matter() -> None:
    """A model that has drawn with other options and seeds gives what a fresh one gives."""
    prompts = [np.array([4], np.int32)] * 200
    fresh = [drawn(larger_model(), prompts, 40, child_seeds(3, 0, 200), options) for options in OPTIONS[:3]]
    model = larger_model()
    for options in OPTIONS * 2:  # more rankings than are kept
        drawn(model, prompts, 20, child_seeds(7, 0, 200), options)
    assert len(model._ranked_lists) <= model_module._KEPT_RANKINGS
    assert [drawn(model, prompts, 40, child_seeds(3, 0, 200), options) for options in OPTIONS[:3]] == fresh
    assert fresh[0] != fresh[1]


def test_a_top_word_alone_is_the_likeliest() -> None:
    """With top_k 1 every sequence is the greedy one."""
    model = larger_model()
    [(ids, _)] = drawn(model, [np.array([4], np.int32)], 15, child_seeds(1, 0, 1), SamplingOptions(top_k=1))
    state = model.advance(model.start(), np.array([[4]]))
    for word in [*ids, EOS][:15]:
        assert model.top(state, 1)[0].tolist() == [word]
        state = model.advance(state, np.array([[word]]))
