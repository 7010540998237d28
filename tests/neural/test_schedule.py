"""Learning rates and momentum, by hand."""

from __future__ import annotations

import pytest

from ngramgen.neural.schedule import Schedule, momentum


@pytest.mark.parametrize(
    ("step", "progress", "factor"),
    [
        (0, 0.0, 0.2),  # four steps of warm-up reach 1 in five parts
        (3, 0.01, 0.8),
        (4, 0.01, 1.0),
        (1000, 0.75, 1.0),
        (1000, 0.875, 0.5),
        (1000, 1.0, 0.0),
        (1000, 1.5, 0.0),  # beyond the budget
        (1, 0.9375, 0.25),  # a short training decays while it warms up: the smaller of both
        (0, 0.9375, 0.2),
    ],
)
def test_factor(step: int, progress: float, factor: float) -> None:
    """The rates rise over the warm-up, stay, and fall to 0 over the last quarter."""
    assert Schedule(warmup_steps=4, decay_share=0.25).factor(step, progress) == pytest.approx(factor)


def test_no_decay() -> None:
    """With no decay the rates stay to the end; with no warm-up they begin at 1."""
    schedule = Schedule(warmup_steps=0, decay_share=0.0)
    assert [schedule.factor(0, 0.0), schedule.factor(9, 1.0)] == [1.0, 1.0]


def test_all_decay() -> None:
    """A decay over the whole budget is a straight line from 1 to 0."""
    schedule = Schedule(warmup_steps=0, decay_share=1.0)
    assert [schedule.factor(9, share) for share in (0.0, 0.25, 1.0)] == [1.0, 0.75, 0.0]


def test_constant_stage() -> None:
    """The constant stage ends where the decay begins, that moment included."""
    schedule = Schedule(warmup_steps=4, decay_share=0.25)
    assert [schedule.is_constant(share) for share in (0.0, 0.75, 0.76, 1.0)] == [True, True, False, False]


def test_momentum() -> None:
    """The momentum grows from the first value to the last in equal parts, and stays."""
    values = [momentum(step, 0.8, 0.9, 10) for step in (0, 5, 10, 1000)]
    assert values == pytest.approx([0.8, 0.85, 0.9, 0.9])
    assert momentum(0, 0.8, 0.9, 0) == 0.9
