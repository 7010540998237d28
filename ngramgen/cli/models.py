"""The model that a command works with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ngramgen.cli.output import notice

if TYPE_CHECKING:
    from ngramgen.textmodel import TextModel


def loaded(model: str | None, neural: str | None) -> TextModel:
    """What the options ``-m`` and ``--neural`` name; what a person should know of it goes to standard error."""
    from ngramgen.loading import load

    found = load(model, neural=neural)
    for message in found.notices:
        notice(message)
    return found
