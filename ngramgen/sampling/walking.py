"""Free text that does not end, over any LanguageModel, and what would have been possible at each of its places.

Constraints are met with it: a given word is put where it fits best, and the end where it may be.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ngramgen.model import EOS
from ngramgen.randomness import uniforms
from ngramgen.sampling.choosing import without_specials
from ngramgen.sampling.draw import draw
from ngramgen.sampling.moment import Moment
from ngramgen.sampling.stepping import CHANCES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ngramgen.model import LanguageModel, State
    from ngramgen.sampling.filters import Filter

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]
    Seeds = NDArray[np.uint64]
    Words = Sequence[Sequence[int]]

_BLOCK = 2**21  # log-probabilities at a time


class Walk(Protocol):
    """R walks of H words each; place t is the one after t words. A walk ends for good at a </s>, if one is in it."""

    @property
    def tokens(self) -> Ints: ...

    def logprobs(self, ids: Sequence[int]) -> Floats:
        """Natural log-probability of these tokens at each place, (R, H + 1); of <unk> -inf where it is left out."""
        ...

    def at(self, rows: Ints, places: Ints) -> Any:
        """Where walks may go on from: the given places (Q,) of the given rows."""
        ...


class Walker(Protocol):
    """A model and a way of drawing. What it walks from is a row of places, whatever the engine makes of them."""

    def begin(self, prompts: Words) -> Any:
        """The places after ``<s>`` and these prompts."""
        ...

    def walk(self, places: Any, seeds: Seeds, steps: int, words: Words) -> Walk:
        """``steps`` words from each of R places, with a child seed each; ``words`` are those that will be asked for."""
        ...

    def follow(self, places: Any, ids: Words) -> Any:
        """The places after more tokens, those of each row."""
        ...


@dataclass(frozen=True)
class ModelWalk:
    """A walk of a `ModelWalker`; its places are rows of all tokens so far."""

    tokens: Ints
    starts: list[tuple[int, ...]]
    found: dict[tuple[int, ...], Floats]

    def logprobs(self, ids: Sequence[int]) -> Floats:
        return self.found[tuple(ids)]

    def at(self, rows: Ints, places: Ints) -> list[tuple[int, ...]]:
        return [
            (*self.starts[row], *self.tokens[row, :place].tolist())
            for row, place in zip(rows.tolist(), places.tolist(), strict=True)
        ]


@dataclass(frozen=True)
class ModelWalker:
    """Walks with nothing but the methods that every LanguageModel has."""

    model: LanguageModel
    filters: Filter

    def begin(self, prompts: Words) -> list[tuple[int, ...]]:
        return [tuple(prompt) for prompt in prompts]

    def walk(self, places: list[tuple[int, ...]], seeds: Seeds, steps: int, words: Words) -> ModelWalk:
        tokens = np.zeros((len(places), steps), np.int64)
        found = {tuple(ids): np.full((len(places), steps + 1), -np.inf) for ids in words}
        some = max(1, _BLOCK // self.model.vocab_size)
        for length, same in _by_length(places).items():  # a state is rectangular
            for begin in range(0, len(same), some):
                rows = np.array(same[begin : begin + some])
                history = np.array([places[row] for row in rows.tolist()], np.int32).reshape(len(rows), length)
                self._walk(rows, history, seeds.take(rows), tokens, found)
        return ModelWalk(tokens, places, found)

    def _walk(
        self, rows: Ints, history: NDArray[np.int32], seeds: Seeds, tokens: Ints, found: dict[tuple[int, ...], Floats]
    ) -> None:
        """Fills the given rows of the tokens and of what is found."""
        state = self.model.start(len(rows))
        if history.shape[1]:
            state = self.model.advance(state, history)
        steps = tokens.shape[1]
        for step in range(steps + 1):
            outlook = _Outlook(self.model, state)
            for ids, values in found.items():
                values[rows, step] = outlook.logprobs(ids)
            if step == steps:
                break
            new = self._draw(outlook.after(())[1], history, seeds, step)
            tokens[rows, step] = new
            history = np.concatenate([history, new[:, None].astype(np.int32)], axis=1)
            state = self.model.advance(state, history[:, -1:])

    def follow(self, places: list[tuple[int, ...]], ids: Words) -> list[tuple[int, ...]]:
        return [(*place, *more) for place, more in zip(places, ids, strict=True)]

    def _draw(self, logprobs: Floats, history: NDArray[np.int32], seeds: Seeds, step: int) -> Ints:
        """Another token than </s> for each row, but where there is none."""
        rows = logprobs.copy()
        rows[:, EOS] = -np.inf
        found = np.full(len(rows), EOS, np.int64)
        left = np.flatnonzero(rows.max(axis=1) > -np.inf)
        if len(left):
            some = seeds.take(left)
            moment = replace(
                Moment.first(len(left)), history=history[left], step=step, chances=uniforms(some, step + CHANCES)
            )
            found[left] = draw(self.filters(rows[left], moment), uniforms(some, step))
        return found


class _Outlook:
    """What some rows of a state may say next, and then next."""

    def __init__(self, model: LanguageModel, state: State) -> None:
        self._model = model
        self._known: dict[tuple[int, ...], tuple[State, Floats]] = {}
        self._known[()] = state, without_specials(model.logprobs(state))

    def after(self, ids: tuple[int, ...]) -> tuple[State, Floats]:
        """The state after some tokens and its log-probabilities; kept, since many ways begin in the same tokens."""
        if ids not in self._known:
            before, _ = self.after(ids[:-1])
            state = self._model.advance(before, np.full((before.batch, 1), ids[-1], np.int32))
            self._known[ids] = state, without_specials(self._model.logprobs(state))
        return self._known[ids]

    def logprobs(self, ids: tuple[int, ...]) -> Floats:
        """The natural log-probability of some tokens in each row, (R,)."""
        total = np.zeros(self._known[()][0].batch)
        for place, index in enumerate(ids):
            if total.max() == -np.inf:
                break
            total = total + self.after(ids[:place])[1][:, index]
        return total


def _by_length(places: list[tuple[int, ...]]) -> dict[int, list[int]]:
    lengths: dict[int, list[int]] = {}
    for row, place in enumerate(places):
        lengths.setdefault(len(place), []).append(row)
    return lengths
