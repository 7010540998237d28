"""An engine's own way of drawing, mended where it would break a character."""

from __future__ import annotations

from ngramgen.sampling import child_seeds, direct, uniform_block


def test_numbers_from_later_on() -> None:
    """A mended sequence goes on with the numbers that it would have had."""
    [child] = child_seeds(8, 0, 1)
    assert uniform_block(direct._later(child, 1000), 0, 9).tolist() == uniform_block(child, 1000, 9).tolist()
