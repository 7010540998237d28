"""``ngramgen train``: from text to a model file."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ngramgen.cli import network
from ngramgen.cli.description import order_rows, size_text
from ngramgen.cli.inputs import corpus_sources
from ngramgen.cli.options import compress_option, json_option, output_option
from ngramgen.cli.output import check_model_output, json_text, notice, progress_bar, write_lines


def _thresholds(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in value.replace(",", " ").split()) if value else ()
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a list of whole numbers such as 0,0,1.") from None


def _names(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for part in value for name in part.replace(",", " ").split())


def network_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a network."""
    for option in reversed(network.OPTIONS):
        command = option(command)
    return command


def cleaning_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--clean``, ``--no-clean`` and the shortcuts that add a step."""
    for option in reversed(_CLEANING):
        command = option(command)
    return command


_CLEANING = (
    click.option(
        "--clean",
        multiple=True,
        callback=_names,
        metavar="STEP,...",
        help="Cleaning steps in their order: nfc, control, whitespace, lowercase, min-length=N, max-length=N, "
        "deduplicate. Without it, what suits the tokenizer.",
    ),
    click.option("--no-clean", is_flag=True, show_default=False, help="Take the text as it is."),
    click.option("--lowercase", is_flag=True, show_default=False, help="Clean, and turn to lower case."),
    click.option("--min-length", type=int, metavar="N", help="Clean, and drop lines of fewer than N characters."),
    click.option("--max-length", type=int, metavar="N", help="Clean, and drop lines of more than N characters."),
    click.option("--deduplicate", is_flag=True, show_default=False, help="Clean, and drop lines that were there."),
)


@click.command()
@click.argument("corpus", nargs=-1, required=True, metavar="CORPUS...", type=click.Path(allow_dash=True))
@output_option
@click.option(
    "--engine",
    type=click.Choice(["ngram", "transformer"]),
    default="ngram",
    help="What to train: an n-gram model, or a small network, which needs the extra train.",
)
@click.option("--order", type=int, default=5, metavar="N", help="Length of the longest n-grams.")
@click.option(
    "--smoothing",
    default="modified-kneser-ney",
    metavar="NAME[:PARAM]",
    help="modified-kneser-ney, kneser-ney, absolute-discounting, witten-bell, lidstone[:AMOUNT], laplace or "
    "stupid-backoff[:FACTOR].",
)
@click.option(
    "--tokenizer",
    show_default="word; bpe for a network",
    metavar="NAME",
    help="word for raw text, whitespace for text that is tokenised already, char, byte, nltk:NAME, or bpe: subwords "
    "learnt from the text, 8192 of them or N with bpe:N, or with bpe:FILE those of a tokenizer.json.",
)
@click.option(
    "--prune",
    callback=_thresholds,
    metavar="N,N,...",
    help="For each order from the first, drop n-grams that occur N times or less; the last N holds for longer ones.",
)
@click.option(
    "--max-ngrams",
    type=int,
    metavar="N",
    help="Keep N n-grams of two tokens and more: those that the model would miss most.",
)
@click.option("--vocab-size", type=int, metavar="N", help="Keep the N most frequent tokens; others become <unk>.")
@click.option("--vocab-min-count", type=int, metavar="N", help="Keep tokens that occur at least N times.")
@click.option("--vocab-file", type=click.Path(path_type=Path), metavar="FILE", help="Keep the tokens in this file.")
@click.option(
    "--sentences",
    default="line",
    metavar="METHOD",
    help="line: each line is a sentence; punkt or punkt:LANGUAGE: NLTK splits each line into its sentences.",
)
@cleaning_options
@click.option("--field", metavar="NAME", help="The field with the text in JSON Lines, CSV and TSV; without it, text.")
@click.option(
    "--errors",
    type=click.Choice(["strict", "replace"]),
    default="strict",
    help="Refuse bytes that are not UTF-8, or replace them by U+FFFD.",
)
@click.option(
    "--interpolate-unigrams/--no-interpolate-unigrams",
    default=True,
    help="Share the unigrams' discounted mass among all words, or give it to <unk> alone.",
)
@click.option(
    "--discount-fallback/--no-discount-fallback",
    default=True,
    help="Where a text is too small to estimate a discount, use 0.5, 1, 1.5, or refuse.",
)
@click.option(
    "--copy-filter",
    type=int,
    metavar="N",
    help="Remember which runs of N tokens the text holds, so that generated text can be kept from copying them; 6 "
    "suits words.",
)
@compress_option
@network_options
@json_option
@click.pass_context
def command(
    context: click.Context,
    /,
    corpus: tuple[str, ...],
    output: Path,
    clean: tuple[str, ...],
    no_clean: bool,
    lowercase: bool,
    min_length: int | None,
    max_length: int | None,
    deduplicate: bool,
    engine: str,
    order: int,
    smoothing: str,
    tokenizer: str | None,
    copy_filter: int | None,
    compress: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a model on the text of all CORPUS files and write it to FILE, or a network to a folder of that name.

    Files are UTF-8 text, JSON Lines (.jsonl), .csv or .tsv, packed (.gz, .bz2, .xz, .zst) or not; - is standard input.
    FILE ends in .ngram, or in .arpa or .arpa.gz for other programs. A summary goes to standard error; --json describes
    the model on standard output.

    \b
    Examples:
      ngramgen train fables.txt -o fables.ngram
      ngramgen train *.txt.gz -o model.arpa --order 3 --tokenizer whitespace --prune 0,0,1
      ngramgen train fables.txt --engine transformer --size tiny --time 2m -o network
    """
    if no_clean and clean:
        raise click.UsageError("--clean and --no-clean exclude each other.")
    network.refuse_others(context, engine)
    added = _added_steps(lowercase, min_length, max_length, deduplicate)
    of_network = {name: options.pop(name) for name in network.NAMES}
    if engine == "transformer":
        cleaning = _cleaning("bpe", () if no_clean else clean or None, added)
        shared = {name: options[name] for name in ("field", "errors")}
        network.train(corpus, output, cleaning, tokenizer, as_json=as_json, **shared, **of_network)
        return
    tokenizer = tokenizer or "word"
    cleaning = _cleaning(tokenizer, () if no_clean else clean or None, added)
    check_model_output(output, "--output", compress)
    _check_format(output, order, smoothing, tokenizer, copy_filter)
    sources = corpus_sources(corpus)

    from ngramgen.errors import TokenizerError
    from ngramgen.text.corpus import corpus_bytes
    from ngramgen.text.subword import is_subword, subword_source
    from ngramgen.text.tokenizers import splitter
    from ngramgen.training import train

    try:
        subword_source(tokenizer) if is_subword(tokenizer) else splitter(tokenizer)
    except TokenizerError as error:
        raise click.BadParameter(str(error), param_hint="--tokenizer") from None
    began = time.monotonic()
    with progress_bar(corpus_bytes(sources), "Reading") as progress:
        model = train(
            sources,
            order=order,
            smoothing=smoothing,
            tokenizer=tokenizer,
            cleaning=cleaning,
            copy_filter=copy_filter,
            progress=progress,
            **options,
        )
    model.save(output, compress=compress)
    description = model.description() | {"file_bytes": output.stat().st_size}
    for message in model.notices:
        notice(message)
    for row in order_rows(description):
        notice(row)
    notice(f"Wrote {output}: {size_text(description['file_bytes'])} in {time.monotonic() - began:.1f} s.")
    if as_json:
        write_lines([json_text(description)])


def _check_format(output: Path, order: int, smoothing: str, tokenizer: str, copy_filter: int | None) -> None:
    """Refuse before training what the writer of ARPA files would refuse after it, or leave out."""
    from ngramgen.ngram.smoothing import smoothing_from_name
    from ngramgen.text.subword import is_subword

    if output.name.endswith(".ngram"):
        return
    if order > 1 and smoothing_from_name(smoothing).reading == "uniform":
        raise click.BadParameter(
            f"an ARPA file cannot hold a model with {smoothing} smoothing; write a .ngram file.", param_hint="--output"
        )
    if is_subword(tokenizer):
        raise click.BadParameter("an ARPA file cannot hold bpe's tokens; write a .ngram file.", param_hint="--output")
    if copy_filter is not None:
        raise click.BadParameter("an ARPA file cannot hold a copy filter; write a .ngram file.", param_hint="--output")


def _added_steps(lowercase: bool, min_length: int | None, max_length: int | None, deduplicate: bool) -> tuple[str, ...]:
    steps = {
        "lowercase": lowercase,
        f"min-length={min_length}": min_length is not None,
        f"max-length={max_length}": max_length is not None,
        "deduplicate": deduplicate,
    }
    return tuple(step for step, asked in steps.items() if asked)


def _cleaning(tokenizer: str, named: tuple[str, ...] | None, added: tuple[str, ...]) -> tuple[str, ...] | None:
    """The steps that were named and added; None, the tokenizer's own, where nothing was said."""
    if named is None and added:
        from ngramgen.training import default_cleaning

        named = default_cleaning(tokenizer)
    return None if named is None else named + added
