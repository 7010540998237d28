"""Which tokens are words, how many words rows of tokens touch, and which tokens would grow together.

A word is a token that holds a letter or a digit; where tokens are characters or bytes, it is a run of those that are
no white space (of bytes: none of ASCII's).

>>> from ngramgen.text.tokenizers import Tokenizer
>>> from ngramgen.text.vocabulary import Vocabulary
>>> words = word_tokens(Tokenizer("word", Vocabulary.from_tokens([b" a", b",", b" rose"])))
>>> words.count(np.array([[3, 4, 5]])).tolist()
[2]
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.model import UNK
from ngramgen.text.splitting import Bytes, Spans, padded, split_words
from ngramgen.text.tokenizers import Tokenizer
from ngramgen.text.vocabulary import SPECIALS

Flags = NDArray[np.bool_]
Ids = NDArray[np.int64]

NONE = -1
"""The id of no token: what stands before a text."""

_WHITE_BYTES = b"\t\n\v\f\r "


def run_together(kind: str) -> bool:
    """Whether several tokens of this kind of tokenizer make a word."""
    return kind in ("char", "byte")


def holds_word(kind: str, spans: Spans) -> Flags:
    """Which tokens are a word or, where several make one, a part of it, (T,)."""
    if kind == "byte":
        return ~np.isin(spans.buffer.take(spans.starts), list(_WHITE_BYTES))
    codes, places = _characters(spans)
    is_sign = _of_each(codes, _no_space if kind == "char" else str.isalnum)
    before = np.zeros(len(codes) + 1, np.int64)
    np.cumsum(is_sign, out=before[1:])
    ends = places.take(spans.starts + spans.lengths - 1) + 1
    found: Flags = before.take(ends) > before.take(places.take(spans.starts))
    return found


@dataclass(frozen=True, eq=False)
class WordTokens:
    """What the tokens of a vocabulary are to one who counts words; NONE is no word."""

    is_word: Flags  # (V + 1,), the last for NONE
    runs_together: bool  # whether neighbours that are words are one word
    seams: Seams | None  # None where tokens side by side stay the tokens they are

    def added(self, last: NDArray[np.integer[Any]], tokens: NDArray[np.integer[Any]]) -> Ids:
        """How many words begin with these tokens, each behind the ``last`` one, 0 or 1; broadcast."""
        begins = self.is_word.take(tokens)
        if self.runs_together:
            begins = begins & ~self.is_word.take(last)
        return begins.astype(np.int64)

    def count(self, rows: NDArray[np.integer[Any]]) -> Ids:
        """How many words the tokens of each row touch, (B, T) -> (B,)."""
        flags = self.is_word.take(rows)
        result: Ids = np.count_nonzero(flags, axis=1)
        if self.runs_together:
            result = result - np.count_nonzero(flags[:, 1:] & flags[:, :-1], axis=1)
        return result


def word_tokens(tokenizer: Tokenizer) -> WordTokens:
    """The words among the tokens of a tokenizer; the specials are none."""
    vocabulary, first = tokenizer.vocabulary, len(SPECIALS)
    offsets = vocabulary.offsets.astype(np.int64)
    buffer = padded(vocabulary.data[: int(offsets[-1])].tobytes())
    spans = Spans(buffer, offsets[first:-1], np.diff(offsets[first:]), np.zeros(0, np.int64))
    is_word = np.zeros(len(vocabulary) + 1, bool)
    is_word[first:-1] = holds_word(tokenizer.kind, spans)
    seams = Seams.of_words(spans) if tokenizer.kind == "word" else None
    return WordTokens(is_word, run_together(tokenizer.kind), seams)


# What a token begins or ends with, beside the code point of a mark: a letter of a word, a letter that is a token by
# itself, white space. Beginnings only: the plain space before a word, and before a letter by itself. Ends only: a plain
# space that stands alone, and the border of a line.
_LETTER, _ALONE, _SPACE, _LED, _LED_ALONE, _OPEN, _BORDER = 0, -1, -2, -3, -4, -5, -6


@dataclass(frozen=True, eq=False)
class Seams:
    """Which tokens of the tokenizer ``word``, written one behind the other, would be read as other tokens."""

    begins: NDArray[np.int32]  # (V + 1,), the last for NONE
    ends: NDArray[np.int32]  # (V + 1,)
    apostrophe: Flags  # (V + 1,)

    @classmethod
    def of_words(cls, spans: Spans) -> Seams:
        """The seams of a vocabulary whose ids begin with 3."""
        codes, places = _characters(spans)
        firsts, lasts = places.take(spans.starts), places.take(spans.starts + spans.lengths - 1)
        kinds = _kinds(codes)
        single = firsts == lasts
        led = codes.take(firsts) == 32
        begins, ends = kinds.take(firsts), kinds.take(lasts)
        begins[led] = _LED
        begins[led & ~single & (kinds.take(firsts + 1, mode="clip") == _ALONE)] = _LED_ALONE
        ends[single & led] = _OPEN
        first = len(SPECIALS)
        result = cls(
            np.full(len(firsts) + first + 1, _LED, np.int32),
            np.full(len(firsts) + first + 1, _BORDER, np.int32),
            np.zeros(len(firsts) + first + 1, bool),
        )
        result.begins[first:-1] = begins
        result.ends[first:-1] = ends
        result.ends[UNK] = _LETTER  # an unknown word of a prompt
        result.apostrophe[first:-1] = single & np.isin(codes.take(lasts), [0x27, 0x2019])
        return result

    def joins(
        self,
        before: NDArray[np.integer[Any]],
        last: NDArray[np.integer[Any]],
        tokens: NDArray[np.integer[Any]],
    ) -> Flags:
        """Which of these tokens grow together with the ``last`` one, and the one ``before`` it; broadcast."""
        begin, end = self.begins.take(tokens), self.ends.take(last)
        letter = begin == _LETTER
        inside = self.apostrophe.take(last) & (self.ends.take(before) == _LETTER)  # don ' t
        found: Flags = (begin == end) & (begin >= _LETTER)
        found |= letter & inside
        found |= (end == _OPEN) & (begin >= _ALONE)
        found |= (end == _BORDER) & (begin != _LED) & (begin != _ALONE)
        return found

    @cached_property
    def _groups(self) -> list[Ids]:
        """The tokens that begin alike."""
        return [np.flatnonzero(self.begins == kind) for kind in np.unique(self.begins)]

    def joining(self, before: int, last: int) -> Ids:
        """All tokens that `joins` tells of."""
        firsts = np.array([group[0] for group in self._groups])
        joined = np.flatnonzero(self.joins(np.array(before), np.array(last), firsts)).tolist()
        return np.concatenate([np.zeros(0, np.int64), *(self._groups[i] for i in joined)])


def _characters(spans: Spans) -> tuple[Ids, Ids]:
    """The code points of all tokens, and for each byte the place of its character among them."""
    size = int(spans.starts[-1] + spans.lengths[-1]) if len(spans.starts) else 0
    data: Bytes = spans.buffer[:size]
    if not size or int(data.max()) < 0x80:
        return data.astype(np.int64), np.arange(size)
    text = data.tobytes().decode("utf-8", "surrogatepass")  # nltk's tokens may hold surrogates
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.int64)
    places = np.cumsum((data & 0xC0) != 0x80)
    places -= 1
    return codes, places


def _of_each(codes: Ids, holds: Callable[[str], bool]) -> Flags:
    """For which code points a condition holds, asked once for each different one."""
    distinct = np.flatnonzero(np.bincount(codes))
    table = np.zeros(int(distinct[-1]) + 1 if len(distinct) else 1, bool)
    table[distinct] = [holds(chr(code)) for code in distinct.tolist()]
    return table.take(codes)


def _no_space(sign: str) -> bool:
    return not sign.isspace()


def _kinds(codes: Ids) -> NDArray[np.int32]:
    """_LETTER, _ALONE, _SPACE or its own code point for each, as the splitter itself takes it."""
    distinct = np.flatnonzero(np.bincount(codes))
    signs = [chr(code) for code in distinct.tolist()]
    block = "".join(f"a{sign}\na{sign}{sign}\na {sign}\n" for sign in signs).encode()
    ends = split_words(block).line_ends
    behind, twice, spaced = np.diff(ends, prepend=0).reshape(-1, 3).T
    kinds = distinct.astype(np.int32)
    kinds[behind == 1] = _LETTER
    kinds[twice == 3] = _ALONE
    kinds[spaced == 3] = _SPACE
    table = np.zeros(int(distinct[-1]) + 1 if len(distinct) else 1, np.int32)
    table[distinct] = kinds
    return table.take(codes)
