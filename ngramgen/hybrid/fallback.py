"""An n-gram that calls the network only where it pays: the mixture at some places, the n-gram alone at the others.

>>> model = FallbackModel(hybrid, gate, budget=0.25)                       # doctest: +SKIP
>>> model.logprobs(model.advance(model.start(), [[312, 17, 40]])).shape    # doctest: +SKIP
(1, 8192)
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.errors import OptionError
from ngramgen.hybrid.gate import Gate
from ngramgen.hybrid.model import ALONE, HybridModel, ngram_ids, with_borders
from ngramgen.model import BOS, Tally, best_ids, checked_ids, checked_rows
from ngramgen.neural.model import OnnxState
from ngramgen.neural.reading import Reading
from ngramgen.ngram.evidence import contexts_of_text

if TYPE_CHECKING:
    from ngramgen.hybrid.model import Floats, Ids
    from ngramgen.hybrid.time_limit import TimeLimit
    from ngramgen.model import TextTokenizer
    from ngramgen.ngram.model import NgramState


@dataclass(frozen=True, slots=True)
class FallbackState:
    """What was read, whether the network is called for behind it, and what the gate aimed at on the way.

    A row's network may lag behind: it reads what it lacks in the next call. Each row has one of its own, so that it
    goes the same way alone and in a batch.
    """

    ngram: NgramState
    ids: NDArray[np.int32]  # (B, L), <s> first, as the network reads them
    readings: tuple[Reading, ...]
    called: NDArray[np.bool_]  # (B, L): whether the network is called for the token behind each
    drifts: NDArray[np.float64]  # (B, L + 1): by what the share of calls that is aimed at differs from the budget

    @property
    def batch(self) -> int:
        return len(self.ids)

    def select(self, rows: Ids) -> FallbackState:
        """The given rows in the given order."""
        rows = np.arange(self.batch)[rows]
        readings, taken = [], set()
        for row in rows.tolist():
            reading = self.readings[row]
            # two branches of a text that share a memo would keep undoing each other's work
            readings.append(reading.select(np.zeros(1, np.int64)) if row in taken else reading)
            taken.add(row)
        arrays = self.ids[rows], tuple(readings), self.called[rows], self.drifts[rows]
        return FallbackState(self.ngram.select(rows), *arrays)

    def rewind(self, count: int) -> FallbackState:
        """The state before the last ``count`` tokens. Raises OptionError where there are fewer."""
        ngram, kept = self.ngram.rewind(count), self.ids.shape[1] - count
        arrays = self.ids[:, :kept], self.readings, self.called[:, :kept], self.drifts[:, : kept + 1]
        return FallbackState(ngram, *arrays)


@dataclass(frozen=True, eq=False)
class FallbackModel:
    """The mixture of a `HybridModel` where its gate calls for it, within a budget. Safe to share between threads.

    ``budget`` is the share of tokens that may call the network. With a ``limit`` the time that tokens take decides how
    much of it is used, so that a seed gives the same text no more.
    """

    hybrid: HybridModel
    gate: Gate
    budget: float
    limit: TimeLimit | None = None

    @property
    def tally(self) -> Tally:
        """The calls of the network, and the tokens."""
        return self.hybrid.tally

    @property
    def tokenizer(self) -> TextTokenizer:
        return self.hybrid.tokenizer

    @property
    def vocab_size(self) -> int:
        return self.hybrid.vocab_size

    @cached_property
    def _first(self) -> tuple[NgramState, float]:
        state = self.hybrid.ngram.start()
        return state, float(self._scores(state)[0])

    def _scores(self, state: NgramState) -> NDArray[np.float64]:
        return self.gate.scores(self.hybrid.evidence.of(state.contexts))

    def start(self, batch: int = 1) -> FallbackState:
        """The state before the first token, <s> seen."""
        one, score = self._first
        called, drift = self.gate.after(0.0, score, self._budget())
        drifts = np.repeat([[0.0, drift]], batch, axis=0)
        ids = np.full((batch, 1), BOS, np.int32)
        readings = tuple(self.hybrid.network.start().reading for _ in range(batch))
        ngram = one.select(np.zeros(batch, np.int64))
        return FallbackState(ngram, ids, readings, np.full((batch, 1), called), drifts)

    def _budget(self) -> float:
        return self.budget if self.limit is None else min(self.budget, self.limit.share)

    def advance(self, state: FallbackState, ids: Ids) -> FallbackState:
        """Append ids (B, T), T tokens to each row. Raises OptionError for ids outside the vocabulary."""
        ids = checked_rows(ids, self.vocab_size, state.batch)
        ngram = self.hybrid.ngram.advance(state.ngram, ngram_ids(ids))
        scores = self._scores(ngram)[:, None] if ids.shape[1] == 1 else self._scores_along(ngram, ids.shape[1])
        called, drifts = np.zeros(ids.shape, bool), np.zeros(ids.shape)
        budget = self._budget()
        for row, before in enumerate(state.drifts[:, -1].tolist()):
            called[row], around = self.gate.along(scores[row], budget, before)
            drifts[row] = around[1:]
        return FallbackState(
            ngram,
            np.concatenate([state.ids, ids], axis=1, dtype=np.int32, casting="unsafe"),
            state.readings,
            np.concatenate([state.called, called], axis=1),
            np.concatenate([state.drifts, drifts], axis=1),
        )

    def _scores_along(self, state: NgramState, count: int) -> NDArray[np.float64]:
        """The gate's scores (B, count) behind each of the last tokens of a state."""
        table = self.hybrid.ngram.table
        found = [np.zeros((0, count))]
        for words in state.words[:, -(count + table.order) :].astype(np.int64):
            contexts = contexts_of_text(table, words)[-count:] if count else np.zeros((0, max(1, table.order - 1)), int)
            found.append(self.gate.scores(self.hybrid.evidence.of(contexts))[None])
        return np.concatenate(found)

    def logprobs(self, state: FallbackState) -> Floats:
        """(B, V) float32, natural log; each row's probabilities sum to 1."""
        clock = time.perf_counter if self.limit is None else self.limit.clock
        begun, called, answered = clock(), 0.0, 0
        logprobs = np.empty((state.batch, self.vocab_size), np.float32)
        for row, calls in enumerate(state.called[:, -1].tolist()):
            ngram = state.ngram if state.batch == 1 else state.ngram.select(np.array([row]))
            network = None
            if calls:
                before = clock()
                network = self.hybrid.network_logprobs(OnnxState(state.ids[row : row + 1], state.readings[row]))
                called += clock() - before
                answered += network is not None
            found = self.hybrid.ngram.logprobs(ngram) if network is None else self.hybrid.rows(network, ngram)
            logprobs[row] = found[0]
        self.tally.add(state.batch, answered)
        if self.limit is not None:
            self.limit.asked(state.ids.shape[1], state.batch, begun, answered, called)
        return logprobs

    def score(self, ids: Ids) -> NDArray[np.float64]:
        """Natural log-probability (T,) float64 of every token of one sentence, or of several with ``</s>`` between.

        Raises OptionError for ids outside the vocabulary.
        """
        words, own = with_borders(checked_ids(ids, self.vocab_size))
        found: NDArray[np.float64] = self.score_running(words)[own]
        return found

    def score_running(self, words: Ids) -> NDArray[np.float64]:
        """Natural log-probability (T,) of the sentences of a text, each ``<s> w1 ... wm </s>``; 0 at <s>.

        Raises OptionError for ids outside the vocabulary, and where a limit on time decides on the calls.
        """
        return self.hybrid.score_weighted(words, self._weights)

    def _weights(self, numbers: Floats) -> NDArray[np.float64]:
        """The weights at each place of a text from its beginning, (T, 3): the n-gram's is 1 where it answers alone."""
        if self.limit is not None:
            raise OptionError(
                "max_ms_per_token is for texts that are made token by token; give a neural_budget to score, measure or "
                "explain one"
            )
        called, _ = self.gate.along(self.gate.scores(numbers[:, : self.hybrid.evidence.size]), self.budget)
        return np.where(called[:, None], self.hybrid.weighting.weights(numbers), ALONE)

    def top(self, state: FallbackState, k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The k most likely next tokens of a state of one row, best first, and their natural log-probabilities.

        <unk> and <s> are left out; equal probabilities are ordered by id.
        """
        if not state.called[0, -1]:
            self.tally.add(1, 0)
            return self.hybrid.ngram.top(state.ngram, k)
        return best_ids(self.logprobs(state)[0], k)

    def sources(self, prompt: Ids, new: Ids) -> list[str]:
        """Which n-gram the n-gram's part of each new token (N,) after the prompt (T,) comes from, as in "3-gram"."""
        return self.hybrid.sources(prompt, new)

    def part_weights(self, prompt: Ids, new: Ids) -> NDArray[np.float64]:
        """How much network, n-gram and cache counted for each new token (N,) after the prompt (T,), (N, 3): the n-gram
        alone where the network was not called."""
        return self.hybrid.weights_along(prompt, new, self._weights)

    def embed(self, text: str | Ids) -> Floats:
        """The network's: the mean (W,) of its last hidden states over a text."""
        return self.hybrid.embed(text)

    def description(self) -> dict[str, Any]:
        """What the parts are, as plain values."""
        limit = {} if self.limit is None else {"max_ms_per_token": self.limit.milliseconds}
        return {**self.hybrid.description(), "neural": "auto", "neural_budget": self.budget, **limit}
