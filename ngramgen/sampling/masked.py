"""Texts that match a regular expression, token by token: only tokens that can still lead to a match may come.

What may come is known exactly (`ngramgen.sampling.automaton`), with the number of tokens that are left, so no text ends
in a dead end. A mask alone would give texts that begin freely and then are forced; so several are drawn side by side,
each weighed by the probability that the model gave to what was permitted at each of its places, and one is chosen by
weight (sampling/importance resampling, Rubin 1987).
"""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ngramgen.errors import ConstraintError
from ngramgen.model import EOS
from ngramgen.randomness import child_seeds, uniform_block, uniforms
from ngramgen.sampling.automaton import UNREACHABLE, TokenAutomaton
from ngramgen.sampling.constraints import is_word_character
from ngramgen.sampling.draw import draw
from ngramgen.sampling.filters import build_filters
from ngramgen.sampling.moment import Moment
from ngramgen.sampling.patterns import compile_pattern

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ngramgen.model import FloatArray, LanguageModel
    from ngramgen.sampling.constraints import Constraints
    from ngramgen.sampling.options import SamplingOptions
    from ngramgen.sampling.spelling import Spelling

    Ids = NDArray[np.int32]

TEXTS = 8
"""Texts drawn side by side for one."""
_ROUNDS = 3
_SEPARATING = r"[\W_]"
_CHANCES = 1 << 32


class MaskedSearch:
    """Looks for texts of a model that match the regular expression of constraints, and all else that they ask."""

    def __init__(
        self, model: LanguageModel, options: SamplingOptions, constraints: Constraints, spelling: Spelling
    ) -> None:
        """Raises OptionError for a pattern that is not understood, ConstraintError for one that cannot be met."""
        self.model, self.options, self.constraints, self.spelling = model, options, constraints, spelling
        automaton = compile_pattern(*patterns(constraints))
        if automaton.is_empty:
            raise ConstraintError(f"No text can match the regex {constraints.regex!r} and all else that is asked.")
        self.tokens = TokenAutomaton(
            automaton, spelling.data, spelling.offsets, spelling.separator, strip_first_space=True
        )
        least = self.tokens.distance(self.tokens.start)
        if least >= UNREACHABLE:
            raise ConstraintError(f"The model's words cannot spell a match of the regex {constraints.regex!r}.")
        if least > options.max_new_tokens:
            raise ConstraintError(
                f"A match of the regex {constraints.regex!r} takes at least {least} tokens, but max_new_tokens is "
                f"{options.max_new_tokens}; raise it."
            )
        self.filters = build_filters(options, model.tokenizer)
        self.distances = self.tokens.distances()

    def text(self, prompt: Ids, seed: int) -> tuple[int, ...] | None:
        """A continuation of the prompt (T,); None where all that were drawn fail in what a pattern does not tell."""
        for attempt in range(_ROUNDS):
            own = child_seeds(seed, attempt * (TEXTS + 1), TEXTS + 1)
            texts, weights = self._drawn(prompt, own[:TEXTS])
            right = [self._is_right(ids) for ids in texts]
            weights = np.where(right, weights, -np.inf)
            if weights.max() > -np.inf:
                sums = np.cumsum(np.exp(weights - weights.max()))
                number = float(uniform_block(own[TEXTS], 0, 1)[0]) * sums[-1]
                return texts[min(int(np.searchsorted(sums, number, side="right")), TEXTS - 1)]
        return None

    def _is_right(self, ids: tuple[int, ...]) -> bool:
        return self.constraints.refusal_of(self.spelling.text(ids).decode("utf-8", "replace")) is None

    def _drawn(self, prompt: Ids, seeds: NDArray[np.uint64]) -> tuple[list[tuple[int, ...]], NDArray[np.float64]]:
        texts: list[tuple[int, ...]] = [()] * len(seeds)
        weights = np.zeros(len(seeds))
        places = [self.tokens.start] * len(seeds)
        rows = list(range(len(seeds)))
        state = self.model.start(len(seeds))
        if len(prompt):
            state = self.model.advance(state, np.tile(prompt, (len(seeds), 1)))
        for step in range(self.options.max_new_tokens + 1):
            logprobs = self.model.logprobs(state)
            left = self.options.max_new_tokens - step
            new = np.empty(len(rows), np.int32)
            for i, row in enumerate(rows):
                token, weight = self._next(logprobs[i], places[row], left, prompt, texts[row], seeds[row], step)
                new[i] = token
                weights[row] += weight
                if token != EOS:
                    places[row] = self.tokens.step(places[row], token)
                    texts[row] = (*texts[row], token)
            going = np.flatnonzero((new != EOS) & (weights[rows] > -np.inf))
            if not len(going):
                break
            rows = [rows[i] for i in going.tolist()]
            state = self.model.advance(state.select(going), new[going, None])
        return texts, weights

    def _next(
        self,
        logprobs: FloatArray,
        place: int,
        left: int,
        prompt: Ids,
        text: tuple[int, ...],
        seed: np.uint64,
        step: int,
    ) -> tuple[int, float]:
        """A permitted token, and the natural logarithm of the probability that the model gives to all of them."""
        ids, states = self.tokens.live(place)
        ids = ids[self.distances[states] < left]
        if self.tokens.accepts(place):
            ids = np.concatenate([np.array([EOS]), ids])
        permitted = logprobs.take(ids).astype(np.float64)
        if not len(ids) or permitted.max() == -np.inf:
            return EOS, -np.inf
        best = permitted.max()
        probabilities = np.exp(permitted - best)
        mass = float(probabilities.sum())
        number = uniforms(np.array([seed]), step)
        if self.options.is_plain:
            sums = np.cumsum(probabilities)
            at = min(int(np.searchsorted(sums, float(number[0]) * sums[-1], side="right")), len(ids) - 1)
        else:
            k = self.options.top_k if self.options.is_history_free else 0
            if 0 < k < len(ids):  # no filter asks which token is which: the best are enough
                some = np.argpartition(permitted, len(ids) - k)[len(ids) - k :]
                some.sort()
                ids, permitted = ids[some], permitted[some]
            if self.options.is_history_free:  # then the row need not hold the tokens that may not come
                names = np.concatenate([np.arange(EOS), ids if ids[0] == EOS else np.concatenate([[EOS], ids])])
                row = np.full(len(names), -np.inf)
                row[len(names) - len(ids) :] = permitted
            else:
                names = np.arange(len(logprobs))
                row = np.full(len(names), -np.inf)
                row[ids] = permitted
            chances = uniforms(np.array([seed]), step + _CHANCES)
            history = np.concatenate([prompt, np.array(text, np.int32)])[None, :]
            moment = replace(Moment.first(), history=history, step=step, chances=chances)
            drawn = int(draw(self.filters(row[None, :], moment), number)[0])
            return int(names[drawn]), float(best + np.log(mass))
        return int(ids[at]), float(best + np.log(mass))


def patterns(constraints: Constraints) -> list[str]:
    """Regular expressions that together say what constraints ask for, but for sentences.

    >>> from ngramgen.sampling.constraints import Constraints
    >>> patterns(Constraints(regex="[a-z ]+", starts_with="the"))
    ['[a-z ]+', 'the.*']
    """
    found = [constraints.regex] if constraints.regex is not None else []
    if constraints.starts_with:
        found.append(re.escape(constraints.starts_with) + ".*")
    if constraints.ends_with:
        found.append(".*" + re.escape(constraints.ends_with))
    groups = [constraints.contains] if constraints.in_order else [(part,) for part in constraints.contains]
    found += [_containing(group) for group in groups if group]
    if constraints.min_words or constraints.max_words is not None:
        most = "" if constraints.max_words is None else str(constraints.max_words - 1)
        least = max(constraints.min_words - 1, 0)
        found.append(rf"\S+(?:\s+\S+){{{least},{most}}}")
    if constraints.min_chars or constraints.max_chars is not None:
        found.append(f".{{{constraints.min_chars},{'' if constraints.max_chars is None else constraints.max_chars}}}")
    return found


def _containing(parts: tuple[str, ...]) -> str:
    """Any text in which these stand as whole words, one behind the other."""
    pieces = [f"(?:.*{_SEPARATING})?" if is_word_character(parts[0][0]) else ".*", re.escape(parts[0])]
    for before, part in itertools.pairwise(parts):
        edges = is_word_character(before[-1]), is_word_character(part[0])
        between = {
            (True, True): f"(?:{_SEPARATING}|{_SEPARATING}.*{_SEPARATING})",
            (True, False): f"(?:{_SEPARATING}.*)?",
            (False, True): f"(?:.*{_SEPARATING})?",
            (False, False): ".*",
        }[edges]
        pieces += [between, re.escape(part)]
    pieces.append(f"(?:{_SEPARATING}.*)?" if is_word_character(parts[-1][-1]) else ".*")
    return "".join(pieces)
