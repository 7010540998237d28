"""Toy models for the sampler: a bigram table over a few words, characters or bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ngramgen.errors import OptionError
from ngramgen.sampling import draw, suppress, uniforms

Ids = NDArray[np.integer[Any]]


class ToyTokenizer:
    """Ids 3, 4, ... are the given pieces of bytes, joined with a separator and decoded leniently."""

    def __init__(self, pieces: list[bytes], separator: bytes = b"") -> None:
        self._pieces = [b"", b"", b"", *pieces]
        self._separator = separator
        self.longest = 0  # the most ids that one call was asked to decode

    @property
    def vocab_size(self) -> int:
        return len(self._pieces)

    @property
    def joins_with_space(self) -> bool:
        return self._separator == b" "

    def encode(self, text: str) -> Ids:
        """The longest piece that fits, again and again; what fits none is <unk>."""
        rest, ids = text.encode(), []
        if self._separator:
            parts = rest.split(self._separator) if rest else []
            return np.array([self._pieces.index(part) if part in self._pieces else 0 for part in parts], np.int32)
        while rest:
            fitting = [i for i, piece in enumerate(self._pieces) if piece and rest.startswith(piece)]
            best = max(fitting, key=lambda i: len(self._pieces[i]), default=0)
            ids.append(best)
            rest = rest[max(1, len(self._pieces[best])) :]
        return np.array(ids, np.int32)

    def token_bytes(self) -> tuple[NDArray[np.uint8], Ids]:
        offsets = np.concatenate([[0], np.cumsum([len(piece) for piece in self._pieces])])
        return np.frombuffer(b"".join(self._pieces), np.uint8), offsets

    def decode(self, ids: Ids) -> str:
        self.longest = max(self.longest, len(ids))
        return self._separator.join(self._pieces[i] for i in ids).decode("utf-8", errors="replace")

    def token(self, index: int) -> str:
        return self._pieces[index].decode("utf-8", errors="replace")


@dataclass(frozen=True)
class BigramState:
    read: Ids

    @property
    def batch(self) -> int:
        return len(self.read)

    def select(self, rows: Ids) -> BigramState:
        return BigramState(self.read[rows])

    def rewind(self, count: int) -> BigramState:
        if count >= self.read.shape[1]:
            raise OptionError("beyond the start")
        return BigramState(self.read[:, : self.read.shape[1] - count])


class BigramModel:
    def __init__(self, probs: NDArray[np.float64], tokenizer: ToyTokenizer) -> None:
        with np.errstate(divide="ignore"):
            self.table: NDArray[np.float32] = np.log(probs / probs.sum(axis=1, keepdims=True)).astype(np.float32)
        self.tokenizer = tokenizer
        self.vocab_size = len(probs)
        self.rows_read = 0

    def start(self, batch: int = 1) -> BigramState:
        return BigramState(np.ones((batch, 1), dtype=np.int32))

    def advance(self, state: BigramState, ids: Ids) -> BigramState:
        assert ids.dtype == np.int32
        assert ids.shape[0] == state.batch
        self.rows_read += ids.shape[0]
        return BigramState(np.concatenate([state.read, ids], axis=1))

    def logprobs(self, state: BigramState) -> NDArray[np.float32]:
        rows: NDArray[np.float32] = self.table[state.read[:, -1]]
        return rows

    def score(self, ids: Ids) -> NDArray[np.float64]:
        scores: NDArray[np.float64] = self.table[np.concatenate([[1], ids[:-1]]), ids].astype(np.float64)
        return scores


class DirectBigramModel(BigramModel):
    """Draws without the sampler, as an n-gram engine may."""

    draws_exactly = True

    def sample_sequences(self, prompts: list[Ids], max_new_tokens: int, seeds: Ids) -> Iterator[tuple[Ids, bool]]:
        for prompt, seed in zip(prompts, seeds, strict=True):
            new: list[int] = []
            for token in self.sample_stream(prompt, seed):
                if token == 2 or len(new) == max_new_tokens:
                    break
                new.append(token)
            yield np.array(new, dtype=np.int32), token == 2

    def sample_stream(self, prompt: Ids, seed: Any) -> Iterator[int]:
        last, step = int(prompt[-1]) if len(prompt) else 1, 0
        while last != 2:
            row = suppress(self.table[[last]], [0, 1])
            last, step = int(draw(row, uniforms(np.array([seed]), step))[0]), step + 1
            yield last

    def score_continuations(self, prompts: list[Ids], continuations: list[Ids]) -> NDArray[np.float64]:
        rows = [self.score(np.concatenate(both))[-len(both[1]) :] for both in zip(prompts, continuations, strict=True)]
        return np.array([row.sum() for row in rows])


def _toy(
    pieces: list[bytes] | None = None,
    separator: bytes = b"",
    *,
    kind: str = "plain",
    eos: float = 0.05,
    seed: int = 0,
    probs: NDArray[np.float64] | None = None,
) -> BigramModel:
    tokenizer = ToyTokenizer(pieces or [bytes([c]) for c in b"abcdefg"], separator)
    if probs is None:
        probs = np.random.default_rng(seed).gamma(0.5, size=(tokenizer.vocab_size,) * 2) + 1e-3
        probs[:, 2] = eos * probs.sum(axis=1)
    models = {"plain": BigramModel, "direct": DirectBigramModel}
    return models[kind](probs, tokenizer)


def _texts_of(model: Any, most: int, prompt: tuple[int, ...] = ()) -> dict[tuple[int, ...], float]:
    """The probability of each continuation of at most so many tokens and its end, drawn without <unk> and <s>."""
    found = {}
    begun = {(): 1.0}
    for length in range(most + 1):
        rows = np.array([prompt + ids for ids in begun], np.int32).reshape(len(begun), len(prompt) + length)
        state = model.start(len(begun))
        if rows.shape[1]:
            state = model.advance(state, rows)
        probs = np.exp(model.logprobs(state).astype(np.float64))
        probs[:, :2] = 0
        probs /= probs.sum(axis=1, keepdims=True)
        found |= {ids: p * row[2] for (ids, p), row in zip(begun.items(), probs, strict=True)}
        begun = {
            (*ids, index): p * row[index]
            for (ids, p), row in zip(begun.items(), probs, strict=True)
            for index in np.flatnonzero(row).tolist()
            if index > 2
        }
    return found


@pytest.fixture(scope="session")
def texts_of() -> Callable[..., dict[tuple[int, ...], float]]:
    """Works out the probability of every short text of a small model."""
    return _texts_of


@pytest.fixture(scope="session")
def toy() -> Callable[..., BigramModel]:
    """Makes a random bigram model; by default over the characters a to g."""
    return _toy
