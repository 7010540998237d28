"""An n-gram and a network of one tokenizer as one `LanguageModel`: p = l p_network + (1 - l) p_ngram.

l may differ from place to place, by what the n-gram knows of it before it sees the word, so each row still sums to 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.errors import OptionError, TokenizerError
from ngramgen.hybrid.weighting import Weighting
from ngramgen.model import BOS, EOS, best_ids
from ngramgen.ngram.evidence import contexts_of_text, evidence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ngramgen.model import TextTokenizer
    from ngramgen.neural.model import OnnxModel, OnnxState
    from ngramgen.ngram.model import NgramModel, NgramState

    Ids = NDArray[np.integer[Any]]
    Floats = NDArray[np.float32]


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
    """The mixture. Read-only; safe to share between threads. Raises TokenizerError for models of two tokenizers."""

    ngram: NgramModel
    network: OnnxModel
    weighting: Weighting

    def __post_init__(self) -> None:
        if not same_tokens(self.ngram.tokenizer, self.network.tokenizer):
            raise TokenizerError("the n-gram and the network have different tokenizers; train one with the other's")

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

    def start(self, batch: int = 1) -> HybridState:
        """The state before the first token, <s> seen."""
        return HybridState(self.ngram.start(batch), self.network.start(batch))

    def advance(self, state: HybridState, ids: Ids) -> HybridState:
        """Append ids (B, T), T tokens to each row. Raises OptionError for ids outside the vocabulary.

        The n-gram knows sentences alone: to it another begins behind ``</s>``.
        """
        network = self.network.advance(state.network, ids)  # which also checks them
        return HybridState(self.ngram.advance(state.ngram, np.where(np.asarray(ids) == EOS, BOS, ids)), network)

    def logprobs(self, state: HybridState) -> Floats:
        """(B, V) float32, natural log; each row's probabilities sum to 1."""
        weights = self.weighting.weights(evidence(self.ngram.table, state.ngram.contexts))[:, None]
        found: Floats = mixed(self.network.logprobs(state.network), self.ngram.logprobs(state.ngram), weights)
        return found

    def score(self, ids: Ids) -> NDArray[np.float64]:
        """Natural log-probability (T,) float64 of every token of one sentence, or of several with ``</s>`` between.

        Raises OptionError for ids outside the vocabulary.
        """
        words = np.asarray(ids) if len(ids) else np.zeros(0, np.int64)
        begins = np.append(0, np.flatnonzero(words[:-1] == EOS) + 1)
        own = np.insert(np.ones(len(words), bool), begins, False)
        found: NDArray[np.float64] = self.score_running(np.insert(words, begins, BOS))[own]
        return found

    def score_running(self, words: Ids) -> NDArray[np.float64]:
        """Natural log-probability (T,) of the sentences of a text, each ``<s> w1 ... wm </s>``; 0 at <s>.

        The n-gram sees a sentence alone, the network those before it, too. Raises OptionError for ids outside the
        vocabulary.
        """
        places = self.places(words)
        weights = self.weighting.weights(places.numbers).astype(np.float64)
        result = np.zeros(len(words))
        result[words != BOS] = mixed(places.network, places.ngram, weights)
        return result

    def places(self, words: Ids) -> Places:
        """What both models give the tokens of running text, all but <s>, and what was known before them."""
        network = self.network.score_running(words)  # which also checks them
        text = np.asarray(words, np.int64)
        read = np.flatnonzero(text != BOS)
        contexts = contexts_of_text(self.ngram.table, text)[read - 1]
        return Places(evidence(self.ngram.table, contexts), network[read], self.ngram.score_text(text)[read])

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
    """Of the tokens of a text, (T,): what the n-gram knew before each, (T, F), and both log-probabilities of it."""

    numbers: Floats
    network: NDArray[np.float64]
    ngram: NDArray[np.float64]

    @classmethod
    def joined(cls, parts: Sequence[Places]) -> Places:
        """The places of several texts. Raises OptionError for none."""
        if not parts:
            raise OptionError("there is no text to tune on; give some")
        arrays = (np.concatenate([getattr(part, name) for part in parts]) for name in ("numbers", "network", "ngram"))
        return cls(*arrays)


def mixed(network: Any, ngram: Any, weights: Any) -> Any:
    """log(l exp(network) + (1 - l) exp(ngram)), elementwise, in the dtype of the logarithms."""
    with np.errstate(divide="ignore"):
        return np.logaddexp(network + np.log(weights), ngram + np.log1p(-weights))


def same_tokens(one: Any, other: Any) -> bool:
    """Whether two tokenizers have the same ids for the same text."""
    if getattr(one, "json", None) is None or getattr(other, "json", None) is None:
        return False
    return bool(one.json == other.json and one.special_ids == other.special_ids)
