"""The recipe of a training: what is refused, and what can be set by name."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import pytest

from ngramgen.errors import OptionError
from ngramgen.neural.config import SIZES
from ngramgen.neural.options import TrainingOptions, setting_names, settings


def test_budget() -> None:
    """The budget is the seconds or the tokens, whichever was given."""
    assert TrainingOptions(seconds=90).budget == 90.0
    assert TrainingOptions(tokens=5000).budget == 5000.0


@pytest.mark.parametrize("values", [{}, {"seconds": 1.0, "tokens": 1}])
def test_one_budget(values: dict[str, Any]) -> None:
    """Neither budget, or both, are refused."""
    with pytest.raises(OptionError, match="give a time or a number of tokens to train for, and not both"):
        TrainingOptions(**values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tokens": 0}, "tokens must be above 0, not 0"),
        ({"tokens": 1.5}, r"tokens must be a whole number, not 1\.5"),
        ({"tokens": None, "seconds": 0.0}, r"seconds must be above 0, not 0\.0"),
        ({"tokens": None, "seconds": math.inf}, "seconds must be above 0, not inf"),
        ({"seed": -1}, "seed must be 0 or more, not -1"),
        ({"seed": None}, "seed must be a whole number, not None"),
        ({"seed": 1 << 63}, r"seed must be below 2\*\*63, not 9223372036854775808"),
        ({"batch_size": 0}, "batch_size must be above 0, not 0"),
        ({"batch_size": True}, "batch_size must be a whole number, not True"),
        ({"muon_learning_rate": math.nan}, "muon_learning_rate must be above 0, not nan"),
        ({"adam_learning_rate": "fast"}, "adam_learning_rate must be a number, not 'fast'"),
        ({"muon_momentum": 1.1}, r"muon_momentum must be from 0 to 1, not 1\.1"),
        ({"adam_beta1": 0.0}, r"adam_beta1 must be above 0 and at most 1, not 0\.0"),
        ({"decay_share": -0.1}, r"decay_share must be from 0 to 1, not -0\.1"),
        ({"warmup_steps": -1}, "warmup_steps must be 0 or more, not -1"),
        ({"evaluations": 0}, "evaluations must be above 0, not 0"),
        ({"compile": 1}, "compile must be true or false, not 1"),
        ({"device": "tpu"}, "device must be one of auto, cpu, cuda, not 'tpu'"),
    ],
)
def test_refused(values: dict[str, Any], message: str) -> None:
    """A value out of its range is refused with the field, the range and the value."""
    with pytest.raises(OptionError, match=f"^{message}$"):
        TrainingOptions(**{"tokens": 1} | values)


def test_borders_are_allowed() -> None:
    """The ends of the ranges are values like others."""
    options = TrainingOptions(tokens=1, seed=0, warmup_steps=0, decay_share=0, muon_momentum_steps=0, adam_beta2=1)
    assert options.decay_share == 0


def test_settings_by_name() -> None:
    """A name goes to the network or to the recipe, the rest is that of the size."""
    config, options = settings("tiny", {"width": 192, "batch_size": 4}, tokens=10, seed=7)
    assert (config.width, config.layers) == (192, SIZES["tiny"].layers)
    assert options == TrainingOptions(tokens=10, seed=7, batch_size=4)


@pytest.mark.parametrize("name", ["widht", "seed", "tokens", "device"])
def test_unknown_setting(name: str) -> None:
    """A name that is unknown, or that is an argument of its own, is refused, and all that there are are listed."""
    with pytest.raises(OptionError, match=f"there is no setting '{name}'; they are adam_beta1, .*, width"):
        settings("tiny", {name: 1}, tokens=10)


def test_unknown_size() -> None:
    """A size that there is not is refused with those that there are."""
    with pytest.raises(OptionError, match="size must be one of tiny, small, base, not 'huge'"):
        settings("huge", {}, tokens=10)


def test_all_fields_are_settings() -> None:
    """Every field of both dataclasses can be set by name, but for the four that have arguments."""
    named = {field.name for field in fields(TrainingOptions)} - {"seconds", "tokens", "seed", "device"}
    named |= {field.name for field in fields(SIZES["tiny"])}
    assert setting_names() == sorted(named)
