"""Options that several commands share, as decorators.

>>> import click
>>> @click.command()
... @model_option
... @seed_option
... def command(model: str | None, seed: int | None) -> None: ...
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

model_option = click.option(
    "-m",
    "--model",
    type=click.Path(),  # names pass too; shells complete it as a path
    metavar="MODEL",
    help="A shipped model's name, a .ngram or ARPA file, or the folder of a network; english if it is left out.",
)
"""``-m/--model`` as ``model: str | None``, whatever ``ngramgen.load`` takes; None is the default shipped model."""

seed_option = click.option(
    "--seed",
    type=click.IntRange(min=0),
    metavar="N",
    help="Make chance repeatable: the same seed gives the same output.",
)
"""``--seed`` as ``seed: int | None``; None draws fresh entropy."""

json_option = click.option("--json", "as_json", is_flag=True, show_default=False, help="Write JSON.")
"""``--json`` as ``as_json: bool``."""

output_option = click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),  # unchecked here: the writer's own error names the reason
    metavar="FILE",
    required=True,
    help="The file to write.",
)
"""``-o/--output`` as ``output: Path``, required."""

compress_option = click.option(
    "--compress",
    is_flag=True,
    show_default=False,
    help="Write a .ngram file of a third of the size or less, which takes longer to open.",
)
"""``--compress`` as ``compress: bool``."""


class SectionedCommand(click.Command):
    """A command whose help page shows the sampling options under headings of their own, behind its others."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {"Options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                sections.setdefault(getattr(parameter, "section", "Options"), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


class _SamplingOption(click.Option):
    def __init__(self, *args: Any, section: str, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.section = section


def sampling_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--temperature``, ``--top-k`` and the rest: each field of SamplingOptions and Constraints under its name.

    The command gets those that a person gave, and no defaults: a model may have its own.
    """
    command = _given_alone(command)
    for section, options in reversed(_SAMPLING.items()):
        for name, attributes in reversed(options.items()):
            declared = name.split()  # the flag, and the field where its name is another
            command = click.option(*declared, cls=_SamplingOption, section=section, **attributes)(command)
    return command


def _given_alone(command: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(command)
    def given(*arguments: Any, **options: Any) -> Any:
        context = click.get_current_context()
        for parameter in context.command.params:
            name = parameter.name or ""
            if isinstance(parameter, _SamplingOption) and context.get_parameter_source(name) == ParameterSource.DEFAULT:
                del options[name]
        return command(*arguments, **options)

    return given


def _number(default: float | None, metavar: str, text: str) -> dict[str, Any]:
    return {"type": float, "default": default, "metavar": metavar, "help": text}


def _text(metavar: str, text: str, default: str | None = "") -> dict[str, Any]:
    return {"default": default, "metavar": metavar, "help": text, "show_default": False}


def _count(default: int | None, metavar: str, text: str) -> dict[str, Any]:
    return {"type": int, "default": default, "metavar": metavar, "help": text}


def _several(metavar: str, text: str, **attributes: Any) -> dict[str, Any]:
    return {"multiple": True, "metavar": metavar, "help": f"{text}; may be given several times.", **attributes}


def _biases(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[str, float], ...]:
    return tuple(map(_bias, values))


def _bias(value: str) -> tuple[str, float]:
    text, _, number = value.rpartition("=")
    try:
        return text, float(number)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not TEXT=NUMBER, such as king=-2.") from None


def _id_sequences(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[int, ...], ...]:
    try:
        return tuple(tuple(map(int, value.split(","))) for value in values)
    except ValueError:
        raise click.BadParameter(f"{' '.join(values)!r} is not ID,ID,..., such as 17,4.") from None


def _listed_choices(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    parts = (part for value in values for part in re.split(r"(?<!\\),", value))
    return tuple(part.replace("\\,", ",").strip() for part in parts)


def _not_empty(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(filter(None, values))


def _stopping(context: click.Context, parameter: click.Parameter, value: str) -> bool | str:
    return {"yes": True, "no": False}.get(value, value)


# Ranges are left to SamplingOptions, which says the same in Python; a test compares the defaults.
_SAMPLING: dict[str, dict[str, dict[str, Any]]] = {
    "Length": {
        "--max-new-tokens": _count(100, "N", "End each text after N new tokens."),
        "--min-new-tokens": _count(0, "N", "Let no text end before N new tokens."),
        "--end-sentence": {
            "is_flag": True,
            "show_default": False,
            "help": "From half of the new tokens on, end a text as soon as a sentence ends.",
        },
        "--max-time": _number(None, "SECONDS", "End each text at the first token after so many seconds."),
        "--stop": _several("TEXT", "End a text before TEXT would appear in its continuation"),
    },
    "Drawing": {
        "--temperature": _number(1.0, "T", "Below 1 keeps to the likely, above 1 dares more; 0 is greedy."),
        "--greedy": {"is_flag": True, "show_default": False, "help": "Always take the most likely token."},
        "--top-k": _count(0, "K", "Draw among the K most likely tokens; 0 is off."),
        "--top-p": _number(1.0, "P", "Draw among the most likely tokens that together reach probability P; 1 is off."),
        "--min-p": _number(0.0, "P", "Draw among tokens at least P times as likely as the best one; 0 is off."),
        "--typical-p": _number(
            1.0, "P", "Draw among the tokens of most typical surprise that together reach probability P; 1 is off."
        ),
        "--epsilon-cutoff": _number(0.0, "P", "Draw among tokens of probability P and more; 0 is off."),
        "--eta-cutoff": _number(0.0, "P", "As --epsilon-cutoff, with a lower bound where much is possible; 0 is off."),
        "--top-n-sigma": _number(
            0.0, "N", "Draw among tokens within N standard deviations of the best log-probability; 0 is off."
        ),
        "--xtc-probability": _number(
            0.0, "P", "How often to leave out the top choices, those of --xtc-threshold; 0 is off."
        ),
        "--xtc-threshold": _number(0.1, "P", "Top choices have probability P or more; the least of them stays."),
        "--mirostat": _count(0, "VERSION", "2 keeps the surprise of each token near --mirostat-tau; 0 is off."),
        "--mirostat-tau": _number(5.0, "BITS", "The surprise that --mirostat aims at."),
        "--mirostat-eta": _number(0.1, "RATE", "How fast --mirostat corrects itself."),
    },
    "Repetition": {
        "--repetition-penalty": _number(1.0, "R", "Above 1 makes tokens that were there before less likely; 1 is off."),
        "--frequency-penalty": _number(
            0.0, "F", "Above 0 makes tokens less likely each time that they were there; 0 is off."
        ),
        "--presence-penalty": _number(0.0, "F", "Above 0 makes tokens less likely once they were there; 0 is off."),
        "--no-repeat-ngram-size": _count(0, "N", "Let no N tokens come twice in the same order; 0 is off."),
        "--dry-multiplier": _number(
            0.0, "F", "Above 0 makes tokens less likely the longer a repetition they would continue; 0 is off."
        ),
        "--dry-base": _number(1.75, "F", "By how much --dry-multiplier grows with each token of the repetition."),
        "--dry-allowed-length": _count(2, "N", "Shorter repetitions are left alone by --dry-multiplier."),
        "--dry-penalty-last-n": _count(-1, "N", "Look for repetitions in the last N tokens; -1 is all of them."),
        "--dry-sequence-breaker dry_sequence_breakers": _several(
            "TEXT",
            "No repetition reaches across a token with TEXT in it, '' for none",
            default=("\n", ":", '"', "*"),
            show_default='line end : " *',
            callback=_not_empty,
        ),
        "--max-copied-words": _count(None, "N", "Take no more than N words in a row from the training text."),
    },
    "Words": {
        "--bad-word bad_words": _several("TEXT", "Never say TEXT, with a space before it or without"),
        "--bad-word-ids bad_words_ids": _several(
            "ID,ID,...", "Never say these tokens in this order", callback=_id_sequences
        ),
        "--suppress-token suppress_tokens": _several("ID", "Never say this token", type=int),
        "--logit-bias": _several("TEXT=NUMBER", "Add NUMBER to the log-probability of the word TEXT", callback=_biases),
        "--forced-bos-token-id": _count(None, "ID", "Begin with this token."),
    },
    "Form": {
        "--starts-with": _text("TEXT", "Begin the continuation with TEXT."),
        "--ends-with": _text("TEXT", "End with TEXT."),
        "--contains": _several("TEXT", "Say TEXT as whole words somewhere"),
        "--in-order": {"is_flag": True, "show_default": False, "help": "Say what --contains asks for in that order."},
        "--min-words": _count(0, "N", "Say at least N words."),
        "--max-words": _count(None, "N", "Say at most N words."),
        "--min-chars": _count(0, "N", "Write at least N characters."),
        "--max-chars": _count(None, "N", "Write at most N characters."),
        "--sentences": _count(None, "N", "Say exactly N whole sentences."),
        "--regex": _text("REGEX", "Match the regular expression REGEX from beginning to end.", None),
        "--choices": _several(
            "TEXT,TEXT,...", r"Say one of these texts, \, being a comma inside of one", callback=_listed_choices
        ),
        "--template": _text(
            "TEMPLATE", "Fill the holes of a text such as 'The {5..10 words} of the {choices:king,queen}'.", None
        ),
    },
    "Beams": {
        "--num-beams": _count(1, "N", "Search with N beams for the most likely text instead of drawing."),
        "--length-penalty": _number(
            1.0, "F", "Beams are compared by log-probability over length to this power; above 0 favours long texts."
        ),
        "--early-stopping": {
            "type": click.Choice(["yes", "no", "never"]),
            "default": "no",
            "callback": _stopping,
            "help": "End at N finished beams (yes), when better ones are unlikely (no) or impossible (never).",
        },
    },
}
