"""The values that sampling options may take: each check gives the value cast, or an OptionError that names the option.

>>> check_int("top_k", 40)
40
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from ngramgen.errors import OptionError

Biases: TypeAlias = tuple[tuple[int | str, float], ...]


class _Range(NamedTuple):
    holds: Callable[[float], bool]
    text: str


_COUNT = _Range(lambda v: v >= 0, "an integer of 0 or more")
_SOME = _Range(lambda v: v >= 1, "an integer of 1 or more")
_FINITE = _Range(lambda v: True, "a finite number")
_NOT_NEGATIVE = _Range(lambda v: v >= 0, "a finite number of 0 (off) or more")
_SHARE = _Range(lambda v: 0 <= v <= 1, "a number from 0 (off) to 1")
_MASS = _Range(lambda v: 0 < v <= 1, "a number above 0 and up to 1 (off)")
_CUTOFF = _Range(lambda v: 0 <= v < 1, "a number from 0 (off) to below 1")

_RANGES = {
    "max_new_tokens": _COUNT,
    "min_new_tokens": _Range(_COUNT.holds, "an integer of 0 or more, at most max_new_tokens"),
    "max_time": _Range(lambda v: v > 0, "a finite number of seconds above 0, or None"),
    "temperature": _Range(lambda v: v >= 0, "a finite number of 0 (greedy) or more"),
    "top_k": _Range(_COUNT.holds, "an integer of 0 (off) or more"),
    "top_p": _MASS,
    "min_p": _SHARE,
    "typical_p": _MASS,
    "epsilon_cutoff": _CUTOFF,
    "eta_cutoff": _CUTOFF,
    "top_n_sigma": _NOT_NEGATIVE,
    "xtc_probability": _SHARE,
    "xtc_threshold": _Range(_SHARE.holds, "a number from 0 to 1"),
    "mirostat": _Range(lambda v: v in (0, 2), "0 (off) or 2 (its second version)"),
    "mirostat_tau": _Range(lambda v: v > 0, "a finite number of bits above 0"),
    "mirostat_eta": _Range(lambda v: v >= 0, "a finite number of 0 or more"),
    "repetition_penalty": _Range(lambda v: v > 0, "a finite number above 0 (1 is off)"),
    "frequency_penalty": _Range(_FINITE.holds, "a finite number (0 is off)"),
    "presence_penalty": _Range(_FINITE.holds, "a finite number (0 is off)"),
    "dry_multiplier": _NOT_NEGATIVE,
    "dry_base": _Range(lambda v: v >= 1, "a finite number of 1 or more"),
    "dry_allowed_length": _COUNT,
    "dry_penalty_last_n": _Range(lambda v: v >= -1, "an integer of 0 or more, or -1 (the whole text)"),
    "no_repeat_ngram_size": _Range(_COUNT.holds, "an integer of 0 (off) or more"),
    "forced_bos_token_id": _Range(lambda v: v >= 2, "the id of a token other than <unk> and <s>, or None"),
    "num_beams": _SOME,
    "length_penalty": _FINITE,
    "max_copied_words": _Range(_SOME.holds, "an integer of 1 or more, or None"),
    "batch_size": _SOME,
    "first_index": _COUNT,
    "index": _COUNT,
}


def check_int(name: str, value: object) -> int:
    """The value as an int, or OptionError naming option, value and range.

    >>> check_int("top_k", 40)
    40
    """
    if isinstance(value, Integral) and not isinstance(value, bool):
        whole = int(value)
        if _RANGES[name].holds(whole):
            return whole
    raise refusal(name, value, _RANGES[name].text)


def check_float(name: str, value: object) -> float:
    """The value as a finite float, or OptionError naming option, value and range.

    >>> check_float("top_p", 1)
    1.0
    """
    number = _finite(value)
    if number is None or not _RANGES[name].holds(number):
        raise refusal(name, value, _RANGES[name].text)
    return number


def check_bool(name: str, value: object) -> bool:
    """The value as a bool; 0 and 1 are refused like everything else."""
    if not isinstance(value, bool | np.bool_):
        raise refusal(name, value, "True or False")
    return bool(value)


def check_early_stopping(name: str, value: object) -> bool | Literal["never"]:
    """True, False or "never"."""
    if isinstance(value, str) and value == "never":
        return "never"
    if not isinstance(value, bool | np.bool_):
        raise refusal(name, value, 'True, False or "never"')
    return bool(value)


def check_strings(name: str, value: object) -> tuple[str, ...]:
    """Strings of at least one character as a tuple; one string alone is taken too.

    >>> check_strings("stop", ["a", "b"])
    ('a', 'b')
    """
    strings = (value,) if isinstance(value, str) else value
    if isinstance(strings, tuple | list) and all(isinstance(s, str) and s for s in strings):
        return tuple(strings)
    raise refusal(name, value, "strings of at least one character")


def check_ids(name: str, value: object) -> tuple[int, ...]:
    """Token ids, integers of 0 or more, as a tuple of ints.

    >>> check_ids("suppress_tokens", [5, 7])
    (5, 7)
    """
    ids = _ids(value)
    if ids is None:
        raise refusal(name, value, "a list of token ids, integers of 0 or more")
    return ids


def check_id_sequences(name: str, value: object) -> tuple[tuple[int, ...], ...]:
    """Sequences of at least one token id each, as a tuple of tuples.

    >>> check_id_sequences("bad_words_ids", [[5], [7, 8]])
    ((5,), (7, 8))
    """
    sequences = [_ids(one) for one in value] if isinstance(value, tuple | list) else [None]
    if not all(sequences):
        raise refusal(name, value, "a list of lists of at least one token id, integers of 0 or more")
    return tuple(ids for ids in sequences if ids)


def check_biases(name: str, value: object) -> Biases:
    """A mapping from token id or text to a finite number as sorted pairs, ids before texts; pairs are taken too.

    >>> check_biases("logit_bias", {" king": 2, 7: -1.5})
    ((7, -1.5), (' king', 2.0))
    """
    pairs = list(value.items()) if isinstance(value, Mapping) else value
    biases: dict[int | str, float] = {}
    for pair in pairs if isinstance(pairs, tuple | list) else [None]:
        key, number = _bias(pair)
        if key is None or number is None:
            raise refusal(name, value, "a mapping from token ids or texts to finite numbers")
        if key in biases:
            raise OptionError(f"{name} holds {key!r} twice; give each token one number.")
        biases[key] = number
    return tuple(sorted(biases.items(), key=lambda item: (isinstance(item[0], str), item[0])))


def refusal(name: str, value: object, permitted: str) -> OptionError:
    """The error for a value out of its range."""
    try:
        shown = repr(value)
    except ValueError:  # Python refuses to print integers of more than 4,300 digits
        shown = f"of type {type(value).__name__} and too long to print"
    if len(shown) > 60:
        shown = shown[:57] + "..."
    return OptionError(f"{name} is {shown}, but must be {permitted}.")


def _finite(value: object) -> float | None:
    if not isinstance(value, Real) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _ids(value: object) -> tuple[int, ...] | None:
    if isinstance(value, np.ndarray) and value.ndim == 1:
        value = value.tolist()
    if not isinstance(value, Iterable) or isinstance(value, str | bytes | Mapping):
        return None
    ids = tuple(value)
    whole = all(isinstance(i, Integral) and not isinstance(i, bool) and int(i) >= 0 for i in ids)
    return tuple(int(i) for i in ids) if whole else None


def _bias(pair: Any) -> tuple[int | str | None, float | None]:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        return None, None
    key, number = pair
    if isinstance(key, Integral) and not isinstance(key, bool) and int(key) >= 0:
        return int(key), _finite(number)
    return key if isinstance(key, str) and key else None, _finite(number)
