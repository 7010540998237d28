"""Texts in options as ids, for every kind of tokenizer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ngramgen.errors import OptionError
from ngramgen.sampling import ways_to_write
from ngramgen.sampling.wordings import biased_ids, single_tokens
from ngramgen.text.tokenizers import Tokenizer, fixed_vocabulary
from ngramgen.text.vocabulary import Vocabulary


def tokenizer(kind: str, *tokens: str) -> Tokenizer:
    """Ids 3, 4, ... are the tokens; byte needs none."""
    return Tokenizer(kind, fixed_vocabulary(kind) or Vocabulary.from_tokens([token.encode() for token in tokens]))


WORDS = tokenizer("word", " king", "king", " new", "new", " york", "王", '"', " queen")
CHARACTERS = tokenizer("char", *" abn")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("king", [(3,), (4,)]),
        (" king", [(3,), (4,)]),
        ("new york", [(5, 7), (6, 7)]),
        ("queen", [(10,)]),  # never without the space
        ("王", [(8,)]),
        ('"', [(9,)]),
        ('"king', [(9, 4)]),
        ("jester", []),
        ("king jester", []),
        ("king\n", []),  # no line holds a newline
        (" ", []),
    ],
)
def test_words_stand_with_a_space_and_without(text: str, expected: list[tuple[int, ...]]) -> None:
    """A word is one token behind a space and another behind a mark, and text with an unknown word cannot be said."""
    assert ways_to_write(WORDS, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("ban", [(3, 5, 4, 6), (5, 4, 6)]), (" ", [(3,)]), ("a b", [(3, 4, 3, 5), (4, 3, 5)]), ("c", []), ("\n", [])],
)
def test_characters(text: str, expected: list[tuple[int, ...]]) -> None:
    """Over characters a text is the same with the space, one token longer; a newline is no space."""
    assert ways_to_write(CHARACTERS, text) == expected


def test_bytes_and_whitespace() -> None:
    """Over bytes any text can be said; where white space parts the tokens there is one way."""
    assert ways_to_write(tokenizer("byte"), "é") == [(3 + 0x20, 3 + 0xC3, 3 + 0xA9), (3 + 0xC3, 3 + 0xA9)]
    assert ways_to_write(tokenizer("whitespace", "a", "rose"), " a  rose") == [(3, 4)]


def test_any_tokenizer_will_do() -> None:
    """One that only encodes and decodes is asked for the text with a space and without."""

    class Plain:
        vocab_size = 7

        def encode(self, text: str) -> NDArray[Any]:
            return np.array([3 + " ab\n".index(c) for c in text], dtype=np.int32)

        def decode(self, ids: NDArray[Any]) -> str:
            return "".join(map(self.token, ids))

        def token(self, index: int) -> str:
            return " ab\n"[index - 3]

    assert ways_to_write(Plain(), "ab") == [(3, 4, 5), (4, 5)]
    assert ways_to_write(Plain(), "\n") == [(3, 6), (6,)]


def test_a_bias_is_for_single_tokens() -> None:
    """Of the ways to write a text those of one token count; a text that has none is refused with the reason."""
    assert single_tokens(WORDS, "king") == [3, 4]
    assert single_tokens(CHARACTERS, "a") == [4]
    with pytest.raises(OptionError, match=r"^logit_bias holds 'new york', which takes at least 2 tokens"):
        single_tokens(WORDS, "new york")
    with pytest.raises(OptionError, match=r"^logit_bias holds 'jester', which is not in the model's vocabulary"):
        single_tokens(WORDS, "jester")


def test_biases_of_one_token_add_up() -> None:
    """Its id and its text may both be named."""
    assert biased_ids(WORDS, {4: 1.0, "king": 2.0, "queen": -1.0}) == {4: 3.0, 3: 2.0, 10: -1.0}
    assert biased_ids(None, {4: 1.0}) == {4: 1.0}
    with pytest.raises(OptionError, match=r"^logit_bias holds texts: give the model's tokenizer"):
        biased_ids(None, {"king": 2.0})
