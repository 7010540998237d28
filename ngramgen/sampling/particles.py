"""Texts that reach their goals, by importance resampling over free walks.

A text x that contains a word w is, up to the first w, a prefix without it: P(x) = P(prefix) P(w | prefix) P(rest). So
free walks are drawn, and a place in one of them is chosen with the probability of w there as its weight; that weighs
each prefix as the model would, given that w comes next. The walks go on from copies of what was chosen, to the next
goal, and the end of the text is the last one. </s> is not drawn on the way: a walk's weight is the probability that it
was not. With more and more walks the texts follow the model's distribution given the constraints (sampling/importance
resampling, Rubin 1987; particle filters, Gordon, Salmond & Smith 1993).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ngramgen.model import EOS
from ngramgen.randomness import child_seeds, uniform_block
from ngramgen.sampling.candidates import Candidates, Rows, options_of
from ngramgen.sampling.choosing import choose
from ngramgen.sampling.edges import holds
from ngramgen.sampling.goals import Least, least_of
from ngramgen.sampling.odds import Odds, free_steps
from ngramgen.sampling.readings import readings

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ngramgen.sampling.candidates import Frame, Options
    from ngramgen.sampling.goals import Plan
    from ngramgen.sampling.walking import Walk, Walker

    Ids = tuple[int, ...]
    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]
    Seeds = NDArray[np.uint64]
    Check = Callable[[int, Ids], bool]

_THINNED = 4
"""For the end, one walk goes on for so many: it may come at many places of each."""
_CHECKED = 64
"""Chosen texts that are read again before a search is given up."""


class Search:
    """Looks for texts that reach the goals of a plan; ``check`` has the last word on the text of an output."""

    def __init__(self, walker: Walker, plan: Plan, frame: Frame, check: Check) -> None:
        self.walker, self.plan, self.frame, self.check = walker, plan, frame, check
        self.phases = [options_of(phase) for phase in plan.phases]
        self.ending = options_of((plan.ending,), final=True)
        later = [[goal for phase in plan.phases[n:] for goal in phase] for n in range(1, len(plan.phases) + 1)]
        spelling, loose = frame.spelling, frame.loose
        self.rests = [least_of([*goals, plan.ending], spelling, loose=loose) for goals in later]

    def run(self, rows: Rows, seeds: Seeds) -> list[Ids | None]:
        """A continuation for each of G seeds, from R = G N rows; None where none was found."""
        alive = np.ones(len(seeds), bool)
        walks, stage = rows.each, 0
        for options, rest in zip(self.phases, self.rests, strict=True):
            rows.pending = np.ones((len(rows.ids), len(options.goals)), bool)
            for done in range(len(options.goals)):
                last = options is self.phases[-1] and done + 1 == len(options.goals)
                wanted = max(1, walks // _THINNED) if last else walks
                rows = self._stage(rows, options, rest, _stage_seeds(seeds, stage), alive, wanted)
                stage += 1
        return self._end(rows, _stage_seeds(seeds, stage), alive)

    def _stage(self, rows: Rows, options: Options, rest: Least, seeds: Seeds, alive: Bools, wanted: int) -> Rows:
        """The rows that have come one goal further; clears ``alive`` of outputs for which there are none."""
        candidates, walk, scores = self._scored(rows, options, rest, seeds)
        chosen = np.zeros((len(seeds), wanted), np.int64)
        for output, seed in enumerate(seeds):
            own = scores[output * rows.each : (output + 1) * rows.each].ravel()
            if own.max() == -np.inf:
                alive[output] = False
                continue
            # one number for each stratum: with one for all, walks that are alike would all choose the same option
            numbers = (np.arange(wanted) + uniform_block(seed, 0, wanted)) / wanted
            chosen[output] = choose(own, numbers) + output * own.size
        where = np.unravel_index(chosen.ravel(), scores.shape)
        return self._moved(candidates, walk, where, wanted)

    def _scored(self, rows: Rows, options: Options, rest: Least, seeds: Seeds) -> tuple[Candidates, Walk, Floats]:
        """The natural logarithm of the weight of each option at each place of a walk from every row, (R, H + 1, O)."""
        own = np.concatenate([child_seeds(int(seed), 1, rows.each) for seed in seeds])
        end = (EOS,) if options.final else ()
        ways = [(*option.way.ids, *end) for option in options.listed]
        walk = self.walker.walk(rows.places, own, free_steps(self.frame, rows, options, rest), Odds.asked(ways))
        candidates = Candidates(self.frame, rows, walk.tokens, options, rest)
        odds = Odds(walk)
        weights = odds.stays()
        weights[~candidates.starts, 1:] = -np.inf
        scores = np.full((*weights.shape, len(ways)), -np.inf)
        for number, (way, mask) in enumerate(zip(ways, candidates.allowed(), strict=True)):
            mask &= weights > -np.inf
            if mask.any():
                scores[mask, number] = (weights + odds.of(way))[mask]
        return candidates, walk, scores

    def _moved(self, candidates: Candidates, walk: Walk, where: tuple[Ints, ...], each: int) -> Rows:
        """The rows that go on from the given rows, places and options of a walk, (Q,) each."""
        before, options = candidates.rows, candidates.options
        chosen = [options.listed[number] for number in where[2].tolist()]
        ids = [
            (*before.ids[row], *walk.tokens[row, :place].tolist(), *option.way.ids)
            for row, place, option in zip(where[0].tolist(), where[1].tolist(), chosen, strict=True)
        ]
        places = self.walker.follow(walk.at(where[0], where[1]), [option.way.ids for option in chosen])
        behind = [before.behind[row] for row in where[0].tolist()]
        pending = before.pending[where[0]]
        for row, option in enumerate(chosen):
            if option.goals:
                goals = [options.goals[number] for number in option.goals]
                text = self.frame.spelling.text(ids[row]) if goals[0].keyword else ""
                behind[row] = max(goal.behind(text, option.way) for goal in goals)
                pending[row, option.goals] = False
                if len(options.goals) > 1:  # others may be there with it
                    pending[row] &= [not holds(text, goal.text) for goal in options.goals]
        return Rows(each, places, ids, behind, pending, before.inside[where[0]])

    def _end(self, rows: Rows, seeds: Seeds, alive: Bools) -> list[Ids | None]:
        rest = Least(0, 0, 0)
        _, walk, scores = self._scored(rows, self.ending, rest, seeds)
        found: list[Ids | None] = []
        for output, seed in enumerate(seeds):
            if not alive[output]:
                found.append(None)
                continue
            first = output * rows.each
            own = scores[first : first + rows.each]

            def text(place: int, first: int = first, shape: tuple[int, ...] = own.shape) -> Ids:
                row, step, option = (int(index) for index in np.unravel_index(place, shape))
                tokens = walk.tokens[first + row, :step].tolist()
                return (*rows.ids[first + row], *tokens, *self.ending.listed[option].way.ids)

            found.append(self._picked(own.ravel(), text, output, seed))
        return found

    def _picked(self, scores: Floats, text: Callable[[int], Ids], output: int, seed: np.uint64) -> Ids | None:
        """A text by weight, but one that the check refuses, and seldomer one that has several readings.

        What is found out about a text lowers its weight for good, and it is kept as often as its weight has stayed
        (rejection from an envelope that tightens).
        """
        numbers = uniform_block(seed, 0, 2 * _CHECKED)
        settled: set[int] = set()
        for number, luck in zip(numbers[::2], numbers[1::2], strict=True):
            if scores.max() == -np.inf:
                return None
            place = int(choose(scores, number))
            ids = text(place)
            if place in settled:
                return ids
            settled.add(place)
            times = readings(self.plan, self.frame, ids) if self.plan.has_windows else 1
            if not times or not self.check(output, ids):
                scores[place] = -np.inf
            elif luck * times < 1:
                return ids
            else:
                scores[place] -= np.log(times)
        return None


def _stage_seeds(seeds: Seeds, stage: int) -> Seeds:
    with np.errstate(over="ignore"):
        return seeds ^ (np.uint64(0x9FB21C651E98DF25) * np.uint64(2 * stage + 1))
