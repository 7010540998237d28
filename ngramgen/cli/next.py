"""``ngramgen next``: the most likely next tokens."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from ngramgen.cli.choice import ModelChoice, model_options
from ngramgen.cli.inputs import STDIN, argument_text, arriving_blocks
from ngramgen.cli.options import json_option
from ngramgen.cli.output import json_text, stdout, write_lines

if TYPE_CHECKING:
    from ngramgen.textmodel import NextToken


@click.command()
@click.argument("context")
@model_options
@click.option("-k", "count", type=click.IntRange(min=1), default=10, metavar="K", help="How many tokens to list.")
@json_option
def command(context: str, choice: ModelChoice, count: int, as_json: bool) -> None:
    """List the most likely tokens after CONTEXT, best first, each with its probability.

    CONTEXT is the beginning of a text; "" asks how a text begins. With - each line of standard input is a context and
    gets its answer at once: a list and an empty line, or with --json one JSON list a line.

    \b
    Example:
      ngramgen next "Once upon a" -m fables.ngram -k 5
    """
    text_model = choice.load()
    if context != STDIN:
        tokens = text_model.next(argument_text("CONTEXT", context), k=count)
        write_lines([_as_json(tokens)] if as_json else _as_rows(tokens))
        return
    out = stdout()
    for block in arriving_blocks(STDIN):
        for line in block.decode().split("\n")[:-1]:
            tokens = text_model.next(line, k=count)
            write_lines([_as_json(tokens)] if as_json else [*_as_rows(tokens), ""], out)


def _as_json(tokens: Iterable[NextToken]) -> str:
    return json_text([{"token": t.token, "logprob": t.logprob, "prob": t.prob} for t in tokens])


def _as_rows(tokens: Iterable[NextToken]) -> list[str]:
    # A token that would break the row (a line break, a tab) is shown with its escape sequence.
    return [f"{t.prob:.6f}\t{t.token if t.token.isprintable() else json_text(t.token)}" for t in tokens]
