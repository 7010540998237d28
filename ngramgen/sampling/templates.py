"""Templates: texts with holes, as in ``The {5..10 words} of the {choices:king,queen}``.

>>> parse("The {2 words} {choices:king,queen}.")
[Fixed(texts=('The',), before='', behind=' '), Hole(unit='words', least=2, most=2), Fixed(texts=('king.', 'queen.'), \
before=' ', behind='')]
>>> fits(parse("The {2 words} {choices:king,queen}."), "The wise old king.")
True
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ngramgen.errors import OptionError
from ngramgen.sampling.edges import sentence_ends

MAX_CHOICES = 10_000
_HOLE = re.compile(r"\s*(?:(\d+)?\s*(\.\.)?\s*(\d+)?)\s*(word|character|sentence|token)s?\s*")
_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[^{}]+|[{}]")


@dataclass(frozen=True)
class Hole:
    """Free text of ``least`` to ``most`` units, no white space at its ends; ``most`` None is without limit."""

    unit: str  # words, characters, sentences, tokens
    least: int
    most: int | None


@dataclass(frozen=True)
class Fixed:
    """Texts of which one stands there, and the space or nothing between them and the holes beside."""

    texts: tuple[str, ...]
    before: str = ""
    behind: str = ""


Piece = Hole | Fixed


def parse(template: str) -> list[Piece]:
    """The pieces of a template in their order, holes and fixed ones by turns. Raises OptionError.

    ``{5..10 words}``, ``{5 words}``, ``{5.. words}``, ``{..10 words}`` and ``{words}`` (one or more) are holes, also
    with characters, sentences or tokens; ``{choices:a,b}`` is one of the texts; ``{{`` and ``}}`` are braces. White
    space of any length is one space.
    """
    pieces: list[Piece] = []
    texts: tuple[str, ...] = ("",)
    for part in _PART.finditer(re.sub(r"\s+", " ", template.strip())):
        inside = part[1]
        if inside is None:
            if part[0] in ("{", "}"):
                raise _refusal(template, f"has a {part[0]} without its other half; a brace by itself is {part[0] * 2}")
            text = {"{{": "{", "}}": "}"}.get(part[0], part[0])
            texts = tuple(before + text for before in texts)
        elif inside.startswith("choices:"):
            texts = _with_choices(template, texts, inside)
        else:
            if texts != ("",):
                pieces.append(_fixed(texts))
            if pieces and (isinstance(pieces[-1], Hole) or pieces[-1] == Fixed(("",), " ", " ")):
                raise _refusal(template, "has two holes side by side; put a text between them or make them one")
            pieces.append(_hole(template, inside))
            texts = ("",)
    if texts != ("",):
        pieces.append(_fixed(texts))
    if not pieces:
        raise _refusal(template, "is empty; write a text with holes such as {5..10 words}")
    return pieces


def _with_choices(template: str, texts: tuple[str, ...], inside: str) -> tuple[str, ...]:
    choices = [choice.strip() for choice in inside.removeprefix("choices:").split(",")]
    if not all(choices):
        raise _refusal(template, f"has an empty choice in {{{inside}}}; leave it out")
    if len(texts) * len(choices) > MAX_CHOICES:
        raise _refusal(template, f"has more than {MAX_CHOICES} combinations of choices; leave some out")
    return tuple(before + choice for before in texts for choice in choices)


def _fixed(texts: tuple[str, ...]) -> Fixed:
    first = texts[0]  # choices have no space at their ends, so what holds for one holds for all
    before, behind = (" " if space else "" for space in (first.startswith(" "), first.endswith(" ")))
    return Fixed(tuple(dict.fromkeys(text.strip() for text in texts)), before, behind)


def _hole(template: str, inside: str) -> Hole:
    found = _HOLE.fullmatch(inside)
    if found is None or (found[2] and not (found[1] or found[3])) or (found[1] and found[3] and not found[2]):
        raise _refusal(template, f"has the hole {{{inside}}}; a hole is like {{5..10 words}} or {{choices:a,b}}")
    unit = found[4] + "s"
    low, dots, high = found[1], found[2], found[3]
    if not dots:
        only = low or high
        return Hole(unit, int(only), int(only)) if only else Hole(unit, 1, None)
    least, most = int(low or 1), int(high) if high else None
    if most is not None and least > most:
        raise _refusal(template, f"has the hole {{{inside}}}, whose least is more than its most; swap them")
    return Hole(unit, least, most)


def _refusal(template: str, why: str) -> OptionError:
    return OptionError(f"template {template!r} {why}.")


def fits(pieces: Sequence[Piece], text: str) -> bool:
    """Whether a text, without white space at its ends, is one that the template makes; it does not count tokens."""
    begins = {0}  # where what comes next may begin
    hole: Hole | None = None
    before = ""  # the space that stands before the hole
    for piece in pieces:
        if isinstance(piece, Hole):
            hole = piece
        else:
            begins = _behind(piece, hole, before, text, begins)
            hole, before = None, piece.behind
    if hole is None:
        return len(text) in begins
    return any(_fills(hole, text, (begin, len(text)), before, "") for begin in begins)


def _behind(fixed: Fixed, hole: Hole | None, before: str, text: str, begins: set[int]) -> set[int]:
    """Where the fixed texts may end, behind a hole that begins at one of some places."""
    if hole is None:
        return {len(one) for one in fixed.texts if text.startswith(one)}
    found = set()
    for one in fixed.texts:
        for place in _places(text, one, min(begins, default=len(text))):
            if any(_fills(hole, text, (begin, place), before, fixed.before) for begin in begins):
                found.add(place + len(one))
    return found


def _places(text: str, part: str, begin: int) -> Iterator[int]:
    place = text.find(part, begin)
    while place >= 0:
        yield place
        place = text.find(part, place + 1)


def _fills(hole: Hole, text: str, place: tuple[int, int], before: str, behind: str) -> bool:
    """Whether what stands at a place of a text fills a hole with the given spaces around it."""
    begin, end = place
    if not hole.least and text[begin:end] == (behind if begin else ""):  # nothing: then one space is enough
        return begin <= end
    inner = text[begin + len(before) : end - len(behind)]
    if not inner or f"{before}{inner}{behind}" != text[begin:end]:
        return False
    return inner == inner.strip() and _is_inside(hole, inner)


def _is_inside(hole: Hole, text: str) -> bool:
    count = {"words": len(text.split()), "characters": len(text), "tokens": hole.least}.get(hole.unit)
    if count is None:
        ends = sentence_ends(text)
        count = len(ends) if ends and ends[-1] == len(text) else -1
    return hole.least <= count and (hole.most is None or count <= hole.most)


def quoted(text: str) -> str:
    """A text in quotation marks, for people.

    >>> print(quoted("king"), quoted('"'))
    "king" '"'
    """
    return f"'{text}'" if '"' in text else f'"{text}"'


def shown(texts: Iterable[str]) -> str:
    """Some texts in quotation marks, for people.

    >>> shown(["a", "b", "c", "d"])
    '"a", "b", "c" ...'
    """
    listed = list(texts)
    return ", ".join(map(quoted, listed[:3])) + (" ..." if len(listed) > 3 else "")
