"""The model that a command works with, and the options that name it."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ngramgen.cli.inputs import STDIN
from ngramgen.cli.options import model_option
from ngramgen.cli.output import notice

if TYPE_CHECKING:
    from ngramgen.textmodel import TextModel


@dataclass(frozen=True)
class ModelChoice:
    """What the options of `model_options` name."""

    model: str | None
    neural: str | None = None
    neural_budget: float | None = None
    max_ms_per_token: float | None = None
    speculate: bool | None = None
    adapt: tuple[str, ...] = ()
    adapt_weight: float | None = None

    def load(self) -> TextModel:
        """The model; what a person should know of it goes to standard error, also while it runs."""
        from ngramgen.errors import OptionError
        from ngramgen.loading import load

        if self.adapt_weight is not None and not self.adapt:
            raise OptionError("--adapt-weight needs a text of your own: give it with --adapt FILE")
        found = load(
            self.model,
            neural=self.neural,
            neural_budget=self.neural_budget,
            max_ms_per_token=self.max_ms_per_token,
            speculate=self.speculate,
            notify=notice,
        )
        for message in found.notices:
            notice(message)
        for file in self.adapt:
            found.learn(sys.stdin.buffer if file == STDIN else Path(file), weight=self.adapt_weight)
        return found


_OPTIONS = (
    model_option,
    click.option(
        "--neural",
        type=click.Choice(["never", "auto", "always", "only"]),
        help="In a folder with a network and an n-gram: the n-gram alone, the network where it pays, their mixture "
        "everywhere (the default), the network alone.",
    ),
    click.option(
        "--neural-budget",
        type=float,
        metavar="SHARE",
        help="The share of tokens that may call the network, from 0 to 1; with --neural auto 0.25 if it is not given.",
    ),
    click.option(
        "--max-ms-per-token",
        type=float,
        metavar="MS",
        help="Call the network as often as a token takes so many milliseconds on the mean.",
    ),
    click.option(
        "--speculate/--no-speculate",
        default=None,
        help="With --greedy, let the network read guesses of the next tokens along, where that is faster; by default "
        "not in 8 and 4 bits, where it may change a token.",
    ),
    click.option(
        "--adapt",
        multiple=True,
        type=click.Path(allow_dash=True),
        metavar="FILE",
        help="Learn from this text of your own, too; may be given several times.",
    ),
    click.option(
        "--adapt-weight",
        type=float,
        metavar="W",
        help="How much it counts, from 0 to 1.",
    ),
)


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``-m``, ``--neural`` and the others as ``choice: ModelChoice``."""

    @functools.wraps(command)
    def chosen(*arguments: Any, **options: Any) -> Any:
        choice = ModelChoice(**{one.name: options.pop(one.name) for one in fields(ModelChoice)})
        return command(*arguments, choice=choice, **options)

    found: Callable[..., Any] = chosen
    for option in reversed(_OPTIONS):
        found = option(found)
    return found
