"""Tokenizers: text to ids and back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngramgen.errors import MissingDependencyError, TokenizerError
from ngramgen.model import BOS, EOS, UNK
from ngramgen.text.tokenizers import Tokenizer, fixed_vocabulary, kind_of, splitter, with_borders
from ngramgen.text.vocabulary import Vocabulary, VocabularyBuilder

TEXT = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"], exclude_characters="\n"),
        st.sampled_from(" \t\r\0'’.ab\u0301中😀\u200d"),
    ),
    max_size=30,
)


def learned(kind: str, text: str) -> Tokenizer:
    """A tokenizer that knows all tokens of the text."""
    builder = VocabularyBuilder()
    builder.add(splitter(kind)(text.encode() + b"\n"))
    return Tokenizer(kind, fixed_vocabulary(kind) or Vocabulary.from_tokens(builder.tokens))


@pytest.mark.parametrize("kind", ["word", "char", "byte"])
@given(text=TEXT)
def test_lossless(kind: str, text: str) -> None:
    """Text of known tokens comes back to the letter, whatever Unicode it is."""
    tokenizer = learned(kind, text)
    ids = tokenizer.encode(text)
    assert ids.dtype == np.int32
    assert not np.isin(ids, [UNK, BOS, EOS]).any()
    decoded = tokenizer.decode(ids)
    assert (decoded.removeprefix(" ") if kind == "word" else decoded) == text


@pytest.mark.parametrize("kind", ["word", "char", "byte"])
@given(text=TEXT)
def test_inside_a_line(kind: str, text: str) -> None:
    """Text behind other text of its line comes back to the letter too, and no space comes before it."""
    tokenizer = learned(kind, f"中{text}")
    ids = tokenizer.encode_inside(text)
    assert ids.dtype == np.int32
    assert tokenizer.decode(ids) == text


def test_a_word_has_two_tokens() -> None:
    """Where a line begins and behind a space a word holds the space, behind a mark it does not."""
    tokenizer = learned("word", 'king "king')
    assert [tokenizer.token(i) for i in tokenizer.encode("king")] == [" king"]
    assert [tokenizer.token(i) for i in tokenizer.encode_inside("king")] == ["king"]
    assert [tokenizer.token(i) for i in tokenizer.encode_inside(" king")] == [" king"]


@given(TEXT)
def test_whitespace(text: str) -> None:
    """The tokens come back with one space between them."""
    tokenizer = learned("whitespace", text)
    words = text.replace("\t", " ").replace("\r", " ").replace("\0", " ").split(" ")
    assert tokenizer.decode(tokenizer.encode(text)) == " ".join(word for word in words if word)


BYTES = Tokenizer("byte", Vocabulary.from_tokens([bytes([b]) for b in range(256)]))


@given(st.text(max_size=20))
def test_bytes_know_any_text(text: str) -> None:
    """The byte tokenizer encodes all there is: a line end as a space, a lone surrogate as a question mark."""
    expected = text.replace("\n", " ").encode("utf-8", "replace")
    assert (BYTES.encode(text) - 3).tolist() == list(expected)


@given(st.binary(max_size=12))
def test_bytes_decode_as_python_does(data: bytes) -> None:
    """Bytes that are no UTF-8, such as half a character, are shown as U+FFFD."""
    assert BYTES.decode(np.array(list(data), np.int64) + 3) == data.decode("utf-8", "replace")


@pytest.mark.parametrize("kind", ["word", "whitespace", "char", "byte"])
@given(text=st.text(max_size=20))
def test_encode_is_one_sentence(kind: str, text: str) -> None:
    """Text is one sentence: line ends are spaces, lone surrogates do no harm, and a block gives the same ids."""
    tokenizer = learned(kind, "ab c")
    ids, line_ends = tokenizer.encode_block(text.replace("\n", " ").encode("utf-8", "replace") + b"\n")
    assert line_ends.tolist() == [len(ids)]
    assert tokenizer.encode(text).tolist() == ids.tolist()


def test_specials() -> None:
    """<s> and </s> are not shown, <unk> is U+FFFD in text; `token` names them; and a text cannot spell them."""
    tokenizer = Tokenizer("whitespace", Vocabulary.from_tokens([b"a", b"b"]))
    assert tokenizer.decode(np.array([BOS, 3, UNK, 4, EOS])) == "a \ufffd b"
    assert tokenizer.decode(np.array([BOS, EOS])) == ""
    assert tokenizer.decode(np.array([], np.int32)) == ""
    assert [tokenizer.token(index) for index in range(5)] == ["<unk>", "<s>", "</s>", "a", "b"]
    assert tokenizer.encode("<unk> <s> </s> a").tolist() == [0, 0, 0, 3]
    assert tokenizer.vocab_size == 5


def test_token_of_no_utf8() -> None:
    """A token that is no UTF-8 is shown with U+FFFD."""
    assert BYTES.token(3 + 0xFF) == "\ufffd"


@pytest.mark.parametrize("kind", ["", "words", "WORD", "nltk", "bpes", "byte "])
def test_unknown_kind(kind: str) -> None:
    """A kind that is not there is refused, with those that are."""
    with pytest.raises(TokenizerError, match=r"word, whitespace, char, byte, nltk:NAME"):
        splitter(kind)
    with pytest.raises(TokenizerError, match="there is no tokenizer"):
        Tokenizer(kind, Vocabulary.from_tokens([])).encode("a")


@given(st.lists(st.integers(0, 4), max_size=8))
def test_with_borders(sizes: list[int]) -> None:
    """Each sentence, an empty one too, stands between <s> and </s>."""
    ids = np.arange(10, 10 + sum(sizes))
    expected: list[int] = []
    for end, size in zip(np.cumsum(sizes).tolist(), sizes, strict=True):
        expected += [BOS, *ids[end - size : end].tolist(), EOS]
    line_ends = np.cumsum(np.array(sizes, np.int64))
    assert with_borders(ids, line_ends).tolist() == expected
    assert with_borders(ids, line_ends, with_ends=False).tolist() == [i for i in expected if i != EOS]


def test_bpe_does_not_split() -> None:
    """What is asked for words by bpe is told that they are none."""
    for kind in ("bpe", "bpe:300"):
        with pytest.raises(TokenizerError, match=f"the tokenizer {kind} does not cut text into words"):
            splitter(kind)


@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        ("TreebankWordTokenizer", ["it", "'s", "(", "ok", ")", "."]),
        ("WordPunctTokenizer", ["it", "'", "s", "(", "ok", ")."]),
        ("wordpunct_tokenize", ["it", "'", "s", "(", "ok", ")."]),
        ("TweetTokenizer", ["it's", "(", "ok", ")", "."]),
        ("SpaceTokenizer", ["it's", "(ok)."]),
    ],
)
def test_nltk(name: str, tokens: list[str]) -> None:
    """A tokenizer class or function of NLTK cuts each line; its tokens are joined with spaces."""
    pytest.importorskip("nltk")
    spans = splitter(f"nltk:{name}")(b"it's (ok).\n\nit's (ok).\n")
    assert [token.decode() for token in spans.tokens()] == tokens * 2
    assert spans.line_ends.tolist() == [len(tokens), len(tokens), 2 * len(tokens)]
    assert learned(f"nltk:{name}", "it's (ok).").joins_with_space


@pytest.mark.parametrize(
    "name",
    [
        "",
        "NoSuchTokenizer",
        "re",  # a module
        "load",  # a function that reads files
        "punkt_model_available",
        "__doc__",
        "RegexpTokenizer",  # needs a pattern
        "regexp_tokenize",
        "regexp_span_tokenize",
        "string_span_tokenize",
        "TreebankWordDetokenizer",  # gives a string
        "TokenizerI",
    ],
)
def test_nltk_has_no_such_tokenizer(name: str) -> None:
    """What is no tokenizer, or needs an argument, is refused before any text is read."""
    pytest.importorskip("nltk")
    with pytest.raises(TokenizerError, match=r"nltk\.tokenize has no tokenizer"):
        splitter(f"nltk:{name}")


def test_nltk_refuses_a_line() -> None:
    """A line that NLTK refuses is told with its beginning."""
    pytest.importorskip("nltk")
    with pytest.raises(TokenizerError, match=r"SExprTokenizer refuses the line '\(a b'"):
        splitter("nltk:SExprTokenizer")(b"(a b\n")


@pytest.mark.parametrize("name", ["word_tokenize", "PunktTokenizer", "sent_tokenize"])
def test_nltk_data_missing(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where NLTK's data is missing, the command that gets it is told at once."""
    nltk = pytest.importorskip("nltk")
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    nltk.data.clear_cache()
    if hasattr(nltk.tokenize, "_get_punkt_tokenizer"):
        nltk.tokenize._get_punkt_tokenizer.cache_clear()
    with pytest.raises(MissingDependencyError, match=r"python -m nltk\.downloader punkt_tab$"):
        splitter(f"nltk:{name}")


def test_nltk_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without NLTK the pip command that brings it is told."""
    monkeypatch.setitem(sys.modules, "nltk", None)
    monkeypatch.setitem(sys.modules, "nltk.tokenize", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'ngramgen\[nltk\]'"):
        splitter("nltk:TweetTokenizer")


@pytest.mark.parametrize("kind", ["word", "whitespace", "char", "byte"])
@given(data=st.data())
def test_decode_many(kind: str, data: st.DataObject) -> None:
    """Many rows at once give what each gives alone, even where a token is a line end or half a character."""
    tokenizer = learned(kind, "é a\u00a0b 中")
    rows = data.draw(st.lists(st.lists(st.integers(0, tokenizer.vocab_size - 1), max_size=5), max_size=5))
    if kind == "byte":
        rows += [[3 + byte for byte in data.draw(st.binary(max_size=5) | st.just(b"a\n\xe4"))] for _ in rows]
    listed = [np.array(row, np.int32) for row in rows]
    assert tokenizer.decode_many(listed) == [tokenizer.decode(row) for row in listed]


def pairs(line: str) -> list[str]:
    """Words of two characters each."""
    return [line[i : i + 2] for i in range(0, len(line), 2)]


def test_a_function_cuts() -> None:
    """Its words are the tokens, white space as it gives it, and its name is the kind."""
    spans = splitter(pairs)("学而时 习\n\nab\n".encode())
    assert [token.decode() for token in spans.tokens()] == ["学而", "时 ", "习", "ab"]
    assert spans.line_ends.tolist() == [3, 3, 4]
    kind = kind_of(pairs)
    assert kind == f"python:{__name__}:pairs"
    tokenizer = Tokenizer(kind, Vocabulary.from_tokens(spans.tokens()), pairs)
    assert tokenizer.encode("ab习").tolist() == [6, 5]
    assert tokenizer.decode(tokenizer.encode("学而时 习")) == "学而时 习"


@pytest.mark.parametrize("function", [str.split, iter, len, lambda line: [5], lambda line: None, lambda line: line])
def test_words_that_do_not_join_to_their_line(function: Any) -> None:
    """A function that loses white space, or gives no list of strings, is told with its name and the line."""
    with pytest.raises(TokenizerError, match=r"python:\w+.*:.* must cut a line into a list .* not do with 'a b'"):
        splitter(function)(b"a b\n")


def test_a_function_is_not_imported() -> None:
    """Without it ids become text, and text is an error that says what to pass."""
    tokenizer = Tokenizer("python:antigravity:cut", Vocabulary.from_tokens([b"a", b" b"]))
    assert tokenizer.decode(np.array([3, 4])) == "a b"
    assert len(tokenizer.encode("")) == 0
    with pytest.raises(TokenizerError, match=r"Python function antigravity:cut, .* load\(PATH, tokenizer=FUNCTION\)"):
        tokenizer.encode("a b")
    assert "antigravity" not in sys.modules
