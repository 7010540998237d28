"""How many guesses are read, where a clock of our own tells what calls and drafts take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from ngramgen.model import EOS
from ngramgen.neural.pacing import LONGEST_PAUSE, MOST, Costs, HitRates, Speculation

WRONG = 3
TEXT = np.arange(10, 4010, dtype=np.int32)
CHEAP = [0.0, 1.0, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9]
DEAR = [float(tokens) for tokens in range(MOST + 1)]
DRAFT = 0.02  # what a draft takes


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Knowing:
    """Guesses the text as far as ``right`` says so of a place, and else a wrong token."""

    clock: Clock
    right: Callable[[int], bool]
    confidence: float = 0.9
    drafts: int = 0

    def draft(self, ids: Any, most: int) -> Iterator[tuple[int, float]]:
        self.drafts += 1
        self.clock.now += DRAFT
        for place in range(len(ids), len(ids) + most):
            yield (int(TEXT[place]) if self.right(place) else WRONG), self.confidence


class Text:
    """Asks what follows each token of the text, as a memo does."""

    def __init__(self, right: Callable[[int], bool], table: list[float], confidence: float = 0.9) -> None:
        self.clock, self.table = Clock(), table
        self.drafter = Knowing(self.clock, right, confidence)
        self.speculation = Speculation((self.drafter,), 5000, self.clock)
        self.pace = self.speculation.pace()
        self.held: list[int] = []

    def read(self, begin: int, end: int) -> float:
        """Goes on from one place to another; the time it takes, in calls of one token."""
        begun = self.clock.now
        for length in range(begin, end):
            ids = TEXT[:length]
            same = [own == int(token) for own, token in zip(self.held, ids, strict=False)]
            held = same.index(False) if False in same else len(same)
            if self.pace.waits:
                self.pace.settle(ids, held)
            if held < length:
                guesses = self.pace.guesses(ids, 1, 1000)
                tokens = 1 + len(guesses)
                self.clock.now += self.table[tokens]
                if self.pace.measures:
                    self.pace.timed(tokens, self.table[tokens])
                self.held = [*ids.tolist(), *guesses]
        return self.clock.now - begun


def test_guesses_that_never_come_true() -> None:
    """It turns itself off: a thousand tokens take less than 1 % more in the long run, and few drafts are made."""
    text = Text(lambda place: False, CHEAP)
    assert text.read(1, 301) < 1.02 * 300
    before = text.drafter.drafts
    assert text.read(301, 1301) < 1.001 * 1000
    assert text.drafter.drafts - before <= 1 + 1000 / LONGEST_PAUSE


def test_on_again() -> None:
    """Where guesses begin to come true, it soon reads them."""
    text = Text(lambda place: place >= 1000, CHEAP)
    text.read(1, 1000)
    text.read(1000, 1000 + 4 * LONGEST_PAUSE)
    # a call of 8 tokens costs 1.9 and gives 8, which is 0.24 a token
    assert text.read(1000 + 4 * LONGEST_PAUSE, 1400) < 0.3 * 272


@pytest.mark.parametrize(("table", "least", "most"), [(CHEAP, 0.46, 0.7), (DEAR, 1.0, 1.02)])
def test_the_cost_decides(table: list[float], least: float, most: float) -> None:
    """Of three guesses two come true: they are read where a token more is cheap, and not where it is dear.

    At best a call of 3 tokens, which costs 1.4, gives 3: 0.467 a token.
    """
    text = Text(lambda place: place % 3 > 0, table, confidence=0.7)
    text.read(1, 200)
    assert least * 1000 <= text.read(200, 1200) <= most * 1000


def test_the_better_drafter_is_heard() -> None:
    """What came true counts for more than what a drafter thinks of itself."""
    text = Text(lambda place: True, CHEAP, confidence=0.5)
    boasting = Knowing(text.clock, lambda place: False, confidence=0.99)
    text.speculation = Speculation((boasting, text.drafter), 5000, text.clock)
    text.pace = text.speculation.pace()
    text.read(1, 500)
    counts = text.speculation.counts
    assert counts.right > 0.9 * counts.guesses
    assert counts.calls < 150


def test_forks_know_what_was_learnt() -> None:
    """A fork reads guesses at once where the text before did, and another text where all texts before did."""
    text = Text(lambda place: True, CHEAP)
    text.read(1, 300)
    for pace in (text.pace.fork(), text.speculation.pace()):
        assert len(pace.guesses(TEXT[:300], 1, 1000)) == MOST - 1
        assert pace.guesses(TEXT[:300], 1, 2) == TEXT[300:302].tolist()
        assert pace.guesses(TEXT[:300], MOST, 1000) == []


@pytest.mark.parametrize(
    ("drafted", "read"), [([7, EOS, 7], [7, EOS]), ([7, 5000, 7], [7]), ([-1], []), ([7] * 50, [7] * (MOST - 1))]
)
def test_what_cannot_be_read(drafted: list[int], read: list[int]) -> None:
    """Nothing is read behind </s>, no token outside the vocabulary, and no more than there is room for."""

    class Fixed:
        def draft(self, ids: Any, most: int) -> list[tuple[int, float]]:
            return [(token, 1.0) for token in drafted]

    speculation = Speculation((Fixed(),), 5000, Clock())
    speculation.costs.timed(1, 1.0)
    assert speculation.pace().guesses(TEXT[:9], 1, 1000) == read


def test_another_branch() -> None:
    """Guesses are forgotten where the text goes back behind the place they were made for."""
    text = Text(lambda place: True, CHEAP)
    text.read(1, 100)
    before = text.speculation.counts.right
    guesses = text.pace.guesses(TEXT[:100], 1, 1000)
    assert len(guesses) == MOST - 1
    text.pace.settle(TEXT[:99], 99)
    text.pace.settle(TEXT[:105], 99)
    assert text.speculation.counts.right == before


def test_shares() -> None:
    """With a prior of 1/2 that weighs 2: none seen 1/2; 3 of 3 seen (3 + 1) / (3 + 2); older ones are halved."""
    tally = HitRates(2, memory=4)
    assert tally.share(0, 0.5, 2) == 0.5
    for right in (True, True, True):
        tally.add(0, right)
    assert tally.share(0, 0.5, 2) == 4 / 5
    assert tally.share(1, 0.5, 2) == 0.5
    for right in (True, False):  # 4 of 4 become 2 of 2, and then 2 of 3
        tally.add(0, right)
    assert tally.share(0, 0.5, 2) == 3 / 5


def test_costs() -> None:
    """Between calls that were measured costs lie on a line, beyond them they rise half as fast."""
    costs = Costs()
    costs.timed(1, 2.0)
    assert costs.unit == 2.0
    costs.timed(3, 2.8)
    costs.timed(5, 3.6)
    assert costs.table == pytest.approx([0, 1, 1.2, 1.4, 1.6, 1.8, 1.9, 2.0, 2.1])


def test_a_busy_moment() -> None:
    """A call that took far too long counts little, and what it said is measured again after a while."""
    costs = Costs()
    costs.timed(1, 1.0)
    costs.timed(2, 100.0)
    assert 1.2 < costs.table[2] < 1.9
    for _ in range(2000):
        costs.looked()
    costs.timed(2, 1.1)
    assert costs.table[2] == pytest.approx(1.1, abs=0.01)


def test_a_machine_that_slows_down() -> None:
    """Calls of one token tell how long they take now, and a longer one that is shorter than they were, too."""
    costs = Costs()
    for seconds in [1.0] * 5 + [2.0] * 100:
        costs.timed(1, seconds)
    assert costs.unit == pytest.approx(2.0, abs=0.05)
    for _ in range(100):
        costs.timed(4, 1.0)
    assert costs.unit == pytest.approx(1.0, abs=0.05)
