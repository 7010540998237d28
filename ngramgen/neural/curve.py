"""The learning curve: how it went, as CSV and as a plot."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ngramgen.atomic import replacing
from ngramgen.plots import Line, line_plot


@dataclass(frozen=True)
class CurvePoint:
    """A measurement: since when, after how much, and bits per byte of the text seen since the last and of other text.

    ``train_bits_per_byte`` is the mean since the point before; ``learning_rate`` the factor of both rates.
    """

    seconds: float
    steps: int
    tokens: int
    learning_rate: float
    train_bits_per_byte: float
    valid_bits_per_byte: float


def write_curve(folder: Path, points: Sequence[CurvePoint]) -> None:
    """Writes curve.csv and curve.svg. Raises OSError."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(CurvePoint)], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _shown(value) for name, value in asdict(point).items()} for point in points)
    lines = [
        Line("training text", [(point.seconds / 60, point.train_bits_per_byte) for point in points]),
        Line("validation text", [(point.seconds / 60, point.valid_bits_per_byte) for point in points]),
    ]
    for name, content in (("csv", text.getvalue()), ("svg", line_plot(lines, "minutes", "bits per byte"))):
        with replacing(folder / f"curve.{name}") as file:
            file.write(content.encode())


def _shown(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6g}"
