"""How many calls of the network a limit on the time for each token allows.

What a token takes without a call and what a call adds to it are measured as the text grows. The share of calls that
fills the limit, (limit - base) / call, is corrected by what the tokens so far have taken too much or too little.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from ngramgen.errors import OptionError

_RECENT = 0.05
"""The weight of the newest token in the means."""
_REPAID = 50
"""Tokens over which time that was saved or lost is given back."""
_PAUSE = 20.0
"""An interval so many times the mean is a pause of whoever asks, not the time of a token."""


class TimeLimit:
    """Keeps the mean time of a token at ``milliseconds`` milliseconds or less; threads may share it.

    Raises OptionError for a limit that is no positive number.
    """

    def __init__(self, milliseconds: float, clock: Callable[[], float] = time.perf_counter) -> None:
        if (
            isinstance(milliseconds, bool)
            or not isinstance(milliseconds, int | float)
            or not 0 < milliseconds < math.inf
        ):
            raise OptionError(f"max_ms_per_token must be a number above 0, not {milliseconds!r}")
        self.milliseconds = float(milliseconds)
        self._clock = clock
        self._lock = threading.Lock()
        self._base: float | None = None  # seconds of a token without a call
        self._call: float | None = None  # what a call adds
        self._saved = 0.0
        self._last: tuple[int, int, float, int] | None = None  # length, batch, when it was asked for, calls

    @property
    def share(self) -> float:
        """The share of tokens that may call the network now, from 0 to 1."""
        base, call = self._base, self._call
        if base is None or call is None:
            return 0.25  # until both are known
        limit = self.milliseconds / 1000
        wanted = (limit - base + self._saved / _REPAID) / call
        return min(1.0, max(0.0, wanted))

    def begin(self, length: int, batch: int) -> float:
        """To be called as the token behind ``length`` tokens of so many rows is asked for; gives the time."""
        now = self._clock()
        with self._lock:
            last, self._last = self._last, (length, batch, now, 0)
            if last is not None and last[0] + 1 == length and last[1] == batch and batch:
                self._learn((now - last[2]) / batch, last[3] / batch)
        return now

    def end(self, begun: float, calls: int) -> None:
        """To be called when the token is answered, with the number of rows for which the network was called."""
        with self._lock:
            if self._last is not None and self._last[2] == begun:
                self._last = (*self._last[:3], calls)

    def _learn(self, seconds: float, calls: float) -> None:
        """A token of each row took so long; this share of the rows called the network."""
        if self._base is not None and seconds > _PAUSE * (self._base + (self._call or self._base)):
            return
        if calls == 0:
            self._base = _mean(self._base, seconds)
        elif self._base is not None:
            self._call = _mean(self._call, max((seconds - self._base) / calls, 1e-6))
        most = 4 * _REPAID * self.milliseconds / 1000
        self._saved = min(most, max(-most, self._saved + self.milliseconds / 1000 - seconds))


def _mean(old: float | None, new: float) -> float:
    return new if old is None else old + _RECENT * (new - old)
