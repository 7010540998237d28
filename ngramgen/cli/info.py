"""``ngramgen info``: what a model is and how it was made."""

from __future__ import annotations

import click

from ngramgen.cli.description import description_rows
from ngramgen.cli.options import json_option
from ngramgen.cli.output import json_text, notice, write_fields, write_lines


@click.command()
@click.argument("model", required=False, type=click.Path())
@click.option("--verify", is_flag=True, show_default=False, help="Read all of a .ngram file and check it.")
@json_option
def command(model: str | None, verify: bool, as_json: bool) -> None:
    """Describe MODEL: its kind, size, vocabulary, n-grams and discounts, and how it was made.

    MODEL is a shipped model's name, a .ngram or ARPA file, or the folder of a network, as the option -m of other
    commands takes it; english if it is left out.

    \b
    Examples:
      ngramgen info
      ngramgen info fables.ngram
    """
    from ngramgen.errors import ModelFormatError
    from ngramgen.hybrid.folder import NGRAM
    from ngramgen.loading import load
    from ngramgen.shipped import model_path

    path = model_path(model)
    found = load(path, verify=verify)
    for message in found.notices:
        notice(message)
    description = found.description()
    if "file_bytes" not in description:  # the n-gram answers, so it is its file
        description["file_bytes"] = (path / NGRAM if path.is_dir() else path).stat().st_size
    if as_json:
        write_lines([json_text(description)])
        return
    try:
        rows = description_rows(description)
    except (LookupError, TypeError, ValueError, AttributeError):  # plain values, but not the ones we write
        raise ModelFormatError(
            f"{path}: what the file tells of its making is damaged; --json shows it as it is"
        ) from None
    write_fields(rows)
