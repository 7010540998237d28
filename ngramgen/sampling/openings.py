"""What continuations begin with, or are as a whole, drawn exactly: each way as often as the model would say it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ngramgen.model import EOS
from ngramgen.sampling.choosing import choose, log_probabilities
from ngramgen.sampling.goals import Way

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ngramgen.model import LanguageModel
    from ngramgen.sampling.goals import Goal

    Ids = NDArray[np.int32]
    Floats = NDArray[np.float64]
    Check = Callable[[Ids, tuple[int, ...]], bool]

_KEPT = 64  # prompts whose scores are kept


class Openings:
    """The ways of a goal right behind a prompt; with a check the text ends with them, and they have to pass it."""

    def __init__(self, model: LanguageModel, goal: Goal | None, check: Check | None = None) -> None:
        self._model, self._goal, self._check = model, goal, check
        self._known: dict[bytes, Floats] = {}

    def draw(self, prompt: Ids, numbers: Floats) -> list[Way]:
        """A way for each number in [0, 1); none where none has a chance."""
        if self._goal is None:
            return [Way(())] * len(numbers)
        scores = self._scores(prompt)
        if scores.max() == -np.inf:
            return []
        return [self._goal.ways[place] for place in choose(scores, numbers).tolist()]

    def _scores(self, prompt: Ids) -> Floats:
        assert self._goal is not None
        key = prompt.tobytes()
        if key not in self._known:
            if len(self._known) >= _KEPT:
                self._known.pop(next(iter(self._known)))
            end = (EOS,) * (self._check is not None)
            scores = log_probabilities(self._model, prompt, [(*way.ids, *end) for way in self._goal.ways])
            if self._check is not None:
                scores[[not self._check(prompt, way.ids) for way in self._goal.ways]] = -np.inf
            self._known[key] = scores
        return self._known[key]
