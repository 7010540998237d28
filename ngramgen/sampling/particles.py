"""Texts that reach their goals, by importance resampling over free walks.

A text x that contains a word w is, up to the first w, a prefix without it: P(x) = P(prefix) P(w | prefix) P(rest). So
free walks are drawn, and a place in one of them is chosen with the probability of w there as its weight; that weighs
each prefix as the model would, given that w comes next. The walks go on from copies of what was chosen, to the next
goal, and the end of the text is the last one. </s> is not drawn on the way: a walk's weight is the probability that it
was not. With more and more walks the texts follow the model's distribution given the constraints (sampling/importance
resampling, Rubin 1987; particle filters, Gordon, Salmond & Smith 1993).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ngramgen.model import EOS
from ngramgen.randomness import child_seeds, uniform_block
from ngramgen.sampling.constraints import SENTENCE_END, is_word_character

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ngramgen.sampling.constraints import Constraints
    from ngramgen.sampling.goals import Goal, Plan
    from ngramgen.sampling.spelling import Spelling
    from ngramgen.sampling.walking import Walk, Walker

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]
    Seeds = NDArray[np.uint64]

_WORD = re.compile(r"\S+")
_FREE = 128
"""Free tokens before a goal at most, beyond those that a length asks for."""
_THINNED = 4
"""For the end, one walk goes on for so many: it may come at many places of each."""
_CHECKED = 32
"""Chosen texts that are read again before a search is given up."""


@dataclass(frozen=True)
class Measures:
    """What stands before each place of R rows, (R, H + 1): counts from the beginning of the continuation."""

    words: Ints
    chars: Ints
    sentences: Ints
    at_end: Bools  # whether a sentence ends there
    in_word: Bools  # whether the last character is one of a word
    seen: Ints  # (R, J): the place at which each goal begins without help; H + 1 where it does not
    suffix: Bools  # whether the text ends as it has to
    gaps: Bools  # (R,): whether the first free token keeps its distance from what stands before


@dataclass
class _Rows:
    """R unfinished texts, the same number for each of G outputs, one output after the other."""

    each: int
    places: Any
    ids: list[tuple[int, ...]]  # of the continuation
    gap: list[bool]  # whether a space has to follow
    pending: Bools  # (R, J): the goals of this phase that are still to come


class Search:
    """Looks for texts that reach the goals of a plan."""

    def __init__(
        self, walker: Walker, plan: Plan, constraints: Constraints, spelling: Spelling, most_tokens: int, walks: int
    ) -> None:
        self.walker, self.plan, self.constraints, self.spelling = walker, plan, constraints, spelling
        self.most_tokens, self.walks = most_tokens, walks
        self.joined = bool(spelling.separator)

    def run(self, places: Any, seeds: Seeds) -> list[tuple[int, ...] | None]:
        """A continuation for each of G seeds, from R = G N places; None where none was found."""
        count = len(seeds) * self.walks
        rows = _Rows(self.walks, places, [()] * count, [False] * count, np.ones((count, 0), bool))
        alive = np.ones(len(seeds), bool)
        stage = 0
        for number, phase in enumerate(self.plan.phases):
            rows.pending = np.ones((len(rows.ids), len(phase)), bool)
            for done in range(len(phase)):
                more = len(phase) - done - 1
                last = not more and number + 1 == len(self.plan.phases)
                wanted = max(1, self.walks // _THINNED) if last else self.walks
                rows = self._stage(rows, phase, more, number + 1, seeds, stage, alive, wanted)
                stage += 1
        return self._end(rows, seeds, stage, alive)

    def _stage(
        self,
        rows: _Rows,
        goals: Sequence[Goal],
        more: int,
        after: int,
        seeds: Seeds,
        stage: int,
        alive: Bools,
        wanted: int,
    ) -> _Rows:
        rest = self._least(goals, more, after)
        walk, weights, measures = self._walked(rows, goals, rest, seeds, stage)
        options = [(j, way) for j, goal in enumerate(goals) for way in goal.ways]
        scores = np.stack([self._score(walk, weights, measures, rows, goals[j], j, way, rest) for j, way in options], 2)
        chosen = [
            self._resampled(scores[some], seed, stage, wanted)
            for some, seed in zip(self._slices(rows.each, seeds), seeds, strict=True)
        ]
        for output, found in enumerate(chosen):
            alive[output] &= found is not None
        offsets = np.arange(len(seeds)) * rows.each
        flat = [
            np.full(wanted, offset * scores[0].size) if found is None else found + offset * scores[0].size
            for found, offset in zip(chosen, offsets.tolist(), strict=True)
        ]
        row, place, option = np.unravel_index(np.concatenate(flat), scores.shape)
        return self._moved(wanted, rows, walk, row, place, [options[o] for o in option.tolist()], goals)

    def _moved(
        self,
        each: int,
        rows: _Rows,
        walk: Walk,
        row: Ints,
        place: Ints,
        options: list[tuple[int, tuple[int, ...]]],
        goals: Sequence[Goal],
    ) -> _Rows:
        ways = [way for _, way in options]
        pending = rows.pending[row]
        pending[np.arange(len(row)), [j for j, _ in options]] = False
        tokens = walk.tokens
        ids = [
            (*rows.ids[r], *tokens[r, :t].tolist(), *way)
            for r, t, way in zip(row.tolist(), place.tolist(), ways, strict=True)
        ]
        places = self.walker.follow(walk.at(row, place), ways)
        return _Rows(each, places, ids, [goals[j].gap for j, _ in options], pending)

    def _slices(self, each: int, seeds: Seeds) -> list[slice]:
        return [slice(g * each, (g + 1) * each) for g in range(len(seeds))]

    def _end(self, rows: _Rows, seeds: Seeds, stage: int, alive: Bools) -> list[tuple[int, ...] | None]:
        goal = self.plan.ending
        rest = _Least(0, 0, 0)
        walk, weights, measures = self._walked(rows, [goal], rest, seeds, stage)
        ways = list(goal.ways)
        scores = [self._score(walk, weights, measures, rows, goal, 0, way, rest, final=True) for way in ways]
        if goal.pattern is not None:  # where the text ends as it has to without help, in other tokens than these
            natural = self._score(walk, weights, measures, rows, goal, 0, (), rest, final=True)
            natural[~measures.suffix | self._ends_so(rows, walk, ways)] = -np.inf
            ways.append(())
            scores.append(natural)
        stacked = np.stack(scores, 2)
        found: list[tuple[int, ...] | None] = []
        for output, some in enumerate(self._slices(rows.each, seeds)):
            text = None
            if alive[output]:
                text = self._finished(stacked[some], some.start, rows, walk, ways, int(seeds[output]), stage)
            found.append(text)
        return found

    def _ends_so(self, rows: _Rows, walk: Walk, ways: list[tuple[int, ...]]) -> Bools:
        result = np.zeros((len(rows.ids), walk.tokens.shape[1] + 1), bool)
        for row, ids in enumerate(rows.ids):
            whole = [*ids, *walk.tokens[row].tolist()]
            for place in range(result.shape[1]):
                end = len(ids) + place
                result[row, place] = any(tuple(whole[max(0, end - len(way)) : end]) == way for way in ways)
        return result

    def _finished(
        self, scores: Floats, first: int, rows: _Rows, walk: Walk, ways: list[tuple[int, ...]], seed: int, stage: int
    ) -> tuple[int, ...] | None:
        scores = scores.copy()
        for number in uniform_block(_stage_seed(seed, stage, 1), 0, _CHECKED).tolist():
            sums = _running(scores)
            if sums is None:
                return None
            at = min(int(np.searchsorted(sums, number * sums[-1], side="right")), len(sums) - 1)
            row, place, option = np.unravel_index(at, scores.shape)
            ids = (*rows.ids[first + row], *walk.tokens[first + row, :place].tolist(), *ways[option])
            text = self.spelling.text(ids).decode("utf-8", "replace")
            if self.constraints.refusal_of(text) is None:
                return ids
            scores[row, place, option] = -np.inf
        return None

    def _walked(
        self, rows: _Rows, goals: Sequence[Goal], rest: _Least, seeds: Seeds, stage: int
    ) -> tuple[Walk, Floats, Measures]:
        """A walk from every row, the natural logarithm of each place's weight (R, H + 1), and what stands before it."""
        steps = self._steps(rows, goals, rest)
        own = np.concatenate([child_seeds(_stage_seed(int(seed), stage, 0), 0, rows.each) for seed in seeds])
        words = list(dict.fromkeys([(EOS,), *(way for goal in goals for way in goal.ways)]))
        walk = self.walker.walk(rows.places, own, steps, words)
        ends = walk.logprobs((EOS,))
        with np.errstate(divide="ignore"):
            stays = np.log1p(-np.minimum(np.exp(ends), 1.0))
        weights = np.zeros_like(ends)
        np.cumsum(stays[:, :-1], axis=1, out=weights[:, 1:])
        measures = self._measures(rows, walk, goals)
        weights[:, 1:][np.logical_or.accumulate(walk.tokens == EOS, axis=1)] = -np.inf
        weights[~measures.gaps, 1:] = -np.inf
        later = np.arange(weights.shape[1])
        for j, goal in enumerate(goals):
            if goal.pattern is not None and goal is not self.plan.ending:
                first = np.where(rows.pending[:, j], measures.seen[:, j], weights.shape[1])
                weights[later > first[:, None]] = -np.inf
        return walk, weights, measures

    def _steps(self, rows: _Rows, goals: Sequence[Goal], rest: _Least) -> int:
        """How many free tokens can be of use."""
        shortest = min(len(way) for goal in goals for way in goal.ways or ((),))
        budget = self.most_tokens - min(map(len, rows.ids)) - rest.tokens - shortest
        if budget < 0:
            return 0
        window = goals[0].window
        if window is not None and window.most is not None:
            return min(budget, window.most * {"tokens": 1, "characters": 1, "words": 3, "sentences": 60}[window.unit])
        wished = self.constraints
        needed = max(wished.min_words * 2, wished.min_chars, (wished.sentences or 0) * 50)
        if window is not None:
            needed = max(
                needed, window.least * {"tokens": 1, "characters": 1, "words": 2, "sentences": 50}[window.unit]
            )
        if wished.max_words is not None:
            budget = min(budget, (1 if self.joined else 2) * wished.max_words)
        if wished.max_chars is not None:
            budget = min(budget, wished.max_chars)
        return min(budget, _FREE + needed)

    def _score(
        self,
        walk: Walk,
        weights: Floats,
        measures: Measures,
        rows: _Rows,
        goal: Goal,
        number: int,
        way: tuple[int, ...],
        rest: _Least,
        *,
        final: bool = False,
    ) -> Floats:
        """The natural logarithm of the weight of a way of a goal at each place, (R, H + 1)."""
        scores = weights + walk.logprobs((*way, EOS) if final else way) if way or final else weights.copy()
        scores[~self._permitted(measures, rows, goal, way, rest, final)] = -np.inf
        if not final:
            scores[~rows.pending[:, number]] = -np.inf
        return scores

    def _permitted(
        self, measures: Measures, rows: _Rows, goal: Goal, way: tuple[int, ...], rest: _Least, final: bool
    ) -> Bools:
        wished, spelt = self.constraints, self.spelling.text(way).decode("utf-8", "replace")
        glued = bool(spelt) and not self.joined and not spelt[0].isspace()
        words = measures.words + len(spelt.split()) - (glued & (measures.words > 0))
        chars = measures.chars + len(spelt) + (1 if self.joined and spelt else 0)
        used = np.array([len(ids) for ids in rows.ids])[:, None] + np.arange(words.shape[1]) + len(way)
        right: Bools = used + rest.tokens <= self.most_tokens
        if glued and is_word_character(spelt[0]):
            right &= ~measures.in_word
        if wished.max_words is not None:
            right &= words + rest.words <= wished.max_words
        if wished.max_chars is not None:
            right &= chars + rest.chars <= wished.max_chars + 1  # one for a space that is stripped
        if final:
            right &= (words >= wished.min_words) & (chars >= wished.min_chars)
        if wished.sentences is not None:
            right &= measures.sentences <= wished.sentences - (0 if final else 1)
            if final and not way:
                right &= (measures.sentences == wished.sentences) & measures.at_end
        if goal.window is not None:
            right &= _inside(goal.window, measures)
        return right

    def _least(self, goals: Sequence[Goal], more: int, after: int) -> _Least:
        """What must still come behind the next goal: so many more of its phase, the later phases, the ending."""
        later = sorted((_Least.of(goal, self.spelling) for goal in goals), key=lambda least: least.tokens)[:more]
        later += [_Least.of(goal, self.spelling) for phase in self.plan.phases[after:] for goal in phase]
        later.append(_Least.of(self.plan.ending, self.spelling))
        return _Least(
            sum(least.tokens for least in later),
            sum(least.words for least in later),
            sum(least.chars for least in later),
        )

    def _measures(self, rows: _Rows, walk: Walk, goals: Sequence[Goal]) -> Measures:
        tokens = walk.tokens
        shape = (len(tokens), tokens.shape[1] + 1)
        words, chars, sentences = (np.zeros(shape, np.int64) for _ in range(3))
        at_end, in_word, suffix = (np.zeros(shape, bool) for _ in range(3))
        seen = np.full((shape[0], len(goals)), shape[1])
        gaps = np.ones(shape[0], bool)
        for row, own in enumerate(tokens.tolist()):
            before = len(rows.ids[row])
            text, borders = self.spelling.borders([*rows.ids[row], *own])
            borders = borders[before:]
            starts = [found.start() for found in _WORD.finditer(text)]
            words[row] = np.searchsorted(starts, borders, side="left")
            chars[row] = np.maximum(borders - (starts[0] if starts else 0), 0)
            letters = [border > 0 and is_word_character(text[border - 1]) for border in borders.tolist()]
            in_word[row] = letters
            if self.constraints.sentences is not None or any(g.window and g.window.unit == "sentences" for g in goals):
                ends = [found.end() for found in SENTENCE_END.finditer(text)]
                sentences[row] = np.searchsorted(ends, borders, side="right")
                at_end[row] = np.isin(borders, ends)
            for j, goal in enumerate(goals):
                if goal.pattern is None:
                    continue
                if goal is self.plan.ending:
                    suffix[row] = [goal.pattern.search(text, 0, border) is not None for border in borders.tolist()]
                elif found := goal.pattern.search(text, int(borders[0])):
                    seen[row, j] = np.searchsorted(borders, found.start(), side="right") - 1
            if own and before and not self.joined:
                follows = text[borders[0] : borders[1]]
                if rows.gap[row]:
                    gaps[row] = follows[:1].isspace()
                elif in_word[row, 0] and follows:
                    gaps[row] = not is_word_character(follows[0])
        return Measures(words, chars, sentences, at_end, in_word, seen, suffix, gaps)

    def _resampled(self, scores: Floats, seed: np.uint64, stage: int, wanted: int) -> Ints | None:
        """So many places and options of one output, each as often as its weight says; None where all are impossible."""
        sums = _running(scores)
        if sums is None:
            return None
        start = float(uniform_block(_stage_seed(int(seed), stage, 1), 0, 1)[0])
        marks = (np.arange(wanted) + start) / wanted * sums[-1]
        found: Ints = np.minimum(np.searchsorted(sums, marks, side="right"), int(np.argmax(sums == sums[-1])))
        return found


@dataclass(frozen=True)
class _Least:
    """What goals take at the least."""

    tokens: int
    words: int
    chars: int

    @classmethod
    def of(cls, goal: Goal, spelling: Spelling) -> _Least:
        ways = goal.ways or ((),)
        texts = [spelling.text(way).decode("utf-8", "replace").strip() for way in ways]
        window = goal.window
        free = {window.unit: window.least} if window is not None else {}
        words = max(min(len(text.split()) for text in texts) - (0 if window is None else 1), 0)
        return cls(
            min(map(len, ways)) + free.get("tokens", 0) + free.get("words", 0),
            words + free.get("words", 0),
            min(map(len, texts)) + free.get("characters", 0),
        )


def _inside(window: Any, measures: Measures) -> Bools:
    counts = {
        "tokens": np.broadcast_to(np.arange(measures.words.shape[1]), measures.words.shape),
        "words": measures.words - measures.words[:, :1],
        "characters": measures.chars - measures.chars[:, :1],
        "sentences": measures.sentences - measures.sentences[:, :1],
    }[window.unit]
    inside: Bools = counts >= window.least
    if window.most is not None:
        inside &= counts <= window.most
    if window.unit == "sentences":
        inside &= measures.at_end
    return inside


def _running(scores: Floats) -> Floats | None:
    """Running sums of the weights whose logarithms these are, the largest made 1; None where all are 0."""
    best = float(scores.max(initial=-math.inf))
    if best == -math.inf:
        return None
    weights = np.exp(scores.ravel() - best)
    sums: Floats = np.cumsum(weights)
    return sums


def _stage_seed(seed: int, stage: int, stream: int) -> int:
    return seed ^ (0x9FB21C651E98DF25 * (2 * stage + stream + 1) & (1 << 64) - 1)
