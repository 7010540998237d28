"""Guided sums against a sorted search in plain running sums."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ngramgen.ngram import guide
from ngramgen.ngram.guide import GuidedSums

WEIGHTS = st.integers(0, 5) | st.integers(0, 1 << 40) | st.sampled_from([0, 1, 1 << 58])
LISTS = st.lists(st.lists(WEIGHTS, min_size=1, max_size=30), min_size=1, max_size=8)


def expected(weights: list[int], targets: np.ndarray) -> list[int]:  # type: ignore[type-arg]
    """The first item at which the running sum exceeds the target, or else the last item."""
    places = np.searchsorted(np.cumsum(np.array(weights, np.int64)), targets, side="right")
    return np.minimum(places, len(weights) - 1).tolist()


def targets_of(weights: list[int]) -> np.ndarray:  # type: ignore[type-arg]
    """Both sides of every border of the list, and beyond its end."""
    borders = np.cumsum(np.array([0, *weights], np.int64))
    return np.unique(np.maximum(np.concatenate([borders - 1, borders, borders + 1, borders // 2]), 0))


def fill(sums: GuidedSums, which: list[int], lists: list[list[int]]) -> None:
    weights = np.array([w for some in lists for w in some], np.int64)
    sums.fill(np.array(which), np.array(list(map(len, lists))), weights)


@settings(max_examples=200, deadline=None)
@given(lists=LISTS, together=st.booleans())
def test_places_are_those_of_a_sorted_search(lists: list[list[int]], together: bool) -> None:
    """At every border of every list, whether the lists are taken in at once or one after the other."""
    sums = GuidedSums(2 * len(lists))
    which = [2 * i + 1 for i in range(len(lists))]
    if together:
        fill(sums, which, lists)
    else:
        for i, some in zip(which, lists, strict=True):
            fill(sums, [i], [some])
    assert sums.is_missing(np.arange(2 * len(lists))).tolist() == [True, False] * len(lists)
    asked = [
        (i, t, e)
        for i, some in zip(which, lists, strict=True)
        for t, e in zip(targets_of(some).tolist(), expected(some, targets_of(some)), strict=True)
    ]
    which_asked, targets, want = (np.array(column) for column in zip(*asked, strict=True))
    assert sums.places(which_asked, targets).tolist() == want.tolist()


def test_no_questions_have_no_answers() -> None:
    """Empty arrays go in and come out."""
    sums = GuidedSums(1)
    fill(sums, [0], [[1, 2]])
    assert sums.places(np.zeros(0, np.int64), np.zeros(0, np.int64)).tolist() == []


@pytest.mark.parametrize("weights", [[7], [0], [0, 0, 0], [0, 0, 3], [3, 0, 0], [0, 5, 0]])
def test_lists_with_nothing_in_them(weights: list[int]) -> None:
    """One item, and items of weight 0, are drawn as the rule says: never one of weight 0 before the last."""
    sums = GuidedSums(1)
    fill(sums, [0], [weights])
    targets = np.arange(10)
    assert sums.places(np.zeros(10, np.int64), targets).tolist() == expected(weights, targets)


def test_room_is_made_by_dropping_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit every list is missing again, and what is then taken in is found."""
    monkeypatch.setattr(guide, "LIMIT", 6)
    sums = GuidedSums(3)
    fill(sums, [0, 1], [[1, 2, 3], [4, 5]])
    sums.make_room()
    assert sums.is_missing(np.arange(3)).tolist() == [
        False,
        False,
        True,
    ]  # the 5 items and place 0 are just not too many
    fill(sums, [2], [[6]])
    sums.make_room()
    assert sums.is_missing(np.arange(3)).all()
    fill(sums, [1], [[4, 5]])
    assert sums.places(np.array([1, 1, 1]), np.array([3, 4, 8])).tolist() == [0, 1, 1]


def test_a_list_longer_than_the_first_room() -> None:
    """The arrays grow, and what was there stays."""
    weights = np.random.default_rng(3).integers(0, 100, 50_000)
    sums = GuidedSums(2)
    fill(sums, [0], [[5, 6]])
    sums.fill(np.array([1]), np.array([50_000]), weights)
    targets = np.arange(0, int(weights.sum()), 997)
    assert sums.places(np.ones(len(targets), np.int64), targets).tolist() == expected(weights.tolist(), targets)
    assert sums.places(np.array([0, 0]), np.array([4, 5])).tolist() == [0, 1]
