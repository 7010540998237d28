"""What every engine promises: a language model over token ids.

>>> state = model.start()                      # doctest: +SKIP
>>> state = model.advance(state, [[17, 4]])    # doctest: +SKIP
>>> model.logprobs(state).shape                # doctest: +SKIP
(1, 8192)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from ngramgen.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    FloatArray = NDArray[np.floating[Any]]
    IntArray = NDArray[np.integer[Any]]

UNK, BOS, EOS = 0, 1, 2
"""Ids of ``<unk>``, ``<s>`` and ``</s>``: fixed for every engine, never strings of a corpus."""
_EVERY = 64


class Tokenizer(Protocol):
    """Text to ids and back. Ids 0, 1 and 2 are ``<unk>``, ``<s>`` and ``</s>``."""

    @property
    def vocab_size(self) -> int: ...

    def encode(self, text: str) -> IntArray:
        """Ids of one sentence, shape (T,), int32, without ``<s>`` and ``</s>``."""
        ...

    def decode(self, ids: IntArray) -> str:
        """The text of ids; specials give nothing, ``<unk>`` gives its sign."""
        ...

    def token(self, index: int) -> str:
        """The text of one id, as a person would be shown it (``</s>`` for 2)."""
        ...


@runtime_checkable
class TextTokenizer(Tokenizer, Protocol):
    """A tokenizer with all that `ngramgen.textmodel.TextModel` and what counts lines ask of it."""

    @property
    def kind(self) -> str: ...

    @property
    def leads_with_space(self) -> bool:
        """Whether a word's token holds the space before it."""
        ...

    @property
    def joins_with_space(self) -> bool:
        """Whether `decode` puts a space between tokens."""
        ...

    @property
    def reads_lines(self) -> bool:
        """Whether `encode` takes all lines of a text; else a text is one sentence."""
        ...

    @property
    def ends_lines(self) -> bool:
        """Whether ``</s>`` stands behind each line; else its last tokens are the newline's own."""
        ...

    def encode_block(self, block: bytes) -> tuple[IntArray, IntArray]:
        """Ids of the tokens of a block of whole lines, (T,), and before which token each line ends, (L,)."""
        ...

    def decode_many(self, rows: Sequence[IntArray]) -> list[str]:
        """`decode` of many rows of ids."""
        ...


@runtime_checkable
class State(Protocol):
    """What a model has read so far, one row a sequence. Never changed in place."""

    @property
    def batch(self) -> int: ...

    def select(self, rows: IntArray) -> State:
        """The given rows in the given order: a fork, a reordering or both."""
        ...

    def rewind(self, count: int) -> State:
        """The state before the last ``count`` tokens of every row. Raises OptionError beyond the start."""
        ...


class LanguageModel(Protocol):
    """A distribution over the next token given all before it.

    These methods suffice. An engine may have faster ways beside them, which the sampler takes where they are there:
    ``draws_exactly`` with ``sample_sequences``, ``sample_stream`` and ``score_continuations``; ``draws_truncated``,
    which promises that the first two take a ``truncation`` and a guard and that there is a ``walker``; and ``sources``,
    which tells what a probability comes from. `ngramgen.ngram.model.NgramModel` has them all. With
    ``moves_rows_slowly`` a state keeps rows that have ended for a while; ``score_running`` scores the sentences of a
    text for a model that sees those before. Of a model with a network ``tally`` counts its calls, and
    ``part_weights`` tells how much network, n-gram and cache counted for each token, (T, 3); ``guessing`` is a model
    that gives the same answers and is quicker where the likeliest token is taken each time, or None.
    """

    @property
    def tokenizer(self) -> Tokenizer: ...

    @property
    def vocab_size(self) -> int: ...

    def start(self, batch: int = 1) -> State:
        """The state before the first token, ``<s>`` seen."""
        ...

    def advance(self, state: Any, ids: IntArray) -> State:
        """Append ids (B, T) int32, T tokens to each row."""
        ...

    def logprobs(self, state: Any) -> FloatArray:
        """(B, V) float32, natural log; each row's probabilities sum to 1."""
        ...

    def score(self, ids: IntArray) -> FloatArray:
        """Natural log-probability (T,) float64 of every token of one sentence given all before it, ``<s>`` seen."""
        ...


@dataclass
class Tally:
    """For how many tokens a model that has a network was asked, and for how many of them it called the network."""

    tokens: int = 0
    calls: int = 0

    def add(self, tokens: int, calls: int) -> None:
        self.tokens += tokens
        self.calls += calls


def checked_ids(ids: Any, vocab_size: int) -> IntArray:
    """The ids as an array of integers. Raises OptionError for others, and for ids outside the vocabulary."""
    found: IntArray = np.asarray(ids)
    if not found.size:
        return found.astype(np.int32)
    if found.dtype.kind not in "iu":
        raise OptionError(f"ids must be integers, not {found.dtype}")
    if not 0 <= int(found.min()) <= int(found.max()) < vocab_size:
        raise OptionError(f"ids must lie in [0, {vocab_size}), but {found.min()} to {found.max()} were given")
    return found


def checked_rows(ids: Any, vocab_size: int, batch: int) -> IntArray:
    """The same for ids (B, T) of so many rows, with OptionError for another shape."""
    found = checked_ids(ids, vocab_size)
    if found.ndim != 2 or len(found) != batch:
        raise OptionError(f"ids of shape {found.shape} do not fit a batch of {batch}; give (B, T)")
    return found


def best_ids(logprobs: FloatArray, k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The k highest of a row of log-probabilities (V,), best first, lower ids before higher, and what they have.

    ``<unk>`` and ``<s>`` are left out.
    """
    row = logprobs.copy()
    row[[UNK, BOS]] = -np.inf
    k = min(k, len(row) - 2)
    sample = row[::_EVERY] if len(row) > k * _EVERY else row  # few words exceed the k-th best of some
    ids = np.flatnonzero(row >= np.partition(sample, len(sample) - k)[len(sample) - k])
    best = ids[np.argsort(-row[ids], kind="stable")][:k]
    return best, row[best].astype(np.float64)


def score_sentences(model: Any, words: NDArray[np.int64], *, running: bool) -> NDArray[np.float64]:
    """Natural log-probability (T,) of each word of sentences, each begun by ``<s>``, in its sentence alone; 0 at <s>.

    With ``running`` a model that can sees the sentences before, too.
    """
    for name in ("score_running", "score_text") if running else ("score_text",):
        if hasattr(model, name):
            found: NDArray[np.float64] = getattr(model, name)(words)
            return found
    natural = np.zeros(len(words))
    begins = np.flatnonzero(words == BOS)
    for begin, end in zip(begins, [*begins[1:], len(words)], strict=True):
        natural[begin + 1 : end] = model.score(words[begin + 1 : end])
    return natural
