"""Sequences drawn step by step from whole distributions: the way that every LanguageModel and every option knows."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ngramgen.model import EOS
from ngramgen.randomness import uniforms
from ngramgen.sampling.copying import guard_of
from ngramgen.sampling.draw import draw, greedy
from ngramgen.sampling.filters import build_filters, possible
from ngramgen.sampling.mirostat import next_surprise
from ngramgen.sampling.moment import Moment

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ngramgen.model import FloatArray, LanguageModel, State
    from ngramgen.sampling.copying import CopyGuard, CopyState
    from ngramgen.sampling.filters import Filter
    from ngramgen.sampling.options import SamplingOptions

    Ids = NDArray[np.int32]
    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]
    Seeds = NDArray[np.uint64]

CHANCES = 1 << 32
"""Number CHANCES + t of a sequence is its chance beside number t, which draws token t."""
_BLOCK = 2**18  # log-probabilities filtered at a time: 2 MB a copy, which stay in the cache


@dataclass(frozen=True, eq=False)
class Step:
    """One new token for each of the rows that still run; the caller clears ``alive`` where it wants one to leave."""

    rows: Ints
    tokens: Ints
    logprobs: FloatArray  # (rows, V): the model's own
    alive: NDArray[np.bool_]


def steps(model: LanguageModel, prompts: Ids, options: SamplingOptions, seeds: Seeds) -> Iterator[Step]:
    """Step after step of sequences from prompts (B, T); rows leave after ``</s>``. Ends early when max_time is over."""
    begun = time.monotonic()
    chooser = _Chooser(build_filters(options, model.tokenizer), options)
    guard = None if options.max_copied_words is None else guard_of(model, options.max_copied_words)
    rows = np.arange(len(prompts))
    history = prompts if options.needs_history else prompts[:, :0]
    copied = None if guard is None else guard.start(list(prompts))
    surprise = np.full(len(prompts), 2 * options.mirostat_tau if options.mirostat else np.inf)
    state = read(model, prompts)
    for step in range(options.max_new_tokens):
        logprobs = model.logprobs(state)
        tokens, surprise = chooser.choose(logprobs, history, step, seeds[rows], surprise, guard, copied)
        alive = tokens != EOS
        yield Step(rows, tokens, logprobs, alive)
        late = options.max_time is not None and time.monotonic() - begun >= options.max_time
        if late or not alive.any() or step + 1 == options.max_new_tokens:
            return
        if guard is not None and copied is not None:
            copied = guard.advance(copied, tokens)
        if not alive.all():
            left = np.flatnonzero(alive)
            rows, tokens, history, surprise = rows[left], tokens[left], history[left], surprise[left]
            state = state.select(left)
            copied = None if copied is None else copied.select(left)
        new = tokens[:, None].astype(np.int32)
        if options.needs_history:
            history = np.concatenate([history, new], axis=1)
        state = model.advance(state, new)


@dataclass(frozen=True)
class _Chooser:
    """Filters rows and draws from them, so many at a time that memory stays small."""

    filters: Filter
    options: SamplingOptions

    @cached_property
    def is_plain(self) -> bool:
        """Whether nothing is filtered but what no model says."""
        return self.options.is_plain and not self.options.min_new_tokens

    def choose(
        self,
        logprobs: FloatArray,
        history: Ids,
        step: int,
        seeds: Seeds,
        surprise: Floats,
        guard: CopyGuard | None,
        copied: CopyState | None,
    ) -> tuple[Ints, Floats]:
        """A token for each row, (B,), and what mirostat permits next."""
        size = max(1, _BLOCK // logprobs.shape[1])
        found = [np.zeros(0, np.int64)]
        permitted = [surprise[:0]]
        for begin in range(0, len(logprobs), size):
            some = slice(begin, begin + size)
            part = logprobs[some]
            if guard is not None and copied is not None:
                part = guard.mask(copied.select(np.arange(begin, begin + len(part))), part)
            if self.is_plain:  # draw() takes rows of any sum
                found.append(draw(possible(part), uniforms(seeds[some], step)))
                permitted.append(surprise[some])
                continue
            chances = uniforms(seeds[some], step + CHANCES) if self.options.xtc_probability else np.zeros(len(part))
            filtered = self.filters(part, Moment(history[some], step, chances, surprise[some]))
            tokens = greedy(filtered) if self.options.is_greedy else draw(filtered, uniforms(seeds[some], step))
            found.append(tokens)
            permitted.append(self._permitted(filtered[np.arange(len(tokens)), tokens], surprise[some]))
        return np.concatenate(found), np.concatenate(permitted)

    def _permitted(self, drawn: Floats, surprise: Floats) -> Floats:
        if not self.options.mirostat:
            return surprise
        return next_surprise(surprise, -drawn / math.log(2), self.options.mirostat_tau, self.options.mirostat_eta)


def read(model: LanguageModel, prompts: Ids) -> State:
    """The state after the prompts (B, T), each different one read once."""
    different, which = np.unique(prompts, axis=0, return_inverse=True)
    state = model.start(len(different))
    if prompts.shape[1]:
        state = model.advance(state, different)
    return state if len(prompts) == 1 else state.select(which.reshape(-1))
