"""Guesses of the next tokens, which a network reads together with what it has to read anyway.

>>> ids = np.array([1, 7, 8, 9, 5, 7, 8], np.int32)
>>> [token for token, confidence in PromptLookup().draft(ids, 3)]
[9, 5, 7]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int32]


class Drafter(Protocol):
    """Guesses how a text goes on. Safe to share between threads."""

    def draft(self, ids: Ids, most: int) -> Iterable[tuple[int, float]]:
        """At most ``most`` tokens behind the ids (L,) of a window, each with a confidence from 0 to 1.

        The confidence is the drafter's own estimate that the token is right if those before it are: it sorts guesses,
        how often they come true is counted. Made one by one: who reads them may stop at any.
        """
        ...


class PromptLookup:
    """Guesses that the text repeats itself: what stood behind the last tokens where they stood before.

    Of the earlier places those count where at least the last two tokens are the same; the one with the most of them
    wins, up to eight, and of equals the latest. Where the copy reaches the end it goes on with itself. (Saxena, Prompt
    Lookup Decoding, 2023; Yang et al., Inference with Reference, 2023.)
    """

    def __init__(self, least: int = 2, enough: int = 8) -> None:
        """``least`` tokens are to be the same; where ``enough`` are, no better place is looked for."""
        self._least, self._enough = least, max(least, enough)

    def draft(self, ids: Ids, most: int) -> Iterator[tuple[int, float]]:
        """The tokens that followed, each with the confidence 1 - 1 / (length of the match with the tokens before)."""
        place, matched = self._place(ids)
        size = len(ids)
        for count in range(most if matched else 0):
            yield int(ids[place + count % (size - place)]), 1 - 1 / (matched + count)

    def _place(self, ids: Ids) -> tuple[int, int]:
        """Behind which earlier place the last tokens ended, and how many of them; (0, 0) for none."""
        data = np.ascontiguousarray(ids, np.int32).tobytes()
        width, size, least = 4, len(ids), self._least
        best, longest = 0, 0
        suffix, end = data[-width * least :], len(data) - width
        while size > least and (found := data.rfind(suffix, 0, end)) >= 0:
            end = found + len(suffix) - 1
            if found % width:
                continue
            place = found // width + least
            matched = least
            while matched < min(place, self._enough) and ids[place - matched - 1] == ids[size - matched - 1]:
                matched += 1
            if matched > longest:
                best, longest = place, matched
                if longest == self._enough:
                    break
        return best, longest
