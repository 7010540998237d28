"""How likely goals are along some walks, and how long it is worth to walk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ngramgen.model import EOS, UNK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from ngramgen.sampling.candidates import Frame, Options, Rows
    from ngramgen.sampling.goals import Least
    from ngramgen.sampling.walking import Walk

    Floats = NDArray[np.float64]
    Ids = tuple[int, ...]

_FREE = 128
"""Free tokens before a goal at most, beyond those that a length asks for; more where a word takes many tokens."""
_SENTENCE = 64
_FEW = 16
_NEGLIGIBLE = 1e-4


class Odds:
    """Natural log-probabilities along walks, (R, H + 1), as the sampler draws: without ``<unk>``."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        unknown = np.exp(walk.logprobs((UNK,)))
        self._lost = np.log1p(-np.minimum(unknown, 1 - 2**-53))
        self._exactly = float(unknown.max()) > _NEGLIGIBLE  # then also inside of ways
        self._end = walk.logprobs((EOS,)) - self._lost

    @staticmethod
    def asked(ways: Iterable[Ids]) -> list[Ids]:
        """The sequences of tokens that a walk will be asked for."""
        return list(dict.fromkeys([(UNK,), (EOS,), *(way for way in ways if way)]))

    def of(self, ids: Ids) -> Floats:
        """Of some tokens, one after the other; 0 of none."""
        if not ids:
            return np.zeros_like(self._end)
        if ids == (EOS,):
            return self._end
        found: Floats = self._walk.logprobs(ids) - self._lost
        if self._exactly:
            for length in range(1, len(ids)):
                before, unknown = self._walk.logprobs(ids[:length]), self._walk.logprobs((*ids[:length], UNK))
                share = np.exp(np.where(before > -np.inf, unknown - before, -np.inf))
                found = found - np.log1p(-np.minimum(share, 1 - 2**-53))
        return found

    def stays(self) -> Floats:
        """That a walk has not ended before each place; impossible behind a </s>."""
        with np.errstate(divide="ignore"):
            stays = np.log1p(-np.minimum(np.exp(self._end), 1.0))
        found = np.zeros_like(stays)
        np.cumsum(stays[:, :-1], axis=1, out=found[:, 1:])
        found[:, 1:][np.logical_or.accumulate(self._walk.tokens == EOS, axis=1)] = -np.inf
        return found


def free_steps(frame: Frame, rows: Rows, options: Options, rest: Least) -> int:
    """How many free tokens can be of use before a goal of a phase."""
    wished, spelling = frame.constraints, frame.spelling
    shortest = min(len(way.ids) for goal in options.goals for way in goal.ways)
    most = frame.most_tokens - min(map(len, rows.ids)) - rest.tokens - shortest
    scale = max(1, spelling.tokens_a_word // 3)
    if wished.max_words is not None:
        most = min(most, _tokens_of(frame, "words", wished.max_words))
    if wished.max_chars is not None:
        most = min(most, _tokens_of(frame, "characters", wished.max_chars))
    window = options.goals[0].window
    if window is not None and window.most is not None:
        return max(0, min(most, _tokens_of(frame, window.unit, window.most)))
    needed = max(
        wished.min_words * spelling.tokens_a_word, wished.min_chars, (wished.sentences or 0) * _SENTENCE * scale
    )
    if window is not None:
        needed = max(needed, _tokens_of(frame, window.unit, window.least))
    return max(0, min(most, needed + _FREE * scale))


def _tokens_of(frame: Frame, unit: str, count: int) -> int:
    """The tokens that free text of so many units takes at most, but for rare texts."""
    a_word = frame.spelling.tokens_a_word
    if unit == "words":
        return count if a_word == 1 else count * a_word + _FEW
    if unit == "characters":
        return count * frame.spelling.tokens_a_character + 1
    return count if unit == "tokens" else count * _SENTENCE * max(1, a_word // 3)
