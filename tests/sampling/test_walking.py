"""Walks over any LanguageModel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ngramgen.model import EOS, UNK
from ngramgen.randomness import child_seeds
from ngramgen.sampling import SamplingOptions, build_filters
from ngramgen.sampling.choosing import log_probabilities
from ngramgen.sampling.walking import ModelWalker

Model = Callable[..., Any]


def walker_of(model: Any, **options: Any) -> ModelWalker:
    return ModelWalker(model, build_filters(SamplingOptions(**options), model.tokenizer))


def test_log_probabilities_along_a_walk(toy: Model) -> None:
    """At each place the tokens that were asked for have the probability that they have behind the text so far."""
    model = toy([b"a", b"b", b"c"])
    walker = walker_of(model)
    asked = [(EOS,), (UNK,), (3,), (3, 4, 5), (3, 4, EOS)]
    walk = walker.walk(walker.begin([[], [4, 4], [3]]), child_seeds(1, 0, 3), 4, asked)
    assert walk.tokens.shape == (3, 4)
    assert not np.isin(walk.tokens, [0, 1, 2]).any()
    assert (walk.logprobs((UNK,)) == -np.inf).all()
    for row, place in ((0, 0), (1, 3), (2, 4)):
        (before,) = walk.at(np.array([row]), np.array([place]))
        right = log_probabilities(model, np.array(before, np.int32), asked[2:])
        assert [walk.logprobs(ids)[row, place] for ids in asked[2:]] == pytest.approx(right.tolist())


def test_walks_do_not_depend_on_each_other(toy: Model) -> None:
    """A walk is the same alone as among others of other lengths."""
    walker = walker_of(toy([b"a", b"b", b"c"]), repetition_penalty=1.5)
    places, seeds = walker.begin([[], [4, 4], [3]]), child_seeds(1, 0, 3)
    together = walker.walk(places, seeds, 6, [(EOS,)])
    for row in range(3):
        alone = walker.walk(places[row : row + 1], seeds[row : row + 1], 6, [(EOS,)])
        assert (alone.tokens == together.tokens[row]).all()
        assert (alone.logprobs((EOS,)) == together.logprobs((EOS,))[row]).all()


def test_free_tokens_follow_the_model_without_its_end(toy: Model) -> None:
    """The first token of many walks comes as often as the model says, given that the text does not end."""
    model = toy([b"a", b"b", b"c"], eos=0.3)
    walker = walker_of(model)
    tokens = walker.walk(walker.begin([[3]] * 4000), child_seeds(5, 0, 4000), 1, []).tokens[:, 0]
    probs = np.exp(model.table[3].astype(float))[3:]
    counts = Counter(tokens.tolist())
    assert [counts[i] / 4000 for i in (3, 4, 5)] == pytest.approx((probs / probs.sum()).tolist(), abs=0.03)


def test_where_only_the_end_is_possible(toy: Model) -> None:
    """A text that can only end is marked by </s>, and what comes behind has no meaning; filters see no empty row."""
    probs = np.zeros((5, 5))
    probs[:, 3] = 1  # a
    probs[3] = [0, 0, 1, 0, 0]  # and then the end
    walker = walker_of(toy([b"a", b"b"], probs=probs), top_k=2)
    walk = walker.walk(walker.begin([[]]), child_seeds(0, 0, 1), 2, [(EOS,), (4, 3)])
    assert walk.tokens.tolist() == [[3, EOS]]
    assert walk.logprobs((EOS,))[0, 1] == 0
    assert walk.logprobs((4, 3))[0, 0] == -np.inf
