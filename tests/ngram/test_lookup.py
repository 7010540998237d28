"""Look-ups against dictionaries, and running text against one step after the other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ngramgen.model import BOS, EOS, UNK
from ngramgen.ngram.counting import corpus_from_sentences, count
from ngramgen.ngram.estimation import estimate
from ngramgen.ngram.lookup import find, score_text
from ngramgen.ngram.model import NgramModel
from ngramgen.ngram.smoothing import METHODS, smoothing_from_name
from ngramgen.ngram.table import GramOrder, NgramTable, pack, place_shifts

SENTENCES = st.lists(st.lists(st.integers(3, 8), max_size=7), min_size=1, max_size=10)
SIZE = 9


def table_of(
    sentences: list[list[int]], order: int, name: str = "kneser-ney", prune: tuple[int, ...] = (), kept: int = SIZE
) -> NgramTable:
    orders = count(corpus_from_sentences(sentences), SIZE, order)
    return estimate(orders, kept, smoothing_from_name(name), prune).table


@st.composite
def grams(draw: st.DrawFn) -> tuple[int, list[list[int]]]:
    """Bits of a word, and the sorted successors of some contexts, often none and often at one end."""
    bits = draw(st.integers(1, 20))
    top = (1 << bits) - 1
    word = st.integers(0, top) | st.integers(max(0, top - 20), top) | st.integers(0, min(20, top))
    return bits, [sorted(some) for some in draw(st.lists(st.sets(word, max_size=25), min_size=1, max_size=10))]


@pytest.mark.parametrize("context_bits", [0, 44])
@settings(max_examples=100, deadline=None)
@given(grams=grams(), data=st.data())
@example(grams=(4, [[3], []]), data=None)
@example(grams=(4, [[]]), data=None)
def test_find_is_a_dictionary(
    context_bits: int, grams: tuple[int, list[list[int]]], data: st.DataObject | None
) -> None:
    """Present and absent grams, contexts that nothing follows, even behind the last gram; packed in 32 and 64 bits."""
    bits, lists = grams
    words = np.array([word for some in lists for word in some], np.int64)
    children = np.cumsum([0, *map(len, lists)]).astype(np.int64)
    packed = pack(words, np.zeros_like(words), None, (bits, 0, context_bits))
    assert packed.dtype == (np.uint64 if context_bits else np.uint32)
    nothing = np.zeros((1, 2), np.float32)
    order = GramOrder(
        packed, children.astype(np.uint32), place_shifts(words, children, bits), nothing[0], nothing, 0, context_bits
    )
    places = {pair: i for i, pair in enumerate((c, word) for c, some in enumerate(lists) for word in some)}
    others = st.tuples(st.integers(0, len(lists) - 1), st.integers(0, (1 << bits) - 1))
    queries = [*places, *((c, w) for c in range(len(lists)) for w in (0, (1 << bits) - 1))]
    if data is not None:
        queries = data.draw(st.permutations(queries + data.draw(st.lists(others, max_size=20))))
    contexts, asked = np.array(queries, np.int64).T
    hits, found, stored = find(order, bits, contexts, asked)
    expected = [(q, places[query]) for q, query in enumerate(queries) if query in places]
    assert list(zip(hits.tolist(), found.tolist(), strict=True)) == expected
    assert stored.tolist() == packed[found].tolist()


def test_no_queries_have_no_answers() -> None:
    """Empty arrays, and an order without any gram."""
    none = np.zeros(0, np.int64)
    order = table_of([[3, 4]], 2).orders[0]
    assert [len(part) for part in find(order, 4, none, none)] == [0, 0, 0]
    empty = table_of([[3, 4]], 2, prune=(0, 9)).orders[0]
    assert empty.size == 0
    assert [len(part) for part in find(empty, 4, np.array([3, 1, 8]), np.array([4, 0, 15]))] == [0, 0, 0]


@pytest.mark.parametrize("name", METHODS)
@settings(max_examples=25, deadline=None)
@given(
    sentences=SENTENCES,
    text=st.lists(st.lists(st.integers(3, SIZE - 1) | st.just(UNK), max_size=7), min_size=1, max_size=5),
    order=st.integers(1, 8),
    steps=st.lists(st.integers(0, 2), max_size=4),
    whole=st.booleans(),
    kept=st.integers(4, SIZE),
)
def test_running_text_is_one_step_after_the_other(
    name: str,
    sentences: list[list[int]],
    text: list[list[int]],
    order: int,
    steps: list[int],
    whole: bool,
    kept: int,
) -> None:
    """Several sentences, with and without </s>, with unknown words: each token as logprobs has it at its step."""
    prune = tuple(np.cumsum(steps[:order]).tolist())
    table = table_of(sentences, order, name, prune, kept)
    model = NgramModel(table, None)  # type: ignore[arg-type]
    lines = [[w if w < kept else UNK for w in line] + [EOS] * whole for line in [*text, *sentences]]
    words = np.array([w for line in lines for w in (BOS, *line)], np.int64)
    expected: list[float] = []
    for line in lines:
        state = model.start()
        expected.append(0)
        for word in line:
            expected.append(float(model.logprobs(state)[0, word]))
            state = model.advance(state, np.array([[word]]))
    assert np.log(score_text(table, words)) == pytest.approx(expected, rel=1e-5, abs=2e-6)
    one = np.array(lines[0], np.int64)
    assert model.score(one) == pytest.approx(expected[1 : 1 + len(one)], rel=1e-5, abs=2e-6)


@pytest.mark.parametrize("order", [1, 2, 5])
def test_the_smallest_texts(order: int) -> None:
    """No words at all, <s> alone, and sentences without words."""
    table = table_of([[3, 4], []], order)
    assert score_text(table, np.zeros(0, np.int64)).tolist() == []
    assert score_text(table, np.array([BOS])).tolist() == [1]
    both = score_text(table, np.array([BOS, EOS, BOS, EOS]))
    assert both[0] == both[2] == 1
    assert both[1] == both[3] < 1


def test_a_sentence_does_not_see_the_one_before() -> None:
    """The score of a line is the same wherever it stands."""
    table = table_of([[3, 4, 5], [4, 5, 3]], 4)
    line = np.array([BOS, 3, 4, 5, EOS])
    alone = score_text(table, line)
    assert np.array_equal(score_text(table, np.concatenate([line, [BOS, 5], line]))[-5:], alone)
    assert np.array_equal(score_text(table, np.concatenate([line[:-1], line]))[-5:], alone)


def test_grams_of_64_bits_in_a_real_table() -> None:
    """A text whose grams need more than 32 bits scores as it does step by step."""
    words = np.random.default_rng(1).zipf(1.2, 4_000) % 2_000 + 3
    sentences = [part.tolist() for part in np.split(words, range(20, len(words), 20))]
    table = estimate(count(corpus_from_sentences(sentences), 2_003, 3), 2_003).table
    assert {order.packed.dtype for order in table.orders} >= {np.dtype(np.uint64)} or table.orders[0].size
    model = NgramModel(table, None)  # type: ignore[arg-type]
    line = np.array([*sentences[7], 5, 900, UNK, 3, EOS])
    states = [model.start()]
    for word in line:
        states.append(model.advance(states[-1], np.array([[word]])))
    expected = [model.logprobs(state)[0, word] for state, word in zip(states, line, strict=False)]
    assert model.score(line) == pytest.approx(expected, abs=1e-5)
