"""The lines of an ARPA section, a block at a time: where their words are, and what their numbers say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ngramgen.errors import ArpaError
from ngramgen.ngram.arpa_numbers import LOG_ZERO, parse_numbers
from ngramgen.text.splitting import Offsets, Spans, split_whitespace

Refusal = Callable[[int, str], ArpaError]

HIGHEST_LOG = 33.0
"""The highest logarithm of a backoff; float32 ends at 1e38."""

_TAB = ord("\t")
_NONE = np.zeros(0, np.int64)
_NO_WORDS = Spans(np.zeros(0, np.uint8), _NONE, _NONE, _NONE)


@dataclass(frozen=True)
class SectionRules:
    """What the lines of a section must look like."""

    order: int
    highest: bool  # whether no section follows
    lenient: bool
    refusal: Refusal


@dataclass(frozen=True)
class Lines:
    """The n-grams of some lines, N of them."""

    words: Spans  # (N * order,) tokens
    logs: NDArray[np.float32]  # (N,) log10 p, none positive
    backoffs: NDArray[np.float32]  # (N,) log10 gamma
    numbers: NDArray[np.int64]  # (N,) of the lines

    def __len__(self) -> int:
        return len(self.logs)

    def without_words(self) -> Lines:
        """The numbers only, so that the text can go."""
        return Lines(_NO_WORDS, self.logs, self.backoffs, self.numbers)


def parse_lines(block: bytes, first_line: int, rules: SectionRules) -> tuple[Lines, Offsets]:
    """The n-grams of whole lines, and the numbers of the blank ones. Raises ArpaError."""
    spans = split_whitespace(block)
    ends = spans.line_ends
    fields = np.diff(ends, prepend=0)
    filled = np.flatnonzero(fields)
    numbers = filled + first_line
    blank = np.flatnonzero(fields == 0) + first_line
    ends, fields = ends[filled], fields[filled]
    k = rules.order
    wrong = np.flatnonzero((fields != k + 1) & (fields != k + 2))
    if len(wrong):
        line, found = int(numbers[wrong[0]]), int(fields[wrong[0]])
        what = f"it has {found} fields, but a {k}-gram has a probability, {k} words and at most a backoff"
        raise rules.refusal(line, f"{what}; repair the line")
    firsts = ends - fields
    has_backoff = fields == k + 2
    lasts = ends[has_backoff] - 1
    if not rules.lenient:
        _check_tabs(spans, firsts, lasts, numbers, has_backoff, rules.refusal)
    logs = _probabilities(spans, firsts, numbers, rules)
    backoffs = np.zeros(len(filled))
    if len(lasts):
        backoffs[has_backoff] = _backoffs(spans, lasts, numbers[has_backoff], rules)
    places = (firsts[:, None] + np.arange(1, k + 1)).ravel()
    words = Spans(spans.buffer, spans.starts.take(places), spans.lengths.take(places), _NONE)
    return Lines(words, logs.astype(np.float32), backoffs.astype(np.float32), numbers), blank


def _check_tabs(
    spans: Spans, firsts: Offsets, lasts: Offsets, numbers: Offsets, has_backoff: NDArray[np.bool_], refusal: Refusal
) -> None:
    """Refuse a line in which no tab stands behind the probability or before the backoff."""
    behind = spans.starts.take(firsts) + spans.lengths.take(firsts)
    untabbed = spans.buffer.take(behind) != _TAB
    untabbed[has_backoff] |= spans.buffer.take(spans.starts.take(lasts) - 1) != _TAB
    if untabbed.any():
        line = int(numbers[int(np.argmax(untabbed))])
        raise refusal(
            line,
            "no tab parts the numbers from the words; put tabs there, or convert it with --lenient (lenient=True)",
        )


def _probabilities(spans: Spans, places: Offsets, numbers: Offsets, rules: SectionRules) -> NDArray[np.float64]:
    logs = parse_numbers(spans.buffer, spans.starts.take(places), spans.lengths.take(places))
    bad = np.isnan(logs) if rules.lenient else ~(logs <= 0)
    if bad.any():
        first = int(np.argmax(bad))
        text = word_at(spans, int(places[first]))
        if np.isnan(logs[first]):
            what = f"{text} is not a number, but a line begins with log10 of a probability; repair the line"
        else:
            what = (
                f"the log10 probability {text} is positive; make the model anew, "
                "or convert it with --lenient (lenient=True) to read it as 0"
            )
        raise rules.refusal(int(numbers[first]), what)
    return np.clip(logs, LOG_ZERO, 0)


def _backoffs(spans: Spans, places: Offsets, numbers: Offsets, rules: SectionRules) -> NDArray[np.float64]:
    values = parse_numbers(spans.buffer, spans.starts.take(places), spans.lengths.take(places))
    values[np.isneginf(values)] = LOG_ZERO  # as lmplz writes a gamma of 0
    bad = ~np.isfinite(values)
    if bad.any():
        first = int(np.argmax(bad))
        what = f"the backoff {word_at(spans, int(places[first]))} is not a finite number; repair the line"
        raise rules.refusal(int(numbers[first]), what)
    if not rules.highest:
        return np.clip(values, LOG_ZERO, HIGHEST_LOG)
    if not rules.lenient and values.any():
        first = int(np.argmax(values != 0))
        what = f"the backoff {word_at(spans, int(places[first]))} of the highest order has no meaning"
        raise rules.refusal(int(numbers[first]), f"{what}; delete it, or convert it with --lenient (lenient=True)")
    return np.zeros(len(values))


def word_at(spans: Spans, place: int) -> str:
    """One of the fields as a message quotes it."""
    start, length = int(spans.starts[place]), int(spans.lengths[place])
    return shown(spans.buffer[start : start + length].tobytes())


def shown(text: bytes) -> str:
    """A piece of the file as a message quotes it."""
    whole = repr(text.decode("utf-8", "backslashreplace"))
    return whole if len(whole) <= 60 else f"{whole[:57]}..."
