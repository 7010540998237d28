"""Whole characters only: a guard that vetoes the token behind which a text could be no UTF-8 any more.

Where tokens are bytes, or pieces of them, a model may draw some that make no character. Such a token is vetoed, and so
is ``</s>`` inside of a character. Where the limit ends a text there, the character that was begun is left out.

>>> guard = CharacterGuard.of(model.tokenizer)   # doctest: +SKIP
>>> state = guard.start([prompt])                # doctest: +SKIP
>>> vetoed, state = guard.step(state, tokens)    # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ngramgen.model import EOS
from ngramgen.sampling.spelling import Spelling
from ngramgen.sampling.wellformed import BORDER, DEAD, follow
from ngramgen.text.tokenizers import Tokenizer as LineTokenizer

if TYPE_CHECKING:
    from ngramgen.model import FloatArray, IntArray, Tokenizer
    from ngramgen.sampling.filters import Filter
    from ngramgen.sampling.moment import Moment
    from ngramgen.sampling.rows import Rows

Ids = NDArray[np.int64]
Flags = NDArray[np.bool_]

_LOOK_BACK = 3  # bytes that tell whether a text ends inside of a character


@dataclass(frozen=True, slots=True, eq=False)
class GuardState:
    """Where each of B sequences stands, a row of integers each; never changed in place."""

    columns: Ids  # (B, width of the guard)

    def select(self, rows: IntArray) -> GuardState:
        """The given rows in the given order."""
        return GuardState(self.columns[rows])


class CharacterGuard:
    """Keeps sequences to well-formed UTF-8. Read-only; safe to share between threads."""

    width = 1
    """Columns of a state: that of `ngramgen.sampling.wellformed`."""

    def __init__(self, spelling: Spelling, states: NDArray[np.int8]) -> None:
        """``states`` are those of the spelling."""
        self._spelling, self._states = spelling, states
        self._is_whole = spelling.are_whole

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> CharacterGuard | None:
        """The guard of a tokenizer; None where every token is whole characters, or spaces part the tokens.

        >>> CharacterGuard.of(model.tokenizer) is None   # doctest: +SKIP
        True
        """
        if isinstance(tokenizer, LineTokenizer) and tokenizer.kind != "byte":
            return None
        if getattr(tokenizer, "joins_with_space", False) or not hasattr(tokenizer, "token_bytes"):
            return None
        spelling = Spelling.of(tokenizer)
        states = spelling.states
        return None if states is None else cls(spelling, states)

    def state(self, columns: Ids) -> GuardState:
        """The state of these columns, (B, width)."""
        return GuardState(columns)

    def start(self, prompts: Sequence[IntArray]) -> GuardState:
        """The state after each prompt (T,) of ids."""
        return GuardState(np.array([self.after(prompt) for prompt in prompts], np.int64).reshape(-1, 1))

    def after(self, prompt: IntArray) -> int:
        """The automaton's state after one prompt (T,) of ids, of which no more is read than is needed."""
        if not len(prompt) or self._is_whole[prompt[-1]]:
            return BORDER
        tail = b""
        for token in reversed(np.asarray(prompt)[-_LOOK_BACK:].tolist()):
            text = self._spelling.token(token)
            tail = text + tail
            if not text:
                break
        tail = tail[-_LOOK_BACK:]
        places = (follow(BORDER, tail[begin:]) for begin in range(len(tail)))
        return next((place for place in places if place not in (BORDER, DEAD)), BORDER)

    def step(self, state: GuardState, tokens: IntArray) -> tuple[Flags, GuardState]:
        """Which rows may not go on with these tokens, (B,) -> (B,), and the state after them."""
        after = self._states[state.columns[:, 0], tokens]
        return after == DEAD, GuardState(after[:, None].astype(np.int64))

    def advance(self, state: GuardState, tokens: IntArray) -> GuardState:
        """The state after these tokens, (B,)."""
        return self.step(state, tokens)[1]

    def vetoed(self, state: GuardState) -> Flags:
        """Which tokens may not come, (B, V)."""
        vetoed: Flags = self._states.take(state.columns[:, 0], axis=0) == DEAD
        return vetoed

    def mask(self, state: GuardState, logprobs: FloatArray) -> FloatArray:
        """Log-probabilities (B, V) with -inf for vetoed tokens, not normalised.

        A row in which no token is left gets ``</s>``, whatever its probability: its last character is left out.
        """
        result: FloatArray = np.where(self.vetoed(state), np.asarray(-np.inf, logprobs.dtype), logprobs)
        result[~(result[:, EOS:] > -np.inf).any(axis=1), EOS] = 0
        return result

    def permits(self, prompt: IntArray, ids: IntArray, ended: bool) -> bool:
        """Whether no new token (T,) behind a prompt (P,) is vetoed, nor ``</s>`` where it came."""
        if self._is_whole.take(ids).all() and self.after(prompt) == BORDER:
            return True
        return DEAD not in self._walk(prompt, [*ids.tolist(), EOS] if ended else ids.tolist())

    def kept(self, prompt: IntArray, ids: IntArray) -> int:
        """How many of the new tokens (T,) behind a prompt (P,) are left without a character that their end cuts."""
        if not len(ids) or self._is_whole[ids[-1]]:
            return len(ids)
        places = enumerate(self._walk(prompt, ids.tolist()), start=1)
        return max((count for count, place in places if place == BORDER), default=0)

    def permitted(self, prompt: IntArray, tokens: Iterable[int]) -> Iterator[int]:
        """Tokens behind a prompt (P,) up to the first that is vetoed, as they come."""
        place = self.after(prompt)
        for token in tokens:
            place = int(self._states[place, token])
            if place == DEAD:
                return
            yield token

    def whole(self, prompt: IntArray, tokens: Iterable[int]) -> Iterator[int]:
        """Tokens behind a prompt (P,) as they come, those of a character when it is whole."""
        held: list[int] = []
        place = self.after(prompt)
        for token in tokens:
            held.append(token)
            place = DEAD if place == DEAD else int(self._states[place, token])
            if place == BORDER:
                yield from held
                held = []

    def _walk(self, prompt: IntArray, tokens: Iterable[int]) -> Iterator[int]:
        """The state after each token, up to the dead one."""
        place = self.after(prompt)
        for token in tokens:
            place = int(self._states[place, token])
            yield place
            if place == DEAD:
                return


def filtered_whole(
    filters: Filter, logprobs: FloatArray, moment: Moment, guard: CharacterGuard, state: GuardState
) -> tuple[Rows, Rows]:
    """What filters leave of log-probabilities (B, V), and what the guard permits of that, not normalised again.

    Of a row in which they leave no permitted token they are given the permitted tokens alone.
    """
    filtered = filters(logprobs, moment)
    empty = ~((filtered > -np.inf) & ~guard.vetoed(state)).any(axis=1, keepdims=True)
    if empty.any():
        filtered = np.where(empty, filters(guard.mask(state, logprobs), moment), filtered)
    return filtered, guard.mask(state, filtered).astype(np.float64, copy=False)
