"""``ngramgen info``: what a model is and how it was made."""

from __future__ import annotations

from pathlib import Path

import click

from ngramgen.cli.description import description_rows
from ngramgen.cli.options import json_option
from ngramgen.cli.output import json_text, write_fields, write_lines


@click.command()
@click.argument("model", required=False, type=click.Path())
@click.option("--verify", is_flag=True, show_default=False, help="Read all of a .ngram file and check it.")
@json_option
def command(model: str | None, verify: bool, as_json: bool) -> None:
    """Describe MODEL: its kind, size, vocabulary, n-grams and discounts, and how it was made.

    MODEL is a .ngram or ARPA file or the folder of a network, as the option -m of other commands takes it.

    \b
    Example:
      ngramgen info fables.ngram
    """
    from ngramgen.errors import ModelFormatError
    from ngramgen.loading import load

    description = load(model, verify=verify).description()
    if model is not None and Path(model).is_file() and "file_bytes" not in description:
        description["file_bytes"] = Path(model).stat().st_size
    if as_json:
        write_lines([json_text(description)])
        return
    try:
        rows = description_rows(description)
    except (LookupError, TypeError, ValueError, AttributeError):  # plain values, but not the ones we write
        raise ModelFormatError(
            f"{model}: what the file tells of its making is damaged; --json shows it as it is"
        ) from None
    write_fields(rows)
