"""Any model with what was learnt of a person's own text: p(w) = (1 - W) p_model(w) + W p_learnt(w).

p_learnt goes back to the model itself where the text tells nothing (`ngramgen.hybrid.counts`); an n-gram has its words
as often as the text then (`ngramgen.ngram.marginals`). So each row still sums to 1, and a model that has learnt nothing
is the model.

>>> model = PersonalModel(base)                                  # doctest: +SKIP
>>> model.learn(bordered(model.tokenizer, b"see you at six\\n"))  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.errors import OptionError
from ngramgen.hybrid.counts import LEVELS, LearntCounts
from ngramgen.hybrid.model import ngram_ids
from ngramgen.model import BOS, best_ids, checked_ids, score_sentences
from ngramgen.ngram.evidence import contexts_of_text
from ngramgen.ngram.marginals import Adapted, can_adapt, marginals
from ngramgen.ngram.model import NgramModel
from ngramgen.text.splitting import pieces
from ngramgen.text.tokenizers import bordered

if TYPE_CHECKING:
    from ngramgen.model import State, TextTokenizer

Ids = NDArray[np.integer[Any]]
Floats = NDArray[np.float64]

_OF_THE_BASE = ("copies", "embed", "part_weights", "sources", "tally")
"""What is asked of the model below, if it has it."""


@dataclass(frozen=True, slots=True)
class PersonalState:
    """What was read: as the model below keeps it, and its last tokens."""

    base: State
    words: NDArray[np.int32]  # (B, L), <s> first

    @property
    def batch(self) -> int:
        return len(self.words)

    def select(self, rows: Ids) -> PersonalState:
        """The given rows in the given order."""
        return PersonalState(self.base.select(rows), self.words[rows])

    def rewind(self, count: int) -> PersonalState:
        """The state before the last ``count`` tokens. Raises OptionError where there are fewer."""
        base = self.base.rewind(count)
        return PersonalState(base, self.words[:, : self.words.shape[1] - count])


@dataclass(eq=False)
class PersonalModel:
    """A model and what was learnt. Safe to share between threads, also while one of them learns.

    It draws token by token, whatever ways of its own the model below has: those do not know what was learnt.
    """

    base: Any  # a LanguageModel
    weight: float = 1.0
    counts: LearntCounts = field(init=False)
    _kept: tuple[int, Adapted | None] = field(init=False, default=(-1, None), repr=False)

    def __post_init__(self) -> None:
        """Raises OptionError for a weight that does not lie from 0 to 1."""
        self.counts = LearntCounts(self.base.vocab_size)
        self.weigh(self.weight)

    def __getattr__(self, name: str) -> Any:
        if name in _OF_THE_BASE:
            return getattr(self.base, name)
        if name == "score_text" and hasattr(self.base, name):
            return self.score_running
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def tokenizer(self) -> TextTokenizer:
        found: TextTokenizer = self.base.tokenizer
        return found

    @property
    def vocab_size(self) -> int:
        return int(self.base.vocab_size)

    @property
    def moves_rows_slowly(self) -> bool:
        """As the model below."""
        return bool(getattr(self.base, "moves_rows_slowly", False))

    @property
    def learnt_tokens(self) -> int:
        """How many tokens were learnt, </s> among them."""
        return self.counts.tokens

    def weigh(self, weight: float) -> None:
        """How much what was learnt counts, from 0 to 1. Raises OptionError for another weight."""
        if isinstance(weight, bool) or not isinstance(weight, Real) or not 0 <= weight <= 1:
            raise OptionError(f"the weight of what was learnt must be a number from 0 to 1, not {weight!r}")
        self.weight = float(weight)

    def learn(self, words: Ids) -> None:
        """Learn sentences one after the other, each begun by ``<s>`` (`ngramgen.text.tokenizers.bordered`).

        Raises OptionError for ids outside the vocabulary.
        """
        words = checked_ids(words, self.vocab_size)
        self.counts.add(words[self._is_read(words)].tolist())

    def forget(self) -> None:
        """Be the model below again."""
        self.counts.clear()

    def start(self, batch: int = 1) -> PersonalState:
        """The state before the first token, <s> seen."""
        return PersonalState(self.base.start(batch), np.full((batch, 1), BOS, np.int32))

    def advance(self, state: PersonalState, ids: Ids) -> PersonalState:
        """Append ids (B, T), T tokens to each row. Raises OptionError for ids outside the vocabulary."""
        base = self.base.advance(state.base, ids)  # which also checks them
        words = np.concatenate([state.words, ids], axis=1, dtype=np.int32, casting="unsafe")
        return PersonalState(base, words)

    def logprobs(self, state: PersonalState) -> NDArray[np.float32]:
        """(B, V) float32, natural log; each row's probabilities sum to 1."""
        base: Any = state.base
        logprobs: NDArray[np.float32] = np.array(self.base.logprobs(base))
        met: list[Any] = [None] * len(logprobs)
        totals, adapted = np.ones(len(logprobs)), self._adapted()
        if self._ngram is not None:
            met = _met(getattr(base, "ngram", base).contexts).tolist()
        if adapted is not None:
            totals = adapted.totals(base.contexts)
        ends = state.words[:, -LEVELS:].tolist()
        for row, words, known, total in zip(logprobs, ends, met, totals.tolist(), strict=True):
            factor, ids, own = self.counts.behind(words, known)
            if adapted is not None:
                self._mix(row, adapted.factors * (factor / total), ids, own)
            elif len(ids):
                self._mix(row, factor, ids, own)
        return logprobs

    def _mix(self, row: NDArray[np.float32], factors: Any, ids: Ids, own: Floats) -> None:
        """Moves the row of the model below; the factors are (V,) float32, or one for all words."""
        factors, own = self._weighted(factors, own)
        of_known = factors.take(ids) if isinstance(factors, np.ndarray) else factors
        mixed = _mixed(row.take(ids).astype(np.float64), of_known, own)
        row += np.log(factors, dtype=np.float32)
        row[ids] = mixed

    def _weighted(self, factors: Any, own: Floats) -> tuple[Any, Floats]:
        """What becomes of p = factors p_0 + own by the weight."""
        weight = self.weight  # which another thread may change
        return 1 - weight + weight * factors, weight * own

    @cached_property
    def _ngram(self) -> NgramModel | None:
        """The model below, or the n-gram in it; None where there is none."""
        mixture = getattr(self.base, "hybrid", self.base)
        ngram = getattr(mixture, "ngram", mixture)
        return ngram if isinstance(ngram, NgramModel) else None

    @cached_property
    def _marginals(self) -> Floats:
        return marginals(self.base.table)

    def _adapted(self) -> Adapted | None:
        """The n-gram below, its words as likely as in what was learnt; None for other models, and if nothing was."""
        changes, adapted = self._kept
        if changes != self.counts.changes:
            changes, came = self.counts.came()
            adapted, base = None, self.base
            if isinstance(base, NgramModel) and can_adapt(base.table) and came.any():
                adapted = Adapted.to(base.table, self._marginals, came)
            self._kept = changes, adapted
        return adapted

    def score(self, ids: Ids) -> Floats:
        """Natural log-probability (T,) float64 of every token of one sentence, or of several with ``</s>`` between.

        Raises OptionError for ids outside the vocabulary.
        """
        known = self.base.score(ids)  # which also checks them
        words = np.concatenate([[BOS], ids]).astype(np.int64)
        factors, own = self._along(words, np.ones(len(words), bool))
        return _mixed(known, factors[1:], own[1:])

    def score_running(self, words: Ids) -> Floats:
        """Natural log-probability (T,) of the sentences of a text, each ``<s> w1 ... wm </s>``; 0 at <s>.

        Raises OptionError for ids outside the vocabulary.
        """
        sentences = checked_ids(words, self.vocab_size).astype(np.int64)
        known = score_sentences(self.base, sentences, running=True)
        return _mixed(known, *self._along(sentences, self._is_read(sentences)))

    def _along(self, words: NDArray[np.int64], is_read: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """The factor at each word of sentences, each begun by <s>, and what the word has of its own; (T,) each."""
        factors, own, met = np.ones(len(words)), np.zeros(len(words)), None
        adapted = self._adapted()
        if self._ngram is not None:
            text = words if self._ngram is self.base else ngram_ids(words).astype(np.int64)
            contexts = np.roll(contexts_of_text(self._ngram.table, text), 1, axis=0)  # those before each word
            met = _met(contexts)[is_read].tolist()
        factors[is_read], own[is_read] = self.counts.along(words[is_read].tolist(), met)
        if adapted is not None:
            places = np.flatnonzero(words != BOS)
            factors[places] *= adapted.factors.take(words[places]) / adapted.totals(contexts[places])
        return self._weighted(factors, own)

    def _is_read(self, words: Ids) -> NDArray[np.bool_]:
        """Which words are read: where no </s> ends a line, a text is one sentence, and one <s> begins it."""
        found: NDArray[np.bool_] = np.ones(len(words), bool)
        if not self.tokenizer.ends_lines:
            found[1:] = words[1:] != BOS
        return found

    def top(self, state: PersonalState, k: int) -> tuple[NDArray[np.int64], Floats]:
        """The k most likely next tokens of a state of one row, best first, and their natural log-probabilities.

        <unk> and <s> are left out; equal probabilities are ordered by id.
        """
        return best_ids(self.logprobs(state)[0], k)

    def description(self) -> dict[str, Any]:
        """That of the model below, if it has one, and how much was learnt, as plain values."""
        base = self.base.description() if hasattr(self.base, "description") else {}
        return {**base, "learnt_tokens": self.learnt_tokens, "learnt_weight": self.weight}


def lessons(tokenizer: TextTokenizer, blocks: Iterable[bytes]) -> Iterator[tuple[bytes, NDArray[np.int64]]]:
    """Blocks of whole lines in pieces without blank lines, each with its words as `PersonalModel.learn` takes them."""
    for block in blocks:
        full = b"".join(line + b"\n" for line in block.split(b"\n") if line.strip())
        for piece in pieces(full):
            yield piece, bordered(tokenizer, piece)


def _met(contexts: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many of the last tokens an n-gram has met as a context, for rows of contexts (R, order - 1), (R,)."""
    found: NDArray[np.int64] = (contexts >= 0).sum(axis=1)
    return found


def _mixed(logprobs: Floats, factors: Any, own: Floats) -> Floats:
    """log(f p + own), where p is the probability by the model below, (m,)."""
    with np.errstate(divide="ignore"):
        scaled = logprobs + np.log(factors)
        # without a sum where there is nothing to add: what is very unlikely stays so
        mixed: Floats = np.where(own > 0, np.log(np.exp(scaled) + own), scaled)
    return mixed
