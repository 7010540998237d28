"""Scores of lines, and perplexity of whole texts, as KenLM's ``query`` defines them.

Let L be the sum of log10 p over all tokens (``</s>`` of every line included, ``<s>`` not), N their number, and let L'
and N' leave out the tokens that the vocabulary lacks. Then perplexity = 10^(-L/N), perplexity_excluding_oov =
10^(-L'/N'), and bits_per_byte = -L log2(10) / bytes of the text before cleaning, each line end counted as one.
A tokenizer that has tokens for newlines ends no line with </s>: theirs are counted.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.model import BOS, UNK, LanguageModel, Tally, score_sentences
from ngramgen.text.splitting import pieces
from ngramgen.text.tokenizers import bordered


@dataclass(frozen=True)
class LineScores:
    """Of each line of a block, (L,): log10 probability, tokens with </s>, and how many the vocabulary lacks."""

    log10: NDArray[np.float64]
    tokens: NDArray[np.int64]
    oov: NDArray[np.int64]


@dataclass(frozen=True)
class Perplexity:
    """How well a text was predicted; see this module's head for each number."""

    tokens: int
    oov: int
    log10: float
    perplexity: float
    perplexity_excluding_oov: float
    bits_per_byte: float
    neural_calls: float  # the share of tokens for which a network was called
    ms_per_token: float = field(compare=False)  # milliseconds that the scoring of a token took


def score_block(model: LanguageModel, block: bytes) -> LineScores:
    """The scores of a block of whole lines, each a sentence."""
    words, natural = _token_logprobs(model, block)
    begins = np.flatnonzero(words == BOS)
    if not len(begins):
        empty = np.zeros(0, np.int64)
        return LineScores(np.zeros(0), empty, empty)
    log10 = np.add.reduceat(natural, begins) / math.log(10)
    tokens = np.diff(begins, append=len(words)) - 1
    return LineScores(log10, tokens, np.add.reduceat((words == UNK).astype(np.int64), begins))


def _token_logprobs(
    model: Any, block: bytes, *, running: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Words with their borders, (T,), and the natural log-probability of each in its sentence alone, 0 at <s>.

    With ``running`` a model that can sees the lines before, too. Where the tokenizer has tokens for newlines there is
    no </s>, and <s> only tells where a line begins.
    """
    words = bordered(model.tokenizer, block)
    return words, score_sentences(model, words, running=running)


@dataclass
class PerplexityCounter:
    """Adds up what `Perplexity` needs, block by block."""

    model: LanguageModel
    tokens: int = 0
    oov: int = 0
    size: int = 0
    calls: int = 0
    seconds: float = 0.0
    _log10: list[float] = field(default_factory=list)
    _oov_log10: list[float] = field(default_factory=list)

    def add(self, block: bytes, size: int) -> None:
        """Score a block of whole lines that stood for ``size`` bytes of text."""
        for piece in pieces(block):
            begun, before = time.perf_counter(), self._calls()
            words, natural = _token_logprobs(self.model, piece, running=True)
            self.seconds += time.perf_counter() - begun
            self.calls += self._calls() - before
            unknown = words == UNK
            self.tokens += len(words) - int(np.count_nonzero(words == BOS))
            self.oov += int(np.count_nonzero(unknown))
            self._log10.append(float(natural.sum()) / math.log(10))
            self._oov_log10.append(float(natural[unknown].sum()) / math.log(10))
        self.size += size

    def _calls(self) -> int:
        tally: Tally | None = getattr(self.model, "tally", None)
        return 0 if tally is None else tally.calls

    def result(self) -> Perplexity:
        """The numbers so far; NaN where there was nothing to measure."""
        log10, oov_log10 = math.fsum(self._log10), math.fsum(self._oov_log10)
        known = log10 - oov_log10 if math.isfinite(oov_log10) else math.nan
        return Perplexity(
            self.tokens,
            self.oov,
            log10,
            _power(log10, self.tokens),
            _power(known, self.tokens - self.oov),
            -log10 / math.log10(2) / self.size if self.size else math.nan,
            self.calls / self.tokens if self.tokens else math.nan,
            1000 * self.seconds / self.tokens if self.tokens else math.nan,
        )


def _power(log10: float, tokens: int) -> float:
    if not tokens:
        return math.nan
    exponent = -log10 / tokens
    return math.inf if exponent > 308 else 10**exponent


def score_lines(model: LanguageModel, blocks: Iterable[bytes]) -> Iterator[LineScores]:
    """`score_block` of every block, in pieces that fit the cache."""
    for block in blocks:
        for piece in pieces(block):
            yield score_block(model, piece)
