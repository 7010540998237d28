"""Free text that does not end, over any LanguageModel, and what would have been possible at each of its places.

Constraints are met with it: a given word is put where it fits best, and the end where it may be.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ngramgen.model import EOS
from ngramgen.randomness import uniforms
from ngramgen.sampling.draw import draw
from ngramgen.sampling.moment import Moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ngramgen.model import FloatArray, LanguageModel, State
    from ngramgen.sampling.filters import Filter

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]
    Seeds = NDArray[np.uint64]
    Words = Sequence[Sequence[int]]


class Walk(Protocol):
    """R walks of H words each; place t is the one after t words."""

    @property
    def tokens(self) -> Ints: ...

    def logprobs(self, ids: Sequence[int]) -> Floats:
        """Natural log-probability of these tokens at each place, (R, H + 1)."""
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
        asked = [tuple(ids) for ids in words]
        tokens = np.zeros((len(places), steps), np.int64)
        found = {ids: np.full((len(places), steps + 1), -np.inf) for ids in asked}
        lengths: dict[int, list[int]] = {}
        for row, start in enumerate(places):
            lengths.setdefault(len(start), []).append(row)
        for length, same in lengths.items():  # a state is rectangular
            rows = np.array(same)
            history = np.array([places[row] for row in same], np.int32).reshape(len(same), length)
            state = self.model.start(len(same))
            if length:
                state = self.model.advance(state, history)
            for step in range(steps + 1):
                logprobs = self.model.logprobs(state)
                for ids, values in found.items():
                    values[rows, step] = self._sequence(state, logprobs, ids)
                if step == steps:
                    break
                tokens[rows, step] = self._draw(logprobs, history, seeds.take(rows), step)
                new = tokens[rows, step, None].astype(np.int32)
                history = np.concatenate([history, new], axis=1)
                state = self.model.advance(state, new)
        return ModelWalk(tokens, places, found)

    def follow(self, places: list[tuple[int, ...]], ids: Words) -> list[tuple[int, ...]]:
        return [(*place, *more) for place, more in zip(places, ids, strict=True)]

    def _sequence(self, state: State, logprobs: FloatArray, ids: tuple[int, ...]) -> Floats:
        total = np.zeros(len(logprobs))
        for place, index in enumerate(ids):
            total += logprobs[:, index]
            if place + 1 < len(ids):
                state = self.model.advance(state, np.full((len(total), 1), index, np.int32))
                logprobs = self.model.logprobs(state)
        return total

    def _draw(self, logprobs: FloatArray, history: NDArray[np.int32], seeds: Seeds, step: int) -> Ints:
        rows = np.array(logprobs, np.float64)
        rows[:, EOS] = -np.inf
        moment = Moment.first(len(rows))
        moment = replace(moment, history=history, step=step, chances=uniforms(seeds, step + (1 << 32)))
        return draw(self.filters(rows, moment), uniforms(seeds, step))
