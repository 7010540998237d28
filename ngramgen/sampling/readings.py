"""In how many ways a text can be read as one that a template makes: ``{words} of the {words}`` may fit in several."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from ngramgen.sampling.candidates import Candidates, Rows, options_of
from ngramgen.sampling.goals import Behind, Least

if TYPE_CHECKING:
    from ngramgen.sampling.candidates import Frame
    from ngramgen.sampling.goals import Goal, Plan

    Ids = tuple[int, ...]
    State = tuple[int, Behind]  # tokens read, and what may come next

_NOTHING = Least(0, 0, 0)


def readings(plan: Plan, frame: Frame, ids: Ids) -> int:
    """How many ways there are to reach the goals of a plan, one a phase, with just these tokens."""
    states: Counter[State] = Counter()
    if plan.opening is None:
        states[0, Behind()] = 1
    else:
        for way in plan.opening.ways:
            if ids[: len(way.ids)] == way.ids:
                states[len(way.ids), way.behind] += 1
    for (goal,) in plan.phases:
        states = _behind(frame, ids, states, goal)
    ends = _behind(frame, ids, states, plan.ending, final=True)
    return sum(times for (place, _), times in ends.items() if place == len(ids))


def _behind(frame: Frame, ids: Ids, states: Counter[State], goal: Goal, *, final: bool = False) -> Counter[State]:
    """Where the text may stand behind one more goal, and in how many ways."""
    options = options_of((goal,), final=final)
    found: Counter[State] = Counter()
    for (begin, behind), times in states.items():
        rows = Rows(1, None, [ids[:begin]], [behind], np.ones((1, 1), bool), np.zeros(1, bool))
        candidates = Candidates(frame, rows, np.array([ids[begin:]], np.int64), options, _NOTHING)
        for option, mask in zip(options.listed, candidates.allowed(), strict=True):
            mask[:, 1:] &= candidates.starts[:, None]
            for place in np.flatnonzero(mask[0]).tolist():
                end = begin + place + len(option.way.ids)
                if ids[begin + place : end] == option.way.ids:
                    found[end, option.way.behind] += times
    return found
