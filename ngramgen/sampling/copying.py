"""No verbatim copying: a guard that vetoes the token with which a text would copy too many words in a row.

A copied run is a stretch of tokens every n of which occur in the training text (`ngramgen.ngram.copies.CopyFilter`), in
prompt and continuation alike. A token is vetoed if it would be the last of a copied run of more than K words. More than
K successive words that stand so in a line of the training text are at least n tokens long, so they would be such a
run. With the tokenizer ``word``, a token that would grow together with the one before it ("how" and "las") is vetoed
too, so that the words that were counted are the words of the text. ``</s>`` is always permitted.

>>> guard = guard_of(model, max_copied_words=5)   # doctest: +SKIP
>>> state = guard.start([prompt])                 # doctest: +SKIP
>>> rows = guard.mask(state, logprobs)            # doctest: +SKIP
>>> state = guard.advance(state, tokens)          # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.errors import OptionError
from ngramgen.model import EOS
from ngramgen.ngram.copies import SHORTEST, CopyFilter, copies_of, follow, spread
from ngramgen.text.words import NONE, WordTokens, word_tokens

if TYPE_CHECKING:
    from ngramgen.model import FloatArray, IntArray

Ids = NDArray[np.int64]
Flags = NDArray[np.bool_]

_JOINT = 2  # tokens that tell whether the next one grows together with them


@dataclass(frozen=True, slots=True, eq=False)
class CopyState:
    """Where each of B sequences stands, a row of integers each; never changed in place.

    The columns: the last tokens, NONE before the first; the words of the copied run in which the row ends or, where it
    ends in none, of the tokens that the next one may make a run; and 1 where it ends in one, else 0.
    """

    columns: Ids  # (B, width of the guard)

    @property
    def batch(self) -> int:
        return len(self.columns)

    @property
    def tokens(self) -> Ids:
        return self.columns[:, :-2]

    @property
    def words(self) -> Ids:
        return self.columns[:, -2]

    @property
    def is_copied(self) -> Flags:
        """Which rows end in a copied run."""
        return self.columns[:, -1] > 0

    def select(self, rows: IntArray) -> CopyState:
        """The given rows in the given order."""
        return CopyState(self.columns[rows])


class CopyGuard:
    """Holds the copied runs of sequences to ``max_copied_words`` words. Read-only; safe to share between threads."""

    def __init__(self, copies: CopyFilter, words: WordTokens, max_copied_words: int) -> None:
        """Raises OptionError for fewer words than runs of that length can bound."""
        self.copies, self.words = copies, words
        self.most = checked_words(max_copied_words, copies.length, words.runs_together)
        self._reach = copies.length - 1  # tokens that make a run together with the next one
        self._kept = max(self._reach, _JOINT)
        self._values = spread(np.arange(len(words.is_word) - 1))

    @property
    def width(self) -> int:
        """Columns of a state."""
        return self._kept + 2

    def state(self, columns: Ids) -> CopyState:
        """The state of these columns, (B, width)."""
        return CopyState(columns)

    def start(self, prompts: Sequence[IntArray]) -> CopyState:
        """The state after each prompt (T,) of ids, ``<s>`` not among them; a copied run may begin in a prompt."""
        distinct = {id(prompt): prompt for prompt in prompts}  # the same prompt many times is the same object
        rows = {key: self._after(np.asarray(prompt)) for key, prompt in distinct.items()}
        if not rows:
            return CopyState(np.zeros((0, self.width), np.int64))
        return CopyState(np.stack([rows[id(prompt)] for prompt in prompts]))

    def _after(self, prompt: IntArray) -> Ids:
        """The row of a state after one prompt."""
        row = np.full(self.width, NONE, np.int64)
        tail = prompt[max(0, len(prompt) - self._kept) :]
        row[self._kept - len(tail) : self._kept] = tail
        runs = self.copies.runs(prompt)
        breaks = np.flatnonzero(~runs)
        begin = int(breaks[-1]) + 1 if len(breaks) else 0  # of the copied run in which the prompt ends
        row[-1] = begin < len(runs)
        run = prompt[begin:] if row[-1] else tail[max(0, len(tail) - self._reach) :]
        row[-2] = self.words.count(run[None, :])[0]
        return row

    def vetoed(self, state: CopyState, tokens: IntArray) -> Flags:
        """Which rows may not go on with these tokens, (B,) -> (B,)."""
        return self.step(state, tokens)[0]

    def advance(self, state: CopyState, tokens: IntArray) -> CopyState:
        """The state after these tokens, (B,)."""
        return self.step(state, tokens)[1]

    def step(self, state: CopyState, tokens: IntArray) -> tuple[Flags, CopyState]:
        """What `vetoed` and `advance` give, for the price of one."""
        new = np.asarray(tokens, np.int64)
        before, last = state.tokens[:, -2], state.tokens[:, -1]
        rows = np.flatnonzero(self._is_whole(state) & (new > EOS))
        copied = np.zeros(state.batch, bool)
        copied[rows] = self._are_copied(self._prefix(state.tokens.take(rows, axis=0)), new.take(rows))
        words = state.words + self.words.added(last, new)
        vetoed = copied & (words > self.most)
        if self.words.seams is not None:
            vetoed |= self.words.seams.joins(before, last, new)
        columns = np.empty_like(state.columns)
        columns[:, : self._kept - 1] = state.tokens[:, 1:]
        columns[:, self._kept - 1] = new
        columns[:, -2] = np.where(copied, words, self.words.count(columns[:, self._kept - self._reach : self._kept]))
        columns[:, -1] = copied
        return vetoed, CopyState(columns)

    def vetoed_all(self, state: CopyState, ids: IntArray) -> Flags:
        """Which of these tokens a state of one row may not go on with, (C,) -> (C,)."""
        candidates = np.asarray(ids, np.int64)
        result = self._lead_too_far(state, candidates)
        if self.words.seams is not None:
            result |= self.words.seams.joins(state.tokens[0, -2], state.tokens[0, -1], candidates)
        return result

    def mask(self, state: CopyState, logprobs: FloatArray) -> FloatArray:
        """Log-probabilities (B, V) with -inf for vetoed tokens, not normalised.

        A row in which no word is left gets ``</s>``, whatever its probability.
        """
        result: FloatArray = np.array(logprobs)
        seams = self.words.seams
        near = set(np.flatnonzero(self._is_near(state)).tolist())
        for row in near if seams is None else range(state.batch):
            if seams is not None:
                result[row, seams.joining(*state.tokens[row, -_JOINT:].tolist())] = -np.inf
            if row in near:
                ids = np.flatnonzero(result[row] > -np.inf)
                result[row, ids[self._lead_too_far(CopyState(state.columns[row : row + 1]), ids)]] = -np.inf
            if not result[row, EOS:].max() > -np.inf:
                result[row, EOS] = 0
        return result

    def _is_near(self, state: CopyState) -> Flags:
        """Which rows one more word of a copied run may lead too far."""
        near: Flags = self._is_whole(state) & (state.words >= self.most)
        return near

    def _is_whole(self, state: CopyState) -> Flags:
        """Which rows end in as many words and marks as make a run with one more."""
        whole: Flags = state.tokens[:, -self._reach :].min(axis=1) > EOS
        return whole

    def _lead_too_far(self, state: CopyState, ids: Ids) -> Flags:
        """Which of these tokens make the run of a state of one row too long."""
        result: Flags = np.zeros(len(ids), bool)
        if self._is_near(state)[0]:
            too_many: Flags = int(state.words[0]) + self.words.added(state.tokens[0, -1], ids) > self.most
            some = np.flatnonzero(too_many & (ids > EOS))
            result[some] = self._are_copied(self._prefix(state.tokens), ids.take(some))
        return result

    def _prefix(self, tokens: Ids) -> NDArray[np.uint64]:
        """The hash that the last tokens of each row begin a run with, (B,)."""
        result = np.zeros(len(tokens), np.uint64)
        for column in tokens[:, -self._reach :].T:
            result = follow(result, self._values.take(column))
        return result

    def _are_copied(self, prefix: NDArray[np.uint64], tokens: Ids) -> Flags:
        return self.copies.contains(spread(follow(prefix, self._values.take(tokens))))


def guard_of(model: Any, max_copied_words: int) -> CopyGuard:
    """The guard of a model that carries a filter.

    Raises OptionError for a model without, and for fewer words than its filter can bound.
    """
    return CopyGuard(copies_of(model), word_tokens(model.tokenizer), max_copied_words)


def checked_words(max_copied_words: object, length: int, runs_together: bool) -> int:
    """The number of words, if runs of ``length`` tokens can bound it; OptionError tells which numbers they can.

    K + 1 words are at least K + 1 tokens, and 2 K + 1 where characters or bytes are tokens: a space parts two words.
    """
    if isinstance(max_copied_words, bool) or not isinstance(max_copied_words, Integral) or max_copied_words < 1:
        raise OptionError(f"max_copied_words is {max_copied_words!r}, but must be an integer of 1 or more.")
    most = int(max_copied_words)
    least = length // 2 if runs_together else length - 1
    if most < least:
        wanted = max(SHORTEST, 2 * most + 1 if runs_together else most + 1)
        raise OptionError(
            f"max_copied_words is {most}, but the filter of this model knows runs of {length} tokens, with which "
            f"{least} or more can be promised; for {most}, train with --copy-filter {wanted} "
            f"(copy_filter={wanted} in Python)."
        )
    return most
