"""How to sample: every option, its default and the values it may take.

>>> SamplingOptions(temperature=0.8, top_p=0.95).is_plain
False
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np

from ngramgen.errors import OptionError


class _Range(NamedTuple):
    holds: Callable[[float], bool]
    text: str


_RANGES = {
    "max_new_tokens": _Range(lambda v: v >= 0, "an integer of 0 or more"),
    "min_new_tokens": _Range(lambda v: v >= 0, "an integer of 0 or more, at most max_new_tokens"),
    "temperature": _Range(lambda v: v >= 0, "a finite number of 0 (greedy) or more"),
    "top_k": _Range(lambda v: v >= 0, "an integer of 0 (off) or more"),
    "top_p": _Range(lambda v: 0 < v <= 1, "a number above 0 and up to 1 (off)"),
    "min_p": _Range(lambda v: 0 <= v <= 1, "a number from 0 (off) to 1"),
    "typical_p": _Range(lambda v: 0 < v <= 1, "a number above 0 and up to 1 (off)"),
    "repetition_penalty": _Range(lambda v: v > 0, "a finite number above 0 (1 is off)"),
    "batch_size": _Range(lambda v: v >= 1, "an integer of 1 or more"),
    "first_index": _Range(lambda v: v >= 0, "an integer of 0 or more"),
    "index": _Range(lambda v: v >= 0, "an integer of 0 or more"),
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
    if isinstance(value, Real) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number) and _RANGES[name].holds(number):
            return number
    raise refusal(name, value, _RANGES[name].text)


def refusal(name: str, value: object, permitted: str) -> OptionError:
    """The error for a value out of its range."""
    try:
        shown = repr(value)
    except ValueError:  # Python refuses to print integers of more than 4,300 digits
        shown = f"of type {type(value).__name__} and too long to print"
    if len(shown) > 60:
        shown = shown[:57] + "..."
    return OptionError(f"{name} is {shown}, but must be {permitted}.")


@dataclass(frozen=True)
class SamplingOptions:
    """How to sample; every value is checked, and OptionError names the one out of its range.

    >>> SamplingOptions(top_k=40, stop=("\\n",)).top_k
    40

    Attributes:
        max_new_tokens: A sequence ends after so many new tokens.
        min_new_tokens: ``</s>`` is not drawn before so many new tokens; a stop string still ends the sequence.
        temperature: Divides the log-probabilities; 0 is greedy.
        greedy: Always the most likely token; of the filters only the repetition penalty then matters.
        top_k: Keep the k most likely tokens; 0 is off, more than the vocabulary keeps all.
        top_p: Keep the fewest tokens, most likely first, whose probabilities reach p; 1 is off.
        min_p: Keep tokens at least so likely as min_p times the most likely one; 0 is off.
        typical_p: Keep the fewest tokens, nearest to the entropy first, whose probabilities reach p; 1 is off.
        repetition_penalty: Multiplies the log-probability of every token seen in prompt or continuation; 1 is off.
        stop: Strings that end the sequence. One string or a list is taken too.
    """

    max_new_tokens: int = 100
    min_new_tokens: int = 0
    temperature: float = 1.0
    greedy: bool = False
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0
    repetition_penalty: float = 1.0
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("max_new_tokens", "min_new_tokens", "top_k"):
            self._set(name, check_int(name, getattr(self, name)))
        for name in ("temperature", "top_p", "min_p", "typical_p", "repetition_penalty"):
            self._set(name, check_float(name, getattr(self, name)))
        if not isinstance(self.greedy, bool | np.bool_):
            raise refusal("greedy", self.greedy, "True or False")
        self._set("greedy", bool(self.greedy))
        self._set("stop", _stop_strings(self.stop))
        if self.min_new_tokens > self.max_new_tokens:
            permitted = f"at most max_new_tokens, which is {self.max_new_tokens}"
            raise refusal("min_new_tokens", self.min_new_tokens, permitted)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)  # frozen: the only moment at which a value may be cast

    @property
    def is_greedy(self) -> bool:
        """Whether the most likely token is always taken."""
        return self.greedy or self.temperature == 0

    @property
    def is_plain(self) -> bool:
        """Whether the model's own distribution is sampled: not greedy and every filter off."""
        return (
            not self.is_greedy
            and self.temperature == 1
            and self.top_k == 0
            and self.top_p == 1
            and self.min_p == 0
            and self.typical_p == 1
            and self.repetition_penalty == 1
        )


def _stop_strings(value: object) -> tuple[str, ...]:
    strings = (value,) if isinstance(value, str) else value
    if isinstance(strings, tuple | list) and all(isinstance(s, str) and s for s in strings):
        return tuple(strings)
    raise refusal("stop", value, "strings of at least one character")
