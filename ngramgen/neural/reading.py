"""What a network has read last, kept so that the next token costs one token.

It is a memo and no more: it may lag behind a state or belong to another branch of the text, and then costs a
computation, never a wrong answer. States of one lineage share it, threads take turns.

A single sequence may be read further than it goes: guesses of its next tokens are read in the same call, and where the
text then goes that way, what follows is known. So guesses change what is computed, and never what is answered.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.neural.head import Head
from ngramgen.neural.key_values import Concatenated, KeyValues, Shared
from ngramgen.neural.pacing import Pace, Speculation
from ngramgen.neural.session import Sessions

Floats = NDArray[np.float32]
Ids = NDArray[np.int32]
Rows = NDArray[np.integer[Any]]

LOGITS_TOGETHER = 1 << 22
"""Logits made in one call at most, so that a long prompt takes no more memory than some 16 MB of them."""


class Network:
    """What a memo needs to run the network: a session, how ids are turned, the length of a window, and who guesses."""

    def __init__(
        self,
        sessions: Sessions,
        head: Head,
        context: int,
        shares: bool,
        even: bool,
        speculation: Speculation | None = None,
    ) -> None:
        """``shares``: past and present may be one buffer; ``even``: as `Shared` has it."""
        self.sessions, self.head, self.context, self._shares, self._even = sessions, head, context, shares, even
        self.speculation = speculation

    def key_values(self) -> KeyValues:
        return Shared(self.context, self._even) if self._shares else Concatenated()

    def speculating(self, speculation: Speculation | None) -> Network:
        """The same one with others who guess, or with none."""
        return Network(self.sessions, self.head, self.context, self._shares, self._even, speculation)


class Reading:
    """The tokens that a batch of sequences has read, their keys and values, and what follows the last of them."""

    def __init__(self, network: Network, source: tuple[Reading, Rows] | None = None, pace: Pace | None = None) -> None:
        """``source``: the memo of which the rows are taken when they are needed; ``pace`` decides on guesses."""
        self._network = network
        self._source = source
        self._pace = pace
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._ids: Ids | None = None  # (B, L), of a window: where it begins in the text does not matter
        self._values: KeyValues = network.key_values()
        self._known: dict[int, Floats] = {}  # what follows the first so many ids: log-probabilities (B, V)
        self._guessed: dict[int, Floats] = {}  # the same as logits (B, W), where guesses were read

    def logprobs(self, ids: Ids, count: int) -> Floats:
        """Natural log-probabilities (B, count, V) behind each of the last ``count`` of a window's ids (B, L)."""
        if self._process != os.getpid():  # another thread may have held the lock as the process was forked
            self._lock, self._process = threading.Lock(), os.getpid()
        if not len(ids):
            return np.empty((0, count, self._network.head.vocab_size), np.float32)
        with self._lock:
            return self._read(ids, count)

    def _read(self, ids: Ids, count: int) -> Floats:
        self._take(ids)
        length, held = ids.shape[1], self._common(ids)
        pace = self._pace if len(ids) == count == 1 else None
        if pace is not None and pace.waits:
            pace.settle(ids[0], held)
        found = np.empty((len(ids), count, self._network.head.vocab_size), np.float32)
        first = length - count  # found[:, i] follows the first + 1 + i ids
        asked = 0
        while asked < count and first + asked < held and self._find(first + 1 + asked, found[:, asked]):
            asked += 1
        if asked < count:
            self._run(ids, min(held, first + asked), found[:, asked:], pace)
        return found

    def _find(self, place: int, out: Floats) -> bool:
        """Whether it is known what follows the first ``place`` ids, which then is written to ``out`` (B, V)."""
        if place in self._guessed:
            self._network.head.logprobs(self._guessed.pop(place)[:, None], out[:, None])
            self._known = {place: out.copy()}
        elif place in self._known:
            out[:] = self._known[place]
        else:
            return False
        return True

    def _run(self, ids: Ids, begin: int, found: Floats, pace: Pace | None) -> None:
        """Runs all from ``begin`` on and what is guessed behind it; fills ``found`` (B, count, V), the last places."""
        self._ids, self._known, self._guessed = ids[:, :begin], {}, {}  # should it fail, this still holds
        length, count, text = ids.shape[1], found.shape[1], ids
        if pace is not None:
            guesses = pace.guesses(ids[0], length - begin, self._network.context - length if begin else 0)
            if guesses:
                text = np.concatenate([ids, np.array([guesses], np.int32)], axis=1)
        guessed: dict[int, Floats] = {}
        for place, logits in self._logits(text, begin, count + text.shape[1] - length, pace):
            own = max(0, min(logits.shape[1], length + 1 - place))
            if own:
                begun = place - (length - count) - 1
                self._network.head.logprobs(logits[:, :own], found[:, begun : begun + own])
            guessed |= {place + i: logits[:, i] for i in range(own, logits.shape[1])}  # they stay until the next run
        self._ids, self._known, self._guessed = text, {length: found[:, -1].copy()}, guessed

    def _logits(self, ids: Ids, begin: int, wanted: int, pace: Pace | None) -> Iterator[tuple[int, Floats]]:
        """Runs all from ``begin`` on; gives logits (B, n, W) of the last ``wanted`` of all ids, n together.

        With them comes how many ids the first of them follows.
        """
        session, head, length = self._network.sessions.get(), self._network.head, ids.shape[1]
        step = max(1, LOGITS_TOGETHER // (len(ids) * head.vocab_size))
        for first in range(begin, length, step):
            end = min(length, first + step)
            last = max(1, min(end - first, wanted - (length - end)))
            clock = pace.speculation.clock if pace is not None and pace.measures else None
            begun = clock() if clock else 0.0
            logits = self._values.run(session, head.inputs(ids[:, first:end]), first, last)
            if clock and pace is not None:
                pace.timed(end - first, clock() - begun)
            if wanted > length - end:
                yield end - last + 1, logits

    def _common(self, ids: Ids) -> int:
        """How many of the ids are those that were read."""
        own = self._ids
        if own is None:
            return 0
        length = min(own.shape[1], ids.shape[1])
        differing = (own[:, :length] != ids[:, :length]).any(axis=0)
        return int(differing.argmax()) if differing.any() else length

    def _take(self, ids: Ids) -> None:
        """Copies what the source has of these ids, the first time."""
        if self._source is None:
            return
        (source, rows), self._source = self._source, None
        if source._process != os.getpid():
            return
        with source._lock:
            if source._ids is None:
                return
            self._ids = source._ids[rows]
            held = self._common(ids)
            self._values = source._values.select(rows, held)
            self._ids = ids[:, :held]
            self._known = {place: known[rows] for place, known in source._known.items() if place <= held}
            self._guessed = {place: logits[rows] for place, logits in source._guessed.items() if place <= held}

    def select(self, rows: Rows) -> Reading:
        """A memo of the given rows; nothing is copied before it is needed."""
        source = self._source
        pace = None if self._pace is None else self._pace.fork()
        if self._ids is None and source is not None:
            return Reading(self._network, (source[0], source[1][rows]), pace)
        return Reading(self._network, (self, rows), pace)
