"""Constraints as goals on the way of a text: what has to come, in which order, and how far apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ngramgen.errors import ConstraintError
from ngramgen.model import UNK
from ngramgen.sampling.constraints import whole
from ngramgen.sampling.templates import Hole, parse
from ngramgen.sampling.wordings import ways_to_write

if TYPE_CHECKING:
    from ngramgen.model import Tokenizer
    from ngramgen.sampling.constraints import Constraints
    from ngramgen.sampling.spelling import Spelling

    Way = tuple[int, ...]

AT_ONCE = Hole("tokens", 0, 0)
MOST_WAYS = 24
"""Tokens that hold a word, as "king," does in text split by white space: the most frequent ones are tried."""


@dataclass(frozen=True)
class Goal:
    """Some tokens that have to come.

    Attributes:
        text: What they say, for people.
        ways: The sequences of ids of which one comes.
        window: How much free text stands before them; None is any amount.
        pattern: Where the text stands already, so that it need not come.
        gap: Whether a space has to follow.
    """

    text: str
    ways: tuple[Way, ...]
    window: Hole | None = None
    pattern: re.Pattern[str] | None = None
    gap: bool = False


@dataclass(frozen=True)
class Plan:
    """The goals of one text: phases in order, the goals of each in any order, and what comes right before the end."""

    phases: tuple[tuple[Goal, ...], ...]
    ending: Goal


def plan(constraints: Constraints, tokenizer: Tokenizer, spelling: Spelling) -> Plan:
    """The goals that constraints without a regex come to. Raises ConstraintError for what the model cannot say."""
    if constraints.template is not None:
        return _template_plan(constraints.template, tokenizer)
    phases: list[tuple[Goal, ...]] = []
    if constraints.starts_with:
        phases.append((Goal(constraints.starts_with, _ways(tokenizer, constraints.starts_with), AT_ONCE),))
    goals = [_contained(part, tokenizer, spelling) for part in constraints.contains]
    if constraints.in_order:
        phases += [(goal,) for goal in goals]
    elif goals:
        phases.append(tuple(goals))
    if constraints.choices:
        texts = [text for text in constraints.choices if constraints.refusal_of(text) is None]
        if not texts:
            raise ConstraintError("None of the choices is what the other constraints ask for; change one of them.")
        ways = [way for text in texts for way in ways_to_write(tokenizer, text)]
        if not ways:
            raise ConstraintError(
                f"The model cannot write any of the choices: {_shown(texts)} hold words unknown to it."
            )
        return Plan((), Goal("a choice", tuple(dict.fromkeys(ways)), AT_ONCE))
    if constraints.ends_with:
        found = tuple(ways_to_write(tokenizer, constraints.ends_with))
        suffix = re.compile(re.escape(constraints.ends_with) + r"\Z")
        return Plan(tuple(phases), Goal(constraints.ends_with, found, None, suffix))
    return Plan(tuple(phases), Goal("", ((),)))


def _ways(tokenizer: Tokenizer, text: str) -> tuple[Way, ...]:
    ways = ways_to_write(tokenizer, text)
    if not ways:
        raise ConstraintError(f'The model cannot write "{text}": it holds a word that was not in its training text.')
    return tuple(ways)


def _contained(text: str, tokenizer: Tokenizer, spelling: Spelling) -> Goal:
    pattern = whole(text)
    ways = list(ways_to_write(tokenizer, text))
    if " " not in text:
        holding = [i for i in spelling.tokens_with(text.encode()).tolist() if _holds(spelling.token(i), pattern)]
        ways += [(i,) for i in holding[:MOST_WAYS]]
    if not ways:
        raise ConstraintError(f'The model cannot write "{text}": it holds a word that was not in its training text.')
    return Goal(text, tuple(dict.fromkeys(ways)), None, pattern)


def _holds(token: bytes, pattern: re.Pattern[str]) -> bool:
    return pattern.search(token.decode("utf-8", "replace")) is not None


def _template_plan(template: str, tokenizer: Tokenizer) -> Plan:
    pieces = parse(template)
    leads = getattr(tokenizer, "leads_with_space", False)
    phases: list[tuple[Goal, ...]] = []
    window: Hole = AT_ONCE
    for number, piece in enumerate(pieces):
        if isinstance(piece, Hole):
            window = piece
            continue
        ways = [way for text in piece for way in _piece_ways(tokenizer, text, first=number == 0)]
        if not ways:
            raise ConstraintError(f"The model cannot write {_shown(piece)} of the template: it holds unknown words.")
        gap = leads and all(text.endswith(" ") for text in piece)
        phases.append((Goal(piece[0].strip(), tuple(dict.fromkeys(ways)), window, None, gap),))
        window = AT_ONCE
    if window is AT_ONCE:
        last = phases.pop()[0]
        return Plan(tuple(phases), last)
    return Plan(tuple(phases), Goal("", ((),), window))


def _piece_ways(tokenizer: Tokenizer, text: str, *, first: bool) -> list[Way]:
    if getattr(tokenizer, "joins_with_space", False):
        text = text.strip()
    elif getattr(tokenizer, "leads_with_space", False):
        text = text.rstrip(" ")
    if first:
        return ways_to_write(tokenizer, text) if text == text.rstrip() else [_encoded(tokenizer, text)]
    ids = _encoded(tokenizer, text)
    return [ids] if UNK not in ids else []


def _encoded(tokenizer: Tokenizer, text: str) -> Way:
    inside = getattr(tokenizer, "encode_inside", tokenizer.encode)
    return tuple(int(i) for i in inside(text))


def _shown(texts: tuple[str, ...] | list[str]) -> str:
    quoted = ", ".join(f'"{text.strip()}"' for text in texts[:3])
    return quoted + (" ..." if len(texts) > 3 else "")
