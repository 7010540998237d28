"""The bytes of tokens and the texts that they make."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngramgen.sampling.spelling import Spelling
from ngramgen.text.tokenizers import Tokenizer
from ngramgen.text.vocabulary import Vocabulary

TOKENS: dict[str, list[str]] = {
    "whitespace": ["a", "bb", "königin", "c.", "王"],
    "word": [" a", "b", " kö", "n", "。", "王"],
    "char": list("abc ö王"),
}


def tokenizer_of(kind: str) -> Tokenizer:
    tokens = [bytes([b]) for b in range(256)] if kind == "byte" else [token.encode() for token in TOKENS[kind]]
    return Tokenizer(kind, Vocabulary.from_tokens(tokens))


@pytest.mark.parametrize("kind", ["whitespace", "word", "char", "byte"])
@given(data=st.data())
def test_flat_texts(kind: str, data: st.DataObject) -> None:
    """The text of every place of every row is what the tokens before it are when they are decoded."""
    tokenizer = tokenizer_of(kind)
    spelling = Spelling.of(tokenizer)
    index = st.integers(3, tokenizer.vocab_size - 1)
    rows, steps = data.draw(st.integers(1, 3)), data.draw(st.integers(0, 4))
    prefixes = [tuple(data.draw(st.lists(index, max_size=2))) for _ in range(rows)]
    tokens = np.array([[data.draw(index) for _ in range(steps)] for _ in range(rows)], np.int64).reshape(rows, steps)
    flat = spelling.flat(prefixes, tokens)
    for row, prefix in enumerate(prefixes):
        for place in range(steps + 1):
            ids = [*prefix, *tokens[row, :place].tolist()]
            whole = spelling.separator.join(map(spelling.token, ids))
            assert spelling.text(ids) == tokenizer.decode(np.array(ids, np.int32))
            if flat.whole[row, place]:
                shown = flat.text[flat.begins[row] : flat.borders[row, place]]
                assert shown == whole.decode("utf-8", "surrogateescape")


def test_cut_characters() -> None:
    """A place inside a character is none where a text may stop; one before a stray byte is."""
    spelling = Spelling.of(tokenizer_of("byte"))
    ids = np.array([[b + 3 for b in b"a\xc3\xb6"], [b + 3 for b in b"\xb6ab"]])
    assert spelling.flat([(), ()], ids).whole.tolist() == [[True, True, False, True], [True] * 4]


def test_tokens_with() -> None:
    """Tokens that hold a text are found, though the text may stand over the border of two; whole words on demand."""
    tokens = ["king", '"king', "kings", "viking", "ki", "ng", "king-fox", "a,", ","]
    spelling = Spelling.of(Tokenizer("whitespace", Vocabulary.from_tokens(token.encode() for token in tokens)))
    assert [spelling.text((i,)) for i in spelling.tokens_with("king")] == [
        "king",
        '"king',
        "kings",
        "viking",
        "king-fox",
    ]
    assert [spelling.text((i,)) for i in spelling.tokens_with("king", whole=True)] == ["king", '"king', "king-fox"]
    assert [spelling.text((i,)) for i in spelling.tokens_with(",")] == ["a,", ","]


@pytest.mark.parametrize(
    ("kind", "words", "characters", "single", "alone"),
    [
        ("whitespace", 1, 1, True, False),
        ("word", 2, 1, True, False),
        ("char", 12, 1, True, True),
        ("byte", 12, 4, True, True),
    ],
)
def test_sizes(kind: str, words: int, characters: int, single: bool, alone: bool) -> None:
    """What words and characters take in tokens is told from the vocabulary."""
    spelling = Spelling.of(tokenizer_of(kind))
    sizes = (
        spelling.tokens_a_word,
        spelling.tokens_a_character,
        spelling.holds_single_words,
        spelling.spaces_stand_alone,
    )
    assert sizes == (words, characters, single, alone)


def test_kept(toy: Any) -> None:
    """The spelling of a tokenizer is made once and goes with it; a toy that has only tokens will do."""
    tokenizer = tokenizer_of("char")
    assert Spelling.of(tokenizer) is Spelling.of(tokenizer)
    assert Spelling.of(toy([b"ab", b"c"]).tokenizer).text([3, 4]) == "abc"
    del tokenizer
    gc.collect()
    assert Spelling.of(tokenizer_of("word")).token(3) == b" a"
