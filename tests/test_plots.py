"""Line plots, read as the XML that they are."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest

from ngramgen.plots import Line, line_plot

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*lines: Line, x_name: str = "x", y_name: str = "y") -> ElementTree.Element:
    return ElementTree.fromstring(line_plot(lines, x_name, y_name))


def texts(root: ElementTree.Element) -> list[str]:
    return [one.text or "" for one in root.iter(f"{SVG}text")]


def places(root: ElementTree.Element, number: int = 0) -> list[tuple[float, float]]:
    points = list(root.iter(f"{SVG}polyline"))[number].attrib["points"]
    return [tuple(map(float, pair.split(","))) for pair in points.split()]  # type: ignore[misc]


def test_places() -> None:
    """The corners of the data are the corners of the plot, and the middle lies in the middle."""
    root = drawn(Line("a", [(0, 0), (5, 50), (10, 100)]))
    # 640 x 400 with 64 at the left, 150 at the right, 20 above and 48 below: 64 to 490, 352 up to 20
    assert places(root) == [(64.0, 352.0), (277.0, 186.0), (490.0, 20.0)]


def test_ticks() -> None:
    """Ticks are round numbers that hold all values."""
    root = drawn(Line("a", [(0, 1.32), (57, 2.9)]))
    # steps of 20 from 0 hold 57, and of 0.5 from 1 hold 1.32 and 2.9
    assert texts(root)[:9] == ["0", "20", "40", "60", "1", "1.5", "2", "2.5", "3"]


def test_names_are_escaped() -> None:
    """Names with signs that XML knows are shown as they are."""
    root = drawn(Line('a < b & "c"', [(0, 0), (1, 1)]), x_name="<s>", y_name="5 > 4")
    assert {'a < b & "c"', "<s>", "5 > 4"} <= set(texts(root))


def test_scatter() -> None:
    """Scattered points have circles and no line; each line has a colour of its own."""
    root = drawn(Line("a", [(0, 0), (1, 1)], is_scatter=True), Line("b", [(0, 1), (1, 2)]))
    assert len(list(root.iter(f"{SVG}polyline"))) == 1
    circles = [one.attrib["fill"] for one in root.iter(f"{SVG}circle")]
    assert len(circles) == 4
    assert len(set(circles)) == 2


def test_points_that_are_no_numbers() -> None:
    """NaN and infinity are left out, and do not stretch the axes."""
    odd = [(0.0, 1.0), (1.0, math.nan), (2.0, math.inf), (math.nan, 1.0), (3.0, 2.0)]
    assert places(drawn(Line("a", odd))) == places(drawn(Line("a", [(0, 1), (3, 2)])))


@pytest.mark.parametrize(
    "points",
    [[], [(0, 0)], [(3, 7)], [(1, 5), (2, 5)], [(-1e-9, -4), (1e-9, -4)], [(1e12, 1e-12), (1e12 + 5, 2e-12)]],
)
def test_few_points(points: list[tuple[float, float]]) -> None:
    """No point, one, a level line and very small and large numbers all lie within the plot."""
    root = drawn(Line("a", points))
    for x, y in places(root):
        assert 64 <= x <= 490
        assert 20 <= y <= 352
    assert 4 <= len(texts(root)) - 3 <= 14  # ticks


def test_many_lines() -> None:
    """More lines than colours are drawn all the same."""
    root = drawn(*(Line(str(i), [(0, i), (1, i)]) for i in range(9)))
    assert len(list(root.iter(f"{SVG}polyline"))) == 9
