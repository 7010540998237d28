"""How a text came to be, token by token, for people and for programs.

>>> from ngramgen.sampling.explaining import TokenExplanation
>>> one = TokenExplanation(index=7, logprob=-0.6931, rank=1, kept=40, probability_kept=0.625, source="3-gram")
>>> print(*explanation_lines([" fox"], [one], color=False), sep="\\n")
token  probability  rank  kept  source
 fox      0.500024     1    40  3-gram
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ngramgen.sampling.explaining import TokenExplanation

_COLORS = ((1, "green"), (10, "cyan"), (100, "yellow"), (1000, "magenta"))  # up to which rank
_BEYOND = "red"
_HEAD = ("token", "probability", "rank", "kept", "source")
_OF_A_NETWORK = ("engine", "neural_weight", "cache_weight")
_COMMON = 1e-4  # from here on six decimals show what matters


def explanation_lines(
    tokens: Sequence[str], explanations: Sequence[TokenExplanation], color: bool, separator: str = ""
) -> Iterator[str]:
    """A table of the tokens; in color, before it, the text with each token colored by its rank, and a legend.

    Tokens are joined by the separator. A character that is not printable is shown with its escape sequence, so that
    a token can do nothing to a terminal.
    """
    shown = [visible(token) for token in tokens]
    if color:
        paired = zip(shown, explanations, strict=True)
        yield separator.join(click.style(token, fg=_color(one.rank)) for token, one in paired)
        yield ""
        yield _legend()
        yield ""
    yield from _table(shown, explanations)


def explanation_json(tokens: Sequence[str], explanations: Sequence[TokenExplanation]) -> list[dict[str, Any]]:
    """An object a token: token, prob, logprob (natural), rank, kept, prob_kept and source.

    Where the model has a network also engine, neural_weight and cache_weight.

    >>> explanation_json([], [])
    []
    """
    return [
        {
            "token": token,
            "prob": one.probability,
            "logprob": one.logprob,
            "rank": one.rank,
            "kept": one.kept,
            "prob_kept": one.probability_kept,
            "source": one.source,
            **({} if one.engine is None else {name: getattr(one, name) for name in _OF_A_NETWORK}),
        }
        for token, one in zip(tokens, explanations, strict=True)
    ]


def visible(token: str) -> str:
    r"""The token with an escape sequence for each backslash and each character that is not printable.

    >>> print(visible("é\x1b[2J\n"))
    é\x1b[2J\n
    """
    if token.isprintable() and "\\" not in token:
        return token
    return "".join(
        char if char.isprintable() and char != "\\" else char.encode("unicode_escape").decode() for char in token
    )


def _legend() -> str:
    ranks = chain((f"rank {_COLORS[0][0]}",), (f"to {most}" for most, _ in _COLORS[1:]), ("beyond",))
    colors = (*(color for _, color in _COLORS), _BEYOND)
    return "  ".join(click.style(rank, fg=color) for rank, color in zip(ranks, colors, strict=True))


def _color(rank: int) -> str:
    return next((color for most, color in _COLORS if rank <= most), _BEYOND)


def _table(tokens: Iterable[str], explanations: Iterable[TokenExplanation]) -> Iterator[str]:
    rows: list[tuple[str, ...]] = [_HEAD]
    for token, one in zip(tokens, explanations, strict=True):
        rows.append((token, _probability_text(one.probability), str(one.rank), str(one.kept), _source(one)))
    if not any(row[-1] for row in rows[1:]):  # the model does not tell
        rows = [row[:-1] for row in rows]
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        blanks = [" " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)]
        numbers = [blank + cell for blank, cell in zip(blanks[1:4], row[1:4], strict=True)]
        yield "  ".join([row[0] + blanks[0], *numbers, *row[4:]]).rstrip()


def _source(one: TokenExplanation) -> str:
    if not one.neural_weight:
        return one.source
    parts, cache = [f"network {one.neural_weight:.2f}"], one.cache_weight or 0.0
    if one.source and one.engine == "mixture":
        parts.append(f"{one.source} {1 - one.neural_weight - cache:.2f}")
    if cache:
        parts.append(f"text {cache:.2f}")
    return ", ".join(parts)


def _probability_text(probability: float) -> str:
    return f"{probability:.6f}" if probability >= _COMMON or probability == 0 else f"{probability:.2e}"


def _width(text: str) -> int:
    """How many cells of a terminal the text takes: none for a combining character, two for a wide one."""
    return sum(0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF") for char in text)
