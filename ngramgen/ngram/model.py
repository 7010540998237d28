"""The n-gram as a `LanguageModel`: states, whole next-word distributions, and the few words that stand out in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.errors import OptionError
from ngramgen.model import BOS, Tokenizer, checked_ids, checked_rows
from ngramgen.ngram.copies import CopyFilter
from ngramgen.ngram.distribution import Distributions, Ranked
from ngramgen.ngram.drawing import MISSING, Base, BatchDrawer, ScalarDrawer, contexts_after
from ngramgen.ngram.lookup import find, score_text
from ngramgen.ngram.matching import sources
from ngramgen.ngram.ranking import RankedLists
from ngramgen.ngram.sequences import FEW, ROWS, one_by_one, side_by_side, stream
from ngramgen.ngram.single import SingleLists, SingleTruncatedDrawer
from ngramgen.ngram.table import NgramTable
from ngramgen.ngram.truncated import KEPT, OneRow, TruncatedDrawer, Truncation
from ngramgen.ngram.walking import NgramWalker

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]

Guarding = Callable[[Any, Callable[[Ids], NDArray[np.float32]], Callable[[Ids, Ids], Ids]], Any]
_FEW_TRUNCATED = 16
"""So few truncated sequences are drawn sooner one by one."""
_KEPT_RANKINGS = 4  # each takes tens of megabytes


@dataclass(frozen=True, slots=True)
class NgramState:
    """The words read so far and, for each length from 1, the gram that they end in, or MISSING."""

    model: NgramModel
    words: NDArray[np.int32]  # (B, L), <s> first
    contexts: Ids  # (B, order - 1)

    @property
    def batch(self) -> int:
        return len(self.words)

    def select(self, rows: NDArray[np.integer[Any]]) -> NgramState:
        """The given rows in the given order."""
        return NgramState(self.model, self.words[rows], self.contexts[rows])

    def rewind(self, count: int) -> NgramState:
        """The state before the last ``count`` tokens. Raises OptionError where there are fewer."""
        length = self.words.shape[1]
        if not 0 <= count < length:
            raise OptionError(f"cannot rewind by {count} tokens: {length - 1} were read")
        words = self.words[:, : length - count]
        return NgramState(self.model, words, self.model.context_grams(words))


@dataclass(frozen=True)
class NgramModel:
    """A table and the tokenizer whose ids it counts. Read-only; safe to share between threads."""

    table: NgramTable
    tokenizer: Tokenizer
    copies: CopyFilter | None = None  # which runs of tokens the training text holds

    @property
    def vocab_size(self) -> int:
        return self.table.vocab_size

    @property
    def order(self) -> int:
        return self.table.order

    def start(self, batch: int = 1) -> NgramState:
        """The state before the first token, <s> seen."""
        words = np.full((batch, 1), BOS, np.int32)
        return NgramState(self, words, self.context_grams(words))

    def advance(self, state: NgramState, ids: NDArray[np.integer[Any]]) -> NgramState:
        """Append ids (B, T), T tokens to each row. Raises OptionError for ids outside the vocabulary."""
        ids = checked_rows(ids, self.vocab_size, state.batch)
        words = np.concatenate([state.words, ids.astype(np.int32)], axis=1)
        return NgramState(self, words, self.context_grams(words))

    def context_grams(self, words: NDArray[np.int32]) -> Ids:
        """For rows of words (B, L) and each length k below the order: the gram of the last k words, (B, order - 1)."""
        table = self.table
        window = words[:, max(0, words.shape[1] - max(1, table.order - 1)) :].astype(np.int64)
        batch, length = window.shape
        result = np.full((batch, max(1, table.order - 1)), MISSING, np.int64)
        result[:, 0] = window[:, -1]
        if batch == 1:  # numpy's calls would cost more than the look-ups
            contexts = self._drawer.contexts_after(window[0].tolist())
            result[0, : len(contexts)] = contexts
            return result
        scrambled = table.scramble.forward(window)
        grams = window
        for k, order in zip(range(2, min(table.order - 1, length) + 1), table.orders, strict=False):
            lower = grams[:, :-1].ravel()
            there = np.flatnonzero(lower >= 0)
            queries = scrambled[:, k - 1 :].ravel()
            hits, found, _ = find(order, table.word_bits, lower.take(there), queries.take(there))
            grams = np.full(len(lower), MISSING, np.int64)
            grams[there.take(hits)] = found
            grams = grams.reshape(batch, length - k + 1)
            result[:, k - 1] = grams[:, -1]
        return result

    @cached_property
    def _distributions(self) -> Distributions:
        return Distributions(self.table)

    @cached_property
    def _log_unigrams(self) -> NDArray[np.float32]:
        with np.errstate(divide="ignore"):
            return np.log(self.table.unigrams)

    @cached_property
    def _log_uniform(self) -> NDArray[np.float32]:
        result = np.full(self.vocab_size, np.log(self.table.uniform), np.float32)
        result[self.table.unigrams == 0] = -np.inf
        return result

    def logprobs(self, state: NgramState) -> NDArray[np.float32]:
        """(B, V) float32, natural log; each row sums to 1 (but for a model that says it is not normalised)."""
        result = np.empty((state.batch, self.vocab_size), np.float32)
        for row, contexts in zip(result, state.contexts, strict=True):
            distribution = self._distributions.after(contexts)
            base = self._log_uniform if distribution.uniform else self._log_unigrams
            with np.errstate(divide="ignore"):
                np.add(base, np.float32(np.log(distribution.factor)), out=row)
                row[distribution.ids] = np.log(distribution.probabilities)
        return result

    def probabilities(self, state: NgramState) -> NDArray[np.float32]:
        """(B, V) float32: what `logprobs` gives the logarithms of, for who goes on with the probabilities."""
        result = np.empty((state.batch, self.vocab_size), np.float32)
        for row, contexts in zip(result, state.contexts, strict=True):
            distribution = self._distributions.after(contexts)
            base = self._uniform if distribution.uniform else self.table.unigrams
            np.multiply(base, np.float32(distribution.factor), out=row)
            row[distribution.ids] = distribution.probabilities
        return result

    @cached_property
    def _uniform(self) -> NDArray[np.float32]:
        return np.where(self.table.unigrams > 0, self.table.uniform, 0).astype(np.float32)

    def score(self, ids: NDArray[np.integer[Any]]) -> Floats:
        """Natural log-probability (T,) float64 of every token of one sentence, <s> seen.

        Raises OptionError for ids outside the vocabulary.
        """
        words = np.concatenate([np.array([BOS], np.int64), checked_ids(ids, self.vocab_size).astype(np.int64)])
        return self.score_text(words)[1:]

    def score_text(self, words: Ids) -> Floats:
        """Natural log-probability (T,) of sentences one after the other, each ``<s> w1 ... wm </s>``; 0 at <s>."""
        with np.errstate(divide="ignore"):
            return np.log(score_text(self.table, words))

    @property
    def draws_exactly(self) -> bool:
        """Whether `sample_sequences` and `sample_stream` can draw: the table is a mixture of its orders."""
        return self.table.reading == "interpolate"

    @property
    def draws_truncated(self) -> bool:
        """Whether it draws with a truncation or a guard too, and has a `walker`."""
        return self.draws_exactly

    @cached_property
    def _base(self) -> Base:
        return Base(self.table)

    @cached_property
    def _drawer(self) -> ScalarDrawer:
        return ScalarDrawer(self.table, self._base)

    def sample_sequences(
        self,
        prompts: Sequence[NDArray[np.integer[Any]]],
        max_new_tokens: int,
        child_seeds: NDArray[np.uint64],
        truncation: tuple[int, Truncation] | None = None,
        guarded: Guarding | None = None,
    ) -> Iterator[tuple[NDArray[np.integer[Any]], bool]]:
        """For each prompt new tokens without </s>, and whether it came; <unk> and <s> are never drawn.

        One uniform number a token, `ngramgen.randomness.uniforms` of the prompt's child seed and the token's place.
        With a truncation (k, function) each is drawn among the k likeliest, whose natural log-probabilities (M, k), in
        falling order, the function turns into probabilities. ``guarded`` makes a drawer of a drawer, of a function from
        contexts to log-probabilities (R, V) and of one from contexts and words to the contexts after them.
        """
        if not len(prompts):
            return iter(())
        distinct = {id(prompt): prompt for prompt in prompts}  # the same prompt many times is the same object
        rows = {key: row for row, key in enumerate(distinct)}
        starts = np.concatenate([self._contexts_after(prompt) for prompt in distinct.values()])
        which = np.array([rows[id(prompt)] for prompt in prompts])
        if max_new_tokens and (truncation is not None or guarded is not None):
            most = ROWS if truncation is None else min(ROWS, max(FEW, KEPT // truncation[0]))
            if guarded is None and truncation is not None and len(prompts) <= _FEW_TRUNCATED:
                single, lists = self._single_drawer(*truncation), [_without_missing(row) for row in starts]
                return one_by_one(single, [lists[row] for row in which.tolist()], child_seeds, max_new_tokens)
            drawer = self._drawer_of(truncation)
            if guarded is not None:
                drawer = guarded(drawer, self._logprobs_after, partial(contexts_after, self.table))
                starts = drawer.starts(starts, list(distinct.values()))
            return side_by_side(drawer, starts, which, child_seeds, max_new_tokens, most)
        if len(prompts) <= FEW or not max_new_tokens:
            lists = [_without_missing(row) for row in starts]
            return one_by_one(self._drawer, [lists[row] for row in which.tolist()], child_seeds, max_new_tokens)
        return side_by_side(BatchDrawer(self.table, self._base), starts, which, child_seeds, max_new_tokens)

    def sample_stream(
        self,
        prompt: NDArray[np.integer[Any]],
        child_seed: np.uint64,
        truncation: tuple[int, Truncation] | None = None,
        guarded: Guarding | None = None,
    ) -> Iterator[int]:
        """The same tokens for one prompt, as they are drawn, up to and with </s>."""
        if guarded is None and truncation is not None:
            start = _without_missing(self._contexts_after(prompt)[0])
            return stream(self._single_drawer(*truncation), start, child_seed)
        if guarded is not None:
            drawer, contexts = self._drawer_of(truncation), self._contexts_after(prompt)
            drawer = guarded(drawer, self._logprobs_after, partial(contexts_after, self.table))
            contexts = drawer.starts(contexts, [prompt])
            return stream(OneRow(drawer), contexts, child_seed)
        start = _without_missing(self._contexts_after(prompt)[0])
        return stream(self._drawer, start, child_seed)

    def _drawer_of(self, truncation: tuple[int, Truncation] | None) -> Any:
        return BatchDrawer(self.table, self._base) if truncation is None else self._truncated_drawer(*truncation)

    def _logprobs_after(self, contexts: Ids) -> NDArray[np.float32]:
        return self.logprobs(NgramState(self, np.zeros((len(contexts), 0), np.int32), contexts))

    def sources(self, prompt: NDArray[np.integer[Any]], new: NDArray[np.integer[Any]]) -> list[str]:
        """Which n-gram the probability of each new token (N,) after the prompt (T,) comes from, as in "3-gram"."""
        return sources(self.table, prompt, new)

    def walker(self, truncation: tuple[int, Truncation] | None = None) -> NgramWalker:
        """What walks through free text; with a truncation it draws as `sample_sequences` does."""
        if truncation is None:
            return self._plain_walker
        return NgramWalker(self.table, self._truncated_drawer(*truncation))

    @cached_property
    def _plain_walker(self) -> NgramWalker:
        return NgramWalker(self.table, BatchDrawer(self.table, self._base), self._drawer)

    def _truncated_drawer(self, k: int, truncation: Truncation) -> TruncatedDrawer:
        return TruncatedDrawer(self._lists(k).ranked, truncation)

    def _single_drawer(self, k: int, truncation: Truncation) -> SingleTruncatedDrawer:
        drawer = self._single_drawers.get((k, truncation))
        if drawer is None:
            while len(self._single_drawers) >= _KEPT_RANKINGS:
                self._single_drawers.pop(next(iter(self._single_drawers)), None)
            drawer = SingleTruncatedDrawer(self._lists(k), truncation, self._drawer)
            self._single_drawers[k, truncation] = drawer
        return drawer

    @cached_property
    def _single_drawers(self) -> dict[tuple[int, Truncation], SingleTruncatedDrawer]:
        return {}

    def _lists(self, k: int) -> SingleLists:
        lists = self._ranked_lists.get(k)
        if lists is None:
            while len(self._ranked_lists) >= _KEPT_RANKINGS:
                self._ranked_lists.pop(next(iter(self._ranked_lists)), None)
            lists = self._ranked_lists.setdefault(k, SingleLists(RankedLists(self.table, k)))
        return lists

    @cached_property
    def _ranked_lists(self) -> dict[int, SingleLists]:
        return {}

    def _contexts_after(self, prompt: NDArray[np.integer[Any]]) -> Ids:
        words = np.concatenate([np.array([BOS], np.int32), np.asarray(prompt, np.int32)])
        return self.context_grams(words[None, :])

    def score_continuations(
        self, prompts: Sequence[NDArray[np.integer[Any]]], continuations: Sequence[NDArray[np.integer[Any]]]
    ) -> Floats:
        """The natural log-probability of each continuation after its prompt, (B,) float64."""
        begin = np.array([BOS], np.int64)
        parts = [part for both in zip(prompts, continuations, strict=True) for part in (begin, *both)]
        logprobs = self.score_text(np.concatenate(parts).astype(np.int64))
        ends = np.cumsum([len(part) for part in parts])[2::3]
        return np.array(
            [logprobs[end - len(ids) : end].sum() for ids, end in zip(continuations, ends.tolist(), strict=True)]
        )

    def top(self, state: NgramState, k: int) -> tuple[Ids, Floats]:
        """The k most likely next tokens of a state of one row, best first, and their natural log-probabilities.

        <unk> and <s> are left out; equal probabilities are ordered by id. No V-long vector is made where the words
        that were seen in this context outdo all others.
        """
        distribution = self._distributions.after(state.contexts[0])
        ids, probabilities = self._ranked.best_of(distribution, k)
        with np.errstate(divide="ignore"):
            return ids, np.log(probabilities)

    @cached_property
    def _ranked(self) -> Ranked:
        return Ranked(self.table)


def _without_missing(row: Ids) -> list[int]:
    return [gram for gram in row.tolist() if gram >= 0]
