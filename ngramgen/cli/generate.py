"""``ngramgen generate``: a prompt in, its continuations out."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ngramgen.cli.choice import ModelChoice, model_options
from ngramgen.cli.explanation import explanation_json, explanation_lines, visible
from ngramgen.cli.inputs import argument_text
from ngramgen.cli.options import (
    SectionedCommand,
    json_option,
    sampling_options,
    seed_option,
)
from ngramgen.cli.output import check_output, json_text, progress_bar, stdout, whole_file, write_lines
from ngramgen.cli.styles import style_option, with_model

if TYPE_CHECKING:
    from ngramgen.styles import Style
    from ngramgen.textmodel import Generation, TextModel


@click.command(cls=SectionedCommand)
@click.argument("prompt", default="")
@model_options
@style_option
@click.option("-n", "--count", type=click.IntRange(min=1), default=1, metavar="N", help="How many texts to generate.")
@sampling_options
@seed_option
@click.option(
    "--explain",
    "explained",
    is_flag=True,
    show_default=False,
    help="Show how likely each token was, its rank, and which n-gram or network it comes from.",
)
@json_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write to this file, which appears when all is done, instead of standard output.",
)
def command(
    prompt: str,
    choice: ModelChoice,
    style: Style | None,
    count: int,
    seed: int | None,
    explained: bool,
    as_json: bool,
    output: Path | None,
    **options: Any,
) -> None:
    """Continue PROMPT and print it with its continuation, one text a line.

    Without PROMPT texts are begun from nothing; - takes the whole standard input for it. A single text is written as
    it grows. --json gives an object a line: text, generated_text, tokens, logprob (natural), finish_reason
    (eos, length, stop or time), and with --explain explanation. What is said of the form of a text holds for its
    continuation, without the white space at its ends. A model may bring defaults of its own: ngramgen info shows them.

    \b
    Examples:
      ngramgen generate "Once upon a time" -m fables.ngram --seed 1
      ngramgen generate -m fables.ngram -n 1000 --temperature 0.8 --json -o texts.jsonl
      ngramgen generate -m fables.ngram --contains fox --contains crow --max-words 20
      ngramgen generate --style play
    """
    from ngramgen.defaults import check_options, fitting

    check_options(options)  # a bad option is told before a model is read
    prompt = argument_text("PROMPT", prompt)
    if style is not None:
        choice = with_model(choice, style)
        prompt, own = style.asked(prompt)
        options = {**fitting(own, options), **options}
    if output == Path("-"):
        output = None
    if output is not None:
        check_output(output)
    text_model = choice.load()
    if count == 1 and output is None and not as_json and not explained:
        pieces = chain([prompt], text_model.stream(prompt, seed=seed, **options))
        _show_growing(pieces if style is None else style.stream(pieces))
        return
    generations = text_model.generate_all(
        prompt, n=count, seed=seed, with_logprob=as_json, explained=explained, **options
    )
    if style is not None:
        generations = (_in_style(style, one, is_spaced=count > 1 and not as_json) for one in generations)
    lines: Iterable[str]
    if as_json:
        lines = (_as_json(text_model, one) for one in generations)
    elif explained:
        color = output is None and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        lines = chain.from_iterable(_explanation(text_model, one, color) for one in generations)
    else:
        lines = (one.text for one in generations)
    if output is None:
        write_lines(lines)
        return
    with whole_file(output) as file, progress_bar(count, "Generating") as advance:
        write_lines(lines if advance is None else _counted(lines, advance), file)


def _in_style(style: Style, one: Generation, is_spaced: bool) -> Generation:
    """A text as its style shows it; where that takes several lines, ``is_spaced`` puts an empty one behind."""
    behind = "\n" if is_spaced and style.line_break else ""
    return replace(one, text=style.shown(one.text) + behind, generated_text=style.shown(one.generated_text))


def _show_growing(pieces: Iterable[str]) -> None:
    stream = stdout()
    for piece in pieces:
        stream.write(piece.encode())
        stream.flush()
    stream.write(b"\n")


def _as_json(model: TextModel, generation: Generation) -> str:
    record: dict[str, Any] = {
        "text": generation.text,
        "generated_text": generation.generated_text,
        "tokens": [model.tokenizer.token(index) for index in generation.ids.tolist()],
        "logprob": generation.logprob,
        "finish_reason": generation.finish_reason,
    }
    if generation.explanations is not None:
        tokens = [model.tokenizer.token(one.index) for one in generation.explanations]
        record["explanation"] = explanation_json(tokens, generation.explanations)
    return json_text(record)


def _explanation(model: TextModel, generation: Generation, color: bool) -> Iterator[str]:
    """The text and a table of its new tokens; in color the text shows their ranks."""
    explanations = generation.explanations or []
    tokens = [model.tokenizer.token(one.index) for one in explanations]
    separator = " " if model.tokenizer.joins_with_space else ""
    lines = explanation_lines(tokens, explanations, color, separator)
    before = visible(generation.prompt) + (separator if generation.prompt else "")
    yield before + next(lines) if color else generation.text
    yield from lines
    yield ""


def _counted(lines: Iterable[str], advance: Callable[[int], None]) -> Iterator[str]:
    for line in lines:
        yield line
        advance(1)
