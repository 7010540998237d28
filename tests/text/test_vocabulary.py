"""Keys, the table from key to id, and vocabularies, against a dict."""

from __future__ import annotations

import random
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngramgen.text.splitting import Spans, split_bytes, split_strings, split_whitespace
from ngramgen.text.vocabulary import SPECIALS, HashIndex, Vocabulary, VocabularyBuilder, build_index, token_keys


def spans_of(tokens: list[bytes]) -> Spans:
    """The tokens one after the other in one buffer, as a splitter leaves them."""
    lengths = np.array(list(map(len, tokens)), np.int64)
    data = b"".join(tokens)
    buffer = np.frombuffer(data + bytes(16 + -len(data) % 8), np.uint8)
    return Spans(buffer, np.cumsum(lengths) - lengths, lengths, np.zeros(0, np.int64))


def similar_tokens() -> list[bytes]:
    """Distinct tokens that only care tells apart: of every length to 300, with NULs, with long common beginnings."""
    tokens = {b"\0" * n for n in range(1, 301)} | {b"a" * n for n in range(1, 301)}
    for prefix in (1, 7, 8, 9, 15, 16, 17, 127, 128, 129, 136):
        for tail in (b"x", b"y", b"\0", b"x\0", b"\0x", b"x" * 8, b"y" + b"x" * 7, b"x" * 8 + b"\0", b"\0" * 8):
            tokens |= {b"p" * prefix + tail, b"p" * (prefix - 1) + b"\0" + tail, b"\0" * prefix + tail}
    return sorted(tokens)


TOKEN = st.one_of(
    st.binary(min_size=1, max_size=20),
    st.sampled_from(similar_tokens()),
    st.tuples(st.sampled_from([b"p" * 8, b"p" * 16, b"p" * 128]), st.binary(min_size=1, max_size=3)).map(b"".join),
)
TOKENS = st.lists(TOKEN, max_size=30)


def test_similar_tokens_have_distinct_keys() -> None:
    """Distinct tokens have distinct keys, whatever their length, with NULs and common beginnings."""
    tokens = similar_tokens()
    assert len(np.unique(token_keys(spans_of(tokens)))) == len(tokens)


@given(TOKENS, st.integers(0, 9))
def test_a_key_depends_on_the_token_alone(tokens: list[bytes], ahead: int) -> None:
    """A token has the same key wherever it lies in a buffer and whatever lies around it."""
    together = token_keys(spans_of([b"q" * ahead, *tokens] if ahead else tokens))[1 if ahead else 0 :]
    alone = [int(token_keys(spans_of([token]))[0]) for token in tokens]
    assert together.tolist() == alone


@given(st.lists(TOKENS, max_size=5))
def test_builder_is_a_dict(blocks: list[list[bytes]]) -> None:
    """Ids count up in order of first appearance, over blocks."""
    builder = VocabularyBuilder()
    known: dict[bytes, int] = {}
    for tokens in blocks:
        expected = [known.setdefault(token, len(known)) for token in tokens]
        assert builder.add(spans_of(tokens)).tolist() == expected
    assert builder.tokens == list(known)


def test_builder_grows() -> None:
    """The same holds over fifty thousand tokens in blocks of all sizes, while the table grows."""
    chance = random.Random(1)
    builder = VocabularyBuilder()
    known: dict[bytes, int] = {}
    left = 200_000
    while left > 0:
        size = min(left, chance.choice([0, 1, 10, 1000, 1023, 1024, 1025, 30_000]))
        left -= max(size, 1)
        tokens = [b"%x" % int(chance.paretovariate(0.1) % 1e12) for _ in range(size)]
        expected = [known.setdefault(token, len(known)) for token in tokens]
        assert builder.add(spans_of(tokens)).tolist() == expected
    assert len(known) > 50_000
    assert builder.tokens == list(known)


@given(st.lists(TOKEN, unique=True, max_size=30), TOKENS, st.data())
def test_vocabulary_is_a_list(tokens: list[bytes], others: list[bytes], data: st.DataObject) -> None:
    """Tokens have ids from 3 on and give their bytes back; others are <unk>; `first` keeps the first ids."""
    whole = Vocabulary.from_tokens(tokens)
    size = data.draw(st.integers(len(SPECIALS), len(whole)))
    for vocabulary, kept in ((whole, tokens), (whole.first(size), tokens[: size - len(SPECIALS)])):
        assert len(vocabulary) == len(kept) + 3
        ids = {token: index for index, token in enumerate(kept, start=3)}
        asked = [*tokens, *others]
        assert vocabulary.find(spans_of(asked)).tolist() == [ids.get(token, 0) for token in asked]
        assert [vocabulary.token(index) for index in range(len(vocabulary))] == [b"", b"", b"", *kept]


def test_first_of_all_is_itself() -> None:
    """`first` of all ids makes no copy."""
    vocabulary = Vocabulary.from_tokens([b"a"])
    assert vocabulary.first(4) is vocabulary
    assert len(vocabulary.first(3)) == 3


def test_empty() -> None:
    """An empty vocabulary, or builder, or block answers too."""
    empty = Vocabulary.from_tokens([])
    assert len(empty) == 3
    assert empty.find(split_whitespace(b"a b\n")).tolist() == [0, 0]
    assert empty.find(split_whitespace(b"")).tolist() == []
    assert Vocabulary.from_tokens([b"a"]).find(split_whitespace(b"\n")).tolist() == []
    assert VocabularyBuilder().add(split_strings([])).tolist() == []


def test_specials_are_no_strings() -> None:
    """A token that is spelled like a special is an ordinary one, and unknown where it is not listed."""
    asked = split_whitespace(b"<unk> <s> </s>\n")
    assert Vocabulary.from_tokens([b"a"]).find(asked).tolist() == [0, 0, 0]
    assert Vocabulary.from_tokens([b"</s>", b"<unk>"]).find(asked).tolist() == [4, 0, 3]


def test_a_full_table_ends_the_search() -> None:
    """A damaged table without an empty slot, or with ids beyond the end, ends in <unk> and not in a loop."""
    keys = token_keys(spans_of([b"a", b"b"]))
    spans = split_whitespace(b"a b c d\n")
    for value in (1, 3, 2**32 - 1):
        index = HashIndex(np.full(16, value, np.uint32), keys)
        found = Vocabulary(np.zeros(0, np.uint8), np.zeros(6, np.uint32), index).find(spans)
        assert set(found.tolist()) <= {0, 3, 4}


def test_index_of_colliding_places() -> None:
    """Keys that all want one slot are told apart, those that are there and those that are not."""
    slot = 0x9E3779B97F4A7C15
    inverse = pow(slot, -1, 1 << 64)
    keys = np.array([n * inverse % (1 << 64) for n in range(400)], np.uint64)  # times the factor: 0, 1, 2, ...
    index = build_index(keys[:200])
    assert index.find(keys).tolist() == [*range(200), *[-1] * 200]


@pytest.mark.parametrize("size", [1_000_000, 8_000_000])
def test_a_huge_token(size: int) -> None:
    """A token of megabytes has a key in a moment."""
    begin = time.perf_counter()
    ids = VocabularyBuilder().add(split_whitespace(b"a " + b"b" * size + b" a\n"))
    assert ids.tolist() == [0, 1, 0]
    assert time.perf_counter() - begin < 3


def test_many_nuls() -> None:
    """A text full of NULs, each a token, is keyed in linear time."""
    begin = time.perf_counter()
    ids = VocabularyBuilder().add(split_bytes(bytes(300_000) + b"\n"))
    assert not ids.any()
    assert time.perf_counter() - begin < 5
