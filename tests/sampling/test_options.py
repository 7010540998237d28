from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from ngramgen.errors import OptionError
from ngramgen.sampling import SamplingOptions

COUNTS = ["max_new_tokens", "min_new_tokens", "top_k", "no_repeat_ngram_size", "dry_allowed_length"]
NUMBERS = [
    *("max_time", "temperature", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff", "top_n_sigma"),
    *("xtc_probability", "xtc_threshold", "mirostat_tau", "mirostat_eta", "repetition_penalty"),
    *("dry_multiplier", "dry_base"),
]
SIGNED = ["frequency_penalty", "presence_penalty", "length_penalty"]


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", [-1, 1.0, True, None, "3", float("nan"), np.array([1])])
def test_counts_are_integers_of_zero_or_more(name: str, value: Any) -> None:
    """A count that is negative or no integer is refused with its name and value."""
    with pytest.raises(OptionError, match=rf"^{name} is .*must be an integer of 0"):
        SamplingOptions(**{name: value})


@pytest.mark.parametrize("name", NUMBERS + SIGNED)
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf"), -float("inf"), True, None, "1", 1j, 10**400])
def test_numbers_are_finite_and_not_negative(name: str, value: Any) -> None:
    """A number that is negative, not finite or of another type is refused with its name."""
    if (name, value) == ("max_time", None) or (name in SIGNED and value == -0.1):
        SamplingOptions(**{name: value})
        return
    with pytest.raises(OptionError, match=rf"^{name} is .*must be a"):
        SamplingOptions(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_time", 0),
        ("top_p", 0),
        ("top_p", 1.01),
        ("typical_p", 0.0),
        ("typical_p", 2),
        ("min_p", 1.5),
        ("epsilon_cutoff", 1),
        ("eta_cutoff", 1.0),
        ("xtc_probability", 1.5),
        ("xtc_threshold", 1.5),
        ("mirostat", 1),
        ("mirostat", 3),
        ("mirostat", 2.0),
        ("mirostat_tau", 0),
        ("repetition_penalty", 0),
        ("dry_base", 0.9),
        ("dry_penalty_last_n", -2),
        ("dry_penalty_last_n", None),
        ("num_beams", 0),
        ("num_beams", True),
        ("max_copied_words", 0),
        ("max_copied_words", 2.0),
        ("forced_bos_token_id", 1),  # <s> is never said
        ("forced_bos_token_id", -1),
        ("early_stopping", 1),
        ("early_stopping", "always"),
        ("early_stopping", None),
    ],
)
def test_values_stay_in_their_range(name: str, value: Any) -> None:
    """A value outside its range is refused with it."""
    with pytest.raises(OptionError, match=f"^{name} is {value!r}, but must be"):
        SamplingOptions(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_time", 0.001),
        ("top_p", 1),
        ("min_p", 0),
        ("xtc_threshold", 0),
        ("mirostat", 2),
        ("frequency_penalty", -2),
        ("length_penalty", -1),
        ("dry_base", 1),
        ("dry_penalty_last_n", -1),
        ("forced_bos_token_id", 2),
        ("max_copied_words", 1),
        ("early_stopping", "never"),
        ("early_stopping", True),
    ],
)
def test_the_ends_of_a_range_belong_to_it(name: str, value: Any) -> None:
    """The lowest and the highest value are taken."""
    assert getattr(SamplingOptions(**{name: value}), name) == value


@pytest.mark.parametrize("name", ["stop", "bad_words", "dry_sequence_breakers"])
@pytest.mark.parametrize("value", [("",), (1,), 5, None, ("a", ""), {"a"}])
def test_strings_are_not_empty(name: str, value: Any) -> None:
    """An empty string, or something that is no string, is refused."""
    with pytest.raises(OptionError, match=rf"^{name} is .*strings of at least one character"):
        SamplingOptions(**{name: value})


@pytest.mark.parametrize("name", ["stop", "bad_words", "dry_sequence_breakers"])
@pytest.mark.parametrize("value", ["\n", ["\n"], ("\n",)])
def test_strings_are_always_a_tuple(name: str, value: Any) -> None:
    """One string, a list and a tuple mean the same."""
    assert getattr(SamplingOptions(**{name: value}), name) == ("\n",)


@pytest.mark.parametrize("value", [[-1], [1.0], ["a"], "12", b"12", {1: 2}, 3, None, [True], [[1]]])
def test_ids_are_integers(value: Any) -> None:
    """A token id that is negative or no integer is refused."""
    with pytest.raises(OptionError, match=r"^suppress_tokens is .*a list of token ids"):
        SamplingOptions(suppress_tokens=value)


@pytest.mark.parametrize("value", [[3, 4], (3, 4), np.array([3, 4]), range(3, 5)])
def test_ids_are_always_a_tuple(value: Any) -> None:
    """Any sequence of integers is taken, and plain ones are kept."""
    ids = SamplingOptions(suppress_tokens=value).suppress_tokens
    assert ids == (3, 4)
    assert all(type(index) is int for index in ids)


@pytest.mark.parametrize("value", [[[]], [[3], []], [3], [["a"]], [[-1]], "ab", 3, None, {3: [4]}])
def test_sequences_hold_an_id(value: Any) -> None:
    """A sequence of ids that is empty or holds something else is refused."""
    with pytest.raises(OptionError, match=r"^bad_words_ids is .*a list of lists"):
        SamplingOptions(bad_words_ids=value)


def test_sequences_are_always_tuples() -> None:
    """Lists and arrays of ids are kept as tuples."""
    assert SamplingOptions(bad_words_ids=[[3], np.array([4, 5])]).bad_words_ids == ((3,), (4, 5))  # type: ignore[list-item]


@pytest.mark.parametrize(
    "value",
    [
        *({-1: 1}, {3: float("nan")}, {3: float("inf")}, {3: "1"}, {3: True}, {True: 1}, {"": 1}, {1.0: 1}, {None: 1}),
        *("ab", 3, None, [3], [(3, 1, 2)], [(3,)]),
    ],
)
def test_biases_are_finite_numbers_of_tokens(value: Any) -> None:
    """A bias that is no finite number, or for what is neither id nor text, is refused."""
    with pytest.raises(OptionError, match=r"^logit_bias is .*a mapping from token ids or texts to finite numbers"):
        SamplingOptions(logit_bias=value)


def test_biases_are_sorted_pairs() -> None:
    """A mapping and its pairs mean the same in any order; a token named twice is refused."""
    expected = ((3, 1.0), (7, -2.0), ("a", 0.5))
    assert SamplingOptions(logit_bias={"a": 0.5, 7: -2, np.int64(3): 1}).logit_bias == expected
    assert SamplingOptions(logit_bias=expected[::-1]).logit_bias == expected
    with pytest.raises(OptionError, match=r"^logit_bias holds 3 twice"):
        SamplingOptions(logit_bias=((3, 1.0), (3, 2.0)))


def test_options_are_frozen_and_hashable() -> None:
    """Options that mean the same are equal, whatever they were written as, and may be keys."""
    one = SamplingOptions(logit_bias={"a": 1, 3: 2}, bad_words_ids=[[3]], suppress_tokens=[4], stop="x")
    other = SamplingOptions(logit_bias=((3, 2), ("a", 1)), bad_words_ids=((3,),), suppress_tokens=(4,), stop=["x"])  # type: ignore[arg-type]
    assert one == other
    assert hash(one) == hash(other)
    assert dataclasses.replace(one) == one


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


TRUNCATIONS: list[dict[str, Any]] = [
    *({"temperature": 0.9}, {"top_k": 5}, {"top_p": 0.9}, {"min_p": 0.1}, {"typical_p": 0.9}),
    *({"epsilon_cutoff": 0.1}, {"eta_cutoff": 0.1}, {"top_n_sigma": 1}),
]
READERS: list[dict[str, Any]] = [
    *({"repetition_penalty": 1.1}, {"frequency_penalty": -1}, {"presence_penalty": 1}, {"no_repeat_ngram_size": 3}),
    *({"dry_multiplier": 1}, {"bad_words": "a"}, {"bad_words_ids": [[3], [3, 4]]}),
]
OTHERS: list[dict[str, Any]] = [
    *({"xtc_probability": 0.1}, {"mirostat": 2}, {"bad_words_ids": [[3]]}, {"suppress_tokens": [3]}),
    *({"logit_bias": {3: 1}}, {"forced_bos_token_id": 3}, {"num_beams": 2}, {"max_copied_words": 8}),
]
IDLE: list[dict[str, Any]] = [
    *({}, {"max_new_tokens": 3, "stop": ("a",), "max_time": 3}, {"xtc_threshold": 0.3}, {"mirostat_tau": 2}),
    *({"dry_base": 2}, {"dry_sequence_breakers": ()}, {"length_penalty": 2}, {"early_stopping": True}),
    {"bad_words": (), "bad_words_ids": [], "suppress_tokens": [], "logit_bias": {}},
]


@pytest.mark.parametrize("changed", [{"greedy": True}, {"temperature": 0}, *TRUNCATIONS, *READERS, *OTHERS])
def test_any_filter_makes_options_not_plain(changed: dict[str, Any]) -> None:
    """Any one filter, greedy choice and beams take another than the model's own distribution."""
    assert not SamplingOptions(**changed).is_plain


@pytest.mark.parametrize("changed", [*IDLE, {"min_new_tokens": 2}])
def test_what_filters_nothing_is_plain(changed: dict[str, Any]) -> None:
    """Lengths, stop strings, time, and the details of filters that are off leave the distribution as it is."""
    assert SamplingOptions(**changed).is_plain


@pytest.mark.parametrize("changed", TRUNCATIONS + READERS + OTHERS + IDLE)
def test_history_is_needed_by_those_that_read_it(changed: dict[str, Any]) -> None:
    """Penalties for repetition and sequences of several tokens look back, nothing else does."""
    assert SamplingOptions(**changed).needs_history == (changed in READERS)


@pytest.mark.parametrize("changed", TRUNCATIONS + READERS + OTHERS + IDLE)
def test_truncation_is_free_of_history(changed: dict[str, Any]) -> None:
    """Temperature and truncation see the row alone; whatever knows tokens, places or chances apart is not free."""
    assert SamplingOptions(**changed).is_history_free == (changed in TRUNCATIONS + IDLE)
    assert not SamplingOptions(**{"min_new_tokens": 1} | changed).is_history_free


def test_temperature_zero_is_greedy() -> None:
    """Temperature 0 and greedy are the same wish."""
    assert SamplingOptions(temperature=0).is_greedy
    assert SamplingOptions(greedy=True).is_greedy
    assert not SamplingOptions().is_greedy
