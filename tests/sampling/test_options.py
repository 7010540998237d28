from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ngramgen.errors import OptionError
from ngramgen.sampling import SamplingOptions


@pytest.mark.parametrize("name", ["max_new_tokens", "min_new_tokens", "top_k"])
@pytest.mark.parametrize("value", [-1, 1.0, True, None, "3", float("nan"), np.array([1])])
def test_counts_are_integers_of_zero_or_more(name: str, value: Any) -> None:
    """A count that is negative or no integer is refused with its name and value."""
    with pytest.raises(OptionError, match=rf"^{name} is .*must be an integer of 0"):
        SamplingOptions(**{name: value})


@pytest.mark.parametrize("name", ["temperature", "top_p", "min_p", "typical_p", "repetition_penalty"])
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf"), -float("inf"), True, None, "1", 1j, 10**400])
def test_numbers_are_finite_and_not_negative(name: str, value: Any) -> None:
    """A number that is negative, not finite or of another type is refused with its name."""
    with pytest.raises(OptionError, match=rf"^{name} is .*must be a"):
        SamplingOptions(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("top_p", 0), ("top_p", 1.01), ("typical_p", 0.0), ("typical_p", 2), ("min_p", 1.5), ("repetition_penalty", 0)],
)
def test_probabilities_stay_in_their_range(name: str, value: Any) -> None:
    """A probability outside its range is refused."""
    with pytest.raises(OptionError, match=f"^{name} is {value}, but must be"):
        SamplingOptions(**{name: value})


@pytest.mark.parametrize("value", [("",), (1,), 5, None, ("a", ""), {"a"}])
def test_stop_strings_are_not_empty(value: Any) -> None:
    """An empty stop string, or something that is no string, is refused."""
    with pytest.raises(OptionError, match=r"^stop is .*strings of at least one character"):
        SamplingOptions(stop=value)


@pytest.mark.parametrize("value", ["\n", ["\n"], ("\n",)])
def test_stop_is_always_a_tuple(value: Any) -> None:
    """One stop string, a list and a tuple mean the same."""
    assert SamplingOptions(stop=value).stop == ("\n",)


def test_greedy_is_a_truth_value() -> None:
    """Greedy takes True and False alone."""
    with pytest.raises(OptionError, match=r"^greedy is 1, but must be True or False"):
        SamplingOptions(greedy=1)  # type: ignore[arg-type]
    assert SamplingOptions(greedy=np.bool_(True)).greedy is True  # type: ignore[arg-type]


def test_minimum_is_not_above_maximum() -> None:
    """More tokens at least than at most is refused."""
    with pytest.raises(OptionError, match=r"^min_new_tokens is 5, .*max_new_tokens, which is 4"):
        SamplingOptions(min_new_tokens=5, max_new_tokens=4)


def test_an_endless_integer_still_has_a_message() -> None:
    """A value too long to print is refused like any other."""
    with pytest.raises(OptionError, match="top_p is of type int and too long to print"):
        SamplingOptions(top_p=10**5000)


def test_numbers_of_numpy_become_plain() -> None:
    """Values of numpy and integers where a float is meant are taken and cast."""
    options = SamplingOptions(top_k=np.int64(3), temperature=np.float32(0.5), top_p=1)  # type: ignore[arg-type]
    assert (type(options.top_k), type(options.temperature), type(options.top_p)) == (int, float, float)


@pytest.mark.parametrize(
    "changed",
    [
        {"greedy": True},
        {"temperature": 0},
        {"temperature": 0.9},
        {"top_k": 5},
        {"top_p": 0.9},
        {"min_p": 0.1},
        {"typical_p": 0.9},
        {"repetition_penalty": 1.1},
    ],
)
def test_plain_means_that_every_filter_is_off(changed: dict[str, Any]) -> None:
    """Any one filter makes the options not plain; lengths and stop strings do not."""
    assert not SamplingOptions(**changed).is_plain
    assert SamplingOptions(max_new_tokens=3, min_new_tokens=2, stop=("a",)).is_plain


def test_temperature_zero_is_greedy() -> None:
    """Temperature 0 and greedy are the same wish."""
    assert SamplingOptions(temperature=0).is_greedy
    assert SamplingOptions(greedy=True).is_greedy
    assert not SamplingOptions().is_greedy
