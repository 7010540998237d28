"""Exact draws among some continuations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ngramgen.sampling.choosing import choose, log_probabilities, passed, without_specials
from ngramgen.sampling.goals import Goal, Way
from ngramgen.sampling.openings import Openings

Model = Callable[..., Any]


def test_probabilities_of_continuations(toy: Model, texts_of: Callable[..., dict[tuple[int, ...], float]]) -> None:
    """A continuation and its end have the probability that the sampler gives them, <unk> and <s> left out."""
    model = toy([b"a", b"b"])
    for prompt in ((), (4, 3)):
        texts = texts_of(model, 3, prompt)
        found = log_probabilities(model, np.array(prompt, np.int32), [(*ids, 2) for ids in texts])
        assert np.exp(found) == pytest.approx(list(texts.values()), rel=1e-5)


def test_specials() -> None:
    """What <unk> and <s> had goes to all others alike; a row that has nothing else stays without a chance."""
    rows = without_specials(np.log([[0.25, 0.25, 0.1, 0.4], [0.5, 0.5, 1e-300, 1e-300]]))
    assert np.exp(rows[0]) == pytest.approx([0, 0, 0.2, 0.8])
    assert np.exp(rows[1]).max() < 1e-200


def test_choice() -> None:
    """A weight is chosen where the running sum passes the number; one of 0 never is, whatever the number."""
    scores = np.log([0.5, 1e-320, 0.25, 0.25])
    scores[1] = -np.inf
    assert choose(scores, np.array([0, 0.499, 0.5, 0.75, 1 - 2**-53])).tolist() == [0, 0, 2, 3, 3]
    assert passed(np.array([0.0, 1.0, 1.0]), np.array([0.0, 1.0])).tolist() == [1, 1]


def test_openings(toy: Model) -> None:
    """Ways are drawn as often as they are likely behind the prompt, but those that fail the check; or none is."""
    model = toy([b"a", b"b", b"c"])
    prompt = np.array([4], np.int32)
    goal = Goal("x", (Way((3, 4)), Way((5,)), Way((4, 4))))
    numbers = np.linspace(0, 1, 20001)[:-1]
    chances = np.exp(log_probabilities(model, prompt, [(3, 4, 2), (5, 2), (4, 4, 2)]))
    for right in ({(3, 4), (5,), (4, 4)}, {(3, 4), (4, 4)}):
        drawn = Openings(model, goal, lambda prompt, ids, right=right: ids in right).draw(prompt, numbers)
        shares = np.array([sum(way is one for way in drawn) for one in goal.ways]) / len(numbers)
        expected = chances * [way.ids in right for way in goal.ways]
        assert shares == pytest.approx(expected / expected.sum(), abs=1e-4)
    assert Openings(model, goal, lambda prompt, ids: False).draw(prompt, numbers) == []
    assert Openings(model, None).draw(prompt, numbers[:2]) == [Way(())] * 2
