"""How many guesses a network reads at once, decided as it goes by what they have cost and how often they came true.

Let a call of n tokens cost r(n) calls of one token, and a token so far have cost S of them. Reading k guesses more, of
which the first i are all right with the probability P_i, gains S (P_1 + ... + P_k) - (r(n + k) - r(n)); the best k is
taken. That makes the tokens a second the most (Dinkelbach 1967). P_i is a product of shares of guesses that came true,
by drafter and confidence; guesses that are not read are counted too, as the text soon tells.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ngramgen.model import EOS
from ngramgen.neural.drafting import Drafter

Ids = NDArray[np.int32]

MOST = 8
"""Tokens in a call at most, with the guesses."""
BINS = 8
"""Bins of confidence for each drafter."""
LONGEST_PAUSE = 32
"""Calls at most between two looks at what could be guessed, where guesses do not pay."""

_HOPELESS = 0.05  # nothing is drafted behind a guess that is less likely
_RARE = 4  # guesses at most after a pause; if a drafter is sure, even hopeless ones, to learn whether they still are
_FIRST_PAUSE = 7  # before a new text, at most
_PRICE = 0.1  # of a draft, in calls, where there is no clock
_RATE = 1 / 16  # of running means
_LEAST_SLOPE = 0.03  # of the cost of one token more in a call
_BUSY = 1.5  # a call that takes so much longer than expected shows that the machine was busy elsewhere, too


@dataclass
class Counts:
    """What single sequences took: calls of the network, tokens read in them, guesses among these, right ones of them.

    Threads that count at once may miss some.
    """

    calls: int = 0
    tokens: int = 0
    guesses: int = 0
    right: int = 0


class HitRates:
    """How often guesses came true, by bin; older ones count less and less."""

    def __init__(self, bins: int, memory: int) -> None:
        self._right, self._all, self._memory = [0.0] * bins, [0.0] * bins, memory

    def add(self, place: int, right: bool) -> None:
        if self._all[place] >= self._memory:
            self._all[place] /= 2
            self._right[place] /= 2
        self._all[place] += 1
        self._right[place] += right

    def share(self, place: int, prior: float, weight: float) -> float:
        """The share that came true, when ``weight`` guesses more had come true at the rate ``prior``."""
        return (self._right[place] + weight * prior) / (self._all[place] + weight)


class Costs:
    """The time of calls by their number of tokens, relative to calls of one token.

    What was not measured lately is thought a little cheaper at each look, so that it is measured again some time.
    """

    def __init__(self, more: float = 0.2, unit: float = 0.0) -> None:
        """``more``: what a token more is thought to cost before it was measured."""
        self._more = more
        self.unit = unit  # seconds of a call of one token, 0 before the first
        self._ratios = [1.0] * (MOST + 1)
        self._weights = [0.0] * (MOST + 1)  # how many calls a ratio rests on
        self.table = self._interpolated()

    def timed(self, tokens: int, seconds: float) -> None:
        """Counts a call in."""
        if not self.unit:
            self.unit = max(seconds, 1e-9) if tokens == 1 else 0.0
            return
        expected = self.table[tokens]
        measured = min(seconds / self.unit, _BUSY * expected)
        if tokens == 1 or measured < 1:  # no call is shorter
            self.unit *= 1 + _RATE * (measured - 1)
        if tokens > 1:
            weight = self._weights[tokens]
            before = self._ratios[tokens] if weight else expected
            self._ratios[tokens] = before + (max(measured, 1.0) - before) / (weight + 1)
            self._weights[tokens] = min(weight + 1, 32)
            self.table = self._interpolated()

    def looked(self) -> None:
        """Lets what was measured fade a little."""
        for tokens in range(2, MOST + 1):
            self._weights[tokens] *= 0.99
            self._ratios[tokens] += 0.001 * (1 - self._ratios[tokens])

    def _interpolated(self) -> list[float]:
        """The costs of 0 to MOST tokens; between those measured on a line, beyond them rising half as fast."""
        table, last, slope = [0.0, 1.0], 1, 2 * self._more
        for tokens in range(2, MOST + 1):
            if not self._weights[tokens]:
                continue
            ratio = max(self._ratios[tokens], table[last])
            slope = max((ratio - table[last]) / (tokens - last), _LEAST_SLOPE)
            table += [table[last] + slope * step for step in range(1, tokens - last + 1)]
            last = tokens
        return table + [table[last] + slope / 2 * step for step in range(1, MOST + 1 - last)]


@dataclass
class Speculation:
    """What all texts of a model share: the drafters, and what is known of their guesses and of the network's calls.

    Threads change it without a lock: a number that is lost moves a mean a little. Without a clock each text learns for
    itself and no time counts, so the same text is read by the same calls whenever it is.
    """

    drafters: tuple[Drafter, ...]
    vocab_size: int
    clock: Callable[[], float] | None = time.perf_counter
    more: float = 0.2  # as `Costs` has it
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self) -> None:
        self.tally = HitRates(BINS * len(self.drafters), 256)
        self.costs = Costs(self.more, 0.0 if self.clock else 1.0)
        self.worth = 0.05  # what a look at the guesses gains, in calls
        self.pause = 0  # how many calls the last text waited between two looks

    def pace(self) -> Pace:
        """For a text from its beginning."""
        return Pace(self if self.clock else replace(self))


@dataclass
class _Draft:
    """Guesses behind the first ``base`` tokens, their bins, and how many of them were read."""

    base: int
    tokens: list[int]
    bins: list[int]
    taken: int
    cost: float
    right: int = 0


class Pace:
    """Decides for one text. Its forks share what it has learnt; the memo that asks holds its lock."""

    def __init__(self, speculation: Speculation, source: Pace | None = None) -> None:
        self.speculation = speculation
        self._tally: HitRates = HitRates(BINS * len(speculation.drafters), 32) if source is None else source._tally
        self._cost: float = 1.0 if source is None else source._cost  # S
        self._cost_a_call, self._tokens_a_call = self._cost, 1.0
        self._worth: float = speculation.worth if source is None else source._worth
        self._draft: _Draft | None = None
        self._pause, self._paused = min(speculation.pause, _FIRST_PAUSE), 0
        self.waits = False  # whether `settle` is to hear how the text goes on
        self.measures = speculation.clock is not None  # whether `timed` is to hear of the next call

    def fork(self) -> Pace:
        """For a text that begins as this one."""
        return Pace(self.speculation, self)

    def settle(self, ids: Ids, held: int) -> None:
        """Sees which guesses came true: ids (L,) are asked about, and ``held`` of them are those that were read."""
        draft = self._draft
        if draft is None or held < draft.base:
            self._draft, self.waits = None, False  # another branch of the text
            return
        for token in ids[draft.base + draft.right : draft.base + len(draft.tokens)].tolist():
            right = token == draft.tokens[draft.right]
            for tally in (self._tally, self.speculation.tally):
                tally.add(draft.bins[draft.right], right)
            if not right:
                self.waits = False
                return
            self.speculation.counts.right += draft.right < draft.taken
            draft.right += 1
        self.waits = draft.right < len(draft.tokens)

    def guesses(self, ids: Ids, pending: int, room: int) -> list[int]:
        """What to read behind the window's ids (L,) with its last ``pending`` ones; ``room`` is left in the window."""
        speculation, most = self.speculation, min(room, MOST - pending)
        counts, unit = speculation.counts, speculation.costs.unit
        counts.calls += 1
        counts.tokens += pending
        if self._paused < self._pause or most < 1 or not unit:
            self._paused += 1
            self.measures = not unit
            return []
        self._close()
        clock = speculation.clock or (lambda: 0.0)
        begun = clock()
        draft, gained = self._best(ids, pending, most)
        self._judge(gained * unit, clock() - begun if speculation.clock else _PRICE * unit)
        self._draft, self.waits, self.measures = draft, True, speculation.clock is not None
        counts.tokens += draft.taken
        counts.guesses += draft.taken
        return draft.tokens[: draft.taken]

    def timed(self, tokens: int, seconds: float) -> None:
        """Hears how long a call took."""
        if tokens <= MOST:
            self.speculation.costs.timed(tokens, seconds)

    def _close(self) -> None:
        """Counts in what the last call gave."""
        draft = self._draft
        if draft is None:
            return
        served = 1 + min(draft.right, draft.taken)
        self._cost_a_call += _RATE * (draft.cost - self._cost_a_call)
        self._tokens_a_call += _RATE * (served - self._tokens_a_call)
        self._cost = min(1.0, self._cost_a_call / self._tokens_a_call)

    def _best(self, ids: Ids, pending: int, most: int) -> tuple[_Draft, float]:
        """A draft, as much of it taken as is worth its cost, and what that gains, in calls."""
        table = self.speculation.costs.table
        draft, chance, hope, gained = _Draft(len(ids), [], [], 0, 1.0), 1.0, 0.0, 0.0
        for token, place in self._likeliest(ids, min(most, _RARE) if self._pause else most):
            chance *= self._share(place)
            draft.tokens.append(token)
            draft.bins.append(place)
            hope += chance
            cost = table[pending + len(draft.tokens)] - table[pending]
            gain = self._cost * hope - cost
            if gain > gained:
                gained, draft.taken, draft.cost = gain, len(draft.tokens), 1 + cost
            if chance < _HOPELESS and not (self._pause and place % BINS >= BINS // 2):
                break
        self._worth += 2 * _RATE * (gained - self._worth)
        self.speculation.worth += _RATE * (gained - self.speculation.worth)
        self.speculation.costs.looked()
        return draft, gained

    def _likeliest(self, ids: Ids, most: int) -> Iterator[tuple[int, int]]:
        """The guesses and their bins of the drafter whose first one is the likeliest to come true."""
        best: Iterable[tuple[int, int]] = ()
        first, highest = None, -1.0
        for source, drafter in enumerate(self.speculation.drafters):
            guesses = self._binned(drafter.draft(ids, most), source, most)
            guess = next(guesses, None)
            if guess is not None and (share := self._share(guess[1])) > highest:
                first, best, highest = guess, guesses, share
        if first is not None:
            yield first
            yield from best

    def _binned(self, guesses: Iterable[tuple[int, float]], source: int, most: int) -> Iterator[tuple[int, int]]:
        for count, (token, confidence) in enumerate(guesses, start=1):
            if not 0 <= token < self.speculation.vocab_size:
                return
            yield token, source * BINS + min(max(int(confidence * BINS), 0), BINS - 1)
            if token == EOS or count == most:  # mostly a text ends there
                return

    def _share(self, place: int) -> float:
        """How likely a guess of that bin is: by this text, where that is little by all, and else as it says itself."""
        shared = self.speculation.tally.share(place, (place % BINS + 0.5) / BINS, 4)
        return self._tally.share(place, shared, 8)

    def _judge(self, gained: float, seconds: float) -> None:
        """When to look again: at once, or where looks hardly gain the seconds that they take, more and more seldom."""
        if self._worth * self.speculation.costs.unit > 2 * seconds:
            self._pause = 0
        elif gained > 2 * seconds:
            self._pause //= 4
        else:
            self._pause = min(LONGEST_PAUSE, 2 * self._pause + 1)
        self._paused = 0
        self.speculation.pause = self._pause
