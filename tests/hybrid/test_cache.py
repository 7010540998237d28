"""What a text tells of its next token: by hand, against counts kept in dictionaries, and both ways of asking."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ngramgen.hybrid.cache import LEVELS, SIZE, cache_along, cache_behind
from ngramgen.model import BOS, EOS

TEXTS = st.lists(st.integers(EOS, EOS + 3), max_size=40).map(lambda ids: np.array([BOS, *ids]))


def test_by_hand() -> None:
    """Behind the same token came two others, once each: half each. A longer context that came decides, mostly."""
    numbers, ids, probs = cache_behind(np.array([BOS, 4, 5, 4, 6, 4]))
    assert ids.tolist() == [5, 6]
    assert probs == pytest.approx([0.5, 0.5])
    assert numbers[:3] == pytest.approx([1, math.log(0.95 + 1e-4), math.log(3)])
    # behind 5 came 7 and 8: p_1 is 0.05 / 2 each; behind 4 5 came 7: p_2(7) = 0.05 + 0.95 p_1(7); 1 - 0.95^2 in all
    numbers, ids, probs = cache_behind(np.array([BOS, 4, 5, 7, 6, 5, 8, 4, 5]))
    assert ids.tolist() == [7, 8]
    assert probs == pytest.approx([0.07375 / 0.0975, 0.02375 / 0.0975])
    assert numbers[[0, 3, 6]].tolist() == [1, 1, 0]


def test_nothing_came_before() -> None:
    """Neither at a text's beginning nor behind a token that is new."""
    for words in ([BOS], [BOS, 4], [BOS, 4, 5, 6]):
        numbers, ids, probs = cache_behind(np.array(words))
        assert len(ids) == len(probs) == 0
        assert numbers[0] == 0


def test_lines() -> None:
    """A line's end is one token, however it is written, and tells what lines begin with."""
    for words in ([BOS, 4, EOS, 5, EOS], [BOS, 4, BOS, 5, BOS]):
        _, ids, probs = cache_behind(np.array(words))
        assert ids.tolist() == [4, 5]
        assert probs == pytest.approx([0.5, 0.5])
    for words in ([4, EOS, 5, EOS], [4, BOS, 5, BOS]):
        assert cache_along(np.array(words))[0][:, 0].tolist() == [0, 0, 1, 0]


def counted(text: list[int]) -> tuple[list[float], dict[int, float]]:
    """Slowly: whether each level is there, and p of each word behind a text."""
    levels: dict[Any, dict[int, set[Any] | int]] = defaultdict(dict)
    for place in range(1, len(text)):
        for k in range(1, min(LEVELS, place) + 1):
            found = levels[tuple(text[place - k : place])]
            if k == LEVELS:
                found[text[place]] = int(found.get(text[place], 0)) + 1  # type: ignore[arg-type]
            else:
                before = text[place - k - 1] if place > k else None
                found.setdefault(text[place], set()).add(before)  # type: ignore[union-attr]
    p: dict[int, float] = defaultdict(float)
    there, left = [], 1.0
    for k in range(1, LEVELS + 1):
        found = levels.get(tuple(text[len(text) - k :]), {}) if k <= len(text) else {}
        there.append(float(bool(found)))
        if not found:
            continue
        counts = {word: one if isinstance(one, int) else len(one) for word, one in found.items()}
        total = sum(counts.values())
        discount = {word: (0, 0.95, 1.55, 2.05)[min(count, 3)] for word, count in counts.items()}
        share = sum(discount.values()) / total
        p = defaultdict(float, {word: share * one for word, one in p.items()})
        left *= share
        for word, count in counts.items():
            p[word] += (count - discount[word]) / total
    return there, {word: one / (1 - left) for word, one in p.items()}


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_against_counts(words: Any) -> None:
    """Modified Kneser-Ney over all that came before, levels where the context came before."""
    there, expected = counted(np.where(words == BOS, EOS, words).tolist())
    numbers, ids, probs = cache_behind(words)
    assert numbers[:-1:3].tolist() == there
    assert dict(zip(ids.tolist(), probs.tolist(), strict=True)) == pytest.approx(expected)
    if len(ids):
        assert probs.sum() == pytest.approx(1, abs=1e-12)
        assert (probs > 0).all()


@settings(max_examples=100, deadline=None)
@given(TEXTS)
def test_along_is_behind_each(words: Any) -> None:
    """A text that is read as a whole has the numbers and probabilities of one that is read token by token."""
    numbers, own = cache_along(words[1:])
    assert numbers.shape == (len(words) - 1, SIZE)
    for place in range(1, len(words)):
        known, ids, probs = cache_behind(words[:place])
        assert numbers[place - 1] == pytest.approx(known, abs=1e-6)
        assert own[place - 1] == pytest.approx(probs[ids == words[place]].sum(), abs=1e-12)


def test_no_text() -> None:
    """There is nothing to tell of no token."""
    numbers, own = cache_along(np.zeros(0, np.int64))
    assert numbers.shape == (0, SIZE)
    assert own.shape == (0,)


def test_long_text() -> None:
    """A name that came once is expected when the words before it come again, however far behind."""
    rng = np.random.default_rng(0)
    words = np.concatenate([[BOS, 900, 901, 902], rng.integers(10, 800, 20_000), [900, 901]])
    _, ids, probs = cache_behind(words)
    assert ids[probs.argmax()] == 902
    assert probs.max() > 0.9
