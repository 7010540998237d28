"""Constrained texts beside the distribution that they should have, worked out from all texts of a tiny model."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest

import ngramgen

MOST = 5  # tokens of a text
LINES = ["a b c", "b a c a", "c a b", "a c", "b b a", "c"] * 2
MODEL = ngramgen.train(LINES, order=3, tokenizer="whitespace", smoothing="witten-bell")


def all_texts() -> dict[str, float]:
    """The probability of every text of at most MOST words, <unk> left out as the sampler leaves it out."""
    found = {}
    for length in range(MOST + 1):
        for words in itertools.product("abc", repeat=length):
            ids = MODEL.tokenizer.encode(" ".join(words))
            state = MODEL.model.start()
            total = 0.0
            for index in [*ids.tolist(), 2]:
                row = MODEL.model.logprobs(state)[0].astype(np.float64)
                total += row[index] - np.log1p(-np.exp(row[0]))
                state = MODEL.model.advance(state, np.array([[index]], np.int32))
            found[" ".join(words)] = float(np.exp(total))
    return found


TEXTS = all_texts()


@pytest.mark.parametrize(
    ("wanted", "count", "far"),
    [
        ({"choices": ("a b c", "c", "b a", "a c b")}, 8000, 0.02),
        ({"starts_with": "b a"}, 3000, 0.06),
        ({"min_words": 2, "max_words": 3}, 4000, 0.06),
        ({"contains": "b", "max_words": 3}, 1500, 0.1),
        ({"contains": ("c", "b"), "in_order": True}, 500, 0.15),
        ({"ends_with": "b"}, 3000, 0.12),
        ({"template": "{1..2 words} a {1 words}"}, 1200, 0.1),
        ({"regex": "(a|b) .* c"}, 2000, 0.08),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_texts_follow_the_model_given_the_constraints(wanted: dict[str, Any], count: int, far: float) -> None:
    """The total variation distance from the model, given the constraints, is that of chance or little more."""
    constraints = ngramgen.Constraints(**wanted)
    right = {text: p for text, p in TEXTS.items() if constraints.refusal_of(text) is None}
    total = sum(right.values())
    drawn = Counter(MODEL.generate(n=count, seed=11, max_new_tokens=MOST, **wanted))
    assert set(drawn) <= set(right)
    distance = sum(abs(drawn[text] / count - p / total) for text, p in right.items()) / 2
    assert distance < far, distance


def test_the_distance_can_fail() -> None:
    """Texts that are drawn freely are far from those that contain a word."""
    right = {text: p for text, p in TEXTS.items() if "b" in text.split()}
    total = sum(right.values())
    drawn = Counter(MODEL.generate(n=3000, seed=11, max_new_tokens=MOST))
    assert sum(abs(drawn[text] / 3000 - p / total) for text, p in right.items()) / 2 > 0.12
