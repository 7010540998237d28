"""Which tokens a network sees before each token: all, or the last ones where the text is longer than its context.

With a context of C tokens, L of them behind the first and S = C // 2, it sees those from 0 on where L <= C, and else
those from the smallest multiple of S on that leaves at most C. That depends on the place alone, so a token has the same
probability whether it is reached step by step, in pieces or in one pass; and what was computed holds for S steps.
"""

from __future__ import annotations


def stride(context: int) -> int:
    """By how many tokens a window moves on: S."""
    return max(1, context // 2)


def window_start(length: int, context: int) -> int:
    """The first token that is seen by the one behind ``length`` tokens.

    >>> [window_start(length, 8) for length in (1, 8, 9, 12, 13)]
    [0, 0, 4, 4, 8]
    """
    if length <= context:
        return 0
    step = stride(context)
    return -(-(length - context) // step) * step


def windows(length: int, context: int) -> list[tuple[int, int, int]]:
    """For a row of ``length`` tokens: where each window begins and ends, and the place from which on it counts.

    What follows the tokens at counted, ..., end - 1 is read from that window; each token but none twice.

    >>> windows(11, 4)
    [(0, 4, 0), (2, 6, 4), (4, 8, 6), (6, 10, 8), (8, 11, 10)]
    """
    found, counted = [], 0
    while counted < length:
        start = window_start(counted + 1, context)
        end = min(length, start + context)
        found.append((start, end, counted))
        counted = end
    return found
