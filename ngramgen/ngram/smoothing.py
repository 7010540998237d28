"""How counts become probabilities: each method in terms of one recursion.

For a context h and a word w that was seen after it,

    p(w|h) = value(count(hw)) / denominator(h) + gamma(h) * lower(w)

where ``lower`` is the distribution one word shorter ("interpolate"), the uniform distribution ("uniform"), or nothing,
and then gamma(h) p(w|h') only serves words that were not seen ("backoff"). A method says which counts it uses, what a
count is worth, and what the denominator is; gamma is what the seen words leave over. The formulas: docs/smoothing.md.

>>> ModifiedKneserNey().discount([4, 2, 1, 1])
Discount(amounts=(0.5, 1.25, 1.0), fallback=False)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ngramgen.errors import OptionError

Floats = NDArray[np.float64]
Reading = Literal["interpolate", "uniform", "backoff"]

FALLBACK = (0.5, 1.0, 1.5)
"""lmplz's ``--discount_fallback`` for counts 1, 2 and 3 or more."""


@dataclass(frozen=True)
class Discount:
    """What is taken from a count of 1, 2, and 3 or more; ``fallback`` tells that it could not be estimated."""

    amounts: tuple[float, float, float]
    fallback: bool = False

    def of(self, counts: Floats) -> Floats:
        """The discount of each count, 0 for a count of 0."""
        return np.array((0.0, *self.amounts))[np.minimum(counts, 3).astype(np.int64)]


NO_DISCOUNT = Discount((0.0, 0.0, 0.0))


@dataclass(frozen=True)
class Smoothing:
    """A method; the base class is maximum likelihood and every subclass changes what differs."""

    name: ClassVar[str] = ""
    reading: ClassVar[Reading] = "interpolate"
    counts: ClassVar[Literal["adjusted", "raw"]] = "raw"
    tallies_as_lmplz: ClassVar[bool] = False  # see counting.last_position

    def discount(self, counts_of_counts: Sequence[int]) -> Discount:
        """The discount of an order from t1, t2, t3, t4: how many of its grams have a count of 1, 2, 3, 4."""
        return NO_DISCOUNT

    def denominator(self, total: Floats, distinct: Floats, uniform_size: int) -> Floats:
        """The denominator of contexts with these totals and numbers of distinct successors."""
        return total

    @property
    def backoff(self) -> float | None:
        """A constant gamma, or None where it is what the seen words leave over."""
        return None

    def parameters(self) -> dict[str, float]:
        """The method's own parameters, as they are written in the model file."""
        return {}


@dataclass(frozen=True)
class ModifiedKneserNey(Smoothing):
    """Interpolated modified Kneser-Ney, three discounts an order, as lmplz estimates it.

    Chen & Goodman (1999), "An empirical study of smoothing techniques for language modeling", equation 26;
    Heafield, Pouzyrevsky, Clark & Koehn (2013), "Scalable modified Kneser-Ney language model estimation".
    """

    name = "modified-kneser-ney"
    counts = "adjusted"
    tallies_as_lmplz = True

    def discount(self, counts_of_counts: Sequence[int]) -> Discount:
        if 0 in counts_of_counts[:3]:
            return Discount(FALLBACK, fallback=True)
        t = np.array(counts_of_counts, np.float32)  # lmplz computes in single precision, which shows in small discounts
        y = t[0] / np.float32(counts_of_counts[0] + 2 * counts_of_counts[1])
        first, second, third = (float(np.float32(k) - np.float32(k + 1) * y * t[k] / t[k - 1]) for k in (1, 2, 3))
        if not (0 <= first <= 1 and 0 <= second <= 2 and 0 <= third <= 3):
            return Discount(FALLBACK, fallback=True)
        return Discount((first, second, third))


class _OneDiscount(Smoothing):
    """D = t1 / (t1 + 2 t2): Ney, Essen & Kneser (1994), "On structuring probabilistic dependences", equation 15."""

    def discount(self, counts_of_counts: Sequence[int]) -> Discount:
        ones, twos = counts_of_counts[:2]
        if ones == 0:
            return Discount((0.5, 0.5, 0.5), fallback=True)
        amount = min(ones / (ones + 2 * twos), 0.99)  # 1 would give the seen words nothing
        return Discount((amount, amount, amount), fallback=twos == 0)


class KneserNey(_OneDiscount):
    """Interpolated Kneser-Ney with one discount an order (Kneser & Ney 1995; Chen & Goodman 1999, equation 23)."""

    name = "kneser-ney"
    counts = "adjusted"


class AbsoluteDiscounting(_OneDiscount):
    """Interpolated absolute discounting of the raw counts (Ney, Essen & Kneser 1994)."""

    name = "absolute-discounting"


class WittenBell(Smoothing):
    """Interpolated Witten-Bell: gamma(h) = distinct / (total + distinct) (Chen & Goodman 1999, equation 16)."""

    name = "witten-bell"

    def denominator(self, total: Floats, distinct: Floats, uniform_size: int) -> Floats:
        return total + distinct


@dataclass(frozen=True)
class Lidstone(Smoothing):
    """p(w|h) = (c(hw) + amount) / (c(h) + amount |V|) in the longest context that was seen; 1 is Laplace's rule."""

    amount: float = 0.1
    name = "lidstone"
    reading = "uniform"

    def __post_init__(self) -> None:
        if not 0 < self.amount < float("inf"):
            raise OptionError(f"lidstone's amount must be a positive number, not {self.amount}")

    def denominator(self, total: Floats, distinct: Floats, uniform_size: int) -> Floats:
        return total + self.amount * uniform_size

    def parameters(self) -> dict[str, float]:
        return {"amount": self.amount}


@dataclass(frozen=True)
class Laplace(Lidstone):
    """Lidstone's rule with an amount of 1."""

    amount: float = field(default=1.0, init=False)
    name = "laplace"


@dataclass(frozen=True)
class StupidBackoff(Smoothing):
    """Relative frequencies, times a factor for each context that was seen, but not before this word.

    They do not sum to 1. A context that was never seen costs no factor, as in an ARPA file.

    Brants, Popat, Xu, Och & Dean (2007), "Large language models in machine translation", equation 5.
    """

    factor: float = 0.4
    name = "stupid-backoff"
    reading = "backoff"

    def __post_init__(self) -> None:
        if not 0 < self.factor <= 1:
            raise OptionError(f"stupid-backoff's factor must lie in (0, 1], not {self.factor}")

    @property
    def backoff(self) -> float | None:
        return self.factor

    def parameters(self) -> dict[str, float]:
        return {"factor": self.factor}


METHODS: dict[str, type[Smoothing]] = {
    method.name: method
    for method in (ModifiedKneserNey, KneserNey, AbsoluteDiscounting, WittenBell, Lidstone, Laplace, StupidBackoff)
}


def smoothing_from_name(name: str) -> Smoothing:
    """The method of that name, its parameter behind a colon: ``lidstone:0.01``. Raises OptionError."""
    base, colon, argument = name.partition(":") if isinstance(name, str) else ("", "", "")
    if base not in METHODS:
        raise OptionError(f"there is no smoothing {name!r}; the methods are {', '.join(METHODS)}")
    method = METHODS[base]
    if not colon:
        return method()
    if not any(parameter.init for parameter in fields(method)):
        raise OptionError(f"the smoothing {base} takes no parameter, so {name!r} cannot be read; say {base!r}")
    try:
        number = float(argument)
    except ValueError:
        raise OptionError(f"the parameter of the smoothing {name!r} is not a number") from None
    return method(number)  # type: ignore[call-arg]  # the methods with a parameter take it first
