"""Constraints as goals on the way of a text: what has to come, in which order, and how far apart."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from ngramgen.errors import ConstraintError
from ngramgen.sampling.edges import holds, occurrences, touches
from ngramgen.sampling.templates import Fixed, Hole, shown
from ngramgen.sampling.wordings import ways_to_write

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ngramgen.model import Tokenizer
    from ngramgen.sampling.constraints import Constraints
    from ngramgen.sampling.spelling import Spelling

    Ids = tuple[int, ...]

MOST_WAYS = 12
"""Tokens that hold a word, as "king," does in text split by white space: the first ones, which are frequent."""
_MOST_BEGINNINGS = 4096


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


def plan(constraints: Constraints, tokenizer: Tokenizer, spelling: Spelling) -> Plan:
    """The goals that constraints without a regex come to. Raises ConstraintError for what the model cannot write."""
    writer = _Writer(tokenizer, spelling)
    if constraints.template is not None:
        return _template_plan(constraints, writer)
    if constraints.choices:
        return Plan(whole=_choice(constraints, writer))
    opening = ending = None
    phases = [tuple(map(writer.keyword, phase)) for phase in _parts(constraints)]
    if constraints.starts_with:
        ways = tuple(map(Way, writer.beginnings(constraints.starts_with)))
        opening = Goal(constraints.starts_with, ways, keyword=True)
    if constraints.ends_with:
        ways = tuple(map(Way, writer.endings(constraints.ends_with)))
        ending = Goal(constraints.ends_with, ways, keyword=True)
    return _overlapping(opening, phases, ending, in_order=constraints.in_order)


def _parts(constraints: Constraints) -> list[tuple[str, ...]]:
    """The texts to contain, phase by phase, without those that others hold already."""
    first, last = constraints.starts_with, constraints.ends_with
    parts = list(constraints.contains)
    if not constraints.in_order:
        others = (*parts, first, last)
        left = [part for part in parts if not any(other != part and holds(other, part) for other in others)]
        return [tuple(left)] if left else []
    end = 0
    while parts and (place := next(occurrences(first, parts[0], end), None)) is not None:
        end = place + len(parts.pop(0))
    end = len(last)
    while parts and (places := [p for p in occurrences(last, parts[-1]) if p + len(parts[-1]) <= end]):
        parts.pop()
        end = places[-1]
    return [(part,) for part in parts]


def _overlapping(opening: Goal | None, phases: list[tuple[Goal, ...]], ending: Goal | None, in_order: bool) -> Plan:
    """The plan, with ways that begin in what was said for another goal, as "old king" may in "the old"."""
    before = [] if opening is None else [way.ids for way in opening.ways]
    found = []
    for number, phase in enumerate(phases):
        others = [[way.ids for goal in phase if goal is not own for way in goal.ways] for own in phase]
        earlier = [] if in_order and number else before
        found.append(tuple(_with_heads(goal, earlier + other) for goal, other in zip(phase, others, strict=True)))
    said = before + [way.ids for phase in phases for goal in phase for way in goal.ways]
    last = Plan().ending if ending is None else _with_heads(ending, said)
    return Plan(opening=opening, phases=tuple(found), ending=last)


def _with_heads(goal: Goal, before: list[Ids]) -> Goal:
    heads = [
        Way(way.ids[k:], head=way.ids[:k])
        for way in goal.ways
        for k in range(1, len(way.ids))
        if any(ids[-k:] == way.ids[:k] for ids in before)
    ]
    return replace(goal, ways=goal.ways + tuple(dict.fromkeys(heads)))


def _choice(constraints: Constraints, writer: _Writer) -> Goal:
    texts = [text for text in constraints.choices if constraints.refusal_of(text) is None]
    if not texts:
        raise ConstraintError("None of the choices is what the other constraints ask for; change one of them.")
    ways = [way for text in texts for way in writer.spellings(text)]
    if not ways:
        raise ConstraintError(f"The model cannot write any of the choices, {shown(texts)}; {_UNKNOWN}.")
    return Goal("a choice", tuple(map(Way, dict.fromkeys(ways))))


def _template_plan(constraints: Constraints, writer: _Writer) -> Plan:
    pieces = constraints.pieces
    goals: list[Goal] = []
    window: Hole | None = None
    for number, piece in enumerate(pieces):
        if isinstance(piece, Hole):
            window = piece
            continue
        after = next((hole for hole in pieces[number + 1 :] if isinstance(hole, Hole)), None)  # the next one, if any
        ways = tuple(dict.fromkeys(way for text in piece.texts for way in writer.fixed(text, piece, window, after)))
        if not ways:
            raise ConstraintError(f"The model cannot write {shown(piece.texts)} of the template; {_UNKNOWN}.")
        goals.append(Goal(piece.texts[0], ways, window))
        window = None
    if len(pieces) == 1 and goals:
        return Plan(whole=goals[0])
    ending = Goal("", (Way(()),), window) if window is not None else goals.pop()
    opening = goals.pop(0) if isinstance(pieces[0], Fixed) else None
    return Plan(opening=opening, phases=tuple((goal,) for goal in goals), ending=ending)


_UNKNOWN = "use words that were in its training text, in the same capital or small letters"


class _Writer:
    """Finds the ways to write texts in the tokens of a model."""

    def __init__(self, tokenizer: Tokenizer, spelling: Spelling) -> None:
        self.tokenizer, self.spelling = tokenizer, spelling

    def spellings(self, text: str) -> list[Ids]:
        """The tokens that are the text, with a space before it and without."""
        return [way for way in ways_to_write(self.tokenizer, text) if self.spelling.text(way).strip() == text.strip()]

    def needed(self, text: str) -> list[Ids]:
        """The same, or ConstraintError where there are none."""
        ways = self.spellings(text)
        if ways:
            return ways
        others = [self.spelling.text(way).strip() for way in ways_to_write(self.tokenizer, text)]
        if others:
            raise ConstraintError(f'The model writes "{text}" as "{others[-1]}"; ask for it in that form.')
        raise ConstraintError(f'The model cannot write "{text}"; {_UNKNOWN}.')

    def beginnings(self, text: str) -> list[Ids]:
        """All tokens with which a text may begin that begins with this one."""
        ways = self.needed(text)
        longer = [(*way[:-1], i) for way in ways for i in islice(self._longer(way[-1]), _MOST_BEGINNINGS)]
        return list(dict.fromkeys([*ways, *longer]))

    def endings(self, text: str) -> list[Ids]:
        """The tokens with which a text may end that ends with this one, but for rare ones."""
        ways = self.needed(text)
        longer = [(i, *way[1:]) for way in ways for i in islice(self._longer(way[0], before=True), MOST_WAYS)]
        return list(dict.fromkeys([*ways, *longer]))

    def keyword(self, text: str) -> Goal:
        """The goal to contain a text; where no text between spaces is it, tokens that hold it do."""
        ways = self.spellings(text)
        if len(text.split()) == 1:
            whole = self.spelling.tokens_with(text, whole=True)
            holding = (i for i in whole if holds(self.spelling.text((i,)), text))
            ways += [(i,) for i in islice(holding, MOST_WAYS)]
        else:
            some = MOST_WAYS // 2
            ways += [(*way[:-1], i) for way in ways for i in islice(self._longer(way[-1]), some)]
            ways += [(i, *way[1:]) for way in ways for i in islice(self._longer(way[0], before=True), some)]
        if not ways:
            self.needed(text)
        return Goal(text, tuple(map(Way, dict.fromkeys(ways))), keyword=True)

    def _longer(self, index: int, *, before: bool = False) -> Iterator[int]:
        """The tokens that are a token and more behind it, or before it, that do not make another word of it."""
        text = self.spelling.text((index,))
        if not text.strip() or "\N{REPLACEMENT CHARACTER}" in text:  # a half of a character
            return
        for other in self.spelling.tokens_with(text, whole=True):
            longer = self.spelling.text((other,))
            place = len(longer) - len(text) if before else len(text)
            there = longer.endswith(text) if before else longer.startswith(text)
            if there and len(longer) > len(text) and not touches(longer, place):
                yield other

    def fixed(self, text: str, piece: Fixed, window: Hole | None, after: Hole | None) -> Iterator[Way]:
        """The ways of a fixed text of a template between two holes, or one and the border."""
        glued_before, glued_behind = window is not None and not piece.before, after is not None and not piece.behind
        if self.spelling.separator and (glued_before or glued_behind):
            yield self._between(text, glued_before, glued_behind)
            return
        if window is None:
            found = self.spellings(text)
        else:
            found = self._inside(text if self.spelling.separator or glued_before else f" {text}")
        if after is None:
            yield from map(Way, found)
        elif glued_behind:
            yield from (Way(ids, behind=Behind(Follow.GLUED)) for ids in found)
        else:
            spaces = self._inside(" ") if self.spelling.spaces_stand_alone else []
            yield from (Way(ids + space, behind=Behind(Follow.GLUED)) for ids in found for space in spaces)
            if not spaces or not after.least:
                yield from (Way(ids, behind=Behind(Follow.SPACE)) for ids in found)

    def _inside(self, text: str) -> list[Ids]:
        """The tokens that are just this text behind other text, if there are such."""
        encode = getattr(self.tokenizer, "encode_inside", self.tokenizer.encode)
        ids = tuple(int(i) for i in encode(text))
        return [ids] if ids and self.spelling.text(ids) == text else []

    def _between(self, text: str, glued_before: bool, glued_behind: bool) -> Way:
        """With a space before every token: a mark that touches a hole is a part of the hole's last or first token."""
        chunks = text.split(" ")
        tail = chunks.pop(0) if glued_before else ""
        if glued_behind and not chunks:
            raise ConstraintError(
                f'The model puts a space before every word, so that "{text}" cannot join two holes of the template; '
                "put a space before it or behind it."
            )
        lead = chunks.pop() if glued_behind else ""
        for mark, place in ((tail, "before"), (lead, "behind")):
            if mark and not self._is_glued(mark, at_end=place == "before"):
                raise ConstraintError(
                    f'The model writes "{mark}" with a space {place} it; put a space {place} it into the template, too.'
                )
        ids = self.needed(" ".join(chunks))[0] if chunks else ()
        return Way(ids, tail=tail, behind=Behind(Follow.GLUED if lead else Follow.SPACE, lead))

    def _is_glued(self, mark: str, *, at_end: bool) -> bool:
        """Whether some token has the mark at its end, or its beginning, and more."""
        texts = (self.spelling.text((i,)) for i in self.spelling.tokens_with(mark))
        return any(len(t) > len(mark) and (t.endswith(mark) if at_end else t.startswith(mark)) for t in texts)


def check_room(plan: Plan, constraints: Constraints, spelling: Spelling, most_tokens: int) -> None:
    """Raises ConstraintError for what no text has room for."""
    goals = [*(goal for phase in plan.phases for goal in phase), plan.ending]
    least = least_of(goals if plan.opening is None else [plan.opening, *goals], spelling, loose=True)
    words, chars = max(least.words, constraints.min_words), max(least.chars, constraints.min_chars)
    tokens = max(least.tokens, words * spelling.holds_single_words, -(-chars // spelling.longest))
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
    words = max(0, min(len(text.split()) for text in texts) - (shared or glued) - glued_behind)
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
