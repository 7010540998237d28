from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngramgen.errors import OptionError
from ngramgen.sampling import child_seeds, uniform_block, uniforms

# The first outputs of SplitMix64 seeded with 0, as its authors' reference program prints them.
KNOWN = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


def test_child_seeds_are_the_known_outputs() -> None:
    """The children of seed 0 are the published outputs of SplitMix64."""
    assert child_seeds(0, 0, 3).tolist() == KNOWN
    assert child_seeds(0, 2, 1).tolist() == KNOWN[2:]


def test_uniforms_are_the_upper_53_bits() -> None:
    """A uniform is an output's upper 53 bits over 2**53."""
    zero = np.zeros(1, dtype=np.uint64)
    assert [uniforms(zero, step)[0] for step in range(3)] == [(k >> 11) / 2**53 for k in KNOWN]


@given(st.integers(0, 2**64 - 1), st.integers(0, 10**6), st.integers(0, 20))
def test_a_block_is_the_steps_one_by_one(child: int, start: int, count: int) -> None:
    """Numbers drawn in a block are those drawn step by step."""
    seeds = np.array([child], dtype=np.uint64)
    assert uniform_block(child, start, count).tolist() == [uniforms(seeds, start + i)[0] for i in range(count)]


@given(st.integers(), st.integers(0, 10**6), st.integers(1, 50))
def test_a_child_depends_on_its_index_alone(seed: int, start: int, count: int) -> None:
    """Any integer is a seed, and a child is the same whatever was asked beside it."""
    together = child_seeds(seed, start, count)
    assert together.dtype == np.uint64
    assert together.tolist() == [int(child_seeds(seed, start + i, 1)[0]) for i in range(count)]
    assert len(set(together.tolist())) == count


def test_seeds_count_modulo_two_to_the_64() -> None:
    """Seeds that differ by a multiple of 2**64 are the same seed."""
    assert child_seeds(-1, 0, 4).tolist() == child_seeds(2**64 - 1, 0, 4).tolist()
    assert child_seeds(2**200 + 7, 0, 4).tolist() == child_seeds(7, 0, 4).tolist()


def test_no_seed_is_a_fresh_seed() -> None:
    """None gives other children each time."""
    assert child_seeds(None, 0, 1).tolist() != child_seeds(None, 0, 1).tolist()


@pytest.mark.parametrize("seed", [1.0, "1", True, float("nan")])
def test_a_seed_is_an_integer(seed: Any) -> None:
    """Another type is refused."""
    with pytest.raises(OptionError, match=r"^seed is .*integer or None"):
        child_seeds(seed, 0, 1)


def test_uniforms_fill_the_unit_interval_evenly() -> None:
    """Mean, variance and neighbours' correlation of 10**6 numbers are those of independent uniforms."""
    for u in (uniforms(child_seeds(3, 0, 10**6), 0), uniform_block(3, 0, 10**6)):
        assert u.min() >= 0
        assert u.max() < 1
        # Standard errors: sqrt(1/12)/1000 = 0.00029; sqrt(1/180)/1000 = 0.000075; 0.001.
        assert abs(u.mean() - 1 / 2) < 4 * 0.00029
        assert abs(u.var() - 1 / 12) < 4 * 0.000075
        assert abs(np.corrcoef(u[:-1], u[1:])[0, 1]) < 4 * 0.001
