"""How far each node of a graph is from a goal.

>>> steps_to(np.array([False, False, True]), np.array([0, 1]), np.array([1, 2])).tolist()
[2, 1, 0]
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

UNREACHABLE = 2**31 - 1
"""The distance of a node from which no goal is reached."""


def steps_to(
    goals: NDArray[np.bool_], sources: NDArray[np.integer[Any]], targets: NDArray[np.integer[Any]]
) -> NDArray[np.int64]:
    """The fewest edges from each node to a goal, (N,) int64; `UNREACHABLE` where no path is.

    Args:
        goals: Which nodes are goals, (N,).
        sources: Where each edge begins, (E,).
        targets: Where it ends, (E,).
    """
    before = sources[np.argsort(targets, kind="stable")]
    ends = np.cumsum(np.bincount(targets, minlength=len(goals)))
    steps = np.full(len(goals), UNREACHABLE, np.int64)
    frontier, distance = np.flatnonzero(goals), 0
    while len(frontier):
        steps[frontier] = distance
        distance += 1
        found = before[ranges(np.r_[0, ends][frontier], ends[frontier])]
        frontier = np.unique(found[steps[found] == UNREACHABLE])
    return steps


def ranges(begins: NDArray[np.integer[Any]], ends: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """The numbers from each begin up to its end, one range after the other.

    >>> ranges(np.array([5, 0]), np.array([7, 1])).tolist()
    [5, 6, 0]
    """
    lengths = ends - begins
    shifts = np.repeat(begins - (np.cumsum(lengths) - lengths), lengths)
    return shifts + np.arange(len(shifts))
