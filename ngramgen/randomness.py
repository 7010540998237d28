"""Random numbers that are the same on every platform: SplitMix64 read as a counter.

Steele, Lea & Flood (2014), "Fast splittable pseudorandom number generators": the n-th output of a
generator with seed s is mix64(s + (n + 1) * 0x9E3779B97F4A7C15), so any output is one step away.
A sequence's child seed is the output of its index, and its uniforms are the outputs of that child.

>>> children = child_seeds(seed=7, start=0, count=3)
>>> uniforms(children, step=0).shape
(3,)
"""

from __future__ import annotations

import secrets
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from ngramgen.errors import OptionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GAMMA = 0x9E3779B97F4A7C15  # 2**64 divided by the golden ratio, made odd
_MASK = 2**64 - 1


def fresh_seed() -> int:
    """A seed from the operating system, below 2**64."""
    return secrets.randbits(64)


def child_seeds(seed: int | None, start: int, count: int) -> NDArray[np.uint64]:
    """One seed for each of the sequences start, start + 1, ...: shape (count,), uint64.

    Any integer is a seed and counts modulo 2**64; None takes a fresh one from the operating system.
    Raises OptionError for a seed that is no integer.

    >>> hex(child_seeds(0, 0, 1)[0])
    '0xe220a8397b1dcdaf'
    """
    if seed is None:
        seed = fresh_seed()
    if not isinstance(seed, Integral) or isinstance(seed, bool):
        raise OptionError(f"seed is {seed!r}, but it must be an integer or None.")
    if start < 0:
        raise OptionError(f"first_index is {start}, but it must be 0 or more.")
    return _outputs(int(seed), start, count)


def uniforms(child_seeds: NDArray[np.uint64], step: int | NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """The number of each sequence at one step (or each at its own): shape of child_seeds, float64 in [0, 1).

    Seeds (B, 1) and steps (T,) give those of all steps, (B, T).

    >>> float(uniforms(child_seeds(0, 0, 1), 0)[0]) < 1
    True
    """
    if isinstance(step, int):
        step = np.array([step])
    shift = (step.astype(np.uint64) + np.uint64(1)) * np.uint64(_GAMMA)
    return _to_unit(_mix64(np.atleast_1d(child_seeds) + shift))


def uniform_block(child_seed: int | np.uint64, start_step: int, count: int) -> NDArray[np.float64]:
    """The numbers of one sequence at start_step, start_step + 1, ...: shape (count,), float64 in [0, 1).

    >>> uniform_block(5, 0, 4).shape
    (4,)
    """
    return _to_unit(_outputs(int(child_seed), start_step, count))


def _outputs(seed: int, start: int, count: int) -> NDArray[np.uint64]:
    first = np.uint64((seed + (start + 1) * _GAMMA) & _MASK)
    return _mix64(np.arange(count, dtype=np.uint64) * np.uint64(_GAMMA) + first)


def _mix64(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Stafford's variant 13); arrays wrap at 2**64 without a warning."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _to_unit(z: NDArray[np.uint64]) -> NDArray[np.float64]:
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53
