"""The longest n-gram of the table that ends in each word."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ngramgen
from ngramgen.model import BOS, EOS
from ngramgen.ngram.matching import matched_orders, sources

WORDS = st.sampled_from(["a", "b", "c", "d"])
SENTENCES = st.lists(st.lists(WORDS, min_size=1, max_size=6), min_size=1, max_size=6)


@given(corpus=SENTENCES, text=st.lists(WORDS, max_size=8), order=st.integers(1, 5), ended=st.booleans())
def test_it_is_the_longest_that_was_seen(corpus: list[list[str]], text: list[str], order: int, ended: bool) -> None:
    """For each word the length is that of the longest run of words up to it that the corpus holds."""
    trained = ngramgen.train([" ".join(line) for line in corpus], order=order, tokenizer="whitespace")
    encode = trained.tokenizer.encode
    seen = {
        tuple(line[i:j])
        for line in ([BOS, *encode(" ".join(sentence)).tolist(), EOS] for sentence in corpus)
        for j in range(len(line) + 1)
        for i in range(max(0, j - order), j)
    }
    words = np.array([BOS, *encode(" ".join(text)), *[EOS] * ended], dtype=np.int64)
    expected = [
        max(n for n in range(1, min(order, i) + 1) if n == 1 or tuple(words[i - n : i].tolist()) in seen)
        for i in range(1, len(words) + 1)
    ]
    assert matched_orders(trained.model.table, words).tolist() == expected


def test_what_was_pruned_does_not_match() -> None:
    """A bigram seen once is there, and gone once bigrams seen once are pruned."""
    corpus = ["a b", "c d", "c d"]
    words = "a b", "c d"
    for prune, expected in ([0, 0], ["2-gram", "2-gram"]), ([0, 1], ["1-gram", "2-gram"]):
        trained = ngramgen.train(corpus, order=2, prune=prune, tokenizer="whitespace")
        table, encode = trained.model.table, trained.tokenizer.encode
        assert [sources(table, encode(text)[:1], encode(text)[1:])[0] for text in words] == expected


@pytest.mark.parametrize("cut", range(4))
def test_the_prompt_counts_as_context(cut: int) -> None:
    """Tokens have the same sources wherever the prompt ends, and so has </s>."""
    trained = ngramgen.train(["a rose is a rose"], order=3, tokenizer="whitespace")
    words = np.array([*trained.tokenizer.encode("a rose a"), EOS])
    assert sources(trained.model.table, words[:cut], words[cut:]) == ["2-gram", "3-gram", "1-gram", "1-gram"][cut:]
