"""Draws for one row and for many: the same words, the right contexts, and the right distribution."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ngramgen.model import BOS, UNK
from ngramgen.ngram import drawing, guide
from ngramgen.ngram.counting import corpus_from_sentences, count
from ngramgen.ngram.drawing import MISSING, Base, BatchDrawer, ScalarDrawer
from ngramgen.ngram.estimation import estimate
from ngramgen.ngram.model import NgramModel
from ngramgen.ngram.smoothing import METHODS, smoothing_from_name
from ngramgen.randomness import child_seeds, uniforms

INTERPOLATED = [name for name, method in METHODS.items() if method.reading == "interpolate"]
SIZE = 9
EDGES = [0.0, math.nextafter(1, 0), 0.5, 2.0**-53, math.nextafter(1, 0) - 2.0**-53]
SENTENCES = st.lists(st.lists(st.integers(3, SIZE - 1), max_size=6), min_size=1, max_size=10)
UNIFORMS = st.lists(st.floats(0, 1, exclude_max=True) | st.sampled_from(EDGES), min_size=1, max_size=30)
PRUNES = st.sampled_from([(), (0, 1), (0, 0, 1), (0, 1, 2), (0, 9), (0, 0, 9)])


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


def without_missing(row: np.ndarray) -> list[int]:  # type: ignore[type-arg]
    return [gram for gram in row.tolist() if gram != MISSING]


@pytest.mark.parametrize(("short", "limit"), [(4, 1 << 22), (0, 1), (1, 3), (100, 1 << 22)])
@pytest.mark.parametrize("name", INTERPOLATED)
@settings(max_examples=20, deadline=None)
@given(
    sentences=SENTENCES,
    order=st.integers(1, 6),
    prune=PRUNES,
    kept=st.integers(4, SIZE),
    numbers=UNIFORMS,
    interpolate=st.booleans(),
)
def test_one_row_and_many_draw_the_same(
    short: int,
    limit: int,
    name: str,
    sentences: list[list[int]],
    order: int,
    prune: tuple[int, ...],
    kept: int,
    numbers: list[float],
    interpolate: bool,
) -> None:
    """The same words and contexts for the same numbers, and contexts that are those of the words drawn."""
    model = model_of(sentences, order, name, prune, kept, interpolate)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "SHORT", short)
        patch.setattr(guide, "LIMIT", limit)
        base = Base(model.table)
        batch, scalar = BatchDrawer(model.table, base), ScalarDrawer(model.table, base)
        # row i draws the numbers from the i-th on
        rows = [numbers[i:] + numbers[:i] for i in range(len(numbers))]
        contexts = np.repeat(model.start().contexts, len(rows), axis=0)
        lists = [without_missing(row) for row in contexts]
        written = [[BOS] for _ in rows]
        for step in range(min(6, len(numbers))):
            words, contexts = batch.draw(contexts, np.array([row[step] for row in rows]))
            for i, row in enumerate(rows):
                word, lists[i] = scalar.draw(lists[i], row[step])
                assert word == words[i]
                assert lists[i] == without_missing(contexts[i])
                written[i].append(word)
            assert not np.isin(words, [UNK, BOS]).any()
            assert (words < kept).all()
            assert np.array_equal(contexts, model.context_grams(np.array(written, np.int32)))


@settings(max_examples=60, deadline=None)
@given(
    sentences=SENTENCES,
    name=st.sampled_from(INTERPOLATED),
    prune=PRUNES,
    prompt=st.lists(st.integers(0, SIZE - 1), max_size=4),
)
def test_every_word_drawn_can_be(
    sentences: list[list[int]], name: str, prune: tuple[int, ...], prompt: list[int]
) -> None:
    """After any prompt, <unk> and </s> in it too, the words that 2,000 even numbers draw have about their shares."""
    model = model_of(sentences, 3, name, prune)
    state = model.advance(model.start(), np.array([prompt], np.int32))
    numbers = (np.arange(2000) + 0.5) / 2000
    words, _ = BatchDrawer(model.table, Base(model.table)).draw(np.repeat(state.contexts, 2000, axis=0), numbers)
    expected = np.exp(model.logprobs(state)[0].astype(np.float64))
    expected[[UNK, BOS]] = 0
    expected /= expected.sum()
    found = np.bincount(words, minlength=SIZE) / 2000
    # each order cuts the numbers into pieces, each of them exact to one number
    assert np.abs(found - expected).max() < 4 / 2000 * 4


def chi_square(observed: np.ndarray, expected: np.ndarray) -> tuple[float, int]:  # type: ignore[type-arg]
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


@pytest.mark.parametrize("name", INTERPOLATED)
@pytest.mark.parametrize("prune", [(), (0, 0, 1)])
def test_a_million_draws_have_the_distribution(name: str, prune: tuple[int, ...]) -> None:
    """In five contexts, 200,000 draws each fit exp(logprobs) with <unk> and <s> left out (p > 1e-4)."""
    rng = np.random.default_rng(11)
    sentences = [(rng.zipf(1.5, rng.integers(1, 12)) % 40 + 3).tolist() for _ in range(400)]
    model = model_of(sentences, 4, name, prune, size=45, kept=45)
    drawer = BatchDrawer(model.table, Base(model.table))
    for number, prompt in enumerate(([], [4], [4, 4], [3, 5, 4], [44])):
        state = model.advance(model.start(), np.array([prompt], np.int32))
        expected = np.exp(model.logprobs(state)[0].astype(np.float64))
        expected[[UNK, BOS]] = 0
        expected *= 200_000 / expected.sum()
        numbers = uniforms(child_seeds(number, 0, 200_000), 0)
        words, _ = drawer.draw(np.repeat(state.contexts, 200_000, axis=0), numbers)
        assert tail(*chi_square(np.bincount(words, minlength=45), expected)) > 1e-4


def test_sums_of_few_draws_by_hand() -> None:
    """Laplace-like arithmetic: order 1, "a a b": 2/4, 1/4, 1/4 less the mass of <unk> decide the borders."""
    model = model_of([[3, 3, 4]], 1, "witten-bell", size=5, kept=5)
    # counts a 2, b 1, </s> 1; 3 kinds; 4 words: (2 + 3/4)/7, (1 + 3/4)/7, (1 + 3/4)/7, <unk> (3/4)/7
    mass = 1 - 0.75 / 7
    borders = np.array([1.75 / 7, 4.5 / 7]) / mass
    numbers = np.array(
        [0, borders[0] - 1e-6, borders[0] + 1e-6, borders[1] - 1e-6, borders[1] + 1e-6, math.nextafter(1, 0)]
    )
    contexts = np.repeat(model.start().contexts, 6, axis=0)
    words, _ = BatchDrawer(model.table, Base(model.table)).draw(contexts, numbers)
    assert words.tolist() == [2, 2, 3, 3, 4, 4]
