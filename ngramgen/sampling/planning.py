"""Constraints as a plan of goals, none of which says again what another one says already."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ngramgen.errors import ConstraintError
from ngramgen.sampling.edges import holds, occurrences
from ngramgen.sampling.goals import Goal, Plan, Way
from ngramgen.sampling.templates import Fixed, Hole, shown
from ngramgen.sampling.writing import UNKNOWN, Writer

if TYPE_CHECKING:
    from ngramgen.model import Tokenizer
    from ngramgen.sampling.constraints import Constraints
    from ngramgen.sampling.forbidden import Forbidden
    from ngramgen.sampling.spelling import Spelling

    Ids = tuple[int, ...]


def plan(constraints: Constraints, tokenizer: Tokenizer, spelling: Spelling, forbidden: Forbidden) -> Plan:
    """The goals that constraints without a regex come to.

    Raises ConstraintError for what the model cannot write, or may not.
    """
    writer = Writer(tokenizer, spelling)
    if constraints.template is not None:
        return _permitted(_template_plan(constraints, writer), forbidden)
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
    return _permitted(_overlapping(opening, phases, ending, in_order=constraints.in_order), forbidden)


def _permitted(found: Plan, forbidden: Forbidden) -> Plan:
    """The plan without ways that are forbidden."""
    return Plan(
        whole=found.whole,
        opening=None if found.opening is None else found.opening.without(forbidden),
        phases=tuple(tuple(goal.without(forbidden) for goal in phase) for phase in found.phases),
        ending=found.ending.without(forbidden),
    )


def _parts(constraints: Constraints) -> list[tuple[str, ...]]:
    """The texts to contain, phase by phase, without those that others hold already."""
    first, last = constraints.starts_with, constraints.ends_with
    parts = list(constraints.contains)
    if not constraints.in_order:
        inside = [part for part in parts if holds(first, part) or holds(last, part)]
        inside += [part for part in parts if any(other != part and holds(other, part) for other in parts)]
        left = [part for part in parts if part not in inside]
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


def _choice(constraints: Constraints, writer: Writer) -> Goal:
    texts = [text for text in constraints.choices if constraints.refusal_of(text) is None]
    if not texts:
        raise ConstraintError("None of the choices is what the other constraints ask for; change one of them.")
    ways = [way for text in texts for way in writer.spellings(text)]
    if not ways:
        raise ConstraintError(f"The model cannot write any of the choices, {shown(texts)}; {UNKNOWN}.")
    return Goal("a choice", tuple(map(Way, dict.fromkeys(ways))))


def _template_plan(constraints: Constraints, writer: Writer) -> Plan:
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
            raise writer.refusal(piece.texts[0])
        goals.append(Goal(piece.texts[0], ways, window))
        window = None
    if len(pieces) == 1 and goals:
        return Plan(whole=goals[0])
    ending = Goal("", (Way(()),), window) if window is not None else goals.pop()
    opening = goals.pop(0) if isinstance(pieces[0], Fixed) else None
    return Plan(opening=opening, phases=tuple((goal,) for goal in goals), ending=ending)
