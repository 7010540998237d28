"""How many calls of the network a limit on the time for each token allows.

What a token takes without a call and what a call adds to it are measured as the text grows. The share of calls that
fills the limit, (limit - base) / call, is corrected by what the tokens so far have taken too much or too little.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from numbers import Real
from typing import Any

from ngramgen.errors import OptionError

_UNKNOWN = 0.25
"""The share until both times are known."""
_RECENT = 0.05
"""The weight of the newest token in the means."""
_REPAID = 50
"""Tokens over which time that was saved or lost is given back."""
_PAUSE = 20.0
"""An interval so many times the mean is a pause of whoever asks, not the time of a token."""


class TimeLimit:
    """Keeps the mean time of a token at ``milliseconds`` or less; threads may share it.

    Raises OptionError for a limit that is no positive number.
    """

    def __init__(self, milliseconds: float, clock: Callable[[], float] = time.perf_counter) -> None:
        number: Any = milliseconds
        if isinstance(number, bool) or not isinstance(number, Real) or not 0 < float(number) < math.inf:
            raise OptionError(f"max_ms_per_token must be a number above 0, not {milliseconds!r}")
        self.milliseconds = float(number)
        self.clock = clock
        self._lock = threading.Lock()
        self._base: float | None = None  # seconds of a token without a call
        self._call: float | None = None  # what a call adds
        self._is_open = False  # whether the network was called before: the first call opens it
        self._saved = 0.0
        self._last = threading.local()  # each thread asks for texts of its own

    @property
    def share(self) -> float:
        """The share of tokens that may call the network now, from 0 to 1."""
        base, call = self._base, self._call
        if base is None or call is None:
            return _UNKNOWN
        wanted = (self.milliseconds / 1000 - base + self._saved / _REPAID) / call
        return min(1.0, max(0.0, wanted))

    def asked(self, length: int, batch: int, begun: float, calls: int, called: float) -> None:
        """The token behind ``length`` tokens of so many rows was asked for at ``begun``.

        ``calls`` of the rows called the network, which took ``called`` seconds together.
        """
        before = getattr(self._last, "asked", None)
        self._last.asked = length, batch, begun, called
        with self._lock:
            if calls and self._is_open:
                self._call = _mean(self._call, called / calls)
            self._is_open |= calls > 0
            # the time from one token of a text to the next holds the call for the first of them
            if before is not None and before[:2] == (length - 1, batch) and batch:
                self._learn((begun - before[2]) / batch, before[3] / batch)

    def _learn(self, seconds: float, called: float) -> None:
        """A token took so long on the mean of the rows, of it ``called`` seconds in the network."""
        own = max(seconds - called, 1e-9)
        if self._base is not None and own > _PAUSE * self._base:
            return
        self._base = _mean(self._base, own)
        if self._call is not None:
            most = 4 * _REPAID * self.milliseconds / 1000
            self._saved = min(most, max(-most, self._saved + self.milliseconds / 1000 - seconds))


def _mean(old: float | None, new: float) -> float:
    return new if old is None else old + _RECENT * (new - old)
