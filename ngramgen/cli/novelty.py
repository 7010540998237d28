"""``ngramgen novelty``: how much of a text is copied from a model's training text, or from another text."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ngramgen.cli.inputs import corpus_sources
from ngramgen.cli.options import json_option, model_option
from ngramgen.cli.output import json_text, write_fields, write_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ngramgen.evaluation.novelty import Novelty, Reference
    from ngramgen.text.cleaning import Cleaner


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(allow_dash=True))
@model_option
@click.option(
    "--against",
    multiple=True,
    type=click.Path(),
    metavar="CORPUS",
    help="Compare with this text instead of a model's training text; may be given several times.",
)
@click.option("--length", type=int, metavar="N", help="With --against: tokens of a run; without it, 6.")
@click.option("--tokenizer", metavar="NAME", help="With --against: as of train; without it, word.")
@json_option
def command(
    files: tuple[str, ...],
    model: str | None,
    against: tuple[str, ...],
    length: int | None,
    tokenizer: str | None,
    as_json: bool,
) -> None:
    """Measure how much of the text of all FILEs stands so in the training text of a model; - is standard input.

    The model must have been trained with --copy-filter; --against takes any text instead of a model. copied_share is
    the share of the runs of N tokens that stand there, and longest_copied the number of words of the longest stretch
    all of whose runs do.

    \b
    Examples:
      ngramgen novelty generated.txt -m fables.ngram
      ngramgen novelty generated.txt --against fables.txt --length 4
    """
    if against and model is not None:
        raise click.UsageError("--against and --model exclude each other.")
    if not against and (length is not None or tokenizer is not None):
        raise click.UsageError("--length and --tokenizer go with --against; a model has its own.")
    from ngramgen.evaluation.novelty import novelty
    from ngramgen.text.corpus import read_blocks

    reference, cleaner = _text(against, length, tokenizer or "word") if against else _model(model)
    blocks: Iterable[bytes] = read_blocks(corpus_sources(files))
    result = novelty(reference, map(cleaner.lines_block, blocks))
    if as_json:
        write_lines([json_text(asdict(result))])
    else:
        write_fields(_rows(result))


def _model(name: str | None) -> tuple[Reference, Cleaner]:
    from ngramgen.evaluation.novelty import model_reference
    from ngramgen.loading import load

    model = load(name)
    return model_reference(model.model), model.cleaner


def _text(against: tuple[str, ...], length: int | None, kind: str) -> tuple[Reference, Cleaner]:
    from ngramgen.errors import TokenizerError
    from ngramgen.evaluation.novelty import text_reference
    from ngramgen.ngram.copies import RECOMMENDED
    from ngramgen.text.cleaning import Cleaner
    from ngramgen.text.corpus import read_blocks
    from ngramgen.training import default_cleaning

    cleaner = Cleaner(default_cleaning(kind))
    blocks: Iterator[bytes] = cleaner.blocks(read_blocks(corpus_sources(against)))
    try:
        return text_reference(blocks, RECOMMENDED if length is None else length, kind), cleaner
    except TokenizerError as error:
        raise click.BadParameter(str(error), param_hint="--tokenizer") from None


def _rows(result: Novelty) -> list[tuple[str, str]]:
    return [
        ("lines", str(result.lines)),
        ("tokens", str(result.tokens)),
        ("words", str(result.words)),
        ("run_length", str(result.run_length)),
        ("runs", str(result.runs)),
        ("copied_runs", str(result.copied_runs)),
        ("copied_share", f"{result.copied_share:.6f}"),
        ("longest_copied", str(result.longest_copied)),
        ("longest_copied_line", str(result.longest_copied_line or "none")),
        ("longest_copied_text", result.longest_copied_text),
    ]
