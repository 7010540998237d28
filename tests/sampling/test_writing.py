"""The ways to write a text in tokens."""

from __future__ import annotations

import pytest

from ngramgen.errors import ConstraintError
from ngramgen.sampling.goals import Behind, Follow
from ngramgen.sampling.spelling import Spelling
from ngramgen.sampling.templates import Fixed, Hole
from ngramgen.sampling.writing import Writer
from ngramgen.text.tokenizers import Tokenizer
from ngramgen.text.vocabulary import Vocabulary

WORDS = Hole("words", 1, None)


def writer_of(kind: str, tokens: list[str]) -> Writer:
    tokenizer = Tokenizer(kind, Vocabulary.from_tokens(token.encode() for token in tokens))
    return Writer(tokenizer, Spelling.of(tokenizer))


def texts(writer: Writer, ways: list[tuple[int, ...]]) -> list[list[str]]:
    return [[writer.spelling.text((index,)) for index in way] for way in ways]


SPACED = writer_of("whitespace", ["the", "old", "king", "king,", '"king', "kings", "old,", '"old', "fox-king", '"I'])
WORD = writer_of("word", [" the", " king", "king", " king's", ".", '"', ' "', " kings"])
CHAR = writer_of("char", list('the king."'))


def test_keywords() -> None:
    """Tokens that hold a word as a whole word are ways to say it; of several words the outer ones may hold more."""
    ways = [way.ids for way in SPACED.keyword("king").ways]
    assert texts(SPACED, ways) == [["king"], ["king,"], ['"king'], ["fox-king"]]
    ways = [way.ids for way in SPACED.keyword("old king").ways]
    assert texts(SPACED, ways) == [["old", "king"], ["old", "king,"], ['"old', "king"], ['"old', "king,"]]
    assert texts(WORD, [way.ids for way in WORD.keyword("king").ways]) == [[" king"], ["king"], [" king's"]]
    assert texts(CHAR, [way.ids for way in CHAR.keyword("he").ways]) == [[" ", "h", "e"], ["h", "e"]]


def test_borders() -> None:
    """A beginning may go on inside its last token, and an end begin inside its first, but not inside of a word."""
    assert texts(SPACED, SPACED.beginnings("the king")) == [["the", "king"], ["the", "king,"]]
    assert texts(WORD, WORD.beginnings("the king")) == [[" the", " king"], [" the", " king's"]]
    assert texts(SPACED, SPACED.endings("king")) == [["king"], ['"king'], ["fox-king"]]


def test_what_cannot_be_written() -> None:
    """A text with a word that is no token is refused; so is one that the tokenizer writes in another way."""
    with pytest.raises(ConstraintError, match='cannot write "queen"'):
        SPACED.keyword("queen")
    with pytest.raises(ConstraintError, match='writes "the  king" as "the king"'):
        SPACED.needed("the  king")


def test_fixed_texts() -> None:
    """A space before a fixed text is a part of its tokens, one behind it must come next, or is a token by itself."""
    both = Fixed(("the",), " ", " ")
    (way,) = WORD.fixed("the", both, WORDS, WORDS)
    assert (texts(WORD, [way.ids]), way.behind) == ([[" the"]], Behind(Follow.SPACE))
    (way,) = WORD.fixed("king.", Fixed(("king.",)), WORDS, None)
    assert (texts(WORD, [way.ids]), way.behind) == ([["king", "."]], Behind())
    (way,) = WORD.fixed('"', Fixed(('"',), " "), WORDS, WORDS)
    assert way.behind == Behind(Follow.GLUED)
    (way,) = CHAR.fixed("the", both, WORDS, WORDS)
    assert (texts(CHAR, [way.ids]), way.behind) == ([list(" the ")], Behind(Follow.GLUED))
    assert len(list(CHAR.fixed("the", both, WORDS, Hole("words", 0, 2)))) == 2  # no hole, no space


def test_marks_that_touch_holes() -> None:
    """With a space before every token, a mark that touches a hole is a part of the hole's last or first token."""
    (way,) = SPACED.fixed(', the "', Fixed((', the "',)), WORDS, WORDS)
    assert texts(SPACED, [way.ids]) == [["the"]]
    assert (way.tail, way.behind) == (",", Behind(Follow.GLUED, '"'))
    with pytest.raises(ConstraintError, match="cannot join two holes"):
        list(SPACED.fixed("-", Fixed(("-",)), WORDS, WORDS))
    with pytest.raises(ConstraintError, match="with a space before it"):
        list(SPACED.fixed("!", Fixed(("!",)), WORDS, None))
