"""The filters composed from options, and what holds for all of them."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ngramgen.errors import OptionError
from ngramgen.sampling import (
    Moment,
    SamplingOptions,
    apply_temperature,
    ban_sequences,
    build_filters,
    dry,
    epsilon_cutoff,
    eta_cutoff,
    force,
    frequency_penalty,
    logit_bias,
    min_p,
    mirostat,
    no_repeat_ngram,
    normalise,
    presence_penalty,
    repetition_penalty,
    suppress,
    top_k,
    top_n_sigma,
    top_p,
    truncate_ranked,
    typical,
    xtc,
)
from ngramgen.text.tokenizers import Tokenizer
from ngramgen.text.vocabulary import Vocabulary

Rows = NDArray[np.float64]
Filter = Callable[[Any], Rows]


def moment(history: Any, step: int = 0) -> Moment:
    return dataclasses.replace(Moment.first(len(history)), history=np.asarray(history, dtype=np.int32), step=step)


@pytest.mark.parametrize("bad", [-np.inf, np.nan, np.inf])
def test_a_broken_row_is_refused(bad: float) -> None:
    """A model that gives NaN gets an error, never a token."""
    rows = np.full((2, 5), -1.0)
    rows[1, 2] = bad
    if bad == -np.inf:
        rows[1] = bad
    for options in (SamplingOptions(), SamplingOptions(top_k=2), SamplingOptions(temperature=2)):
        with pytest.raises(OptionError, match=r"^Row 1 "):
            build_filters(options)(rows, Moment.first(2))


# The composed filter.


def composed(
    options: SamplingOptions,
    probs: list[float],
    history: list[int],
    step: int = 0,
    tokenizer: Tokenizer | None = None,
) -> list[float]:
    with np.errstate(divide="ignore"):
        result = build_filters(options, tokenizer)(np.log([probs]), moment([history], step))
    return [float(p) for p in np.exp(result[0])]


def test_the_order_is_penalty_temperature_and_then_truncation() -> None:
    """Each step by hand, on 0.1, 0.1, 0.1, 0.4, 0.2, 0.1."""
    # Penalty 2 squares 0.4, so that without <unk> and <s> the weights are 10, 16, 20, 10. Temperature 1/2 squares
    # them: 100, 256, 400, 100. top_k=3 keeps 4, 3 and, of two equals, 2. Of 756 they are 0.529, 0.339 and 0.132, and
    # top_p=0.7 keeps 4 and 3.
    options = SamplingOptions(repetition_penalty=2, temperature=0.5, top_k=3, top_p=0.7)
    expected = [0, 0, 0, 256 / 656, 400 / 656, 0]
    assert composed(options, [0.1, 0.1, 0.1, 0.4, 0.2, 0.1], [3]) == pytest.approx(expected)


def test_biases_come_before_penalties() -> None:
    """Bias log 4 lifts 0.1 to 0.4, and penalty 2 squares that to 0.16, beside 0.5 and 0.4: 16, 50 and 40 of 106."""
    options = SamplingOptions(repetition_penalty=2, logit_bias={3: math.log(4)})
    expected = [0, 0, 0, 16 / 106, 50 / 106, 40 / 106]
    assert composed(options, [0, 0, 0, 0.1, 0.5, 0.4], [3]) == pytest.approx(expected)


def test_penalties_are_those_of_scores_that_are_not_normalised() -> None:
    """As in Hugging Face a bias may lift a score above 0, which the repetition penalty then divides."""
    # log 0.25 + log 16 = log 4, halved log 2: weights 2 and 0.75.
    options = SamplingOptions(repetition_penalty=2, logit_bias={3: math.log(16)})
    assert composed(options, [0, 0, 0, 0.25, 0.75], [3]) == pytest.approx([0, 0, 0, 2 / 2.75, 0.75 / 2.75])


def test_the_end_waits_for_the_minimum() -> None:
    """``</s>`` is impossible before min_new_tokens and possible from then on."""
    options = SamplingOptions(min_new_tokens=2)
    assert composed(options, [0, 0, 0.5, 0.5], [], step=1) == pytest.approx([0, 0, 0, 1])
    assert composed(options, [0, 0, 0.5, 0.5], [], step=2) == pytest.approx([0, 0, 0.5, 0.5])


def test_the_end_comes_early_where_nothing_else_can() -> None:
    """Where only ``</s>`` is possible it is kept, and ``<unk>`` does not come in its place."""
    options = SamplingOptions(min_new_tokens=2)
    assert composed(options, [0.5, 0.0, 0.5, 0.0], [], step=0) == pytest.approx([0, 0, 1, 0])


def test_greedy_leaves_truncation_out() -> None:
    """Typical sampling would move the maximum; a greedy choice does not look at it."""
    options = SamplingOptions(greedy=True, typical_p=0.2, temperature=5)
    assert composed(options, [0, 0, 0, 0.5, 0.3, 0.2], []) == pytest.approx([0, 0, 0, 0.5, 0.3, 0.2])


def test_greedy_heeds_penalties_biases_and_bans() -> None:
    """What precedes temperature can change the most likely token, and so does."""
    probs = [0, 0, 0, 0.5, 0.3, 0.2]
    for changed in (
        {"bad_words_ids": [[3]]},
        {"suppress_tokens": [3]},
        {"logit_bias": {4: 1.0}},
        {"frequency_penalty": 2},
        {"no_repeat_ngram_size": 1},
        {"dry_multiplier": 2, "dry_allowed_length": 0, "dry_sequence_breakers": ()},
        {"forced_bos_token_id": 4},
    ):
        result = composed(SamplingOptions(greedy=True, **changed), probs, [3, 3])  # type: ignore[arg-type]
        assert int(np.argmax(result)) == 4, changed


def test_bans_are_passed_over_rather_than_leave_nothing() -> None:
    """The tokens that one exclusion would leave without company stay; those of the others do not come back."""
    # suppress_tokens would leave </s> alone, which is enough; min_new_tokens would then leave nothing.
    options = SamplingOptions(suppress_tokens=[3, 4], min_new_tokens=1)
    assert composed(options, [0, 0, 0.1, 0.5, 0.4], []) == pytest.approx([0, 0, 1, 0, 0])
    # <unk> is no way out where all words are banned.
    options = SamplingOptions(bad_words_ids=[[3], [4]])
    assert composed(options, [0.5, 0, 0, 0.3, 0.2], []) == pytest.approx([0, 0, 0, 0.6, 0.4])


def test_the_first_token_can_be_forced() -> None:
    """At the first step it is certain, whatever is banned or kept; then chance is back."""
    options = SamplingOptions(forced_bos_token_id=4, suppress_tokens=[4], top_k=1)
    assert composed(options, [0, 0, 0, 0.7, 0.3], [3]) == [0, 0, 0, 0, 1]
    assert composed(options, [0, 0, 0, 0.7, 0.3], [3, 4], step=1) == [0, 0, 0, 1, 0]


WORDS = Tokenizer("word", Vocabulary.from_tokens([b" a", b"a", b" rose", b" is", b'"']))


def test_texts_are_banned_in_every_way_that_they_are_written() -> None:
    """A banned word goes with its space and without; of two banned words in a row the second goes behind the first."""
    probs = [0, 0, 0.2, 0.2, 0.2, 0.2, 0.1, 0.1]
    result = composed(SamplingOptions(bad_words=("a",)), probs, [5], tokenizer=WORDS)
    assert result == pytest.approx([0, 0, 1 / 3, 0, 0, 1 / 3, 1 / 6, 1 / 6])
    options = SamplingOptions(bad_words=("a rose",))
    for before in (3, 4):
        assert composed(options, probs, [before], tokenizer=WORDS)[5] == 0
    assert composed(options, probs, [5], tokenizer=WORDS) == pytest.approx(probs)
    unsayable = SamplingOptions(bad_words=("lily",))
    assert composed(unsayable, probs, [5], tokenizer=WORDS) == pytest.approx(probs)


def test_a_biased_text_is_biased_with_its_space_and_without() -> None:
    """-100 on a word is as good as a ban of both its tokens."""
    options = SamplingOptions(logit_bias={"a": -100})
    assert composed(options, [0, 0, 0.5, 0.2, 0.1, 0.2, 0, 0], [], tokenizer=WORDS)[3:5] == pytest.approx([0, 0])


def test_repetitions_end_at_a_mark() -> None:
    """A quotation mark is a sequence breaker unless other strings are given."""
    probs, history = [0, 0, 0.2, 0.2, 0.2, 0.2, 0.1, 0.1], [3, 5, 6, 7, 3, 5]
    penalised = SamplingOptions(dry_multiplier=5)
    assert composed(penalised, probs, history, tokenizer=WORDS)[6] < 0.01  # a rose is " a rose: is
    assert composed(penalised, probs, [*history[:5], 7, 5], tokenizer=WORDS) == pytest.approx(probs)
    unbroken = SamplingOptions(dry_multiplier=5, dry_sequence_breakers=())
    assert composed(unbroken, probs, [7, 5, 3, 7, 5], tokenizer=WORDS)[3] < 0.01


@pytest.mark.parametrize(
    "options",
    [{"bad_words": ("a",)}, {"logit_bias": {"a": 1}}, {"dry_multiplier": 1}],
)
def test_texts_need_a_tokenizer(options: dict[str, Any]) -> None:
    """Options that hold texts are refused without one; defaults that are off are not."""
    with pytest.raises(OptionError, match=r"holds texts: give the model's tokenizer"):
        build_filters(SamplingOptions(**options))
    build_filters(SamplingOptions(dry_multiplier=1, dry_sequence_breakers=()))


@pytest.mark.parametrize(
    "options",
    [{"suppress_tokens": [8]}, {"bad_words_ids": [[3, 8]]}, {"logit_bias": {8: 1}}, {"forced_bos_token_id": 8}],
)
def test_ids_are_those_of_the_vocabulary(options: dict[str, Any]) -> None:
    """An id outside is refused, at once where the tokenizer tells the size, else with the first row."""
    with pytest.raises(OptionError, match=r"id 8 .*from 0 to 7"):
        build_filters(SamplingOptions(**options), WORDS)
    filters = build_filters(SamplingOptions(**options))
    with pytest.raises(OptionError, match=r"id 8 .*from 0 to 7"):
        filters(np.zeros((1, 8)), Moment.first())


def test_the_model_row_is_left_alone() -> None:
    """Filters change no array that they are given."""
    rows = np.log(np.full((1, 300), 1 / 300))
    before = rows.copy()
    build_filters(ALL_FILTERS)(rows, moment([[5, 6]]))
    assert (rows == before).all()


ALL_FILTERS = SamplingOptions(
    logit_bias={3: 0.5},
    repetition_penalty=1.3,
    frequency_penalty=0.2,
    presence_penalty=0.1,
    dry_multiplier=0.8,
    dry_sequence_breakers=(),
    no_repeat_ngram_size=3,
    bad_words_ids=[[4], [3, 5]],
    suppress_tokens=[6],
    min_new_tokens=1,
    temperature=0.7,
    top_k=30,
    top_p=0.9,
    min_p=0.01,
    typical_p=0.9,
    epsilon_cutoff=0.001,
    eta_cutoff=0.001,
    top_n_sigma=2,
    xtc_probability=0.5,
    mirostat=2,
)


@given(
    st.lists(st.floats(1e-6, 1), min_size=8, max_size=40),
    st.integers(0, 9),
    st.sampled_from([0.1, 0.5, 0.9, 0.99]),
    st.sampled_from([0.0, 0.7]),
    st.integers(0, 1),
)
def test_the_composition_is_its_filters_in_turn(
    weights: list[float], k: int, p: float, chance: float, step: int
) -> None:
    """What is composed for speed equals the public filters one after the other."""
    rows, history = normalise(np.log([weights])), np.array([[3, 4, 3, 5, 7, 3]])
    now = dataclasses.replace(moment(history, step), chances=np.array([chance]), surprise=np.array([3.0]))
    options = dataclasses.replace(ALL_FILTERS, repetition_penalty=1.0, top_k=k, top_p=p, typical_p=p)
    expected = suppress(rows, [0, 1])
    expected = logit_bias(expected, {3: 0.5})
    expected = presence_penalty(frequency_penalty(expected, history, 0.2), history, 0.1)
    expected = dry(expected, history, 0.8)
    expected = ban_sequences(no_repeat_ngram(expected, history, 3), history, [[4], [3, 5]])
    expected = suppress(expected, [6])
    expected = suppress(expected, [2]) if step == 0 else expected
    expected = top_p(top_k(apply_temperature(expected, 0.7), k), p)
    expected = typical(min_p(expected, 0.01), p)
    expected = top_n_sigma(eta_cutoff(epsilon_cutoff(expected, 0.001), 0.001), 2)
    expected = mirostat(xtc(expected, 0.1, 0.5, now.chances), now.surprise)
    np.testing.assert_allclose(np.exp(build_filters(options)(rows, now)), np.exp(expected), atol=1e-9)


# The way for rows that hold the likeliest tokens alone.

TRUNCATIONS: list[dict[str, Any]] = [
    {},
    {"temperature": 0.6},
    {"temperature": 1e-300},
    {"top_p": 0.8},
    {"temperature": 1.5, "min_p": 0.2},
    {"typical_p": 0.5},
    {"epsilon_cutoff": 0.02},
    {"eta_cutoff": 0.05},
    {"top_n_sigma": 1},
    {"temperature": 0.9, "top_p": 0.95, "min_p": 0.01, "typical_p": 0.9, "top_n_sigma": 2, "eta_cutoff": 1e-3},
    {"greedy": True, "top_p": 0.1},
]


@pytest.mark.parametrize("changed", TRUNCATIONS, ids=lambda changed: "-".join(changed) or "none")
@pytest.mark.parametrize("k", [1, 5, 40, 300])
def test_ranked_rows_are_truncated_as_whole_ones(changed: dict[str, Any], k: int) -> None:
    """Rows of the likeliest tokens in falling order get the same values, to the last bit, at the same tokens."""
    options = SamplingOptions(top_k=k, **changed)
    rng = np.random.default_rng(k)
    rows = np.log(rng.dirichlet(np.full(900, 0.05), size=20) + 1e-9).round(2)  # with many equals
    rows[:, :2] = -np.inf
    rows[7, 20:] = -np.inf  # fewer than k
    order = np.argsort(-rows, axis=1, kind="stable")[:, :301]
    ranked = truncate_ranked(options)(np.take_along_axis(rows, order, axis=1))
    whole = build_filters(options)(rows, Moment.first(20))
    if options.is_greedy:
        assert (np.argmax(whole, axis=1) == order[:, 0]).all()
        assert (np.argmax(ranked, axis=1) == 0).all()
        return
    spread = np.full_like(whole, -np.inf)
    np.put_along_axis(spread, order, ranked, axis=1)
    assert (spread == whole).all()
    np.testing.assert_allclose(np.exp(ranked).sum(axis=1), 1)


@pytest.mark.parametrize("changed", [{"top_k": 3, "repetition_penalty": 1.1}, {"top_k": 0}])
def test_ranked_rows_are_not_always_enough(changed: dict[str, Any]) -> None:
    """Options for which a row's likeliest tokens are not all that counts are refused."""
    with pytest.raises(OptionError, match="use build_filters"):
        truncate_ranked(SamplingOptions(**changed))


def test_ranked_rows_of_a_small_vocabulary_are_shorter() -> None:
    """A row of three tokens is all that top_k=10 can keep; top_p=0.6 then keeps two of them: 5 and 3 parts of 8."""
    truncate = truncate_ranked(SamplingOptions(top_k=10, top_p=0.6))
    np.testing.assert_allclose(np.exp(truncate(np.log([[0.5, 0.3, 0.2]]))), [[5 / 8, 3 / 8, 0]])


# Invariants.


def past(x: Rows) -> NDArray[np.int32]:
    """A history that repeats itself, of ids that every row has."""
    return np.zeros((len(x), 3), dtype=np.int32)


FILTERS: dict[str, Filter] = {
    "suppress": lambda x: suppress(x, [0, x.shape[1] - 1]),
    "logit_bias": lambda x: logit_bias(x, {0: 50.0, x.shape[1] - 1: -50.0}),
    "repetition_penalty": lambda x: repetition_penalty(x, past(x), 1e6),
    "frequency_penalty": lambda x: frequency_penalty(x, past(x), 1e306),
    "presence_penalty": lambda x: presence_penalty(x, past(x), -1e6),
    "dry": lambda x: dry(x, past(x), 1e306),
    "no_repeat_ngram": lambda x: no_repeat_ngram(x, past(x), 2),
    "ban_sequences": lambda x: ban_sequences(x, past(x), [[0], [0, 0, x.shape[1] - 1]]),
    "force": lambda x: force(x, int(np.argmax(x[0]))),
    "cold": lambda x: apply_temperature(x, 1e-6),
    "hot": lambda x: apply_temperature(x, 1e6),
    "top_k": lambda x: top_k(x, 2),
    "top_p": lambda x: top_p(x, 0.01),
    "top_p_high": lambda x: top_p(x, 1 - 1e-9),
    "min_p": lambda x: min_p(x, 1.0),
    "typical": lambda x: typical(x, 0.01),
    "typical_high": lambda x: typical(x, 1 - 1e-9),
    "epsilon_cutoff": lambda x: epsilon_cutoff(x, 0.99),
    "eta_cutoff": lambda x: eta_cutoff(x, 0.99),
    "top_n_sigma": lambda x: top_n_sigma(x, 0.01),
    "xtc": lambda x: xtc(x, 0.0, 1.0, np.zeros(len(x))),
    "mirostat": lambda x: mirostat(x, np.full(len(x), 0.1)),
}
ROWS = st.lists(st.floats(-1e4, 0) | st.just(-np.inf), min_size=1, max_size=20).filter(lambda row: max(row) > -np.inf)


@settings(max_examples=25)
@given(ROWS)
def test_any_two_filters_in_any_order_leave_a_token(row: list[float]) -> None:
    """Every ordered pair gives a normalised row with a token, and brings no excluded token back."""
    rows = np.array([row])
    once = {name: filtered(rows) for name, filtered in FILTERS.items()}
    for first, second in itertools.product(FILTERS, repeat=2):
        result = FILTERS[second](once[first])
        assert np.exp(result).sum() == pytest.approx(1), (first, second)
        assert not np.isnan(result).any(), (first, second)
        assert np.isneginf(result[np.isneginf(rows)]).all(), (first, second)


@pytest.mark.parametrize("name", [name for name in FILTERS if name != "force"])  # which looks at the first row alone
@pytest.mark.parametrize("size", [7, 1000, 9000])
def test_a_batch_is_filtered_as_each_row_alone(name: str, size: int) -> None:
    """Rows flat and steep, together and alone, give the same bits."""
    rng = np.random.default_rng(2)
    rows = normalise(rng.normal(size=(6, size)) * np.array([[0.01], [0.3], [1], [2], [5], [20]])).astype(np.float32)
    together = FILTERS[name](rows)
    assert all((together[i] == FILTERS[name](rows[[i]])[0]).all() for i in range(6))


# Whatever the options.

TINY, HUGE = 5e-324, 1.7e308
SHARES = st.floats(0, 1) | st.sampled_from([0, TINY, 1])
MASSES = SHARES.filter(lambda share: share > 0)
CUTOFFS = SHARES.filter(lambda share: share < 1)
SIZES = st.floats(0, HUGE) | st.floats(0, 3)
SIGNED = st.floats(-HUGE, HUGE) | st.floats(-3, 3)
COUNTS = st.integers(0, 9) | st.just(10**30)
TEXTS = st.lists(st.sampled_from(["a", "rose", "a rose", " ", "lily", "\n", '"']), max_size=3)
IDS = st.lists(st.integers(0, 7), max_size=8)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "logit_bias": st.dictionaries(st.integers(0, 7) | st.sampled_from(["a", "rose"]), SIGNED, max_size=9),
    "repetition_penalty": st.floats(TINY, HUGE) | st.floats(0.5, 2),
    "frequency_penalty": SIGNED,
    "presence_penalty": SIGNED,
    "dry_multiplier": SIZES,
    "dry_base": st.floats(1, HUGE) | st.floats(1, 2),
    "dry_allowed_length": COUNTS,
    "dry_penalty_last_n": COUNTS | st.just(-1),
    "dry_sequence_breakers": TEXTS,
    "no_repeat_ngram_size": COUNTS,
    "bad_words": TEXTS,
    "bad_words_ids": st.lists(IDS.filter(bool), max_size=3),
    "suppress_tokens": IDS,
    "min_new_tokens": st.integers(0, 9),
    "forced_bos_token_id": st.none() | st.integers(2, 7),
    "temperature": SIZES,
    "top_k": COUNTS,
    "top_p": MASSES,
    "min_p": SHARES,
    "typical_p": MASSES,
    "epsilon_cutoff": CUTOFFS,
    "eta_cutoff": CUTOFFS,
    "top_n_sigma": SIZES,
    "xtc_probability": SHARES,
    "xtc_threshold": SHARES,
    "mirostat": st.sampled_from([0, 2]),
    "greedy": st.booleans(),
}
ANYTHING = st.one_of(
    *(st.floats(), st.integers(-3, 9), st.booleans(), st.none(), st.text(max_size=2), st.just(1j), st.just(10**400)),
    *(st.lists(st.integers(-1, 9), max_size=2), st.dictionaries(st.integers(-1, 9), st.floats(), max_size=1)),
    st.lists(st.lists(st.integers(-1, 9), max_size=2), max_size=2),
)


@st.composite
def chosen(draw: st.DrawFn, values: dict[str, st.SearchStrategy[Any]], most: int) -> dict[str, Any]:
    """Values for a few options."""
    names = draw(st.lists(st.sampled_from(sorted(values)), unique=True, max_size=most))
    return {name: draw(values[name]) for name in names}


def work(values: dict[str, Any], row: list[float], length: int, step: int) -> None:
    """Asserts that filters with these options give rows that sum to 1, without NaN."""
    rows = np.array([np.resize([*row[:7], max(row)], 8), np.linspace(-3, -1, 8)])
    history = np.random.default_rng(length).integers(0, 8, size=(2, length))
    now = Moment(history.astype(np.int32), step, np.array([0.0, 0.6]), np.array([-3.0, 2.0]))
    result = build_filters(SamplingOptions(**values), WORDS)(rows, now)
    assert not np.isnan(result).any()
    np.testing.assert_allclose(np.exp(result).sum(axis=1), 1)


@settings(max_examples=400)
@given(chosen(VALUES, 8), ROWS, st.integers(0, 6), st.integers(0, 2))
def test_any_values_in_their_ranges_work(values: dict[str, Any], row: list[float], length: int, step: int) -> None:
    """However extreme the values, the rows that come out are whole."""
    work(values, row, length, step)


@given(chosen(dict.fromkeys([field.name for field in dataclasses.fields(SamplingOptions)], ANYTHING), 3), ROWS)
def test_any_values_are_refused_or_work(values: dict[str, Any], row: list[float]) -> None:
    """Whatever is asked for, there is an OptionError or rows that are whole."""
    with contextlib.suppress(OptionError):
        work(values, row, 4, 0)
