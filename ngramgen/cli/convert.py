"""``ngramgen convert``: from one model format to another."""

from __future__ import annotations

from pathlib import Path

import click

from ngramgen.cli.options import compress_option
from ngramgen.cli.output import check_model_output, notice


@click.command()
@click.argument("source", metavar="IN", type=click.Path())
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@click.option(
    "--lenient",
    is_flag=True,
    show_default=False,
    help="Mend small faults of an ARPA file, such as positive log-probabilities, instead of refusing it.",
)
@compress_option
def command(source: str, target: Path, lenient: bool, compress: bool) -> None:
    """Write the model IN as OUT; the suffix of OUT tells the format: .ngram, .arpa or .arpa.gz.

    IN is a .ngram file or an ARPA file, packed or not.

    \b
    Example:
      ngramgen convert kenlm.arpa.gz model.ngram
    """
    from ngramgen.loading import load

    check_model_output(target, "OUT", compress)
    model = load(source, lenient=lenient)
    model.save(target, compress=compress)
    for message in model.notices:
        notice(message)
