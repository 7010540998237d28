"""A corpus as one row of tokens on disk, and the batches that are made of it.

The row is ``</s> line </s> line </s>``: where a line ends the next begins, so the network reads running text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ngramgen.atomic import replacing
from ngramgen.errors import TrainingError
from ngramgen.model import EOS

Tokens = NDArray[np.unsignedinteger[Any]]


class Encoder(Protocol):
    """What makes ids of blocks of whole lines."""

    @property
    def vocab_size(self) -> int: ...

    def encode_block(self, block: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]: ...


def token_dtype(vocab_size: int) -> np.dtype[Any]:
    """The smallest unsigned type that holds every id."""
    return np.dtype("<u2" if vocab_size <= 1 << 16 else "<u4")


def with_ends(ids: NDArray[np.int64], line_ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """Ids (T,) of lines that end before the given places (L,), with ``</s>`` behind each line, (T + L,).

    >>> with_ends(np.array([7, 8, 9]), np.array([2, 2, 3])).tolist()
    [7, 8, 2, 2, 9, 2]
    """
    return np.insert(ids, line_ends, EOS)


def write_stream(path: Path, blocks: Iterable[bytes], encoder: Encoder) -> int:
    """Encodes blocks of whole lines into a file, which appears when it is whole; gives the number of tokens."""
    dtype = token_dtype(encoder.vocab_size)
    count = 1
    with replacing(path) as file:
        file.write(np.array([EOS], dtype).tobytes())
        for block in blocks:
            ids = with_ends(*encoder.encode_block(block))
            file.write(ids.astype(dtype).tobytes())
            count += len(ids)
    return count


def read_stream(path: Path, vocab_size: int) -> Tokens:
    """The tokens of a file that `write_stream` wrote, mapped."""
    return np.memmap(path, token_dtype(vocab_size), mode="r")


@dataclass(frozen=True)
class Batches:
    """Windows of ``context`` + 1 tokens in an order of chance that the seed and the step alone decide.

    Each pass over the tokens begins at a place of its own and takes every window once.
    Raises TrainingError where the tokens do not fill one batch.
    """

    tokens: Tokens
    context: int
    batch_size: int
    seed: int

    def __post_init__(self) -> None:
        if self.steps_a_pass < 1:
            raise TrainingError(
                f"the text is too short: {len(self.tokens)} tokens do not fill a batch of {self.batch_size} windows of "
                f"{self.context}; give more text, or set a smaller batch_size or context"
            )

    @property
    def steps_a_pass(self) -> int:
        """Batches in one pass, wherever it begins."""
        return (len(self.tokens) - self.context) // self.context // self.batch_size

    def from_step(self, step: int) -> Iterator[NDArray[np.int64]]:
        """Batches (B, context + 1) int64 from that step on, without end."""
        number, skipped = divmod(step, self.steps_a_pass)
        while True:
            starts = self._starts(number)
            for i in range(skipped, self.steps_a_pass):
                some = starts[i * self.batch_size : (i + 1) * self.batch_size]
                yield self.tokens[some[:, None] + np.arange(self.context + 1)].astype(np.int64)
            number, skipped = number + 1, 0

    def _starts(self, number: int) -> NDArray[np.int64]:
        """Where the windows of a pass begin, in their order."""
        rng = np.random.Generator(np.random.PCG64([self.seed, number]))
        room = len(self.tokens) - 1 - self.steps_a_pass * self.batch_size * self.context
        first = int(rng.integers(0, min(room, self.context - 1) + 1))
        windows = (len(self.tokens) - 1 - first) // self.context
        order: NDArray[np.int64] = first + self.context * rng.permutation(windows)
        return order
