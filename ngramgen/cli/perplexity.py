"""``ngramgen perplexity``: how well a model predicts a text."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ngramgen.cli.choice import ModelChoice, model_options
from ngramgen.cli.inputs import corpus_sources
from ngramgen.cli.options import json_option
from ngramgen.cli.output import json_text, write_fields, write_lines

if TYPE_CHECKING:
    from ngramgen.evaluation.perplexity import Perplexity


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(allow_dash=True))
@model_options
@json_option
def command(files: tuple[str, ...], choice: ModelChoice, as_json: bool) -> None:
    """Measure how well a model predicts the text of all FILEs together; - is standard input.

    Every line is a sentence, and its end counts as a token. Words that the model does not know are priced as such;
    perplexity_excluding_oov leaves them out. bits_per_byte compares models with different tokens. --json adds
    neural_calls, the share of tokens for which a network was called, and ms_per_token, the time of scoring them.

    \b
    Example:
      ngramgen perplexity chapter1.txt chapter2.txt -m fables.ngram
    """
    corpus = corpus_sources(files)
    result = choice.load().perplexity(corpus)
    if as_json:
        write_lines([json_text(asdict(result))])
    else:
        write_fields(_rows(result))


def _rows(result: Perplexity) -> list[tuple[str, str]]:
    return [
        ("tokens", str(result.tokens)),
        ("oov", str(result.oov)),
        ("log10", f"{result.log10:.4f}"),
        ("perplexity", f"{result.perplexity:.4f}"),
        ("perplexity_excluding_oov", f"{result.perplexity_excluding_oov:.4f}"),
        ("bits_per_byte", f"{result.bits_per_byte:.6f}"),
    ]
