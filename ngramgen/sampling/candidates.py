"""Where in some walks a goal may come, by rule: what stands before it, what must still come, how long the text may be.

A text must have one reading only, or it would be counted twice: a keyword comes where it is complete for the first
time. So a way is not taken where another goal of its phase is complete before its last token is there, nor where a
longer way, begun earlier, ends at the same place.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ngramgen.sampling.edges import is_word_character, touches
from ngramgen.sampling.goals import Behind, Follow, Goal, Way, least_of
from ngramgen.sampling.tallies import SPACE, WORD, Sightings, Tallies

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ngramgen.sampling.constraints import Constraints
    from ngramgen.sampling.goals import Least
    from ngramgen.sampling.spelling import Spelling
    from ngramgen.sampling.templates import Hole

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]
    Ids = tuple[int, ...]


@dataclass(frozen=True)
class Frame:
    """What holds for all of a search."""

    constraints: Constraints
    spelling: Spelling
    least_tokens: int
    most_tokens: int
    loose: bool = False  # whether words that must still come may be glued to others

    @property
    def joined(self) -> bool:
        return bool(self.spelling.separator)


@dataclass
class Rows:
    """R unfinished texts, the same number for each of some outputs, one output after the other."""

    each: int
    places: Any  # where the walker goes on
    ids: list[Ids]  # of the continuation
    behind: list[Behind]  # what may come next
    pending: Bools  # (R, J): the goals of this phase that are still to come
    inside: Bools  # (R,): whether the prompt ends with a character of a word


class Option(NamedTuple):
    """A way to come to one of some goals of a phase; ``by_itself`` where the walk brings it about, without help."""

    way: Way
    goals: tuple[int, ...]
    by_itself: bool = False


class Clash(NamedTuple):
    """An option is not taken where some tokens stand before it: another one was begun there, and is what counts.

    Attributes:
        option: The number of the one.
        other: Of the other one.
        tokens: What stands before, of the other one.
        head: So many of those were there before the walk, which then has the rest from its beginning.
    """

    option: int
    other: int
    tokens: Ids
    head: int


class Options(NamedTuple):
    """All options of a phase, or of the ending."""

    goals: tuple[Goal, ...]
    listed: tuple[Option, ...]
    clashes: tuple[Clash, ...]
    final: bool


def options_of(goals: tuple[Goal, ...], *, final: bool = False) -> Options:
    """The options to come to one goal of a phase, or to the end of the text."""
    by_way: dict[Way, tuple[int, ...]] = {}
    for number, goal in enumerate(goals):
        for way in goal.ways:
            by_way[way] = (*by_way.get(way, ()), number)
    listed = [Option(way, numbers) for way, numbers in by_way.items()]
    listed += [Option(Way(()), (number,), True) for number, goal in enumerate(goals) if goal.keyword]
    if len(goals) > 1:
        listed.append(Option(Way(()), ()))  # all are there
    keywords = any(goal.keyword for goal in goals)
    return Options(goals, tuple(listed), tuple(_clashes(listed)) if keywords else (), final)


def _clashes(options: list[Option]) -> list[Clash]:
    long = [(number, other) for number, other in enumerate(options) if other.goals and not other.by_itself]
    found = []
    for one, option in enumerate(options):
        if not option.goals:
            continue
        ids = option.way.ids
        for number, other in long:
            head, whole = len(other.way.head), other.way.head + other.way.ids
            for shared in range(0 if option.by_itself else 1, min(len(ids), len(whole) - 1) + 1):
                before = len(whole) - shared
                if shared == len(ids) and len(whole) <= len(option.way.head) + len(ids):  # not begun earlier
                    continue
                if before >= head and whole[before:] == ids[:shared]:
                    found.append(Clash(one, number, whole[:before], head))
    return found


class Candidates:
    """Where the options of a phase may come in R walks of H tokens: masks (R, H + 1)."""

    def __init__(self, frame: Frame, rows: Rows, tokens: Ints, options: Options, rest: Least) -> None:
        """``rest`` is what must come behind this phase at the least."""
        self.frame, self.rows, self.tokens, self.options, self.rest = frame, rows, tokens, options, rest
        self.tallies = Tallies(frame.spelling.flat(rows.ids, tokens), rows.inside)
        self.shape = len(tokens), tokens.shape[1] + 1

    def allowed(self) -> list[Bools]:
        """Where each option may come."""
        masks = [self._allowed(option) for option in self.options.listed]
        taken = [mask.copy() for mask in masks]
        for clash in self.options.clashes:
            if taken[clash.option].any():
                taken[clash.option] &= ~self._begun(clash, masks[clash.other])
        known: dict[Ids, Bools] = {}  # the same tokens may end several ways, some begun before
        for option, mask in zip(self.options.listed, taken, strict=True):
            if option.goals and self.options.goals[option.goals[0]].keyword:
                before = known.setdefault(option.way.ids, np.zeros(self.shape, bool))
                mask &= ~before
                before |= mask
        return taken

    @cached_property
    def starts(self) -> Bools:
        """Whether the walk may begin as it does, (R,)."""
        tallies, joined = self.tallies, self.frame.joined
        right = np.ones(self.shape[0], bool)
        if self.shape[1] < 2:
            return right
        kinds = tallies.next_kinds(joined)
        for row, (follow, lead) in enumerate(self.rows.behind):
            right[row] = _may_follow(follow, int(kinds[row]), bool(tallies.in_word[row, 0]))
            if lead:
                right[row] = tallies.leads(lead, joined)[row]
        return right

    def _allowed(self, option: Option) -> Bools:
        way, final = option.way, self.options.final
        if not option.goals:
            mask = np.zeros(self.shape, bool)
            mask[:, 0] = ~self.rows.pending.any(axis=1)
            return mask
        goal = self.options.goals[option.goals[0]]
        mask = self.tallies.flat.whole.copy()
        if not final:
            mask &= self.rows.pending[:, list(option.goals)].any(axis=1, keepdims=True)
        text = self.frame.spelling.text(way.ids)
        mask &= self._short_enough(option, text)
        mask[:, 0] &= self._may_come_first(text)
        if way.head:
            mask[:, 1:] = False
            mask[:, 0] &= self._has_head(way)
        if way.tail:
            mask &= self.tallies.glued(way.tail)
        if goal.keyword:
            mask &= self._is_new(option, goal, text)
        elif goal.window is not None:
            mask &= self._fills(goal.window, way)
            if text:
                mask[:, 1:] &= self.tallies.closed[:, 1:]
        return mask

    def _begun(self, clash: Clash, other: Bools) -> Bools:
        """Where the tokens of a clash stand before a place, with the other option allowed where it was begun."""
        found = np.zeros(self.shape, bool)
        inside = np.array(clash.tokens[clash.head :], np.int64)
        size = len(inside)
        if size >= self.shape[1]:
            return found
        if clash.head:
            found[:, size] = (self.tokens[:, :size] == inside).all(axis=1) & other[:, 0]
            return found
        same = np.ones((self.shape[0], self.shape[1] - size), bool)
        for place, index in enumerate(inside.tolist()):
            same &= self.tokens[:, place : self.shape[1] - 1 - size + place + 1] == index
        found[:, size:] = same & other[:, : self.shape[1] - size]
        return found

    def _is_new(self, option: Option, goal: Goal, text: str) -> Bools:
        """Where a keyword is complete for the first time, and no other keyword was before it."""
        first = text[:1]
        if self.options.final:
            if option.by_itself:
                return self.tallies.ends_with(goal.text)
            right = np.ones(self.shape, bool)
        else:
            kind = "early" if option.by_itself else "done"
            right = ~self._seen(kind)
            if option.by_itself:
                right &= self.sightings[option.goals[0]].fresh
        if first and not self.frame.joined and not option.way.head and is_word_character(first):
            right &= ~self.tallies.in_word
        return right

    @cached_property
    def sightings(self) -> list[Sightings]:
        """Where the goals of the phase come by themselves."""
        return [self.tallies.sightings(goal.text) for goal in self.options.goals]

    def _seen(self, kind: str) -> Bools:
        """Where a pending keyword stands already."""
        found = np.zeros(self.shape, bool)
        for number, sighting in enumerate(self.sightings):
            found |= getattr(sighting, kind) & self.rows.pending[:, number, None]
        return found

    def _has_head(self, way: Way) -> Bools:
        spelling, size = self.frame.spelling, len(way.head)
        found = np.zeros(self.shape[0], bool)
        for row, ids in enumerate(self.rows.ids):
            if ids[-size:] == way.head:
                text, head = spelling.text(ids), spelling.text(way.head).lstrip()
                found[row] = not touches(text, len(text) - len(head))
        return found

    def _may_come_first(self, text: str) -> Bools:
        """Whether a text may come right behind each row, (R,)."""
        joined = self.frame.joined
        kind = SPACE if joined or text[:1].isspace() else WORD * is_word_character(text[0]) if text else SPACE
        # a hole that may be empty needs no space
        in_word = self.tallies.in_word[:, 0].tolist()
        right = [
            not lead and _may_follow(min(follow, Follow.WORD), kind, inside)
            for (follow, lead), inside in zip(self.rows.behind, in_word, strict=True)
        ]
        return np.array(right, bool)

    def _short_enough(self, option: Option, text: str) -> Bools:
        wished, tallies, final = self.frame.constraints, self.tallies, self.options.final
        tokens, words, chars = (least[:, None] for least in self._rest(option))
        used = np.array([len(ids) for ids in self.rows.ids])[:, None] + np.arange(self.shape[1]) + len(option.way.ids)
        right: Bools = used + tokens <= self.frame.most_tokens
        if final:
            right &= used >= self.frame.least_tokens
        if wished.max_words is not None or (final and wished.min_words):
            count = self._words_with(text)
            right &= (count + words <= (wished.max_words or count)) & (count >= wished.min_words * final)
        if wished.max_chars is not None or (final and wished.min_chars):
            count = self._chars_with(text)
            right &= (count + chars <= (wished.max_chars or count)) & (count >= wished.min_chars * final)
        if wished.sentences is not None:
            right &= tallies.sentences < wished.sentences
            if final and not text:
                right &= (tallies.sentences + 1 == wished.sentences) & tallies.at_end
        return right

    def _words_with(self, text: str) -> Ints:
        more = len(text.split())
        if not more or self.frame.joined or text[0].isspace():
            return self.tallies.words + more
        return self.tallies.words + more - self.tallies.closed

    def _chars_with(self, text: str) -> Ints:
        tallies = self.tallies
        if not text.strip():
            return tallies.chars
        behind = tallies.reach + self.frame.joined + len(text.rstrip())
        return np.where(tallies.reach > 0, behind, len(text.strip()))

    def _rest(self, option: Option) -> tuple[Ints, Ints, Ints]:
        """What must come at the least behind the option: tokens, words, characters of each row, (R,)."""
        if self.options.final:
            return (np.zeros(self.shape[0], np.int64),) * 3
        left = self.rows.pending.copy()
        left[:, list(option.goals)] = False
        rest = left @ self._leasts + np.array(self.rest)
        return rest[:, 0], rest[:, 1], rest[:, 2]

    @cached_property
    def _leasts(self) -> Ints:
        frame = self.frame
        return np.array([least_of([goal], frame.spelling, loose=frame.loose) for goal in self.options.goals], np.int64)

    def _fills(self, hole: Hole, way: Way) -> Bools:
        """Where the free text fills a hole."""
        tallies, places = self.tallies, np.arange(self.shape[1])
        if hole.unit == "tokens":
            counts = np.broadcast_to(places, self.shape)
        elif hole.unit == "characters":
            leads = np.array([len(lead) for _, lead in self.rows.behind])[:, None]
            counts = tallies.free_chars - leads - len(way.tail)
        elif hole.unit == "words":
            glued = np.array([follow == Follow.GLUED and not self.frame.joined for follow, _ in self.rows.behind])
            counts = tallies.words - tallies.words[:, :1] + glued[:, None] * (places > 0) * tallies.closed[:, :1]
        else:
            counts = np.where(tallies.at_end, tallies.free_sentences + 1, -1)
            counts[:, 0] = 0
        right: Bools = counts >= hole.least
        return right if hole.most is None else right & (counts <= hole.most)


def _may_follow(follow: Follow, kind: int, in_word: bool) -> bool:
    """Whether a character of a kind, space or of a word or neither, may come next."""
    if follow == Follow.SPACE:
        return kind == SPACE
    if follow == Follow.GLUED:
        return kind != SPACE
    return follow == Follow.ANY or not (in_word and kind == WORD)
