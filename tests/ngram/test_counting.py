"""The chain of sorts against a dictionary of tuples."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ngramgen.model import BOS, EOS
from ngramgen.ngram import counting
from ngramgen.ngram.counting import OrderCounts, corpus_from_sentences, count
from ngramgen.ngram.scramble import Scramble

Gram = tuple[int, ...]
Sentences = list[list[int]]
VOCABULARY = 9

SENTENCES = st.lists(st.lists(st.integers(3, 6), max_size=6), min_size=1, max_size=8)
ONE_WORD = st.lists(st.lists(st.just(3), max_size=9), min_size=1, max_size=6)
REPEATED = st.builds(lambda some, times: some * times, SENTENCES, st.integers(2, 4))
CORPORA = SENTENCES | ONE_WORD | REPEATED


def counted(sentences: Sentences, order: int) -> list[Counter[Gram]]:
    """How often each gram occurs, order by order; ``<s>`` begins grams but is never predicted."""
    result = []
    for k in range(1, order + 1):
        counts: Counter[Gram] = Counter()
        for sentence in sentences:
            line = (BOS, *sentence, EOS)
            counts.update(line[i : i + k] for i in range(len(line) - k + 1))
        counts.pop((BOS,), None)
        result.append(counts)
    return result


def adjusted(counts: list[Counter[Gram]]) -> list[dict[Gram, int]]:
    """a(.): distinct words to the left; the raw count in the highest order and behind ``<s>``."""
    result: list[dict[Gram, int]] = []
    for own, longer in itertools.pairwise(counts):
        left = Counter(gram[1:] for gram in longer)
        result.append({gram: own[gram] if gram[0] == BOS else left[gram] for gram in own})
    return [*result, dict(counts[-1])]


def unpacked(orders: list[OrderCounts], vocabulary: int) -> list[list[tuple[Gram, int, int]]]:
    """The grams of each order as they are stored, with their counts and adjusted counts; unigrams by id."""
    scramble = Scramble(vocabulary)
    lower: list[Gram] = [(word,) for word in range(vocabulary)]
    result = [list(zip(lower, orders[0].counts.tolist(), orders[0].adjusted.tolist(), strict=True))]
    for order in orders[1:]:
        contexts = np.repeat(np.arange(len(lower)), np.diff(order.children)).tolist()
        words = scramble.inverse(order.words).tolist()
        lower = [(*lower[c], word) for c, word in zip(contexts, words, strict=True)]
        result.append(list(zip(lower, order.counts.tolist(), order.adjusted.tolist(), strict=True)))
    return result


def assert_counts_as_dictionaries(sentences: Sentences, order: int) -> None:
    expected = counted(sentences, order)
    found = unpacked(count(corpus_from_sentences(sentences), VOCABULARY, order), VOCABULARY)
    assert len(found) == order
    for own, want, want_adjusted in zip(found, expected, adjusted(expected), strict=True):
        present = [entry for entry in own if entry[1]]
        assert {gram: raw for gram, raw, _ in present} == want
        assert {gram: a for gram, _, a in present} == want_adjusted
        assert len(present) == len(want)
    for own in found[1:]:
        assert all(raw for _, raw, _ in own)


@pytest.mark.parametrize("block", [1, 2, 3, 7, 1 << 17])
@settings(max_examples=40, deadline=None)
@given(sentences=CORPORA, order=st.integers(1, 8))
@example(sentences=[[]], order=8)
@example(sentences=[[], []], order=2)
@example(sentences=[[3]], order=5)
@example(sentences=[[3, 3, 3, 3, 3, 3, 3, 3, 3, 3]] * 3, order=8)
def test_counts_are_those_of_a_dictionary(block: int, sentences: Sentences, order: int) -> None:
    """Counts and adjusted counts of every order are a dictionary's, however small the blocks are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "BLOCK", block)
        assert_counts_as_dictionaries(sentences, order)


@settings(max_examples=40, deadline=None)
@given(sentences=CORPORA, order=st.integers(2, 8))
def test_successors_lie_together_in_order(sentences: Sentences, order: int) -> None:
    """Grams are sorted by context and then strictly by scrambled word, and the children tile each order."""
    orders = count(corpus_from_sentences(sentences), VOCABULARY, order)
    for lower, own in itertools.pairwise(orders):
        assert len(own.children) == lower.size + 1
        assert own.children[0] == 0
        assert own.children[-1] == own.size
        for begin, end in zip(own.children[:-1].tolist(), own.children[1:].tolist(), strict=True):
            assert (np.diff(own.words[begin:end]) > 0).all()


def test_unigrams_by_hand() -> None:
    """The sentences "a b a", "" and "a": a occurs 3 times, after <s> and b; </s> after a and <s>."""
    unigrams, bigrams = count(corpus_from_sentences([[3, 4, 3], [], [3]]), 6, 2)
    assert unigrams.counts.tolist() == [0, 0, 3, 3, 1, 0]
    assert unigrams.adjusted.tolist() == [0, 0, 2, 2, 1, 0]
    # <s> </s>, <s> a, a </s>, a b, b a
    assert bigrams.size == 5
    assert bigrams.counts.sum() == 7
    assert np.diff(bigrams.children).tolist() == [0, 2, 0, 2, 1, 0]


def test_many_words_cross_real_blocks() -> None:
    """Blocks of 1,000 positions and of the usual size give the same arrays for 60,000 words."""
    words = np.random.default_rng(5).zipf(1.3, 60_000) % 3_000 + 3
    sentences = [part.tolist() for part in np.split(words, range(0, len(words), 17))]
    expected = count(corpus_from_sentences(sentences), 3_003, 5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "BLOCK", 1_000)
        found = count(corpus_from_sentences(sentences), 3_003, 5)
    for own, want in zip(found, expected, strict=True):
        for name in ("words", "counts", "children", "adjusted"):
            assert np.array_equal(getattr(own, name), getattr(want, name)), name
