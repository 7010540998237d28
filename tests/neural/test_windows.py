"""The windows that a text longer than the context is read by."""

from __future__ import annotations

import pytest

from ngramgen.neural.windows import window_start, windows


@pytest.mark.parametrize("context", [1, 2, 3, 8, 9])
def test_start(context: int) -> None:
    """A window holds at most the context and, in a longer text, at least half of it; it moves by half a context."""
    step = max(1, context // 2)
    for length in range(1, 60):
        start = window_start(length, context)
        assert start % step == 0
        assert length - start <= context
        if length > context:
            assert length - start > context - step
        else:
            assert start == 0


@pytest.mark.parametrize("context", [1, 2, 3, 8, 9])
@pytest.mark.parametrize("length", [1, 2, 7, 8, 9, 12, 13, 50])
def test_all_places_count_once(context: int, length: int) -> None:
    """In one pass each place counts in the window that it has step by step."""
    found = [(place, start) for start, end, counted in windows(length, context) for place in range(counted, end)]
    assert found == [(place, window_start(place + 1, context)) for place in range(length)]
    assert all(end - start <= context for start, end, _ in windows(length, context))
