"""Beam search: the continuations of highest score that a few beams, followed side by side, come upon.

It is Hugging Face's search, decision for decision: a step looks at the 2 * num_beams best continuations of all beams
together; of these the num_beams best may be complete, and the num_beams best of the others are the next beams.
In one thing it goes further. Beam search can lose the greedy continuation on its way and end with something worse, so
that continuation is followed beside the beams, and comes first where it scores higher than all that they found.

>>> from ngramgen.sampling import SamplingOptions
>>> found = beam_search(model, [17, 4], SamplingOptions(num_beams=4), count=2)   # doctest: +SKIP
>>> [one.finish_reason for one in found]                                         # doctest: +SKIP
['eos', 'eos']
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ngramgen.errors import OptionError
from ngramgen.model import EOS
from ngramgen.sampling.characters import CharacterGuard
from ngramgen.sampling.copying import guard_of
from ngramgen.sampling.filters import build_filters
from ngramgen.sampling.generated import FinishReason, Generated, checked_prompt
from ngramgen.sampling.moment import Moment
from ngramgen.sampling.stepping import read
from ngramgen.sampling.truncation import ranked_columns

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ngramgen.model import FloatArray, IntArray, LanguageModel, Tokenizer
    from ngramgen.sampling.options import SamplingOptions

    Ids: TypeAlias = NDArray[np.int64]
    Floats: TypeAlias = NDArray[np.float64]
    Pair: TypeAlias = tuple[int, int]  # a row, and the place of one of its tokens among its likeliest

_BLOCK = 2**21  # log-probabilities filtered at a time: 16 MB a copy, however many beams and words
_UNFINISHED = "\ufffd"  # what a decoder shows for a character whose last bytes have not come yet


def beam_search(model: LanguageModel, prompt: ArrayLike, options: SamplingOptions, count: int = 1) -> list[Generated]:
    """The ``count`` best continuations of the prompt (T,) of ids that beam search completes, best first.

    A continuation's score is the sum of its log-probabilities divided by ``length ** length_penalty``. The sum is that
    of the filtered log-probabilities, each row normalised, of the new tokens and of ``</s>`` where it came; the length
    is the number of these tokens, ``</s>`` counted, the prompt not. Of the filters those apply that precede the
    temperature: penalties, biases, bans and min_new_tokens. ``Generated.logprob`` is the model's own, filters apart.

    The search ends when max_new_tokens or max_time is reached, when no beam is left, or, num_beams continuations being
    complete, with early_stopping=True at once; with False when the best beam's score as it stands is not above the
    worst of theirs; with "never" when it could not rise above that even at max_new_tokens (for a length_penalty of 0
    or less: as it stands).

    Nothing is random, equal scores go to the beam and then the token that come first, and no continuation comes twice;
    where fewer than ``count`` exist, all are given. Unless early_stopping is True the first one never scores less than
    the greedy continuation does.

    Raises OptionError for a count below 1 or above num_beams, for ids outside the vocabulary, and as build_filters and
    guard_of (max_copied_words) do.

    >>> beam_search(model, [17, 4], SamplingOptions(num_beams=4, early_stopping=True))[0].logprob   # doctest: +SKIP
    -7.25
    """
    if isinstance(count, bool) or not 1 <= count <= options.num_beams:
        raise OptionError(f"num_return_sequences is {count!r}, but must be from 1 to num_beams, {options.num_beams}.")
    ids = checked_prompt(prompt, model.vocab_size)
    if options.max_new_tokens == 0:
        return [Generated(ids[:0], 0.0, "length")]
    search = _Search(model, ids, options)
    while search.rows:
        search.step()
    return [hypothesis.result for hypothesis in search.found()[:count]]


def beam_options(options: SamplingOptions) -> SamplingOptions:
    """The options whose filters beam search applies: those of the greedy continuation.

    >>> beam_options(SamplingOptions(temperature=2)).is_greedy   # doctest: +SKIP
    True
    """
    return replace(options, greedy=True)


@dataclass(frozen=True, slots=True)
class _Hypothesis:
    score: float
    result: Generated


@dataclass(frozen=True, slots=True)
class _Continuations:
    """The likeliest next tokens of each row, best first: all three arrays are (R, k)."""

    tokens: Ids
    totals: Floats  # filtered log-probability of all new tokens, with this one
    own: Floats  # the same under the model itself


class _Search:
    """The rows of a search, one for each beam, best first, and perhaps one more for the greedy continuation."""

    def __init__(self, model: LanguageModel, prompt: NDArray[np.int32], options: SamplingOptions) -> None:
        self._model = model
        self._options = options
        self._filters = build_filters(beam_options(options), model.tokenizer)
        self._guard = None if options.max_copied_words is None else guard_of(model, options.max_copied_words)
        self._ids = prompt[None, :]  # (R, T) with the prompt
        self._prompt = prompt
        self._totals = np.zeros(1)
        self._own = np.zeros(1)
        self._state = read(model, self._ids)
        self._copied = None if self._guard is None else self._guard.start([prompt])
        self._characters = CharacterGuard.of(model.tokenizer)
        self._spelt = None if self._characters is None else self._characters.start([prompt])
        self._beams = 1
        self._complete: list[_Hypothesis] = []  # at most num_beams, best first
        # With early_stopping=True the search may not go on only to learn how the greedy continuation ends.
        self._greedy: int | None = None if options.early_stopping is True else 0
        self._greedy_end: _Hypothesis | None = None
        self._begun = time.monotonic()
        self._limit: FinishReason | None = None  # what completes every continuation at the step under way

    @property
    def rows(self) -> int:
        """How many rows are still followed."""
        return len(self._ids)

    @property
    def _length(self) -> int:
        return int(self._ids.shape[1]) - self._prompt.size

    def found(self) -> list[_Hypothesis]:
        """The complete continuations, best first."""
        greedy = self._greedy_end
        if greedy is not None and (not self._complete or greedy.score > self._complete[0].score):
            return _distinct([greedy, *self._complete])
        return self._complete

    def step(self) -> None:
        """Appends one token to every row, and settles which are complete and which are followed."""
        new = self._continuations()
        self._limit = self._reached()
        live: list[Pair] = []
        for rank, pair in enumerate(self._best(new)):
            ended = self._ended(new, pair)
            if ended is None:
                live.append(pair)
            elif rank < self._options.num_beams:
                self._complete.append(ended)
        live = live[: self._options.num_beams]
        self._complete = _distinct(sorted(self._complete, key=lambda hypothesis: -hypothesis.score))
        del self._complete[self._options.num_beams :]
        if live and self._is_over(float(new.totals[live[0]])):
            live = []
        self._beams = len(live)
        self._follow(new, self._with_greedy(new, live))

    def _continuations(self) -> _Continuations:
        """The likeliest tokens of every row, found for as many rows at a time as keep memory small."""
        kept = min(2 * self._options.num_beams, self._model.vocab_size)
        block = max(1, _BLOCK // self._model.vocab_size)
        parts = []
        for start in range(0, self.rows, block):
            some = np.arange(start, min(start + block, self.rows))
            state = self._state if some.size == self.rows else self._state.select(some)
            logprobs = self._model.logprobs(state)
            filtered = self._filters(self._permitted(logprobs, some), self._moment(some))
            if self._characters is not None and self._spelt is not None:
                filtered = self._characters.mask(self._spelt.select(some), filtered).astype(np.float64, copy=False)
            tokens = ranked_columns(filtered, kept)
            totals = self._totals[some, None] + np.take_along_axis(filtered, tokens, axis=1)
            own = self._own[some, None] + np.take_along_axis(logprobs, tokens, axis=1)
            parts.append((tokens, totals, own))
        return _Continuations(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

    def _permitted(self, logprobs: FloatArray, rows: Ids) -> FloatArray:
        """The log-probabilities without the tokens that would copy too much."""
        if self._guard is None or self._copied is None:
            return logprobs
        permitted: FloatArray = self._guard.mask(self._copied.select(rows), logprobs)
        return permitted

    def _reached(self) -> FinishReason | None:
        if self._length + 1 == self._options.max_new_tokens:
            return "length"
        limit = self._options.max_time
        return "time" if limit is not None and time.monotonic() - self._begun >= limit else None

    def _moment(self, rows: Ids) -> Moment:
        size = rows.size
        return Moment(self._ids[rows], self._length, np.zeros(size), np.full(size, np.inf))

    def _best(self, new: _Continuations) -> list[Pair]:
        """The 2 * num_beams best continuations of the beams that are possible at all."""
        totals = new.totals[: self._beams].ravel()
        width = new.totals.shape[1]
        order = np.argsort(-totals, kind="stable")[: 2 * self._options.num_beams]
        order = order[totals[order] > -np.inf]
        return [divmod(place, width) for place in order.tolist()]

    def _ended(self, new: _Continuations, pair: Pair) -> _Hypothesis | None:
        """The continuation if its last token completes it."""
        token = int(new.tokens[pair])
        ids = self._ids[pair[0], self._prompt.size :]
        if token != EOS:
            ids = np.append(ids, np.int32(token))
        reason: FinishReason | None = "eos" if token == EOS else self._limit
        text_end, own = None, None
        kept = len(ids) if reason is None or self._characters is None else self._characters.kept(self._prompt, ids)
        if kept < len(ids):
            ids, reason = ids[:kept], self._limit or "length"
            own = self._logprob(ids)
        if self._options.stop:
            text_end = _stop_place(self._model.tokenizer, ids, self._options.stop, is_whole=reason is not None)
        if text_end is not None:
            reason = "stop"
        if reason is None:
            return None
        score = _score(float(new.totals[pair]), self._length + 1, self._options.length_penalty)
        return _Hypothesis(score, Generated(ids, float(new.own[pair]) if own is None else own, reason, text_end))

    def _logprob(self, ids: IntArray) -> float:
        """What the model itself gives new tokens."""
        scores = self._model.score(np.concatenate([self._prompt, ids]).astype(np.int32))
        return float(scores[self._prompt.size :].sum())

    def _is_over(self, best: float) -> bool:
        """Whether num_beams continuations are complete and the beams, the best one's sum given, may rest."""
        if len(self._complete) < self._options.num_beams:
            return False
        early = self._options.early_stopping
        return early is True or not self._hope(best, bounded=early == "never") > self._complete[-1].score

    def _hope(self, total: float, *, bounded: bool) -> float:
        """The score of a row as it will stand after this step, or bounded the highest that it can come to.

        A sum never rises; divided by a positive power of the length it is highest at the greatest length.
        """
        penalty = self._options.length_penalty
        return _score(total, self._options.max_new_tokens if bounded and penalty > 0 else self._length + 1, penalty)

    def _with_greedy(self, new: _Continuations, live: list[Pair]) -> list[Pair]:
        """The rows to follow: the beams, and the greedy continuation where it is none of them."""
        if self._greedy is None:
            return live
        pair = (self._greedy, 0)
        self._greedy_end = self._ended(new, pair)
        rows = live if pair in live else [*live, pair]
        if self._greedy_end is not None or (rows is not live and self._is_behind(float(new.totals[pair]))):
            self._greedy = None
            return live
        self._greedy = rows.index(pair)
        return rows

    def _is_behind(self, total: float) -> bool:
        """Whether a row with that sum can no longer come before the best complete continuation."""
        return bool(self._complete) and self._hope(total, bounded=True) <= self._complete[0].score

    def _follow(self, new: _Continuations, pairs: list[Pair]) -> None:
        rows = np.array([row for row, _ in pairs], dtype=np.int64)
        places = rows, np.array([place for _, place in pairs], dtype=np.int64)
        tokens = new.tokens[places][:, None].astype(np.int32)
        self._ids = np.concatenate([self._ids[rows], tokens], axis=1)
        self._totals, self._own = new.totals[places], new.own[places]
        if not pairs:
            return
        self._state = self._model.advance(self._state.select(rows), tokens)
        if self._guard is not None and self._copied is not None:
            self._copied = self._guard.advance(self._copied.select(rows), tokens[:, 0])
        if self._characters is not None and self._spelt is not None:
            self._spelt = self._characters.advance(self._spelt.select(rows), tokens[:, 0])


def _distinct(hypotheses: list[_Hypothesis]) -> list[_Hypothesis]:
    """Each continuation once, where it comes first: without a cut character two may be the same."""
    found: dict[bytes, _Hypothesis] = {}
    for one in hypotheses:
        found.setdefault(one.result.ids.tobytes(), one)
    return list(found.values())


def _score(total: float, length: int, penalty: float) -> float:
    if total == 0:
        return 0.0
    with np.errstate(over="ignore", under="ignore", divide="ignore"):  # a penalty may be large
        return float(np.float64(total) / np.float64(length) ** penalty)


def _stop_place(tokenizer: Tokenizer, ids: IntArray, stop: tuple[str, ...], *, is_whole: bool) -> int | None:
    """Where the first stop string stands in the text of ids, as growing.Continuation would find it."""
    text = tokenizer.decode(ids)
    if not is_whole and text.endswith(_UNFINISHED):
        return None
    return min((place for place in map(text.find, stop) if place >= 0), default=None)
