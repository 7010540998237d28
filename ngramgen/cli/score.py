"""``ngramgen score``: a line in, its log10 probability out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from ngramgen.cli.choice import ModelChoice, model_options
from ngramgen.cli.inputs import STDIN, arriving_blocks
from ngramgen.cli.options import json_option
from ngramgen.cli.output import json_text, stdout

if TYPE_CHECKING:
    from ngramgen.evaluation.perplexity import LineScores


@click.command()
@click.argument("file", default=STDIN, type=click.Path(allow_dash=True))
@model_options
@json_option
def command(file: str, choice: ModelChoice, as_json: bool) -> None:
    """Print the log10 probability of each line of FILE, the end of the sentence included.

    Without FILE, or with -, lines come from standard input and are answered as they come. --json gives an object a
    line: text, log10, tokens (the end of the sentence is one) and oov, the number of words the model does not know.

    \b
    Example:
      echo "The fox looked at the grapes." | ngramgen score -m fables.ngram
    """
    text_model = choice.load()
    out = stdout()
    for block in arriving_blocks(file):
        lines = iter(block.decode().split("\n") if as_json else ())
        for scores in text_model.score_lines([block]):  # a large block comes in several parts
            out.write((_as_json(lines, scores) if as_json else _as_numbers(scores)).encode())
        out.flush()


def _as_numbers(scores: LineScores) -> str:
    values = tuple(scores.log10.tolist())
    return "%.6f\n" * len(values) % values  # all at once: a third of the time of one by one


def _as_json(lines: Iterator[str], scores: LineScores) -> str:
    columns = (scores.log10.tolist(), scores.tokens.tolist(), scores.oov.tolist())
    rows = zip(*columns, lines, strict=False)  # the lines last, so that the next part finds its first one
    return "".join(
        json_text({"text": text, "log10": log10, "tokens": tokens, "oov": oov}) + "\n"
        for log10, tokens, oov, text in rows
    )
