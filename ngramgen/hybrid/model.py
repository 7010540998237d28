"""An n-gram and a network of one tokenizer as one `LanguageModel`: p = a p_network + b p_ngram + c p_cache.

p_cache is what the text itself tells (`ngramgen.hybrid.cache`). The weights may differ from place to place, by what the
n-gram and the cache know of it before the word is seen, so each row still sums to 1.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ngramgen.errors import MissingDependencyError, ModelFormatError, OptionError, TokenizerError
from ngramgen.hybrid.cache import SIZE, cache_along, cache_behind
from ngramgen.hybrid.classes import evidence_of
from ngramgen.hybrid.weighting import Weighting
from ngramgen.model import BOS, EOS, Tally, best_ids, checked_ids
from ngramgen.ngram.evidence import contexts_of_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ngramgen.model import TextTokenizer
    from ngramgen.neural.model import OnnxModel, OnnxState
    from ngramgen.ngram.evidence import Evidence
    from ngramgen.ngram.model import NgramModel, NgramState

    Ids = NDArray[np.integer[Any]]
    Floats = NDArray[np.float32]
    WeightsOf = Callable[[Floats], NDArray[np.floating[Any]]]
    """The weights (T, 3) at places of which so much is known, (T, F)."""

T = TypeVar("T")

ALONE = (0.0, 1.0, 0.0)
"""The weights where the n-gram answers alone."""


def warned(message: str) -> None:
    """Tells it as a warning."""
    warnings.warn(message, RuntimeWarning, stacklevel=2)


@dataclass(frozen=True, slots=True)
class HybridState:
    """What both models have read."""

    ngram: NgramState
    network: OnnxState

    @property
    def batch(self) -> int:
        return self.ngram.batch

    def select(self, rows: Ids) -> HybridState:
        """The given rows in the given order."""
        return HybridState(self.ngram.select(rows), self.network.select(rows))

    def rewind(self, count: int) -> HybridState:
        """The state before the last ``count`` tokens. Raises OptionError where there are fewer."""
        return HybridState(self.ngram.rewind(count), self.network.rewind(count))


@dataclass(frozen=True, eq=False)
class HybridModel:
    """The mixture. Read-only; safe to share between threads.

    Raises TokenizerError for models of two tokenizers, and OptionError for an n-gram that is not normalised, as stupid
    backoff is not. Should the network fail as it runs, ``notify`` is told once, and the n-gram goes on alone.
    """

    ngram: NgramModel
    network: OnnxModel
    weighting: Weighting
    notify: Callable[[str], None] = warned
    tally: Tally = field(default_factory=Tally)
    _failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not same_tokens(self.ngram.tokenizer, self.network.tokenizer):
            raise TokenizerError("the n-gram and the network have different tokenizers; train one with the other's")
        if not self.ngram.table.normalised:
            raise OptionError("the n-gram's numbers are no probabilities to mix; train it with another smoothing")

    @property
    def tokenizer(self) -> TextTokenizer:
        return self.network.tokenizer

    @property
    def vocab_size(self) -> int:
        return self.network.vocab_size

    @property
    def moves_rows_slowly(self) -> bool:
        """As the network."""
        return self.network.moves_rows_slowly

    @cached_property
    def guessing(self) -> HybridModel | None:
        """The same mixture, quicker where the likeliest token is taken each time, if the network knows how."""
        network = self.network.guessing
        return None if network is None else replace(self, network=network)

    @cached_property
    def evidence(self) -> Evidence:
        """What the n-gram can tell of a place."""
        return evidence_of(self.ngram)

    def start(self, batch: int = 1) -> HybridState:
        """The state before the first token, <s> seen."""
        return HybridState(self.ngram.start(batch), self.network.start(batch))

    def advance(self, state: HybridState, ids: Ids) -> HybridState:
        """Append ids (B, T), T tokens to each row. Raises OptionError for ids outside the vocabulary."""
        network = self.network.advance(state.network, ids)  # which also checks them
        return HybridState(self.ngram.advance(state.ngram, ngram_ids(ids)), network)

    def logprobs(self, state: HybridState) -> Floats:
        """(B, V) float32, natural log; each row's probabilities sum to 1."""
        network = self.network_logprobs(state.network)
        self.tally.add(state.batch, 0 if network is None else state.batch)
        if network is None:
            return self.ngram.logprobs(state.ngram)
        return self.rows(network, state.ngram)

    def rows(self, network: Floats, state: NgramState) -> Floats:
        """The mixture (B, V) of the network's log-probabilities, which are spoilt, and what is behind a state."""
        caches = [cache_behind(words) for words in state.words] if self.weighting.reads_cache else []
        known = [numbers for numbers, _, _ in caches] or np.zeros((state.batch, SIZE), np.float32)
        numbers = np.concatenate([self.evidence.of(state.contexts), known], axis=1)
        weights, ngram = self.weighting.weights(numbers), self.ngram.probabilities(state)
        np.exp(network, out=network)
        network *= weights[:, :1]
        ngram *= weights[:, 1:2]
        network += ngram
        for row, (_, ids, probs) in enumerate(caches):
            network[row, ids] += weights[row, 2] * probs
        with np.errstate(divide="ignore"):
            return np.log(network, out=network)

    def network_logprobs(self, state: OnnxState) -> Floats | None:
        """What the network says (B, V), or None where it has failed."""
        return self._asked(lambda: self.network.logprobs(state))

    def _asked(self, ask: Callable[[], T]) -> T | None:
        if self._failures:
            return None
        try:
            return ask()
        except (ModelFormatError, MissingDependencyError) as error:
            self._failures.append(str(error))
            if len(self._failures) == 1:
                self.notify(f"{error}; the n-gram goes on alone")
            return None

    def score(self, ids: Ids) -> NDArray[np.float64]:
        """Natural log-probability (T,) float64 of every token of one sentence, or of several with ``</s>`` between.

        Raises OptionError for ids outside the vocabulary.
        """
        words, own = with_borders(checked_ids(ids, self.vocab_size))
        found: NDArray[np.float64] = self.score_running(words)[own]
        return found

    def score_running(self, words: Ids) -> NDArray[np.float64]:
        """Natural log-probability (T,) of the sentences of a text, each ``<s> w1 ... wm </s>``; 0 at <s>.

        The n-gram sees a sentence alone, the network those before it, too. Raises OptionError for ids outside the
        vocabulary.
        """
        return self.score_weighted(words, self.weighting.weights)

    def score_weighted(self, words: Ids, weights_of: WeightsOf) -> NDArray[np.float64]:
        """`score_running` with other weights; that of the network is 0 where it is not called."""
        words = checked_ids(words, self.vocab_size)
        places = self._asked(lambda: self.places(words))
        if places is None:
            self.tally.add(int(np.count_nonzero(words != BOS)), 0)
            return self.ngram.score_text(words.astype(np.int64))
        weights = weights_of(places.numbers).astype(np.float64)
        self.tally.add(len(weights), int(np.count_nonzero(weights[:, 0])))
        result = np.zeros(len(words))
        result[words != BOS] = mixed(places.logprobs, weights)
        return result

    def places(self, words: Ids) -> Places:
        """What the parts give the tokens of running text, all but <s>, and what was known before them."""
        network = self.network.score_running(words)  # which also checks them
        text = np.asarray(words, np.int64)
        read = np.flatnonzero(text != BOS)
        numbers, cache = self._known(text, read)
        with np.errstate(divide="ignore"):
            logprobs = np.stack([network[read], self.ngram.score_text(text)[read], np.log(cache)], axis=1)
        return Places(numbers, logprobs)

    def _known(self, text: NDArray[np.int64], read: NDArray[np.int64]) -> tuple[Floats, NDArray[np.float64]]:
        """The numbers known before each of the words of running text that are read, and the cache's p of each."""
        evidence = self.evidence.of(contexts_of_text(self.ngram.table, text)[read - 1])
        numbers, cache = cache_along(text[read])
        return np.concatenate([evidence, numbers], axis=1), cache

    def sources(self, prompt: Ids, new: Ids) -> list[str]:
        """Which n-gram the n-gram's part of each new token (N,) after the prompt (T,) comes from, as in "3-gram"."""
        return self.ngram.sources(ngram_ids(prompt), new)

    def part_weights(self, prompt: Ids, new: Ids) -> NDArray[np.float64]:
        """How much network, n-gram and cache counted for each new token (N,) after the prompt (T,), (N, 3)."""
        return self.weights_along(prompt, new, self.weighting.weights)

    def weights_along(self, prompt: Ids, new: Ids, weights_of: WeightsOf) -> NDArray[np.float64]:
        """`part_weights` with other weights; the n-gram is alone where the network has failed."""
        if self._failures:
            return np.full((len(new), len(ALONE)), ALONE)
        words, own = with_borders(np.concatenate([prompt, new]))
        numbers, _ = self._known(words, np.flatnonzero(own))
        return weights_of(numbers)[len(prompt) :].astype(np.float64)

    def top(self, state: HybridState, k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The k most likely next tokens of a state of one row, best first, and their natural log-probabilities.

        <unk> and <s> are left out; equal probabilities are ordered by id.
        """
        return best_ids(self.logprobs(state)[0], k)

    def embed(self, text: str | Ids) -> Floats:
        """The network's: the mean (W,) of its last hidden states over a text."""
        return self.network.embed(text)

    def description(self) -> dict[str, Any]:
        """What the parts are, as plain values."""
        network = self.network.description()
        return {
            **network,
            "kind": "hybrid",
            "order": self.ngram.order,
            "ngrams": list(self.ngram.table.sizes),
            "weighting": "fixed" if self.weighting.is_fixed else "fitted",
        }


@dataclass(frozen=True, eq=False)
class Places:
    """Of the tokens of a text: what was known before each, (T, F), and the parts' log-probabilities of it, (T, 3).

    The parts are the network, the n-gram and the cache, as `ngramgen.hybrid.weighting` has them.
    """

    numbers: Floats
    logprobs: NDArray[np.float64]

    @classmethod
    def joined(cls, parts: Sequence[Places]) -> Places:
        """The places of several texts. Raises OptionError for none."""
        if not parts:
            raise OptionError("there is no text to tune on; give some")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("numbers", "logprobs")))


def mixed(logprobs: Any, weights: Any) -> Any:
    """log(sum_i w_i exp(l_i)) of rows (T, O), (T,), in the dtype of the logarithms.

    What is too unlikely for a number of that dtype is impossible; an n-gram that is smoothed gives no such words.
    """
    with np.errstate(divide="ignore"):
        return np.log((weights * np.exp(logprobs)).sum(axis=1))


def ngram_ids(ids: Ids) -> Ids:
    """What the n-gram reads of ids: it knows sentences alone, so behind ``</s>`` another begins."""
    return np.where(np.asarray(ids) == EOS, BOS, ids)


def with_borders(ids: Ids) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Sentences with </s> between them, (T,), with <s> before each, and which of these words are the ids."""
    words = np.asarray(ids, np.int64) if len(ids) else np.zeros(0, np.int64)
    begins = np.append(0, np.flatnonzero(words[:-1] == EOS) + 1)
    own = np.insert(np.ones(len(words), bool), begins, False)
    return np.insert(words, begins, BOS), own


def same_tokens(one: Any, other: Any) -> bool:
    """Whether two tokenizers have the same ids for the same text."""
    if getattr(one, "json", None) is None or getattr(other, "json", None) is None:
        return False
    return bool(one.json == other.json and one.special_ids == other.special_ids)
