"""The part of a model's folder that is the mixture's own: the file hybrid.json."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ngramgen.atomic import replacing
from ngramgen.errors import ModelFormatError
from ngramgen.hybrid import cache
from ngramgen.hybrid.gate import Gate
from ngramgen.hybrid.perceptron import Perceptron
from ngramgen.hybrid.weighting import PARTS, Weighting

NGRAM = "model.ngram"
"""The n-gram beside the network."""
SETTINGS = "hybrid.json"
FORMAT = 3
_UNTUNED = 0.5
_MOST = 1 << 20  # bytes; ours take a few thousand


@dataclass(frozen=True)
class Settings:
    """How the models are mixed, where the network is worth a call, and what is to be told of both."""

    weighting: Weighting
    gate: Gate | None = None
    about: dict[str, Any] = field(default_factory=dict)


def write_settings(folder: Path, settings: Settings) -> None:
    """Writes hybrid.json. Raises OSError."""
    gate = None if settings.gate is None else settings.gate.values()
    values = {"format": FORMAT, "weighting": settings.weighting.values(), "gate": gate, "about": settings.about}
    with replacing(folder / SETTINGS) as file:
        file.write((json.dumps(values) + "\n").encode())


def read_settings(folder: Path, size: int) -> Settings:
    """What `write_settings` wrote; an even mixture without a gate where there is no such file.

    ``size`` is how many numbers the n-gram tells of a place. Raises ModelFormatError.
    """
    path = folder / SETTINGS
    try:
        if path.stat().st_size > _MOST:
            raise ModelFormatError(f"{path} is too large to be what its name says; tune the model again")
        values = json.loads(path.read_bytes())
    except FileNotFoundError:
        return Settings(Weighting.fixed(_UNTUNED))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelFormatError(f"{path} cannot be read ({error}); tune the model again") from None
    if not isinstance(values, dict) or values.get("format") != FORMAT or not isinstance(values.get("about"), dict):
        raise ModelFormatError(f"{path} is damaged or of another version; tune the model again")
    gate = values.get("gate")
    if not isinstance(values.get("weighting"), dict) or not isinstance(gate, dict | None):
        raise ModelFormatError(f"{path}: the weights of the mixture are damaged; tune the model again")
    weighting = Weighting.from_values(values["weighting"], str(path), PARTS)
    found = Settings(weighting, None if gate is None else Gate.from_values(gate, str(path)), values["about"])
    sizes: list[tuple[Perceptron, int]] = [(weighting, size + cache.SIZE)]
    sizes += [] if found.gate is None else [(found.gate.predictor, size)]
    for one, expected in sizes:
        if not one.is_fixed and len(one.mean) != expected:
            raise ModelFormatError(f"{path} was made for an n-gram of another order; tune the model again")
    return found
