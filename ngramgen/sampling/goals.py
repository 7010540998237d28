"""Goals on the way of a text: what has to come, in which order, and how far apart."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from ngramgen.errors import ConstraintError
from ngramgen.sampling.templates import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ngramgen.sampling.constraints import Constraints
    from ngramgen.sampling.forbidden import Forbidden
    from ngramgen.sampling.spelling import Spelling
    from ngramgen.sampling.templates import Hole

    Ids = tuple[int, ...]


class Follow(IntEnum):
    """What may come next: anything, no more of a word, white space, anything but white space."""

    ANY, WORD, SPACE, GLUED = range(4)


class Behind(NamedTuple):
    """What may come next, and what the next token must begin with, before more of a word."""

    follow: Follow = Follow.ANY
    lead: str = ""


ANYTHING = Behind()


@dataclass(frozen=True)
class Way:
    """Tokens that bring a goal about.

    Attributes:
        ids: The tokens.
        head: Tokens right before them that belong to it and are there already.
        tail: What the free text before them must end with, behind more of a word.
        behind: What may come behind them; after a keyword it depends on the text.
    """

    ids: Ids
    head: Ids = ()
    tail: str = ""
    behind: Behind = ANYTHING


@dataclass(frozen=True)
class Goal:
    """Some tokens that have to come.

    Attributes:
        text: What they say.
        ways: The ways of which one comes.
        window: How much free text stands before them; None is any amount.
        keyword: Whether the text is whole words, which may come without help, in these tokens or in others.
    """

    text: str
    ways: tuple[Way, ...]
    window: Hole | None = None
    keyword: bool = False

    def without(self, forbidden: Forbidden) -> Goal:
        """The goal without the ways that hold what is forbidden. Raises ConstraintError where none is left."""
        ways = tuple(way for way in self.ways if not forbidden.holds((), (*way.head, *way.ids), ends=False))
        if not ways:
            raise ConstraintError(
                f"{quoted(self.text)} is asked for, but other options forbid it; leave one of them out."
            )
        return replace(self, ways=ways)

    def behind(self, text: str, way: Way) -> Behind:
        """What may come behind a text that has come to the goal by a way: no more of a word that it ends with."""
        if not self.keyword:
            return way.behind
        return Behind(Follow.WORD if text.endswith(self.text) else Follow.ANY)


@dataclass(frozen=True)
class Plan:
    """The goals of one text.

    Attributes:
        whole: What is all of it; then there is nothing else.
        opening: What it begins with.
        phases: Goals in order, those of each phase in any order.
        ending: What comes right before the end.
    """

    whole: Goal | None = None
    opening: Goal | None = None
    phases: tuple[tuple[Goal, ...], ...] = ()
    ending: Goal = Goal("", (Way(()),))

    @property
    def has_windows(self) -> bool:
        """Whether the amount of free text before some goal is given."""
        return any(goal.window is not None for phase in (*self.phases, (self.ending,)) for goal in phase)


class Least(NamedTuple):
    """What goals take at the least."""

    tokens: int
    words: int
    chars: int


def check_room(plan: Plan, constraints: Constraints, spelling: Spelling, most_tokens: int) -> None:
    """Raises ConstraintError for what no text has room for."""
    goals = [*(goal for phase in plan.phases for goal in phase), plan.ending]
    goals = goals if plan.opening is None else [plan.opening, *goals]
    first, others = least_of(goals[:1], spelling), least_of(goals[1:], spelling, loose=True)
    words = max(first.words + others.words, constraints.min_words)
    chars = max(first.chars + others.chars, constraints.min_chars)
    tokens = max(first.tokens + others.tokens, words * spelling.holds_single_words, -(-chars // spelling.longest))
    for count, unit, name, most in (
        (words, "words", "max_words", constraints.max_words),
        (chars, "characters", "max_chars", constraints.max_chars),
        (tokens, "tokens", "max_new_tokens", most_tokens),
    ):
        if most is not None and count > most:
            raise ConstraintError(
                f"What is asked takes at least {count} {unit}, but {name} is {most}; raise it or ask for less."
            )


def least_of(goals: Iterable[Goal], spelling: Spelling, *, loose: bool = False) -> Least:
    """What goals take at the least; ``loose`` where two may share a word, as in "fox-king"."""
    found = [_least(goal, spelling, loose) for goal in goals]
    return Least(*(sum(one[i] for one in found) for i in range(3)))


def _least(goal: Goal, spelling: Spelling, loose: bool) -> Least:
    texts = [spelling.text(way.ids) for way in goal.ways]
    shared = loose and goal.keyword
    glued = not spelling.separator and goal.window is not None and not texts[0][:1].isspace()
    glued_behind = any(way.behind.follow == Follow.GLUED and not spelling.separator for way in goal.ways)
    words = min(len(text.split()) for text in texts) - (shared or glued) - glued_behind  # -1 where it joins two words
    chars = min(map(len, map(str.strip, texts)))
    tokens = max(0, min(len(way.ids) for way in goal.ways) - shared)
    if goal.window is None:
        return Least(tokens, words, 0 if shared else chars)
    free, unit = goal.window.least, goal.window.unit
    if unit in ("words", "sentences"):
        words += free
        chars += 2 * free - 1 if free else 0
    else:
        chars += free
    if unit == "tokens" or (unit != "characters" and spelling.holds_single_words):
        tokens += free
    return Least(tokens, words, chars)
