"""The time of a token is held to its limit, on a clock of the test's own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from ngramgen.errors import OptionError
from ngramgen.hybrid.gate import RATE
from ngramgen.hybrid.time_limit import TimeLimit


class Machine:
    """Asks for tokens as `FallbackModel` does; a token takes ``base`` and a call ``call`` milliseconds more."""

    def __init__(self, limit: float, base: float, call: float) -> None:
        self.now, self.base, self.call = 0.0, base, call
        self.limit = TimeLimit(limit, lambda: self.now)
        self.drift, self.length, self.calls = 0.0, 0, 0
        self.rng = np.random.default_rng(0)

    def text(self, tokens: int, batch: int = 1) -> float:
        """Milliseconds a token of a text."""
        before, self.length = self.now, 0
        for _ in range(tokens):
            self.length += 1
            begun, share = self.now, self.limit.share
            calls = int((self.rng.random(batch) < share + self.drift).sum())
            self.now += (self.base * batch + self.call * calls) / 1000
            self.limit.asked(self.length, batch, begun, calls, self.call * calls / 1000)
            self.calls += calls
            self.drift += RATE * (share - calls / batch)
        return 1000 * (self.now - before) / tokens / batch


@pytest.mark.parametrize(("limit", "call"), [(0.15, 0.5), (0.3, 0.5), (0.5, 0.5), (0.3, 10.0)])
@pytest.mark.parametrize("batch", [1, 8, 64])
def test_the_limit_is_filled(limit: float, call: float, batch: int) -> None:
    """Between the time of the n-gram alone and that of all calls it is met within a tenth, and not only just kept."""
    machine = Machine(limit, 0.1, call)
    machine.text(2000, batch)
    assert machine.text(1500, batch) == pytest.approx(limit, rel=0.1)


def test_what_cannot_be_kept() -> None:
    """Below the n-gram's own time the network is left alone; above that of all calls nearly each token has one."""
    machine = Machine(0.05, 0.1, 0.5)
    machine.text(500)
    machine.calls = 0
    assert machine.text(500) == pytest.approx(0.1, rel=0.1)
    assert machine.calls <= 5
    machine = Machine(2.0, 0.1, 0.5)
    machine.text(500)
    machine.calls = 0
    machine.text(500)
    assert machine.calls >= 495


def test_a_machine_that_slows_down() -> None:
    """When calls begin to take three times as long, there are fewer."""
    machine = Machine(0.3, 0.1, 0.5)
    machine.text(1000)
    machine.call = 1.5
    machine.text(1000)
    assert machine.text(2000) == pytest.approx(0.3, rel=0.1)


def test_pauses_do_not_count() -> None:
    """A minute between two texts, or between two tokens, is nobody's token."""
    machine = Machine(0.3, 0.1, 0.5)
    machine.text(1000)
    machine.now += 60
    share = machine.limit.share
    machine.text(1)
    assert machine.limit.share == share
    machine.limit.asked(2, 1, machine.now + 60, 0, 0.0)
    assert machine.limit.share == share


@pytest.mark.parametrize("limit", [0, -1, math.inf, math.nan, True, "1", None])
def test_no_limit(limit: Any) -> None:
    """What is no positive number is refused."""
    with pytest.raises(OptionError, match="max_ms_per_token must be a number above 0"):
        TimeLimit(limit)
