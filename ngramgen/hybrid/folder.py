"""The part of a model's folder that is the mixture's own: the file hybrid.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ngramgen.atomic import replacing
from ngramgen.errors import ModelFormatError
from ngramgen.hybrid.weighting import Weighting

NGRAM = "model.ngram"
"""The n-gram beside the network."""
SETTINGS = "hybrid.json"
FORMAT = 1
_UNTUNED = 0.5
_MOST = 1 << 20  # bytes; ours take a few thousand


def write_settings(folder: Path, weighting: Weighting, about: dict[str, Any]) -> None:
    """Writes how the models are mixed, and what is to be told of it. Raises OSError."""
    values = {"format": FORMAT, "weighting": weighting.values(), "about": about}
    with replacing(folder / SETTINGS) as file:
        file.write((json.dumps(values) + "\n").encode())


def read_settings(folder: Path, size: int) -> tuple[Weighting, dict[str, Any]]:
    """What `write_settings` wrote; an even mixture where there is no such file.

    ``size`` is how many numbers are known of a place. Raises ModelFormatError.
    """
    path = folder / SETTINGS
    try:
        if path.stat().st_size > _MOST:
            raise ModelFormatError(f"{path} is too large to be what its name says; tune the model again")
        values = json.loads(path.read_bytes())
    except FileNotFoundError:
        return Weighting.fixed(_UNTUNED), {}
    except (OSError, ValueError, RecursionError) as error:
        raise ModelFormatError(f"{path} cannot be read ({error}); tune the model again") from None
    if not isinstance(values, dict) or values.get("format") != FORMAT or not isinstance(values.get("about"), dict):
        raise ModelFormatError(f"{path} is damaged or of another version; tune the model again")
    if not isinstance(values.get("weighting"), dict):
        raise ModelFormatError(f"{path}: the weights of the mixture are damaged; tune the model again")
    weighting = Weighting.from_values(values["weighting"], str(path))
    if not weighting.is_fixed and len(weighting.mean) != size:
        raise ModelFormatError(f"{path} was made for an n-gram of another order; tune the model again")
    return weighting, values["about"]
