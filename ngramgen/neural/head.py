"""From our ids to a network's and from its logits to log-probabilities of our ids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.errors import ModelFormatError, TokenizerError
from ngramgen.model import BOS, EOS, UNK

Floats = NDArray[np.float32]


class Head:
    """The ids 0, 1 and 2 are ours; a foreign tokenizer has others for what they stand for, or none."""

    def __init__(
        self,
        path: Path,
        vocab_size: int,
        foreign_ids: NDArray[np.int64] | None,
        ends: tuple[int, ...] = (),
    ) -> None:
        """``foreign_ids`` (V,) are those of each of our ids, -1 where there is none; None: the same ones.

        ``ends`` are our ids of tokens that end a text as ``</s>`` does, which gets their probability too.
        """
        self._ends = list(ends)
        self.path, self.vocab_size = path, vocab_size
        self._columns: NDArray[np.int64] | None = None
        self._fewest = vocab_size
        if foreign_ids is None:
            inputs = np.arange(vocab_size)
            inputs[BOS] = EOS  # a text begins as behind the end of another
            self._impossible: slice | NDArray[np.int64] = slice(UNK, EOS)  # the fast way for both
        else:
            inputs = foreign_ids.astype(np.int64)
            inputs[inputs < 0] = inputs[EOS]
            self._columns = np.maximum(foreign_ids, 0)
            self._impossible = np.flatnonzero((foreign_ids < 0) | (np.arange(vocab_size) == BOS))
            self._fewest = int(foreign_ids.max()) + 1
        self._inputs = inputs
        if inputs[EOS] < 0:
            raise TokenizerError(f"the tokenizer of {path} has no token for the end of a text")

    def inputs(self, ids: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """The network's ids for ours, of any shape. What it has no token for is fed as the end of a text."""
        found: NDArray[np.int64] = self._inputs[ids]
        return found

    def check_width(self, width: int) -> None:
        """Raises TokenizerError where so many logits are not those of this tokenizer; networks may have spare ones."""
        if width < self._fewest or (self._columns is None and width != self.vocab_size):
            raise TokenizerError(
                f"the tokenizer does not fit {self.path}: it has {self._fewest} tokens and the network {width}"
            )

    def logprobs(self, logits: Floats, out: Floats) -> None:
        """The logarithms of softmax(logits) over all that can come: logits (B, T, W), spoilt, become out (B, T, V).

        Raises ModelFormatError where a logit is no number.
        """
        self.check_width(logits.shape[-1])
        chosen = logits
        if self._columns is not None:
            chosen = np.take(logits, self._columns, axis=-1, out=out, mode="clip")  # a mode that buffers nothing
        if self._ends:
            chosen[..., EOS] = np.logaddexp.reduce(chosen[..., [EOS, *self._ends]], axis=-1)
            chosen[..., self._ends] = -np.inf
        chosen[..., self._impossible] = -np.inf
        most = chosen.max(axis=-1, keepdims=True)
        if not np.isfinite(most.sum()):  # one that is no number is the largest
            raise ModelFormatError(f"{self.path} gives logits that are no numbers; the file is damaged")
        np.subtract(chosen, most, out=out)
        out -= np.log(np.exp(out).sum(axis=-1, keepdims=True))
