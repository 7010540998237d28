"""Guesses by looking up, against a plain search of all places."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ngramgen.neural.drafting import PromptLookup


def draft(ids: list[int], most: int = 3) -> list[int]:
    return [token for token, _ in PromptLookup().draft(np.array(ids, np.int32), most)]


def test_what_followed_before() -> None:
    """The longest match counts, of equals the latest, and one token alone is none."""
    assert draft([7, 8, 9, 1, 7, 8, 5, 2, 7, 8]) == [5, 2, 7]
    assert draft([6, 7, 8, 9, 1, 7, 8, 5, 2, 6, 7, 8]) == [9, 1, 7]
    assert draft([8, 9, 1, 8]) == []
    assert draft([7, 8]) == []
    assert draft([]) == []


def test_a_copy_that_reaches_the_end() -> None:
    """What repeats itself is guessed to go on so."""
    assert draft([4, 5, 6, 5, 6], 5) == [5, 6, 5, 6, 5]
    assert draft([5, 5, 5], 4) == [5, 5, 5, 5]


def test_the_more_is_the_same_the_surer() -> None:
    """The confidence is 1 - 1 / (length of the match), which grows with the guesses: here 3, 4, 5 tokens."""
    found = [confidence for _, confidence in PromptLookup().draft(np.array([1, 2, 3, 9, 9, 1, 2, 3], np.int32), 3)]
    assert found == [1 - 1 / 3, 1 - 1 / 4, 1 - 1 / 5]


@given(
    ids=st.lists(st.sampled_from([0, 1, 256, 257, 65536, 1 << 24]), max_size=40),
    least=st.integers(1, 3),
    enough=st.integers(1, 6),
)
def test_against_a_plain_search(ids: list[int], least: int, enough: int) -> None:
    """Of all earlier places the one with the longest match is taken, whatever the bytes of the ids."""
    enough = max(least, enough)
    best = (0, 0)
    for place in range(1, len(ids)):
        matched = 0
        while matched < min(place, enough) and ids[place - matched - 1] == ids[len(ids) - matched - 1]:
            matched += 1
        if matched >= least:
            best = max(best, (matched, place))
    matched, place = best
    followed = ids[place:] * 5 if matched else []
    found = PromptLookup(least, enough).draft(np.array(ids, np.int32), 5)
    assert [token for token, _ in found] == followed[:5]
