"""Texts that match a regular expression, token by token: only tokens that can still lead to a match may come.

What may come is known exactly (`ngramgen.sampling.automaton`), with the number of tokens that are left, so no text ends
in a dead end. A mask alone would give texts that begin freely and then are forced; so several are drawn side by side,
each weighed by the probability that the model gave to what was permitted at each of its places, and one is chosen by
weight (sampling/importance resampling, Rubin 1987). They have limits of their own on their lengths, from short to long,
or an end that is unlikely would come after as many tokens as there may be; a text's weight is divided by the share of
limits that permit its length.
"""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ngramgen.errors import ConstraintError
from ngramgen.model import BOS, EOS, UNK
from ngramgen.randomness import child_seeds, uniform_block, uniforms
from ngramgen.sampling.automaton import UNREACHABLE, TokenAutomaton
from ngramgen.sampling.choosing import choose, passed
from ngramgen.sampling.draw import draw
from ngramgen.sampling.edges import SEPARATING, is_word_character
from ngramgen.sampling.filters import build_filters
from ngramgen.sampling.moment import Moment
from ngramgen.sampling.patterns import compile_pattern
from ngramgen.sampling.stepping import CHANCES

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ngramgen.model import FloatArray, LanguageModel
    from ngramgen.sampling.constraints import Constraints
    from ngramgen.sampling.options import SamplingOptions
    from ngramgen.sampling.spelling import Spelling

    Ids = NDArray[np.int32]
    Floats = NDArray[np.float64]
    Seeds = NDArray[np.uint64]
    Text = tuple[int, ...]

TEXTS = 8
"""Texts drawn side by side for one."""
ROUNDS = 3
"""How often that is done before a text is given up."""


@dataclass
class _Draft:
    """A text as far as it is drawn, the most tokens that it may have, the state that it leads to, and the natural
    logarithm of its weight."""

    seed: np.uint64
    limit: int
    place: int
    ids: Text = ()
    weight: float = 0.0


class MaskedSearch:
    """Looks for texts of a model that match the regular expression of constraints, and all else that they ask."""

    def __init__(
        self, model: LanguageModel, options: SamplingOptions, constraints: Constraints, spelling: Spelling
    ) -> None:
        """Raises OptionError for a pattern that is not understood, ConstraintError for one that cannot be met.

        The options' ``min_new_tokens`` is kept by not ending before, not by a filter.
        """
        self.model, self.options = model, replace(options, min_new_tokens=0)
        self.least_tokens, self.most_tokens = options.min_new_tokens, options.max_new_tokens
        shown = f'the regex "{constraints.regex}"'
        automaton = compile_pattern(*patterns(constraints, spelling, self.most_tokens))
        if automaton.is_empty:
            raise ConstraintError(f"No text matches {shown} and is all else that is asked; change one of them.")
        self.tokens = TokenAutomaton(
            automaton, spelling.data, spelling.offsets, spelling.separator, strip_first_space=True
        )
        least = self.tokens.distance(self.tokens.start)
        if least >= UNREACHABLE:
            raise ConstraintError(f"The words of the model cannot spell a match of {shown}; use words of its text.")
        if least > self.most_tokens:
            raise ConstraintError(
                f"A match of {shown} takes at least {least} tokens, but max_new_tokens is {self.most_tokens}; raise it."
            )
        self._shortest = max(least, self.least_tokens)
        self.filters = build_filters(self.options, model.tokenizer)
        self._distances = self.tokens.distances()
        self._farthest: dict[int, int] = {}

    def text(self, prompt: Ids, seed: int, check: Callable[[Text], bool], texts: int = TEXTS) -> Text | None:
        """A continuation of the prompt (T,); None where the check refuses all that were drawn."""
        own = child_seeds(seed, 0, texts + 1)
        limits = self._limits(texts)
        drafts = [_Draft(child, limit, self.tokens.start) for child, limit in zip(own, limits, strict=False)]
        self._draw(prompt, drafts)
        right = {ids: check(ids) for ids in {draft.ids for draft in drafts if draft.weight > -np.inf}}
        weights = np.array([draft.weight if right.get(draft.ids, False) else -np.inf for draft in drafts])
        if weights.max() == -np.inf:
            return None
        weights -= np.log([sum(len(draft.ids) <= limit for limit in limits) for draft in drafts])
        return drafts[int(choose(weights, uniform_block(own[texts], 0, 1)[0]))].ids

    def _limits(self, texts: int) -> list[int]:
        """The most tokens of each text, ascending."""
        parts = (np.arange(1, texts + 1) / texts) ** 2
        limits: list[int] = (self._shortest + np.rint((self.most_tokens - self._shortest) * parts)).astype(int).tolist()
        return limits

    def _draw(self, prompt: Ids, drafts: list[_Draft]) -> None:
        """Draws the drafts to their ends."""
        state = self.model.start(1)
        if len(prompt):
            state = self.model.advance(state, prompt[None, :])
        state = state.select(np.zeros(len(drafts), np.int64))
        left = drafts
        for step in range(self.most_tokens + 1):
            logprobs = self.model.logprobs(state)
            new = [self._next(row, draft, prompt, step) for row, draft in zip(logprobs, left, strict=True)]
            going = [i for i, token in enumerate(new) if token != EOS]
            if not going:
                break
            left = [left[i] for i in going]
            tokens = [new[i] for i in going]
            for draft, token in zip(left, tokens, strict=True):
                draft.place = self.tokens.step(draft.place, token)
                draft.ids = (*draft.ids, token)
            state = self.model.advance(state.select(np.array(going)), np.array(tokens, np.int32)[:, None])

    def _next(self, logprobs: FloatArray, draft: _Draft, prompt: Ids, step: int) -> int:
        """A permitted token; the probability that the model gives to all that are goes into the draft's weight."""
        ids = self._permitted(draft.place, step, draft.limit - step)
        scores = logprobs.take(ids)
        best = scores.max(initial=-np.inf)
        if best == -np.inf:
            draft.weight = -np.inf
            return EOS
        chances = np.exp(scores - best)
        never = float(np.exp(logprobs[UNK]) + np.exp(logprobs[BOS]))
        draft.weight += float(best) - math.log1p(-min(never, 1 - 2**-53))
        if self.options.is_plain:
            sums = np.cumsum(chances, dtype=np.float64)
            draft.weight += math.log(sums[-1])
            return int(ids[int(passed(sums, uniforms(np.array([draft.seed]), step))[0])])
        draft.weight += math.log(float(chances.sum(dtype=np.float64)))
        return self._filtered(ids, scores, draft, prompt, step)

    def _permitted(self, place: int, step: int, left: int) -> NDArray[np.int64]:
        """The tokens that may come where so many are left, ascending."""
        ids, states = self.tokens.live(place)
        if place not in self._farthest:
            self._farthest[place] = int(self._distances.take(states).max(initial=0))
        if self._farthest[place] >= left:
            ids = ids[self._distances.take(states) < left]
        if step >= self.least_tokens and self.tokens.accepts(place):
            return np.append(EOS, ids)
        return ids

    def _filtered(self, ids: NDArray[np.int64], scores: FloatArray, draft: _Draft, prompt: Ids, step: int) -> int:
        """One of some tokens with these log-probabilities, as the filters say."""
        k = self.options.top_k if self.options.is_history_free else 0
        if 0 < k < len(ids):  # no filter asks which token is which: the best are enough
            some = np.sort(np.argpartition(scores, len(ids) - k)[len(ids) - k :])
            ids, scores = ids[some], scores[some]
        if self.options.is_history_free:  # then the row need not hold the tokens that may not come
            names = np.concatenate([np.arange(EOS), ids if ids[0] == EOS else np.append(EOS, ids)])
            row = np.full(len(names), -np.inf)
            row[len(names) - len(ids) :] = scores
        else:
            names = np.arange(self.model.vocab_size)
            row = np.full(len(names), -np.inf)
            row[ids] = scores
        seed = np.array([draft.seed])
        history = np.concatenate([prompt, np.array(draft.ids, np.int32)])[None, :]
        moment = replace(Moment.first(), history=history, step=step, chances=uniforms(seed, step + CHANCES))
        return int(names[int(draw(self.filters(row[None, :], moment), uniforms(seed, step))[0])])


def patterns(constraints: Constraints, spelling: Spelling, most_tokens: int) -> list[str]:
    """Regular expressions that together say what constraints ask for, but for sentences.

    A length that so many tokens cannot pass is left out.

    >>> patterns(Constraints(regex="[a-z ]+", starts_with="the"), spelling, 100)    # doctest: +SKIP
    ['[a-z ]+', 'the(?:[\\W_].*)?']
    """
    found = [constraints.regex] if constraints.regex is not None else []
    first, last = constraints.starts_with, constraints.ends_with
    if first:
        found.append(re.escape(first) + (f"(?:{SEPARATING}.*)?" if is_word_character(first[-1]) else ".*"))
    if last:
        found.append((f"(?:.*{SEPARATING})?" if is_word_character(last[0]) else ".*") + re.escape(last))
    groups = [constraints.contains] if constraints.in_order else [(part,) for part in constraints.contains]
    found += [_containing(group) for group in groups if group]
    most_words = most_tokens if spelling.holds_single_words else 2**31
    if constraints.min_words > 0 or (constraints.max_words or most_words) < most_words:
        found.append(_several(r"\S+", r"\s+", constraints.min_words, constraints.max_words))
    most_chars = most_tokens * spelling.longest
    if constraints.min_chars > 0 or (constraints.max_chars or most_chars) < most_chars:
        most = "" if constraints.max_chars is None else constraints.max_chars
        found.append(f".{{{constraints.min_chars},{most}}}")
    return found


def _several(part: str, between: str, least: int, most: int | None) -> str:
    behind = f"(?:{between}{part}){{{max(least - 1, 0)},{'' if most is None else most - 1}}}"
    return f"{part}{behind}" if least else f"(?:{part}{behind})?"


def _containing(parts: tuple[str, ...]) -> str:
    """Any text in which these stand as whole words, one behind the other."""
    pieces = [f"(?:.*{SEPARATING})?" if is_word_character(parts[0][0]) else ".*", re.escape(parts[0])]
    for before, part in itertools.pairwise(parts):
        edges = is_word_character(before[-1]), is_word_character(part[0])
        between = {
            (True, True): f"(?:{SEPARATING}|{SEPARATING}.*{SEPARATING})",
            (True, False): f"(?:{SEPARATING}.*)?",
            (False, True): f"(?:.*{SEPARATING})?",
            (False, False): ".*",
        }[edges]
        pieces += [between, re.escape(part)]
    pieces.append(f"(?:{SEPARATING}.*)?" if is_word_character(parts[-1][-1]) else ".*")
    return "".join(pieces)
