"""Whole sequences drawn from the model's own distribution: one by one, or many side by side.

A sequence is drawn with one uniform number a token from its own child seed, so it does not depend on what is drawn
beside it; when it ends, the next sequence takes its row, so that the batch stays full.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ngramgen.model import EOS
from ngramgen.randomness import uniform_block, uniforms

Ids = NDArray[np.int64]
Seeds = NDArray[np.uint64]
Tokens = NDArray[np.int32]

ROWS = 1 << 14
"""Sequences drawn side by side: enough to hide numpy's cost of a call, few enough for the cache."""
FEW = 48
"""So few sequences are drawn sooner one by one."""
_BLOCK = 64


class RowsDrawer(Protocol):
    """What draws a word for each row of contexts (B, order - 1) with a uniform number (B,) each."""

    def draw(self, contexts: Ids, uniforms: NDArray[np.float64]) -> tuple[Ids, Ids]: ...


class SingleDrawer(Protocol):
    """What draws a word for one sequence, from contexts of its own kind."""

    def draw(self, contexts: Any, uniform: float) -> tuple[int, Any]: ...


def stream(drawer: SingleDrawer, contexts: Any, seed: np.uint64) -> Iterator[int]:
    """Tokens after these contexts without end, up to and with ``</s>``."""
    start = 0
    while True:
        for uniform in uniform_block(seed, start, _BLOCK).tolist():
            word, contexts = drawer.draw(contexts, uniform)
            yield word
            if word == EOS:
                return
        start += _BLOCK


def one_by_one(
    drawer: SingleDrawer, starts: Sequence[list[int]], seeds: Seeds, max_new_tokens: int
) -> Iterator[tuple[Tokens, bool]]:
    """The tokens of each sequence, without ``</s>``, and whether it came."""
    for contexts, seed in zip(starts, seeds, strict=True):
        tokens: list[int] = []
        ended = False
        if max_new_tokens:
            for word in stream(drawer, contexts, seed):
                if word == EOS:
                    ended = True
                    break
                tokens.append(word)
                if len(tokens) == max_new_tokens:
                    break
        yield np.array(tokens, np.int32), ended


def side_by_side(
    drawer: RowsDrawer, starts: Ids, which: Ids, seeds: Seeds, max_new_tokens: int, most_rows: int | None = None
) -> Iterator[tuple[Tokens, bool]]:
    """As `one_by_one`; sequence i starts from row ``which[i]`` of ``starts`` (S, order - 1)."""
    total = len(seeds)
    rows = min(ROWS if most_rows is None else most_rows, total)
    sequence = np.arange(rows)  # which sequence each row draws
    contexts = starts[which[:rows]]
    steps = np.zeros(rows, np.int64)
    own = seeds[:rows].copy()
    drawn = np.empty((rows, min(max_new_tokens, _BLOCK)), np.int32)
    begun, next_out = rows, 0
    waiting: dict[int, tuple[Tokens, bool]] = {}
    while len(sequence):
        words, contexts = drawer.draw(contexts, uniforms(own, steps))
        if int(steps.max()) == drawn.shape[1]:  # sequences end long before a generous limit
            drawn = np.concatenate([drawn, np.empty_like(drawn)], axis=1)
        drawn[np.arange(len(words)), steps] = words
        steps += 1
        ended = words == EOS
        done = np.flatnonzero(ended | (steps == max_new_tokens))
        if not len(done):
            continue
        for row, index, length, end in zip(
            done.tolist(), sequence[done].tolist(), steps[done].tolist(), ended[done].tolist(), strict=True
        ):
            waiting[index] = drawn[row, : length - end].copy(), end
        while next_out in waiting:
            yield waiting.pop(next_out)
            next_out += 1
        fresh = min(len(done), total - begun)
        refill = done[:fresh]
        sequence[refill] = np.arange(begun, begun + fresh)
        contexts[refill] = starts[which[begun : begun + fresh]]
        own[refill] = seeds[begun : begun + fresh]
        steps[refill] = 0
        begun += fresh
        if fresh < len(done):
            keep = np.ones(len(sequence), bool)
            keep[done[fresh:]] = False
            sequence, contexts, steps = sequence[keep], contexts[keep], steps[keep]
            own, drawn = own[keep], drawn[keep]
