"""Data on its way out: UTF-8 lines and JSON on stdout, files that appear whole or not at all, bars on a terminal.

>>> json_text({"token": "ï", "logprob": float("-inf")})
'{"token": "ï", "logprob": null}'
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import click

from ngramgen.atomic import replacing

MODEL_SUFFIXES = (".ngram", ".arpa", ".arpa.gz")

_FLUSH_SECONDS = 0.2  # how long a reader of a pipe waits for what is already known
_BAR_STEPS = 500  # click spends microseconds on each

# Infinite and NaN would not be JSON: they raise here, and json_text then says null.
_ENCODE = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def json_text(value: Any) -> str:
    """The value as JSON on one line; numbers that JSON does not know (infinite, NaN) are null."""
    try:
        return _ENCODE(value)
    except ValueError:
        return _ENCODE(_finite(value))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def stdout() -> BinaryIO:
    """Standard output as bytes: what we write is UTF-8, whatever the locale says."""
    return sys.stdout.buffer


def write_lines(lines: Iterable[str], stream: BinaryIO | None = None) -> None:
    """Write each line and LF, buffered; yet nobody waits longer than a moment for a line that is there."""
    stream = stream or stdout()
    flushed = 0.0
    for line in lines:
        stream.write(line.encode() + b"\n")
        now = time.monotonic()
        if now - flushed > _FLUSH_SECONDS:
            stream.flush()
            flushed = now
    stream.flush()


def write_fields(fields: Iterable[tuple[str, str]]) -> None:
    """Write names and values in two columns, for people."""
    rows = list(fields)
    width = max(len(name) for name, _ in rows) + 2
    write_lines(f"{name:<{width}}{value}" for name, value in rows)


def notice(message: str) -> None:
    """Tell a person something on stderr."""
    click.echo(message, err=True)


def check_output(path: Path) -> None:
    """Refuse an output that could not be written, before the work that it is for.

    Raises click.ClickException naming the file or folder.
    """
    folder = path.parent
    if path.is_dir():
        raise click.ClickException(f"{path} is a folder; name a file in it.")
    if not folder.exists():
        raise click.ClickException(f"{path} cannot be written, for there is no folder {folder}; make it first.")
    if not folder.is_dir():
        raise click.ClickException(f"{path} cannot be written, for {folder} is not a folder.")
    # A file that is there gives way to a new one, so it is the folder that must be writable.
    if not os.access(folder if _is_replaced(path) else path, os.W_OK):
        raise click.ClickException(f"{path} cannot be written; choose another place or change the permissions.")


def check_model_output(path: Path, param_hint: str, compress: bool = False) -> None:
    """As check_output, for a model: its suffix tells the format. A .ngram file alone can be compressed.

    Raises click.BadParameter for another suffix, click.ClickException for a place that cannot be written.
    """
    if not path.name.endswith(MODEL_SUFFIXES):
        known = " or ".join(MODEL_SUFFIXES)
        raise click.BadParameter(f"{path} names no kind of model; let it end in {known}.", param_hint=param_hint)
    if compress and not path.name.endswith(".ngram"):
        raise click.BadParameter(f"only a .ngram file can be compressed, which {path} is not.", param_hint="--compress")
    if path.exists() and not path.is_dir() and not path.is_file():
        raise click.ClickException(f"{path} is a pipe or a device; a model needs a file.")
    check_output(path)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of ``path`` when all is written; pipes and devices are written as they are."""
    if not _is_replaced(path):
        with open(path, "wb") as device:
            yield device
        return
    with replacing(path) as file:
        yield file


def _is_replaced(path: Path) -> bool:
    return path.is_file() or not path.exists()


@contextmanager
def progress_bar(length: int | None, label: str) -> Iterator[Callable[[int], None] | None]:
    """What to call with each amount of progress; None where stderr is no terminal. ``length`` may be unknown, None."""
    if not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(
        None if length else _unmeasured(),
        length=length or None,
        label=label,
        file=sys.stderr,
        update_min_steps=max(1, (length or 0) // _BAR_STEPS),
    ) as bar:
        yield bar.update


def _unmeasured() -> Iterator[int]:
    """What click takes for a length that is not known: something iterable that does not tell its own."""
    yield from ()
