"""Templates: texts with holes, as in ``The {5..10 words} of the {choices:king,queen}``.

>>> parse("The {2 words} {choices:king,queen}.")
[('The ',), Hole(unit='words', least=2, most=2), (' king.', ' queen.')]
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ngramgen.errors import OptionError

UNITS = ("words", "characters", "sentences", "tokens")
MAX_CHOICES = 10_000
_HOLE = re.compile(r"\s*(?:(\d+)?\s*(\.\.)?\s*(\d+)?)\s*(word|character|sentence|token)s?\s*")
_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[^{}]+|[{}]")


@dataclass(frozen=True)
class Hole:
    """Free text of ``least`` to ``most`` units; ``most`` None is without limit."""

    unit: str
    least: int
    most: int | None


Piece = Hole | tuple[str, ...]
"""A hole, or the texts of which one stands there."""


def parse(template: str) -> list[Piece]:
    """The pieces of a template in their order, no two fixed ones side by side. Raises OptionError.

    ``{5..10 words}``, ``{5 words}``, ``{5.. words}``, ``{..10 words}`` and ``{words}`` (one or more) are holes, also
    with characters, sentences or tokens; ``{choices:a,b}`` is one of the texts; ``{{`` and ``}}`` are braces.
    """
    pieces: list[Piece] = []
    texts: tuple[str, ...] = ("",)
    for part in _PART.finditer(template):
        inside = part[1]
        if inside is None:
            if part[0] in ("{", "}"):
                raise _refusal(template, f"has a {part[0]} without its other half")
            text = {"{{": "{", "}}": "}"}.get(part[0], part[0])
            texts = tuple(before + text for before in texts)
        elif inside.startswith("choices:"):
            choices = [choice.strip() for choice in inside.removeprefix("choices:").split(",")]
            if not all(choices):
                raise _refusal(template, f"has an empty choice in {part[0]}")
            texts = tuple(before + choice for before in texts for choice in choices)
            if len(texts) > MAX_CHOICES:
                raise _refusal(template, f"has more than {MAX_CHOICES} combinations of choices")
        else:
            hole = _hole(template, inside)
            if texts != ("",):
                pieces.append(tuple(dict.fromkeys(texts)))
            if pieces and isinstance(pieces[-1], Hole):
                raise _refusal(template, "has two holes side by side; put a text between them or make them one")
            pieces.append(hole)
            texts = ("",)
    if texts != ("",):
        pieces.append(tuple(dict.fromkeys(texts)))
    return _spaced(template, pieces)


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
        raise _refusal(template, f"has the hole {{{inside}}}, whose least is more than its most")
    return Hole(unit, least, most)


def _spaced(template: str, pieces: list[Piece]) -> list[Piece]:
    if not pieces:
        raise _refusal(template, "is empty")
    first, last = pieces[0], pieces[-1]
    if not isinstance(first, Hole):
        pieces[0] = tuple(text.lstrip() for text in first)
    if not isinstance(last, Hole) and last is not first:
        pieces[-1] = tuple(text.rstrip() for text in last)
    elif not isinstance(first, Hole) and len(pieces) == 1:
        pieces[0] = tuple(text.strip() for text in first)
    # white space alone between two holes or at a border says nothing
    return [piece for piece in pieces if isinstance(piece, Hole) or any(piece)]


def _refusal(template: str, why: str) -> OptionError:
    return OptionError(f"template {template!r} {why}.")


def pattern(pieces: list[Piece]) -> str:
    """The regular expression of the texts that a template makes, as far as one tells: it does not see tokens."""
    return "".join(_hole_pattern(p) if isinstance(p, Hole) else _choice_pattern(p) for p in pieces)


def _choice_pattern(texts: tuple[str, ...]) -> str:
    return "(?:" + "|".join(re.escape(text) for text in texts) + ")"


def _hole_pattern(hole: Hole) -> str:
    most = "" if hole.most is None else hole.most
    if hole.unit == "characters":
        return f".{{{hole.least},{most}}}"
    if hole.unit == "words" and hole.least:
        more = "" if hole.most is None else hole.most - 1
        return rf"\S+(?:\s+\S+){{{hole.least - 1},{more}}}"
    return ".*"
