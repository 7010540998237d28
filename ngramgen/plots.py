"""Line plots as SVG, with nothing but strings.

>>> line_plot([Line("valid", [(0, 2.0), (60, 1.5)])], "seconds", "bits per byte").startswith("<svg")
True
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_COLOURS = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#57606a")
_WIDTH, _HEIGHT = 640, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 150, 20, 48
_TICKS = 5


@dataclass(frozen=True)
class Line:
    """A name and points (x, y); ``is_scatter`` draws them without the line."""

    name: str
    points: Sequence[tuple[float, float]]
    is_scatter: bool = False


def line_plot(lines: Sequence[Line], x_name: str, y_name: str) -> str:
    """An SVG document of lines over one pair of axes; points that are not finite are left out."""
    shown = [Line(one.name, [p for p in one.points if all(map(math.isfinite, p))], one.is_scatter) for one in lines]
    points = [point for one in shown for point in one.points] or [(0.0, 0.0)]
    x_axis, y_axis = (_Axis.over([point[i] for point in points]) for i in (0, 1))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        *_grid(x_axis, y_axis),
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(x_name)}</text>',
        f'<text x="14" y="{_HEIGHT / 2}" text-anchor="middle" transform="rotate(-90 14 {_HEIGHT / 2})">'
        f"{escape(y_name)}</text>",
    ]
    for number, one in enumerate(shown):
        parts += _drawn(one, _COLOURS[number % len(_COLOURS)], number, x_axis, y_axis)
    return "\n".join([*parts, "</svg>"]) + "\n"


@dataclass(frozen=True)
class _Axis:
    """Round numbers that hold all values."""

    first: float
    last: float
    step: float

    @classmethod
    def over(cls, values: Sequence[float]) -> _Axis:
        low, high = min(values), max(values)
        rough = (high - low) / _TICKS or abs(high) or 1.0
        size = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * size for factor in (1, 2, 2.5, 5, 10) if factor * size >= rough * (1 - 1e-9))
        first = math.floor(low / step) * step
        return cls(first, max(math.ceil(high / step) * step, first + step), step)

    def ticks(self) -> list[float]:
        return [self.first + i * self.step for i in range(round((self.last - self.first) / self.step) + 1)]

    def share(self, value: float) -> float:
        return (value - self.first) / (self.last - self.first)


def _x(axis: _Axis, value: float) -> float:
    return round(_LEFT + axis.share(value) * (_WIDTH - _LEFT - _RIGHT), 1)


def _y(axis: _Axis, value: float) -> float:
    return round(_HEIGHT - _BOTTOM - axis.share(value) * (_HEIGHT - _TOP - _BOTTOM), 1)


def _grid(x_axis: _Axis, y_axis: _Axis) -> list[str]:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = []
    for value in x_axis.ticks():
        x = _x(x_axis, value)
        parts.append(f'<line x1="{x}" y1="{_TOP}" x2="{x}" y2="{bottom}" stroke="#d8dee4"/>')
        parts.append(f'<text x="{x}" y="{bottom + 16}" text-anchor="middle">{value:g}</text>')
    for value in y_axis.ticks():
        y = _y(y_axis, value)
        parts.append(f'<line x1="{_LEFT}" y1="{y}" x2="{right}" y2="{y}" stroke="#d8dee4"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{value:g}</text>')
    return parts


def _drawn(line: Line, colour: str, number: int, x_axis: _Axis, y_axis: _Axis) -> list[str]:
    places = [(_x(x_axis, x), _y(y_axis, y)) for x, y in line.points]
    parts = [] if line.is_scatter else [_polyline(places, colour)]
    parts += [f'<circle cx="{x}" cy="{y}" r="2.5" fill="{colour}"/>' for x, y in places]
    y = _TOP + 12 + 18 * number
    parts.append(f'<rect x="{_WIDTH - _RIGHT + 10}" y="{y - 9}" width="10" height="10" fill="{colour}"/>')
    parts.append(f'<text x="{_WIDTH - _RIGHT + 26}" y="{y}">{escape(line.name)}</text>')
    return parts


def _polyline(places: Sequence[tuple[float, float]], colour: str) -> str:
    points = " ".join(f"{x},{y}" for x, y in places)
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
