"""Draws from many weighted lists in constant time: running sums with a guide table for each list (Chen & Asau 1974).

The guide divides a list's total into as many equal parts as it has items, and tells for each part the item in which it
begins; from there it is one step on average to the item that is sought. Lists are taken in as they are needed.

>>> lists = GuidedSums(2)
>>> lists.fill(np.array([1]), np.array([3]), np.array([5, 1, 4]))
>>> lists.places(np.array([1, 1, 1]), np.array([4, 5, 9])).tolist()
[0, 1, 2]
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

LIMIT = 1 << 22
"""Items held before all lists are dropped to make room (about 50 MB)."""


class GuidedSums:
    """Running sums of the integer weights of up to ``lists`` lists, each taken in by `fill` before it is drawn from."""

    def __init__(self, lists: int) -> None:
        self._lists = lists
        self._clear(1024)

    def _clear(self, capacity: int) -> None:
        self._begin = np.zeros(self._lists, np.int64)  # where a list's items begin; 0 for a list that is not here
        self._size = np.zeros(self._lists, np.int32)
        self._sums = np.zeros(capacity, np.int64)  # over all lists, one after the other; item 0 is none
        self._guide = np.zeros(capacity, np.int32)  # for each part, the item in which it begins, within the list
        self._used = 1

    def make_room(self) -> None:
        """Drop all lists if there are too many items."""
        if self._used > LIMIT:
            self._clear(1024)

    def is_missing(self, lists: Ints) -> NDArray[np.bool_]:
        """Which of these lists have to be taken in first."""
        missing: NDArray[np.bool_] = self._begin.take(lists) == 0
        return missing

    def fill(self, lists: Ints, sizes: Ints, weights: Ints) -> None:
        """Take in distinct lists of these sizes (all positive) with their weights, one list after the other."""
        begin, count = self._used, len(weights)
        self._reserve(begin + count)
        sums = self._sums[begin : begin + count]
        np.cumsum(weights, out=sums)
        ends = np.cumsum(sizes)
        begins = ends - sizes
        before = np.zeros(len(sizes), np.int64)
        before[1:] = sums[begins[1:] - 1]
        totals = sums[ends - 1] - before
        # the first part that begins at or behind the end of each item; floats, since `places` corrects their rounding
        parts = np.ceil((sums - np.repeat(before, sizes)) * np.repeat(sizes / np.maximum(totals, 1), sizes)).astype(
            np.int64
        )
        np.minimum(parts, np.repeat(sizes, sizes), out=parts)
        parts += np.repeat(begins, sizes)
        guide = np.cumsum(np.bincount(parts, minlength=count + 1)[:count])
        guide -= np.repeat(begins, sizes)
        self._guide[begin : begin + count] = np.minimum(guide, np.repeat(sizes - 1, sizes))
        sums += self._sums[begin - 1]
        self._begin[lists] = begins + begin
        self._size[lists] = sizes
        self._used = begin + count

    def _reserve(self, capacity: int) -> None:
        if capacity > len(self._sums):
            more = max(capacity - len(self._sums), len(self._sums))
            self._sums = np.concatenate([self._sums, np.zeros(more, np.int64)])
            self._guide = np.concatenate([self._guide, np.zeros(more, np.int32)])

    def places(self, lists: Ints, targets: Ints) -> Ints:
        """For each list the first item at which its running sum exceeds the target, or else the last item."""
        begin = self._begin.take(lists)
        sizes = self._size.take(lists).astype(np.int64)
        before = self._sums.take(begin - 1)
        totals = self._sums.take(begin + sizes - 1) - before
        part = (targets * (sizes / np.maximum(totals, 1))).astype(np.int64)
        last = sizes - 1
        np.minimum(part, last, out=part)
        place: Ints = self._guide.take(begin + part).astype(np.int64)
        targets = targets + before
        self._step_back(place, begin, targets)
        left = np.flatnonzero((self._sums.take(begin + place) <= targets) & (place < last))
        while len(left):
            place[left] += 1
            on = place.take(left)
            short = (self._sums.take(begin.take(left) + on) <= targets.take(left)) & (on < last.take(left))
            left = left.compress(short)
        return place

    def _step_back(self, place: Ints, begin: Ints, targets: Ints) -> None:
        """Where rounding led the guide too far, go back."""
        while True:
            far = np.flatnonzero((place > 0) & (self._sums.take(begin + place - 1) > targets))
            if not len(far):
                return
            place[far] -= 1
