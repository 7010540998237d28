"""``ngramgen models``: the models that travel with ngramgen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict

import click

from ngramgen.cli.options import json_option
from ngramgen.cli.output import json_text, notice, write_lines
from ngramgen.shipped import ShippedModel, shipped_models

_COLUMNS = ("name", "MB", "languages", "licence", "bits per byte", "summary")
_PARTS = {"never": "n-gram", "only": "network", "always": "both"}


@click.command()
@click.option("--verify", is_flag=True, show_default=False, help="Compare every file with its SHA-256 first.")
@json_option
def command(verify: bool, as_json: bool) -> None:
    """List the shipped models, which -m takes by name: size, languages, licence, quality.

    Bits per byte tell how well a model predicts a text that it was not trained on, less being better: its n-gram alone
    (--neural never), its network alone (only), both (always). --json writes a list of objects with all that is known.

    \b
    Examples:
      ngramgen models
      ngramgen models --verify
    """
    models = list(shipped_models().values())
    if verify:
        for model in models:
            model.verify()
        notice(f"All {sum(len(model.files) for model in models)} files are as they were shipped.")
    if as_json:
        write_lines([json_text([_as_json(model) for model in models])])
    elif models:
        write_lines(_table(models))
    else:
        notice("No model is shipped with this installation.")


def _as_json(model: ShippedModel) -> dict[str, object]:
    return asdict(model) | {"path": str(model.path), "bytes": model.bytes}


def _table(models: Iterable[ShippedModel]) -> Iterator[str]:
    rows = [_COLUMNS, *map(_row, models)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, size, *others in rows:
        cells = (f"{text:<{width}}" for text, width in zip(others, widths[2:], strict=True))
        yield "  ".join([f"{name:<{widths[0]}}", f"{size:>{widths[1]}}", *cells]).rstrip()


def _row(model: ShippedModel) -> tuple[str, ...]:
    bits = (f"{name} {model.bits_per_byte[part]:.2f}" for part, name in _PARTS.items() if part in model.bits_per_byte)
    return (
        f"{model.name} (default)" if model.is_default else model.name,
        f"{model.bytes / 1e6:.1f}",
        ", ".join(model.languages),
        model.licence,
        ", ".join(bits),
        model.summary,
    )
