"""``ngramgen train --engine transformer``: what the command says and does for a network."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ngramgen.cli.description import size_text
from ngramgen.cli.inputs import corpus_sources
from ngramgen.cli.output import json_text, notice, write_lines
from ngramgen.neural.options import setting_names
from ngramgen.shipped import model_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ngramgen.neural.trainer import Progress

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_SHARED = ("corpus", "output", "engine", "tokenizer", "field", "errors", "as_json", "clean", "no_clean")
_STEPS = ("lowercase", "min_length", "max_length", "deduplicate")


def _duration(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", value.strip())
    if found is None:
        raise click.BadParameter(f"{value!r} is no duration; write such as 90s, 60m or 1.5h.")
    return float(found[1]) * _UNITS[found[2]]


def _count(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([kM]?)", value.strip())
    if found is None:
        raise click.BadParameter(f"{value!r} is no number of tokens; write such as 500k, 20M or 1000000.")
    return round(float(found[1]) * {"": 1, "k": 1_000, "M": 1_000_000}[found[2]])


def _settings(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:
    found = {}
    for value in values:
        name, equals, number = value.partition("=")
        if not equals:
            raise click.BadParameter(f"{value!r} is no NAME=VALUE.")
        name = name.strip().replace("-", "_")
        if name not in setting_names():
            raise click.BadParameter(f"there is no setting {name!r}; they are {', '.join(setting_names())}.")
        try:
            found[name] = json.loads(number)
        except ValueError:
            raise click.BadParameter(f"{number!r} is no number, true or false.") from None
    return found


precision_option = click.option(
    "--precision",
    "precisions",
    multiple=True,
    type=click.Choice(["float32", "int8", "q4"]),
    help="Write the network in this precision; several may be given. Without it, float32 and int8.",
)
"""``--precision`` as ``precisions: tuple[str, ...]``."""

OPTIONS = (
    click.option("--size", type=click.Choice(["tiny", "small", "base"]), default="small", help="Size of the network."),
    click.option("--time", "seconds", callback=_duration, metavar="DURATION", help="Train so long: 90s, 60m, 1.5h."),
    click.option("--tokens", callback=_count, metavar="N", help="Train on so many tokens: 500k, 20M."),
    click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", help="Where to train."),
    click.option("--seed", type=int, default=1, metavar="N", help="The same seed gives the same beginnings and order."),
    click.option("--valid", multiple=True, type=click.Path(allow_dash=False), metavar="FILE", help="Measure on FILE."),
    click.option(
        "--init-from",
        metavar="MODEL",
        help="Begin with the weights, shape and tokenizer of this network: a folder, or a shipped one such as english.",
    ),
    click.option("--resume", is_flag=True, show_default=False, help="Go on with the training in the folder."),
    precision_option,
    click.option(
        "--set",
        "named",
        multiple=True,
        callback=_settings,
        metavar="NAME=VALUE",
        help="Set any number of the network or its training, such as width=320 or batch_size=32.",
    ),
)
"""The options that only a network has."""

NAMES = ("size", "seconds", "tokens", "device", "seed", "valid", "init_from", "resume", "precisions", "named")


def refuse_others(context: click.Context, engine: str) -> None:
    """Raises click.UsageError for options that were given but belong to the other engine."""
    for parameter in context.command.params:
        name = str(parameter.name)
        if context.get_parameter_source(name) != ParameterSource.COMMANDLINE or name in (*_SHARED, *_STEPS):
            continue
        if (name in NAMES) != (engine == "transformer"):
            other = "an n-gram" if engine == "transformer" else "--engine transformer"
            raise click.UsageError(f"{parameter.opts[-1]} is an option of {other}; leave it out.")


def train(
    corpus: tuple[str, ...],
    output: Path,
    cleaning: tuple[str, ...] | None,
    tokenizer: str | None,
    *,
    valid: tuple[str, ...],
    field: str | None,
    errors: str,
    as_json: bool,
    named: dict[str, Any],
    precisions: tuple[str, ...],
    init_from: str | None,
    **options: Any,
) -> None:
    """Trains a network into the folder ``output`` and tells how it goes."""
    if (options["seconds"] is None) == (options["tokens"] is None):
        raise click.UsageError("Give --time or --tokens, and not both: a network trains as long as it is told to.")
    if output.suffix in (".ngram", ".arpa", ".gz"):
        raise click.BadParameter(f"{output} names a file; a network is a folder.", param_hint="--output")
    if output.exists() and not output.is_dir():
        raise click.BadParameter(f"{output} is a file; name a folder.", param_hint="--output")
    from ngramgen.neural.training import SHIPPED, NetworkCorpus, train_network
    from ngramgen.text.cleaning import DEFAULT_STEPS

    if init_from is not None:
        _check_beginning(options["resume"])
    if options["resume"] and "-" in corpus:
        raise click.UsageError("--resume needs files, for standard input cannot be compared with what it was.")
    text = NetworkCorpus(
        corpus_sources(corpus),
        corpus_sources(valid),
        field=field,
        errors=errors,
        cleaning=DEFAULT_STEPS if cleaning is None else cleaning,
    )
    made, size = _tokenizer(tokenizer)
    if size is not None:
        named = {"vocab_size": size} | named
    begun = time.monotonic()
    notice("Reading the text ...")
    with _shown() as report:
        path = train_network(
            text,
            output,
            tokenizer=made,
            precisions=precisions or SHIPPED,
            init_from=None if init_from is None else model_path(init_from),
            report=report,
            notify=notice,
            **options,
            **named,
        )
    about = json.loads((path / "training.json").read_text())
    files = [file for file in sorted(path.iterdir()) if file.suffix == ".onnx"]
    for file in files:
        notice(f"Wrote {file}: {size_text(file.stat().st_size)}.")
    notice(f"{about['valid_bits_per_byte']:.4f} bits per byte, in {time.monotonic() - begun:.0f} s.")
    if as_json:
        write_lines([json_text(about)])


def _check_beginning(resume: bool) -> None:
    """Raises click.UsageError for what does not go with a network to begin with."""
    if resume:
        raise click.UsageError("--resume goes on with what is in the folder; leave --init-from out.")
    if click.get_current_context().get_parameter_source("size") == ParameterSource.COMMANDLINE:
        raise click.UsageError("--init-from decides the size of the network; leave --size out.")


def _tokenizer(name: str | None) -> tuple[str | None, int | None]:
    """The tokenizer.json that is named, or the number of entries to learn; neither where the size decides."""
    if name is None or name == "bpe":
        return None, None
    from ngramgen.errors import TokenizerError
    from ngramgen.text.subword import is_subword, subword_source

    try:
        if not is_subword(name):
            raise TokenizerError(f"a network reads subwords: bpe, bpe:N or bpe:FILE, not {name!r}")
        source = subword_source(name)
    except TokenizerError as error:
        raise click.BadParameter(str(error), param_hint="--tokenizer") from None
    return (None, source) if isinstance(source, int) else (source.source, None)


@contextmanager
def _shown() -> Iterator[Callable[[Progress], None]]:
    """What shows progress: a line for each measurement, and on a terminal one that changes in between."""
    is_terminal = sys.stderr.isatty()

    def report(progress: Progress) -> None:
        line = _line(progress)
        if progress.point is not None:
            click.echo(("\r\x1b[K" if is_terminal else "") + line, err=True)
        elif is_terminal:
            click.echo(f"\r\x1b[K{line}", err=True, nl=False)

    yield report
    if is_terminal:
        click.echo("\r\x1b[K", err=True, nl=False)


def _line(progress: Progress) -> str:
    count = f"{progress.tokens / 1e6:.1f} M" if progress.tokens >= 1e6 else f"{progress.tokens / 1e3:.0f} k"
    line = f"{progress.share:4.0%}  {count} tokens  {_time(progress.seconds)}"
    if progress.point is not None:
        line += f"  {progress.point.valid_bits_per_byte:.4f} bits per byte"
    return line + f"  {_time(progress.remaining)} left"


def _time(seconds: float) -> str:
    """Minutes and seconds, with hours where there are some.

    >>> _time(75), _time(3700)
    ('1:15', '1:01:40')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
