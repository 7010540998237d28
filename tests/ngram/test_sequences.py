"""Sequences side by side and one by one: the same tokens."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ngramgen.model import EOS
from ngramgen.ngram import sequences
from ngramgen.ngram.counting import corpus_from_sentences, count
from ngramgen.ngram.estimation import estimate
from ngramgen.ngram.model import NgramModel
from ngramgen.ngram.smoothing import smoothing_from_name
from ngramgen.randomness import child_seeds

SIZE = 8
Drawn = list[tuple[list[int], bool]]


def model_of(sentences: list[list[int]], order: int, name: str, prune: tuple[int, ...] = ()) -> NgramModel:
    orders = count(corpus_from_sentences(sentences), SIZE, order)
    return NgramModel(estimate(orders, SIZE, smoothing_from_name(name), prune[:order]).table, None)  # type: ignore[arg-type]


def drawn(model: NgramModel, prompts: list[np.ndarray], length: int, seeds: np.ndarray, few: int) -> Drawn:  # type: ignore[type-arg]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ngramgen.ngram.model.FEW", few)
        return [(ids.tolist(), bool(ended)) for ids, ended in model.sample_sequences(prompts, length, seeds)]


@pytest.mark.parametrize("rows", [1, 3, 8192])
@settings(max_examples=40, deadline=None)
@given(
    sentences=st.lists(st.lists(st.integers(3, SIZE - 1), max_size=6), min_size=1, max_size=6),
    order=st.integers(1, 5),
    name=st.sampled_from(["modified-kneser-ney", "kneser-ney", "absolute-discounting", "witten-bell"]),
    prune=st.sampled_from([(), (0, 0, 1), (0, 9)]),
    prompts=st.lists(st.lists(st.integers(0, SIZE - 1), max_size=4), min_size=1, max_size=4),
    n=st.integers(1, 20),
    length=st.sampled_from([0, 1, 2, 30, 200]),
    seed=st.integers(0, 2**64 - 1),
)
def test_side_by_side_is_one_by_one(
    rows: int,
    sentences: list[list[int]],
    order: int,
    name: str,
    prune: tuple[int, ...],
    prompts: list[list[int]],
    n: int,
    length: int,
    seed: int,
) -> None:
    """Token for token, however many rows there are, with different prompts mixed and any limit."""
    model = model_of(sentences, order, name, prune)
    arrays = [np.array(prompt, np.int32) for prompt in prompts]
    mixed = list(itertools.islice(itertools.cycle(arrays), n))
    seeds = child_seeds(seed, 0, n)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sequences, "ROWS", rows)
        together = drawn(model, mixed, length, seeds, few=0)
    assert together == drawn(model, mixed, length, seeds, few=10**9)
    assert len(together) == n
    for ids, ended in together:
        assert len(ids) <= length
        assert ended or len(ids) == length
        assert not {0, 1, EOS} & set(ids)


@pytest.mark.parametrize("few", [0, 10**9])
def test_a_sequence_does_not_depend_on_its_company(few: int) -> None:
    """Each of a thousand is what its seed gives alone."""
    model = model_of([[3, 4, 5, 6], [4, 5, 7], [5, 3]], 3, "kneser-ney")
    prompt = np.array([3], np.int32)
    seeds = child_seeds(5, 0, 1000)
    together = drawn(model, [prompt] * 1000, 50, seeds, few)
    for i in (0, 1, 499, 999):
        assert drawn(model, [prompt.copy()], 50, seeds[i : i + 1], 10**9) == [together[i]]
    assert len({tuple(ids) for ids, _ in together}) > 100


def test_the_stream_is_the_sequence() -> None:
    """The tokens as they come are those of sample_sequences, up to and with </s>."""
    model = model_of([[3, 4, 5, 6], [4, 5, 7], [5, 3]], 3, "kneser-ney")
    for seed in child_seeds(2, 0, 50):
        [(ids, ended)] = drawn(model, [np.array([4])], 10_000, np.array([seed]), 10**9)
        assert ended
        assert list(model.sample_stream(np.array([4]), seed)) == [*ids, EOS]


def test_long_sequences_cross_every_border() -> None:
    """A sequence of thousands of tokens is the same both ways, though numbers and room come in pieces."""
    model = model_of([[3, 4, 5, 6, 7] * 400], 3, "witten-bell")
    seeds = child_seeds(1, 0, 3)
    prompts = [np.array([3, 4])] * 3
    together = drawn(model, prompts, 1000, seeds, 0)
    assert together == drawn(model, prompts, 1000, seeds, 10**9)
    assert max(len(ids) for ids, _ in together) > 300


def test_a_generous_limit_costs_no_memory() -> None:
    """Room for a billion tokens a row is not taken before they come."""
    model = model_of([[3, 4]], 2, "kneser-ney")
    made = drawn(model, [np.array([3])] * 100, 10**9, child_seeds(0, 0, 100), 0)
    assert all(ended for _, ended in made)


def test_no_prompts_give_nothing() -> None:
    """An empty list is no error."""
    assert drawn(model_of([[3]], 2, "kneser-ney"), [], 10, child_seeds(0, 0, 0), 48) == []
