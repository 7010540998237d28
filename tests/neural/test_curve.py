"""The learning curve as CSV and SVG."""

from __future__ import annotations

import csv
import math
from dataclasses import asdict
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ngramgen.neural.curve import CurvePoint, write_curve

POINTS = [
    CurvePoint(30.0, 10, 1000, 1.0, 3.0, 3.5),
    CurvePoint(60.0, 20, 2000, 0.5, 2.0, 2.25),
    CurvePoint(90.5, 30, 3000, 0.0, math.nan, 2.125),
]


def test_csv(tmp_path: Path) -> None:
    """curve.csv has a line for each measurement, with the names of the fields first."""
    write_curve(tmp_path, POINTS)
    text = (tmp_path / "curve.csv").read_bytes().decode()
    assert text.splitlines()[:2] == [
        "seconds,steps,tokens,learning_rate,train_bits_per_byte,valid_bits_per_byte",
        "30,10,1000,1,3,3.5",
    ]
    assert "\r" not in text
    rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(text.splitlines())]
    assert rows[:2] == [asdict(point) for point in POINTS[:2]]
    assert rows[2] == pytest.approx(asdict(POINTS[2]), nan_ok=True)


def test_svg(tmp_path: Path) -> None:
    """curve.svg is XML with a line for each text, without the points that are no numbers."""
    write_curve(tmp_path, POINTS)
    root = ElementTree.fromstring((tmp_path / "curve.svg").read_text())
    lines = [len(one.attrib["points"].split()) for one in root.iter("{http://www.w3.org/2000/svg}polyline")]
    assert lines == [2, 3]
    texts = [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"minutes", "bits per byte", "training text", "validation text"} <= set(texts)


def test_no_points(tmp_path: Path) -> None:
    """A training that measured nothing has a curve without lines."""
    write_curve(tmp_path, [])
    assert (tmp_path / "curve.csv").read_text().count("\n") == 1
    ElementTree.fromstring((tmp_path / "curve.svg").read_text())
