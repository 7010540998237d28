"""What is known of a place: by hand, and the same in a text as step by step."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ngramgen.model import BOS, EOS, UNK
from ngramgen.ngram.evidence import Evidence, contexts_of_text
from ngramgen.ngram.model import NgramModel
from ngramgen.ngram.smoothing import METHODS
from tests.ngram.test_lookup import SENTENCES, SIZE, table_of

LOG2, LOG3 = math.log(2), math.log(3)


def test_by_hand() -> None:
    """Witten-Bell: behind N words of T kinds gamma is T / (N + T), and the probabilities rest on a count of N + T."""
    table = table_of([[3, 4], [3, 5]], 3, "witten-bell")
    contexts = contexts_of_text(table, np.array([BOS, 3, 4, EOS]))
    expected = [
        [1, -LOG3, LOG3, 0, 0, 0],  # <s>: twice 3; nothing comes before it
        [1, -LOG2, 2 * LOG2, 1, -LOG2, 2 * LOG2],  # 3, and <s> 3: 4 and 5 once each
        [1, -LOG2, LOG2, 1, -LOG2, LOG2],  # 4, and 3 4: </s> once
        [0, 0, 0, 0, 0, 0],  # </s>: nothing
    ]
    found = Evidence(table).of(contexts)
    assert found.dtype == np.float32
    assert found == pytest.approx(np.array(expected), abs=1e-6)


def test_what_was_never_seen() -> None:
    """A word that the table knows behind no other is a context of one word; an unknown one is none."""
    table = table_of([[3, 4], [3, 5]], 3, "witten-bell")
    found = Evidence(table).of(contexts_of_text(table, np.array([BOS, 4, UNK])))
    assert found[1] == pytest.approx([1, -LOG2, LOG2, 0, 0, 0], abs=1e-6)
    assert found[2].tolist() == [0] * 6


def test_numbers_of_the_last_word() -> None:
    """They stand behind those of the contexts, for one row as for several."""
    table = table_of([[3, 4], [3, 5]], 3, "witten-bell")
    words = np.arange(2 * table.vocab_size, dtype=np.float32).reshape(-1, 2)
    contexts = contexts_of_text(table, np.array([BOS, 3, 4, EOS]))
    evidence = Evidence(table, words)
    found = evidence.of(contexts)
    assert evidence.size == 8
    assert np.array_equal(found[:, :6], Evidence(table).of(contexts))
    assert found[:, 6:].tolist() == [[2, 3], [6, 7], [8, 9], [4, 5]]
    for i in range(4):
        assert np.array_equal(evidence.of(contexts[i : i + 1])[0], found[i])


@pytest.mark.parametrize(("order", "size"), [(1, 3), (2, 3), (3, 6), (5, 12)])
def test_size(order: int, size: int) -> None:
    """Three numbers a length of context; a unigram model knows nothing of any place."""
    table = table_of([[3, 4], [3, 5]], order)
    contexts = contexts_of_text(table, np.array([BOS, 3, 4, EOS]))
    evidence = Evidence(table)
    assert evidence.size == size
    assert evidence.of(contexts).shape == (4, size)
    assert evidence.of(contexts).any() == (order > 1)
    none = contexts_of_text(table, np.zeros(0, np.int64))
    assert evidence.of(none).shape == (0, size)


@pytest.mark.parametrize("name", METHODS)
@settings(max_examples=15, deadline=None)
@given(
    sentences=SENTENCES,
    text=st.lists(st.lists(st.integers(3, SIZE - 1) | st.just(UNK), max_size=7), min_size=1, max_size=4),
    order=st.integers(1, 6),
    steps=st.lists(st.integers(0, 2), max_size=4),
)
def test_a_text_is_its_prefixes(
    name: str, sentences: list[list[int]], text: list[list[int]], order: int, steps: list[int]
) -> None:
    """Every place of running text has the contexts and the numbers of a state that has read its sentence so far."""
    table = table_of(sentences, order, name, tuple(np.cumsum(steps[:order]).tolist()))
    model = NgramModel(table, None)  # type: ignore[arg-type]
    lines = [[BOS, *line, EOS] for line in [*text, *sentences]]
    prefixes = [line[: end + 1] for line in lines for end in range(len(line))]
    expected = np.concatenate([model.context_grams(np.array([prefix], np.int32)) for prefix in prefixes])
    found = contexts_of_text(table, np.concatenate(lines).astype(np.int64))
    assert found.tolist() == expected.tolist()
    evidence = Evidence(table)
    numbers = evidence.of(found)
    assert np.isfinite(numbers).all()
    for row, contexts in zip(numbers, expected, strict=True):
        assert np.array_equal(evidence.of(contexts[None, :])[0], row)
