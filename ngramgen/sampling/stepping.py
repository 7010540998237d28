"""Sequences drawn step by step from whole distributions: the way that every LanguageModel and every option knows."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ngramgen.model import BOS, EOS, UNK
from ngramgen.randomness import uniforms
from ngramgen.sampling.characters import CharacterGuard, filtered_whole
from ngramgen.sampling.copying import guard_of
from ngramgen.sampling.draw import draw, draw_weighted, greedy
from ngramgen.sampling.filters import build_filters, possible
from ngramgen.sampling.guarded import ATTEMPTS, again
from ngramgen.sampling.mirostat import next_surprise
from ngramgen.sampling.moment import Moment
from ngramgen.sampling.rows import normalise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ngramgen.model import FloatArray, LanguageModel, State
    from ngramgen.sampling.characters import GuardState
    from ngramgen.sampling.copying import CopyGuard, CopyState
    from ngramgen.sampling.filters import Filter
    from ngramgen.sampling.options import SamplingOptions

    Ids = NDArray[np.int32]
    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]
    Seeds = NDArray[np.uint64]

CHANCES = 1 << 32
"""Number CHANCES + t of a sequence is its chance beside number t, which draws token t."""
_STEPS_AHEAD = 32
_SLACK = 0.25
"""The share of a state's rows that may have ended before the others are moved together, where that takes long."""
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
    characters = CharacterGuard.of(model.tokenizer)
    guard = None if options.max_copied_words is None else guard_of(model, options.max_copied_words)
    chooser = _Chooser(build_filters(options, model.tokenizer), options, guard, characters)
    rows = np.arange(len(prompts))
    history = prompts if options.needs_history else prompts[:, :0]
    copied = None if guard is None else guard.start(list(prompts))
    spelt = None if characters is None else characters.start(list(prompts))
    surprise = np.full(len(prompts), 2 * options.mirostat_tau if options.mirostat else np.inf)
    if options.is_greedy:
        model = getattr(model, "guessing", None) or model
    state, held = read(model, prompts), rows  # the state's row of each sequence
    slack = _SLACK if getattr(model, "moves_rows_slowly", False) else 0.0
    numbers = _Numbers(seeds)
    for step in range(options.max_new_tokens):
        logprobs = model.logprobs(state)
        logprobs = logprobs if len(held) == state.batch else logprobs[held]
        drawn = numbers.at(rows, step)
        chances = uniforms(seeds[rows], step + CHANCES) if options.xtc_probability else np.zeros(len(rows))
        moment = Moment(history, step, chances, surprise)
        tokens, surprise = chooser.choose(logprobs, moment, drawn, copied)
        if characters is not None and spelt is not None:
            vetoed, after = characters.step(spelt, tokens)
            if vetoed.any():
                some = np.flatnonzero(vetoed)
                part = None if copied is None else copied.select(some)
                found = chooser.choose_again(logprobs[some], moment.select(some), drawn[some], part, spelt.select(some))
                tokens[some], surprise[some] = found
                after = characters.advance(spelt, tokens)
            spelt = after
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
            held = held[left]
            if len(held) <= (1 - slack) * state.batch:
                state, held = state.select(held), np.arange(len(held))
            copied = None if copied is None else copied.select(left)
            spelt = None if spelt is None else spelt.select(left)
        if options.needs_history:
            history = np.concatenate([history, tokens[:, None].astype(np.int32)], axis=1)
        new = np.full((state.batch, 1), EOS, np.int32)  # what rows say that have ended is of no account
        new[held, 0] = tokens
        state = model.advance(state, new)


class _Numbers:
    """The numbers by which tokens are drawn, many steps at a time: numpy's calls would cost more than the numbers."""

    def __init__(self, seeds: Seeds) -> None:
        self._seeds = seeds[:, None]
        self._block = np.zeros((0, 0))

    def at(self, rows: Ints, step: int) -> Floats:
        """The number of each row at a step, (R,); steps are asked for one after the other."""
        if step % _STEPS_AHEAD == 0:
            self._block = uniforms(self._seeds, np.arange(step, step + _STEPS_AHEAD))
        numbers: Floats = self._block[rows, step % _STEPS_AHEAD]
        return numbers


def _draw_plainly(logprobs: FloatArray, numbers: Floats) -> Ints:
    """draw() of rows in which only <unk> and <s> are left out."""
    weights = np.exp(logprobs)
    weights[:, [UNK, BOS]] = 0
    if weights.any(axis=1).all():
        return draw_weighted(weights, numbers)
    return draw(possible(logprobs), numbers)


@dataclass(frozen=True)
class _Chooser:
    """Filters rows and draws from them, so many at a time that memory stays small."""

    filters: Filter
    options: SamplingOptions
    guard: CopyGuard | None
    characters: CharacterGuard | None

    @cached_property
    def is_plain(self) -> bool:
        """Whether nothing is filtered but what no model says."""
        return self.options.is_plain and not self.options.min_new_tokens

    def choose(
        self, logprobs: FloatArray, moment: Moment, numbers: Floats, copied: CopyState | None
    ) -> tuple[Ints, Floats]:
        """A token for each row, (B,), and what mirostat permits next."""
        size = max(1, _BLOCK // logprobs.shape[1])
        found = [np.zeros(0, np.int64)]
        permitted = [moment.surprise[:0]]
        for begin in range(0, len(logprobs), size):
            some = slice(begin, begin + size)
            own, part = moment.select(some), logprobs[some]
            rows = np.arange(begin, begin + len(part))
            part = self._without_copies(part, None if copied is None else copied.select(rows))
            if self.is_plain:
                found.append(_draw_plainly(part, numbers[some]))
                permitted.append(own.surprise)
                continue
            filtered = self.filters(part, own)
            tokens = greedy(filtered) if self.options.is_greedy else draw(filtered, numbers[some])
            found.append(tokens)
            permitted.append(self._permitted(filtered[np.arange(len(tokens)), tokens], own.surprise))
        return np.concatenate(found), np.concatenate(permitted)

    def choose_again(
        self, logprobs: FloatArray, moment: Moment, numbers: Floats, copied: CopyState | None, spelt: GuardState
    ) -> tuple[Ints, Floats]:
        """The same for rows whose token would have broken a character: one of those that would not."""
        assert self.characters is not None
        part = self._without_copies(logprobs, copied)
        filtered, whole = filtered_whole(self.filters, part, moment, self.characters, spelt)
        others = again(numbers, np.array([ATTEMPTS]))
        tokens = greedy(whole) if self.options.is_greedy else draw(normalise(whole), others)
        return tokens, self._permitted(filtered[np.arange(len(tokens)), tokens], moment.surprise)

    def _without_copies(self, logprobs: FloatArray, copied: CopyState | None) -> FloatArray:
        return logprobs if self.guard is None or copied is None else self.guard.mask(copied, logprobs)

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
