"""The network as a `LanguageModel`, run by ONNX Runtime.

>>> model = OnnxModel("stories")                            # doctest: +SKIP
>>> state = model.advance(model.start(), [[312, 17, 40]])   # doctest: +SKIP
>>> model.logprobs(state).shape                             # doctest: +SKIP
(1, 8192)
"""

from __future__ import annotations

import copy
import os
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.errors import ModelFormatError, OptionError, TokenizerError
from ngramgen.model import BOS, EOS, Tally, best_ids, checked_ids, checked_rows
from ngramgen.neural.drafting import Drafter
from ngramgen.neural.external_data import check_external_data
from ngramgen.neural.head import Head
from ngramgen.neural.layout import Layout, read_layout
from ngramgen.neural.pacing import Speculation
from ngramgen.neural.quantising import BITS
from ngramgen.neural.reading import Network, Reading
from ngramgen.neural.scoring import mean_hidden, text_logprobs
from ngramgen.neural.session import Sessions
from ngramgen.neural.windows import window_start
from ngramgen.text.subword import SubwordTokenizer

Ids = NDArray[np.integer[Any]]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class OnnxState:
    """The tokens read so far. Nothing is computed before it is asked for, and then kept where other states find it."""

    ids: NDArray[np.int32]  # (B, L), <s> first
    reading: Reading

    @property
    def batch(self) -> int:
        return len(self.ids)

    def select(self, rows: Ids) -> OnnxState:
        """The given rows in the given order."""
        rows = np.arange(self.batch)[rows]  # negative ones and masks too, as arrays have it
        if len(rows) == self.batch and bool((rows == np.arange(len(rows))).all()):
            return self
        return OnnxState(self.ids[rows], self.reading.select(rows))

    def rewind(self, count: int) -> OnnxState:
        """The state before the last ``count`` tokens. Raises OptionError where there are fewer."""
        length = self.ids.shape[1]
        if not 0 <= count < length:
            raise OptionError(f"cannot rewind by {count} tokens: {length - 1} were read")
        return OnnxState(self.ids[:, : length - count], self.reading)


class OnnxModel:
    """A folder with an ONNX decoder, its config.json and its tokenizer.json. Read-only; safe to share between threads.

    A text may be longer than the context: then a token is predicted from the last tokens alone, at least half a
    context of them (`ngramgen.neural.windows`). ``<s>`` cannot come, nor ``<unk>`` where the tokenizer can spell
    everything. A text begins as behind the end of another, or with the beginning that a foreign tokenizer knows.
    """

    def __init__(self, path: str | os.PathLike[str], precision: str | None = None, threads: int = 1) -> None:
        """``path`` is a folder or an ``.onnx`` file of it, ``precision`` as `read_layout` has it.

        ``threads`` work on each operator. Raises ModelNotFoundError, ModelFormatError, TokenizerError and OptionError;
        what only shows as the network runs is raised then, from ModelFormatError.
        """
        if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
            raise OptionError(f"threads must be an integer of 1 or more, not {threads!r}")
        self.layout = layout = read_layout(path, precision)
        try:
            self.file_bytes = sum(file.stat().st_size for file in [layout.model, *check_external_data(layout.model)])
        except OSError as error:
            raise ModelFormatError(f"{layout.model} cannot be read: {error.strerror}") from None
        self.tokenizer = _tokenizer(layout)
        self._vocab_size = self.tokenizer.vocab_size
        self.tally = Tally()
        self.guessing: OnnxModel | None = None  # the same model, quicker where the likeliest token is taken each time
        head = Head(layout.model, self.vocab_size, self.tokenizer.foreign_ids, _other_ends(layout, self.tokenizer))
        if layout.vocab_size is not None:
            head.check_width(layout.vocab_size)
        sessions = Sessions(layout.model, threads, layout.heads)
        own = layout.own is not None
        self._network = Network(sessions, head, layout.context, own, own and self.has_few_bits)

    @property
    def vocab_size(self) -> int:
        return self._vocab_size

    @property
    def context(self) -> int:
        """The number of tokens that are seen at once, at most."""
        return self.layout.context

    @property
    def has_few_bits(self) -> bool:
        """Whether its weights have 8 or 4 bits: then tokens that are read together are rounded otherwise than alone."""
        return self.layout.precision in BITS

    @property
    def moves_rows_slowly(self) -> bool:
        """Whether `select` copies so much that rows which are done with had better stay for a while."""
        return True

    def speculating(self, *drafters: Drafter, timed: bool = True) -> OnnxModel:
        """The same model, which reads guesses of a single text's next tokens in the same call where that pays.

        Its answers are the same, but for the rounding that differs where several tokens are read at once: little in 32
        bits, more in 8 and 4. Of several drafters the one is heard whose guess is the likeliest to come true; without
        any there is no guessing. How much is read depends on the time that calls took before, unless ``timed`` is
        false: then it depends on the text alone, so a seed gives the same text each time.

        >>> quick = model.speculating(PromptLookup())   # doctest: +SKIP
        """
        other, speculation = copy.copy(self), None
        if drafters:
            # weights in 8 and 4 bits take little time to be read, so each token costs
            more = 0.45 if self.has_few_bits else 0.2
            speculation = Speculation(drafters, self.vocab_size, time.perf_counter if timed else None, more)
        other._network = self._network.speculating(speculation)
        return other

    @property
    def speculation(self) -> Speculation | None:
        """The guessing, whose ``counts`` tell how it went; None where there is none."""
        return self._network.speculation

    def start(self, batch: int = 1) -> OnnxState:
        """The state before the first token, <s> seen."""
        speculation = self.speculation
        pace = None if speculation is None else speculation.pace()
        return OnnxState(np.full((batch, 1), BOS, np.int32), Reading(self._network, pace=pace))

    def advance(self, state: OnnxState, ids: Ids) -> OnnxState:
        """Append ids (B, T), T tokens to each row. Raises OptionError for ids outside the vocabulary."""
        ids = checked_rows(ids, self.vocab_size, state.batch)
        return OnnxState(np.concatenate([state.ids, ids], axis=1, dtype=np.int32, casting="unsafe"), state.reading)

    def logprobs(self, state: OnnxState) -> Floats:
        """(B, V) float32, natural log; each row sums to 1."""
        self.tally.add(state.batch, state.batch)
        start = window_start(state.ids.shape[1], self.context)
        return state.reading.logprobs(state.ids[:, start:], 1)[:, 0]

    def logprobs_along(self, state: OnnxState, ids: Ids) -> Floats:
        """What follows the state, and what follows each of the ids (B, T) behind it: (B, T + 1, V) float32.

        It is what `logprobs` gives step by step, in one call where the window does not move on.
        """
        whole = self.advance(state, ids).ids
        lengths = range(state.ids.shape[1], whole.shape[1] + 1)
        starts = [window_start(length, self.context) for length in lengths]
        parts = []
        for start in sorted(set(starts)):
            count = starts.count(start)
            end = lengths[starts.index(start) + count - 1]
            parts.append(state.reading.logprobs(whole[:, start:end], count))
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def score(self, ids: Ids) -> NDArray[np.float64]:
        """Natural log-probability (T,) float64 of every token of one text, <s> seen.

        Raises OptionError for ids outside the vocabulary.
        """
        ids = checked_ids(ids, self.vocab_size)
        self.tally.add(len(ids), len(ids))
        return text_logprobs(self._network, np.concatenate([np.array([BOS], np.int64), ids]))

    def score_running(self, words: Ids) -> NDArray[np.float64]:
        """Natural log-probability (T,) of the sentences of a text, each ``<s> w1 ... wm </s>``, read on; 0 at <s>.

        To the network a sentence begins behind the ``</s>`` of the one before, and it sees both.
        """
        words = checked_ids(words, self.vocab_size)
        read = words != BOS
        result = np.zeros(len(words))
        result[read] = self.score(words[read])
        return result

    def top(self, state: OnnxState, k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The k most likely next tokens of a state of one row, best first, and their natural log-probabilities.

        <unk> and <s> are left out; equal probabilities are ordered by id.
        """
        return best_ids(self.logprobs(state)[0], k)

    def part_weights(self, prompt: Ids, new: Ids) -> NDArray[np.float64]:
        """How much network, n-gram and cache counted for each new token (N,) after the prompt (T,), (N, 3): the network
        wholly."""
        return np.full((len(new), 3), (1.0, 0.0, 0.0))

    def embed(self, text: str | Ids) -> Floats:
        """The mean (W,) of the network's last hidden states over the tokens of a text, or over ids (T,).

        Raises ModelFormatError for a network that does not give them.
        """
        ids = checked_ids(self.tokenizer.encode(text) if isinstance(text, str) else text, self.vocab_size)
        session = self._network.sessions.get()
        if not session.has_hidden:
            raise ModelFormatError(f"{self.layout.model} has no output last_hidden_state, so it cannot embed a text")
        whole = np.concatenate([np.array([BOS], np.int64), ids])
        return mean_hidden(self._network, whole, 1 if len(ids) else 0)

    def description(self) -> dict[str, Any]:
        """What the network is, as plain values."""
        own = self.layout.own
        shape = {} if own is None else {"layers": own.layers, "width": own.width, "parameters": own.parameters}
        return {
            "kind": "network",
            "file": self.layout.model.name,
            "precision": self.layout.precision or "unknown",
            "file_bytes": self.file_bytes,
            **shape,
            "context": self.context,
            "vocab_size": self.vocab_size,
        }


def _other_ends(layout: Layout, tokenizer: SubwordTokenizer) -> tuple[int, ...]:
    """Our ids of the tokens that end a text, but for ``</s>``; ids that the tokenizer lacks are passed over."""
    if tokenizer.foreign_ids is None:
        return ()
    found = np.flatnonzero(np.isin(tokenizer.foreign_ids, layout.eos_ids[1:]))
    return tuple(found[found > EOS].tolist())


def _tokenizer(layout: Layout) -> SubwordTokenizer:
    """The folder's tokenizer. Raises TokenizerError where it is missing, damaged or of another network."""
    end = next(iter(layout.eos_ids), None)
    tokenizer = SubwordTokenizer.from_file(layout.tokenizer, bos_id=layout.bos_id, eos_id=end)
    if layout.own is not None and tokenizer.foreign_ids is not None:
        raise TokenizerError(f"{layout.tokenizer} is not the tokenizer of a network of ngramgen")
    return tokenizer
