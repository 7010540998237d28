"""Words among tokens, how many of them rows touch, and tokens that would grow together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ngramgen.model import BOS, EOS, UNK
from ngramgen.text.splitting import Spans, split_strings, split_words
from ngramgen.text.tokenizers import Tokenizer, splitter
from ngramgen.text.vocabulary import Vocabulary
from ngramgen.text.words import NONE, WordTokens, holds_word, run_together, word_tokens

SIGNS = "ab7 ',-’.東กé\t½_"


def words_of(kind: str, tokens: list[bytes]) -> WordTokens:
    return word_tokens(Tokenizer(kind, Vocabulary.from_tokens(tokens)))


@pytest.mark.parametrize(
    ("kind", "token", "is_word"),
    [
        ("word", " It's", True),
        ("word", " 3", True),
        ("word", "東", True),
        ("word", "½", True),
        ("word", " --", False),
        ("word", " ", False),
        ("word", "_", False),
        ("whitespace", "wait...", True),
        ("whitespace", "—", False),
        ("whitespace", "été", True),
        ("nltk:TweetTokenizer", ":-)", False),
        ("char", "a", True),
        ("char", ",", True),
        ("char", " ", False),
        ("char", "\u3000", False),
        ("byte", "a", True),
        ("byte", ",", True),
        ("byte", " ", False),
        ("byte", "\v", False),
    ],
)
def test_words_by_hand(kind: str, token: str, is_word: bool) -> None:
    """A token with a letter or digit is a word; of characters and bytes all that is no white space is part of one."""
    words = words_of(kind, [token.encode(), b"x"])
    assert words.is_word.tolist() == [False, False, False, is_word, True, False]
    assert words.runs_together == (kind in ("char", "byte"))


@settings(max_examples=100, deadline=None)
@given(
    kind=st.sampled_from(["word", "whitespace", "char"]),
    text=st.text(st.sampled_from(SIGNS + "\n") | st.characters(exclude_categories=["Cs"]), max_size=40),
)
def test_words_are_as_python_sees_them(kind: str, text: str) -> None:
    """Of all tokens of a text at once: what `str.isalnum` or `str.isspace` says of their characters."""
    spans = splitter(kind)(f"{text}\n".encode())
    tokens = [token.decode() for token in spans.tokens()]
    expected = [not t.isspace() if run_together(kind) else any(map(str.isalnum, t)) for t in tokens]
    assert holds_word(kind, spans).tolist() == expected


def test_surrogates_and_no_tokens() -> None:
    """Tokens that another program has cut inside a surrogate pair, and none at all."""
    assert holds_word("nltk:X", split_strings([["\ud800", "a\udfff", "b"]])).tolist() == [False, True, True]
    for kind in ("word", "whitespace", "char", "byte"):
        assert holds_word(kind, splitter(kind)(b"")).tolist() == []
        assert words_of(kind, []).is_word.tolist() == [False] * 4


def test_bytes_of_a_character_are_one_word() -> None:
    """Bytes that are no ASCII white space belong to a word, whatever character they are part of."""
    spans = splitter("byte")("é\u3000a b\n".encode())
    assert holds_word("byte", spans).tolist() == [True] * 6 + [False, True]


def test_counts_by_hand() -> None:
    """Words count one by one, characters by the runs of them that a row touches; specials and NONE are none."""
    words = words_of("whitespace", [b"a", b"b", b","])
    assert words.count(np.array([[3, 4, 5, 3], [NONE, UNK, BOS, 4], [5, 5, EOS, 5]])).tolist() == [3, 1, 0]
    assert words.added(np.array([3, 5, NONE]), np.array([4, 5, 3])).tolist() == [1, 0, 1]
    signs = words_of("char", [b"a", b"b", b" "])
    assert signs.count(np.array([[3, 4, 5, 3], [NONE, 5, 4, 4], [5, 5, 5, 5]])).tolist() == [2, 1, 0]
    assert signs.added(np.array([3, 5, NONE, 3]), np.array([4, 4, 4, 5])).tolist() == [0, 1, 1, 0]


@settings(max_examples=300, deadline=None)
@given(
    lines=st.lists(st.text(SIGNS, min_size=1, max_size=12), min_size=1, max_size=6),
    data=st.data(),
)
def test_tokens_that_do_not_join_are_read_as_they_were_written(lines: list[str], data: st.DataObject) -> None:
    """Written one behind the other, tokens are split into the same tokens, exactly where none joins the one before."""
    found = split_words("".join(f"{line}\n" for line in lines).encode()).tokens()
    tokens = list(dict.fromkeys([*found, b" ", b"'", b"a", b" a"]))
    words = words_of("word", tokens)
    assert words.seams is not None
    ids = data.draw(st.lists(st.integers(3, len(tokens) + 2), min_size=1, max_size=6))
    before = np.array([NONE, NONE, *ids])
    joins = words.seams.joins(before[:-2], before[1:-1], before[2:])
    text = b"".join(tokens[i - 3] for i in ids).removeprefix(b" ")
    assume(text)
    assert (split_words(text + b"\n").tokens() == [tokens[i - 3] for i in ids]) == (not joins.any())


@settings(max_examples=100, deadline=None)
@given(text=st.text(SIGNS, max_size=30), data=st.data())
def test_all_that_join(text: str, data: st.DataObject) -> None:
    """`joining` lists the tokens for which `joins` holds."""
    tokens = list(dict.fromkeys(split_words(f"{text}\n".encode()).tokens()))
    words = words_of("word", tokens)
    assert words.seams is not None
    before, last = data.draw(st.tuples(*[st.integers(NONE, len(tokens) + 2)] * 2))
    every = np.arange(len(tokens) + 3)
    expected = every[words.seams.joins(np.array(before), np.array(last), every)]
    assert sorted(words.seams.joining(before, last).tolist()) == expected.tolist()


@pytest.mark.parametrize(
    ("row", "token", "joined"),
    [
        ([b" how"], b"las", True),
        ([b" how"], b" las", False),
        ([b" how"], b",", False),
        ([b"."], b".", True),
        ([b"."], b",", False),
        ([b" don", b"'"], b"t", True),
        ([b",", b"'"], b"t", False),
        ([b" don", b" '"], b"t", False),
        ([], b"las", True),
        ([], b" las", False),
        (["東".encode()], "東".encode(), False),
        ([b" "], b"las", True),
    ],
)
def test_joins_by_hand(row: list[bytes], token: bytes, joined: bool) -> None:
    """Letters join letters, a mark its like, letters an apostrophe behind letters, and a line begins with a space."""
    tokens = list(dict.fromkeys([*row, token]))
    words = words_of("word", tokens)
    assert words.seams is not None
    before, last = ([NONE, NONE] + [tokens.index(t) + 3 for t in row])[-2:]
    assert words.seams.joins(np.array([before]), np.array([last]), np.array([tokens.index(token) + 3])) == [joined]
    assert not words.seams.joins(np.array([before]), np.array([last]), np.array([EOS]))[0]


def test_an_unknown_word_takes_letters() -> None:
    """Behind an unknown word of a prompt a token that begins with a letter joins."""
    words = words_of("word", [b"a", b" a", b","])
    assert words.seams is not None
    assert words.seams.joins(np.array(NONE), np.array(UNK), np.array([3, 4, 5])).tolist() == [True, False, False]


@pytest.mark.parametrize("kind", ["whitespace", "char", "byte"])
def test_other_tokens_stay_apart(kind: str) -> None:
    """Only the tokenizer `word` reads tokens side by side as others."""
    assert words_of(kind, [b"a"]).seams is None


def test_spans_of_a_text_need_no_gap() -> None:
    """Tokens are judged by their own bytes, not by what stands between them."""
    buffer = splitter("whitespace")(b", a , b\n")
    some = Spans(buffer.buffer, buffer.starts[[0, 2]], buffer.lengths[[0, 2]], buffer.line_ends)
    assert holds_word("whitespace", some).tolist() == [False, False]
