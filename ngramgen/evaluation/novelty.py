"""How much of a text stands so in another: the share of its runs of n tokens that do, and the longest copied stretch.

A run is n successive tokens of one line. A copied stretch is a stretch of tokens every n of which stand in the other
text: so it may be pieced together from several places, and one of fewer than n tokens is not seen. Words are counted
as in `ngramgen.text.words`. A run with a word that the other text, or the model's vocabulary, lacks is not copied.

>>> novelty(text_reference([b"the cat sat on the mat\\n"], length=3), [b"so the cat sat down\\n"]).longest_copied_text
'the cat sat'
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.ngram.copies import RECOMMENDED, CopyFilter, RunSet, check_length, copies_of, run_hashes, spread
from ngramgen.text.splitting import Spans, pieces
from ngramgen.text.tokenizers import Tokenizer
from ngramgen.text.vocabulary import Vocabulary, token_keys
from ngramgen.text.words import holds_word, run_together

Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Novelty:
    """How much of a text is copied; of several longest stretches the first is told. See this module's head."""

    lines: int
    tokens: int
    words: int
    run_length: int  # n, in tokens
    runs: int
    copied_runs: int
    copied_share: float  # of the runs; NaN where there is none
    longest_copied: int  # in words
    longest_copied_line: int | None  # its number, from 1
    longest_copied_text: str


@dataclass(frozen=True, eq=False)
class Reference:
    """What a text is compared with."""

    tokenizer: Tokenizer
    length: int  # n
    copied: Callable[[Spans], Flags]  # which runs of tokens are copied, (T - n + 1,), line ends disregarded


def model_reference(model: Any) -> Reference:
    """The training text of a model that carries a copy filter. Raises OptionError for one without."""
    copies = copies_of(model)
    return Reference(model.tokenizer, copies.length, partial(_copied_ids, copies, model.tokenizer))


def text_reference(blocks: Iterable[bytes], length: int = RECOMMENDED, kind: str = "word") -> Reference:
    """A text, in blocks of whole lines; takes 8 bytes of memory for each of its runs.

    ``kind`` is one of `ngramgen.text.tokenizers.KINDS`. Raises OptionError for a length that is not from 2 to 64, and
    TokenizerError.
    """
    check_length(length, "length")
    tokenizer = Tokenizer(kind, Vocabulary.from_tokens([]))  # tokens are known by their keys
    parts = (_hashes_within(tokenizer.split(piece), length) for block in blocks for piece in pieces(block))
    return Reference(tokenizer, length, partial(_copied_keys, RunSet.build(parts, length)))


def novelty(source: Reference | Any, blocks: Iterable[bytes]) -> Novelty:
    """How much of a text, in blocks of whole lines, is copied from a reference or a model's training text.

    Raises OptionError for a model without a copy filter.
    """
    counter = NoveltyCounter(source if isinstance(source, Reference) else model_reference(source))
    for block in blocks:
        counter.add(block)
    return counter.result()


class NoveltyCounter:
    """Gathers what `Novelty` tells, block by block."""

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self._lines = self._tokens = self._words = self._runs = self._copied = self._longest = 0
        self._line: int | None = None
        self._text = ""

    def add(self, block: bytes) -> None:
        """Read a block of whole lines."""
        for piece in pieces(block):
            self._add(self.reference.tokenizer.split(piece))

    def _add(self, spans: Spans) -> None:
        tokenizer, length = self.reference.tokenizer, self.reference.length
        line_of = _line_of(spans)
        is_word = holds_word(tokenizer.kind, spans)
        begins = is_word.copy()
        if run_together(tokenizer.kind):
            begins[1:] &= ~(is_word[:-1] & (line_of[1:] == line_of[:-1]))
        inside = _within_lines(line_of, length)
        copied = self.reference.copied(spans) & inside
        self._note_longest(spans, line_of, copied, is_word, begins)
        self._lines += len(spans.line_ends)
        self._tokens += len(is_word)
        self._words += int(np.count_nonzero(begins))
        self._runs += int(np.count_nonzero(inside))
        self._copied += int(np.count_nonzero(copied))

    def _note_longest(self, spans: Spans, line_of: Ints, copied: Flags, is_word: Flags, begins: Flags) -> None:
        edges = np.diff(copied.astype(np.int8), prepend=0, append=0)
        first = np.flatnonzero(edges > 0)
        if not len(first):
            return
        end = np.flatnonzero(edges < 0) + self.reference.length - 1
        before = np.zeros(len(begins) + 1, np.int64)
        np.cumsum(begins, out=before[1:])
        words = before.take(end) - before.take(first)
        words += is_word.take(first) & ~begins.take(first)  # of the first word an end counts too
        best = int(np.argmax(words))
        if int(words[best]) <= self._longest:
            return
        self._longest = int(words[best])
        self._line = self._lines + int(line_of[first[best]]) + 1
        some = slice(int(first[best]), int(end[best]))
        tokens = Spans(spans.buffer, spans.starts[some], spans.lengths[some], spans.line_ends[:0]).tokens()
        separator = b" " if self.reference.tokenizer.joins_with_space else b""
        self._text = separator.join(tokens).decode("utf-8", "replace").strip()

    def result(self) -> Novelty:
        """What was found so far."""
        return Novelty(
            self._lines,
            self._tokens,
            self._words,
            self.reference.length,
            self._runs,
            self._copied,
            self._copied / self._runs if self._runs else math.nan,
            self._longest,
            self._line,
            self._text,
        )


def _copied_ids(copies: CopyFilter, tokenizer: Tokenizer, spans: Spans) -> Flags:
    return copies.runs(tokenizer.vocabulary.find(spans))


def _copied_keys(known: RunSet, spans: Spans) -> Flags:
    return known.contains(run_hashes(spread(token_keys(spans)), known.length))


def _hashes_within(spans: Spans, length: int) -> NDArray[np.uint64]:
    """The hashes of all runs that lie in a line."""
    return run_hashes(spread(token_keys(spans)), length).compress(_within_lines(_line_of(spans), length))


def _line_of(spans: Spans) -> Ints:
    """The line of each token, (T,)."""
    return np.repeat(np.arange(len(spans.line_ends)), np.diff(spans.line_ends, prepend=0))


def _within_lines(line_of: Ints, length: int) -> Flags:
    """Which runs of tokens lie in one line, (T - length + 1,)."""
    count = max(0, len(line_of) - length + 1)
    within: Flags = line_of[:count] == line_of[length - 1 : length - 1 + count]
    return within
