"""What is known of the last token."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import ngramgen
from ngramgen.hybrid.classes import SIZE, evidence_of, evidence_size, numbers_of_tokens, token_numbers


@pytest.mark.parametrize(
    ("token", "numbers"),
    [
        (" The", [1, 1, 1, 0, 0, 0, 3]),
        ("ing", [0, 1, 0, 0, 0, 0, 3]),
        (".", [0, 0, 0, 1, 1, 0, 1]),
        ("?”", [0, 0, 0, 1, 1, 0, 2]),
        (",", [0, 0, 0, 1, 0, 1, 1]),
        ("。", [0, 0, 0, 1, 1, 0, 1]),
        ("”", [0, 0, 0, 1, 0, 0, 1]),
        (" 18", [1, 0, 0, 0, 0, 0, 2]),
        ("明", [0, 1, 0, 0, 0, 0, 1]),
        (" ", [1, 0, 0, 0, 0, 0, 0]),
        ("", [0, 0, 0, 0, 0, 0, 0]),
        ("x" * 40, [0, 1, 0, 0, 0, 0, 12]),
    ],
)
def test_tokens(token: str, numbers: list[Any]) -> None:
    """A space before it, a letter, a capital, marks alone, the end of a sentence, a pause, the length."""
    assert token_numbers(token) == numbers


def test_numbers_of_a_model() -> None:
    """Those of each token with the logarithm of its unigram probability; none of the specials."""
    model = ngramgen.train(["The cat.", "the cat"], order=3).model
    found = numbers_of_tokens(model)
    assert (found.shape, found.dtype) == ((model.vocab_size, SIZE), np.float32)
    assert not found[:3].any()
    cat = int(model.tokenizer.encode("The cat")[-1])
    expected = [*token_numbers(model.tokenizer.token(cat)), math.log(model.table.unigrams[cat])]
    assert found[cat] == pytest.approx(expected, rel=1e-6)


def test_the_size_is_told() -> None:
    """As many numbers as the settings of a folder are checked for."""
    for order in (1, 2, 4):
        model = ngramgen.train(["The cat.", "the cat"], order=order).model
        assert evidence_of(model).size == evidence_size(model.table)
        assert evidence_of(model).of(model.start(2).contexts).shape == (2, evidence_size(model.table))
