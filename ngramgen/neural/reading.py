"""What a network has read last, kept so that the next token costs one token.

It is a memo and no more: it may lag behind a state or belong to another branch of the text, and then costs a
computation, never a wrong answer. States of one lineage share it, threads take turns.
"""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.neural.head import Head
from ngramgen.neural.key_values import Concatenated, KeyValues, Shared
from ngramgen.neural.session import Sessions

Floats = NDArray[np.float32]
Ids = NDArray[np.int32]
Rows = NDArray[np.integer[Any]]

LOGITS_TOGETHER = 1 << 22
"""Logits made in one call at most, so that a long prompt takes no more memory than some 16 MB of them."""


class Network:
    """What a memo needs to run the network: a session, how ids are turned, and the length of a window."""

    def __init__(self, sessions: Sessions, head: Head, context: int, shares: bool) -> None:
        """``shares``: past and present may be one buffer."""
        self.sessions, self.head, self.context, self._shares = sessions, head, context, shares

    def key_values(self) -> KeyValues:
        return Shared(self.context) if self._shares else Concatenated()


class Reading:
    """The tokens that a batch of sequences has read, their keys and values, and what follows the last of them."""

    def __init__(self, network: Network, source: tuple[Reading, Rows] | None = None) -> None:
        """``source``: the memo of which the rows are taken when they are needed."""
        self._network = network
        self._source = source
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._forget()

    def _forget(self) -> None:
        self._ids: Ids | None = None  # (B, L), of a window: where it begins in the text does not matter
        self._values: KeyValues = self._network.key_values()
        self._last: Floats | None = None  # (B, V), what follows all of them

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
        length, held, last = ids.shape[1], self._common(ids), self._last
        found = np.empty((len(ids), count, self._network.head.vocab_size), np.float32)
        begin = min(held, length - count)
        if last is not None and self._ids is not None and held == self._ids.shape[1] == length - count + 1:
            begin, found[:, 0] = held, last  # the first of what is asked for is known
        self._last = None
        self._ids = ids[:, :begin]
        self._run(ids, begin, found)
        self._ids, self._last = ids, found[:, -1].copy()
        return found

    def _run(self, ids: Ids, begin: int, found: Floats) -> None:
        """Runs all from ``begin`` on, and fills the last places of ``found``."""
        session, head = self._network.sessions.get(), self._network.head
        length, count = ids.shape[1], found.shape[1]
        step = max(1, LOGITS_TOGETHER // (len(ids) * head.vocab_size))
        for first in range(begin, length, step):
            end = min(length, first + step)
            wanted = max(1, min(end - first, count - (length - end)))
            logits = self._values.run(session, head.inputs(ids[:, first:end]), first, wanted)
            place = count - (length - end)
            if place > 0:
                head.logprobs(logits, found[:, place - wanted : place])

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
            if held == self._ids.shape[1] and source._last is not None:
                self._last = source._last[rows]
            self._ids = ids[:, :held]

    def select(self, rows: Rows) -> Reading:
        """A memo of the given rows; nothing is copied before it is needed."""
        source = self._source
        if self._ids is None and source is not None:
            return Reading(self._network, (source[0], source[1][rows]))
        return Reading(self._network, (self, rows))
