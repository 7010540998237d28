"""``ngramgen tune``: how an n-gram and a network are mixed, learnt from text."""

from __future__ import annotations

from pathlib import Path

import click

from ngramgen.cli.inputs import corpus_sources
from ngramgen.cli.options import json_option
from ngramgen.cli.output import json_text, write_fields, write_lines


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--on",
    "files",
    multiple=True,
    required=True,
    type=click.Path(allow_dash=True),
    metavar="FILE",
    help="Text that neither model was trained on; may be given several times.",
)
@json_option
def command(folder: Path, files: tuple[str, ...], as_json: bool) -> None:
    """Fit how the n-gram and the network in FOLDER work together to text, and write it there.

    FOLDER holds a network and, as model.ngram, an n-gram of the same tokenizer. The first million bytes are read.
    Prints bits per byte of the text for both, for the mixture, and for --neural auto with some budgets.

    \b
    Example:
      ngramgen tune network --on unseen.txt
    """
    from ngramgen.tuning import tune

    about = tune(folder, corpus_sources(files))
    if as_json:
        write_lines([json_text(about)])
        return
    rows = [*about["bits_per_byte"].items(), *((f"auto {b}", v) for b, v in about["auto_bits_per_byte"].items())]
    write_fields([(name, f"{value:.4f} bits per byte") for name, value in rows])
