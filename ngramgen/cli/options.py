"""Options that several commands share, as decorators.

>>> import click
>>> @click.command()
... @model_option
... @seed_option
... def command(model: str | None, seed: int | None) -> None: ...
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

model_option = click.option(
    "-m",
    "--model",
    type=click.Path(),  # names pass too; shells complete it as a path
    metavar="MODEL",
    help="A .ngram or ARPA file.",
)
"""``-m/--model`` as ``model: str | None``, whatever ``ngramgen.load`` takes; None is the shipped model."""

seed_option = click.option(
    "--seed",
    type=click.IntRange(min=0),
    metavar="N",
    help="Make chance repeatable: the same seed gives the same output.",
)
"""``--seed`` as ``seed: int | None``; None draws fresh entropy."""

json_option = click.option("--json", "as_json", is_flag=True, show_default=False, help="Write JSON.")
"""``--json`` as ``as_json: bool``."""

output_option = click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),  # unchecked here: the writer's own error names the reason
    metavar="FILE",
    required=True,
    help="The file to write.",
)
"""``-o/--output`` as ``output: Path``, required."""


def sampling_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--temperature``, ``--top-k`` and the rest, one for each field of SamplingOptions, under the field's name."""
    for option in reversed(_SAMPLING):
        command = option(command)
    return command


# Ranges are left to SamplingOptions, which says the same in Python; a test compares the defaults.
_SAMPLING = (
    click.option("--max-new-tokens", type=int, default=100, metavar="N", help="End each text after N new tokens."),
    click.option("--min-new-tokens", type=int, default=0, metavar="N", help="Let no text end before N new tokens."),
    click.option(
        "--temperature",
        type=float,
        default=1.0,
        metavar="T",
        help="Below 1 keeps to the likely, above 1 dares more; 0 is greedy.",
    ),
    click.option("--greedy", is_flag=True, show_default=False, help="Always take the most likely token."),
    click.option("--top-k", type=int, default=0, metavar="K", help="Draw among the K most likely tokens; 0 is off."),
    click.option(
        "--top-p",
        type=float,
        default=1.0,
        metavar="P",
        help="Draw among the most likely tokens that together reach probability P; 1 is off.",
    ),
    click.option(
        "--min-p",
        type=float,
        default=0.0,
        metavar="P",
        help="Draw among tokens at least P times as likely as the best one; 0 is off.",
    ),
    click.option(
        "--typical-p",
        type=float,
        default=1.0,
        metavar="P",
        help="Draw among the tokens of most typical surprise that together reach probability P; 1 is off.",
    ),
    click.option(
        "--repetition-penalty",
        type=float,
        default=1.0,
        metavar="R",
        help="Above 1 makes tokens that were there before less likely; 1 is off.",
    ),
    click.option(
        "--stop",
        multiple=True,
        metavar="TEXT",
        help="End a text before TEXT would appear in its continuation; may be given several times.",
    ),
)
