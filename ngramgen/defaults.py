"""Sampling options by their names: what a call gives, over what its model brings along in generation.json.

>>> chosen, constraints = options_of({"temperature": 0.8, "top_k": 40}, {"top_k": 5})
>>> chosen.temperature, chosen.top_k
(0.8, 5)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from ngramgen.errors import ModelFormatError, OptionError
from ngramgen.sampling.constraints import Constraints
from ngramgen.sampling.options import SamplingOptions

DEFAULTS = "generation.json"
"""The file in a model's folder."""

SAMPLING = tuple(field.name for field in fields(SamplingOptions))
CONSTRAINING = tuple(field.name for field in fields(Constraints))
DRAWING = frozenset(
    (
        *("temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff", "top_n_sigma"),
        *("xtc_probability", "xtc_threshold", "mirostat", "mirostat_tau", "mirostat_eta"),
    )
)
"""The options that shape how a token is drawn."""
_AGAINST_REPETITION = "dry_multiplier"
"""A search for the likeliest text looks for just that, and mirostat steers by what the model says."""
_NOT_WITH_BEAMS = frozenset({"end_sentence"})
_NOT_WITH_CONSTRAINTS = frozenset(  # they refuse all but the least length, which may be more than they allow
    (
        *("greedy", "num_beams", "stop", "end_sentence", "mirostat", "max_time", "max_copied_words"),
        *("forced_bos_token_id", "min_new_tokens"),
    )
)
_MOST = 1 << 20  # bytes; a few hundred are enough
_LONG = 1 << 31


def read_defaults(folder: Path) -> dict[str, Any]:
    """The sampling options in a folder's generation.json, checked; none where there is no such file.

    Raises ModelFormatError, which names the file and what is wrong in it.
    """
    path = folder / DEFAULTS
    try:
        if path.stat().st_size > _MOST:
            raise ModelFormatError(f"{path} is too large to hold sampling options; mend it or remove it")
        values = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise ModelFormatError(f"{path} cannot be read ({error}); mend it or remove it") from None
    if not isinstance(values, dict):
        raise ModelFormatError(f"{path} holds no object of sampling options; mend it or remove it")
    for name in values:
        if name not in SAMPLING:
            raise ModelFormatError(f"{path} holds {name!r}, which is no sampling option; remove it")
    try:
        options = SamplingOptions(**values)
    except OptionError as error:
        raise ModelFormatError(f"{path}: {error}") from None
    return {name: getattr(options, name) for name in values}


def options_of(
    given: Mapping[str, Any], defaults: Mapping[str, Any] | None = None
) -> tuple[SamplingOptions, Constraints]:
    """The options of both kinds by their names, and `fitting` defaults where none are given.

    Raises OptionError for another name or a value out of its range.
    """
    for name in given:
        if name not in SAMPLING and name not in CONSTRAINING:
            known = ", ".join([*SAMPLING, *CONSTRAINING])
            raise OptionError(f"there is no sampling option {name!r}; the options are {known}")
    constraints = Constraints(**{name: value for name, value in given.items() if name in CONSTRAINING})
    merged = {**fitting(defaults, given), **given} if defaults else given
    return SamplingOptions(**{name: value for name, value in merged.items() if name in SAMPLING}), constraints


def check_options(given: Mapping[str, Any]) -> None:
    """Raises OptionError for options that would be wrong whatever the defaults of a model are."""
    options_of({"max_new_tokens": _LONG, **given})


def fitting(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults that are not given and go with what is: one that does not is left out, not refused.

    So are those that shape drawing, and DRY, where nothing is drawn (greedy, temperature 0, beams) or mirostat is to
    shape it, and those that constraints or beams do not know. Raises OptionError for a value out of its range.

    >>> fitting({"temperature": 0.8, "max_new_tokens": 160}, {"greedy": True})
    {'max_new_tokens': 160}
    """
    sampling = {name: value for name, value in given.items() if name in SAMPLING}
    asked = SamplingOptions(**{"max_new_tokens": _LONG, **sampling})
    unfit = set(given)
    if asked.is_greedy or asked.num_beams > 1 or asked.mirostat:
        unfit |= DRAWING | {"greedy", _AGAINST_REPETITION}
    elif not DRAWING.isdisjoint(given):  # who says how to draw wants to draw
        unfit |= {"greedy"} if defaults.get("temperature", 1) else {"greedy", "temperature"}
    if asked.num_beams > 1:
        unfit |= _NOT_WITH_BEAMS
    if not unfit.isdisjoint(CONSTRAINING):
        unfit |= _NOT_WITH_CONSTRAINTS
    if defaults.get("min_new_tokens", 0) > asked.max_new_tokens:
        unfit.add("min_new_tokens")
    return {name: value for name, value in defaults.items() if name not in unfit}
