"""Each method's formula by hand, its parameter, and NLTK where it has the same method."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ngramgen.errors import OptionError
from ngramgen.model import EOS, UNK
from ngramgen.ngram.counting import corpus_from_sentences, count
from ngramgen.ngram.estimation import estimate
from ngramgen.ngram.model import NgramModel
from ngramgen.ngram.smoothing import (
    FALLBACK,
    METHODS,
    AbsoluteDiscounting,
    Discount,
    KneserNey,
    ModifiedKneserNey,
    Smoothing,
    smoothing_from_name,
)
from ngramgen.text.tokenizers import Tokenizer
from ngramgen.text.vocabulary import Vocabulary

A, B, C = 3, 4, 5
SENTENCES = [[A, B, A], [A, C], [B], [A, B, B, A]]
COUNTS = st.lists(st.integers(0, 40), min_size=4, max_size=4)


def model_of(smoothing: Smoothing, order: int = 2, sentences: list[list[int]] = SENTENCES, size: int = 6) -> NgramModel:
    table = estimate(count(corpus_from_sentences(sentences), size, order), size, smoothing).table
    return NgramModel(table, Tokenizer("whitespace", Vocabulary.from_tokens([b"%d" % i for i in range(size - 3)])))


def probability(model: NgramModel, context: list[int], word: int) -> float:
    """p(word | <s> context)."""
    return math.exp(model.score([*context, word])[-1])  # type: ignore[arg-type]


@given(COUNTS)
def test_modified_discounts_are_the_formula(t: list[int]) -> None:
    """D_k = k - (k + 1) Y t_(k+1) / t_k, and lmplz's fallback where a t is 0 or a D leaves [0, k]."""
    found = ModifiedKneserNey().discount(t)
    if 0 in t[:3]:
        assert found == Discount(FALLBACK, fallback=True)
        return
    y = Fraction(t[0], t[0] + 2 * t[1])
    exact = [k - (k + 1) * y * Fraction(t[k], t[k - 1]) for k in (1, 2, 3)]
    assume(all(min(abs(d), abs(d - k)) > 1e-5 or d in (0, k) for k, d in enumerate(exact, 1)))
    if any(d == 0 for d in exact):  # rounding decides
        return
    if all(0 <= d <= k for k, d in enumerate(exact, start=1)):
        assert found.amounts == pytest.approx([float(d) for d in exact], abs=1e-5)
        assert not found.fallback
    else:
        assert found == Discount(FALLBACK, fallback=True)


def test_modified_discounts_by_hand() -> None:
    """t = 8, 2, 1, 1: Y = 8/12; D1 = 1 - 2 Y 2/8 = 2/3, D2 = 2 - 3 Y 1/2 = 1, D3 = 3 - 4 Y 1/1 = 1/3."""
    found = ModifiedKneserNey().discount([8, 2, 1, 1])
    assert found.amounts == pytest.approx((2 / 3, 1, 1 / 3), abs=1e-6)


@pytest.mark.parametrize("method", [KneserNey(), AbsoluteDiscounting()])
@given(t=COUNTS)
def test_one_discount_is_the_formula(method: Smoothing, t: list[int]) -> None:
    """D = t1 / (t1 + 2 t2) for every count; 0.5 where nothing occurs once, less than 1 where nothing occurs twice."""
    found = method.discount(t)
    assert len(set(found.amounts)) == 1
    assert found.fallback == (0 in t[:2])
    if t[0] == 0:
        assert found.amounts[0] == 0.5
    elif t[1] == 0:
        assert 0.9 < found.amounts[0] < 1
    else:
        assert found.amounts[0] == pytest.approx(min(t[0] / (t[0] + 2 * t[1]), 0.99))


def test_witten_bell_by_hand() -> None:
    """Unigrams: a 5, b 4, c 1, </s> 4 of 14, 4 kinds, 5 words with a probability.

    p(b) = (4 + 4/5) / 18; a is followed by b, b, </s>, </s>, c: p(b|a) = (2 + 3 p(b)) / 8 and
    p(a|a) = 3 p(a) / 8 with p(a) = (5 + 4/5) / 18.
    """
    model = model_of(smoothing_from_name("witten-bell"))
    assert probability(model, [A], B) == pytest.approx((2 + 3 * (4.8 / 18)) / 8, rel=1e-6)
    assert probability(model, [A], A) == pytest.approx(3 * (5.8 / 18) / 8, rel=1e-6)
    assert probability(model, [A], UNK) == pytest.approx(3 * (0.8 / 18) / 8, rel=1e-6)


@pytest.mark.parametrize("amount", [0.1, 0.5, 3.0])
def test_lidstone_by_hand(amount: float) -> None:
    """a occurs 5 times as a context and b follows it twice; 5 words have a probability."""
    model = model_of(smoothing_from_name(f"lidstone:{amount}"))
    assert probability(model, [A], B) == pytest.approx((2 + amount) / (5 + 5 * amount), rel=1e-6)
    assert probability(model, [A], A) == pytest.approx(amount / (5 + 5 * amount), rel=1e-6)


def test_stupid_backoff_by_hand() -> None:
    """Seen: the relative frequency; not seen: 0.4 of the shorter context's; never seen: 0.4 of the uniform 1/5."""
    model = model_of(smoothing_from_name("stupid-backoff"))
    assert probability(model, [A], B) == pytest.approx(2 / 5, rel=1e-6)
    assert probability(model, [A], A) == pytest.approx(0.4 * 5 / 14, rel=1e-6)
    assert probability(model, [A], UNK) == pytest.approx(0.4 * 0.4 / 5, rel=1e-6)
    assert not model.table.normalised


def test_a_tiny_kneser_ney_by_hand() -> None:
    """The sentence "a b a" has bigrams <s> a, a b, b a, a </s>, all once: D = 0.99 where nothing occurs twice.

    Unigrams: a follows <s> and b (2), b and </s> each follow a (1): t1 = 2, t2 = 1, D = 2/4; of 4 counts 1.5 are
    taken, and 4 words share them: p(b) = (1 - 0.5)/4 + (1.5/4)/4. After a: p(b|a) = (1 - 0.99)/2 + 0.99 p(b).
    """
    model = model_of(KneserNey(), sentences=[[A, B, A]], size=5)
    unigram = 0.5 / 4 + 1.5 / 4 / 4
    assert probability(model, [A], B) == pytest.approx(0.01 / 2 + 0.99 * unigram, rel=1e-6)


@pytest.mark.parametrize("name", ["laplace", "lidstone:0.1", "lidstone:2.5"])
@pytest.mark.parametrize("order", [1, 2, 3])
@settings(max_examples=15, deadline=None)
@given(
    sentences=st.lists(st.lists(st.sampled_from([A, B, C]), max_size=5), min_size=1, max_size=6),
)
def test_lidstone_is_nltk_in_contexts_that_were_seen(name: str, order: int, sentences: list[list[int]]) -> None:
    """nltk.lm counts <s> among the words that can come; leave it out of its vocabulary and all agree.

    NLTK then reads <s> as <UNK>, which does not occur otherwise, so that contexts with <s> are still told apart.
    """
    lm = pytest.importorskip("nltk.lm")
    names = {A: "a", B: "b", C: "c", EOS: "</s>", UNK: "never"}
    lines = [["<s>", *(names[w] for w in sentence), "</s>"] for sentence in sentences]
    used = sorted({word for sentence in sentences for word in sentence})
    amount = 1.0 if name == "laplace" else float(name.partition(":")[2])
    theirs = lm.Lidstone(amount, order, vocabulary=lm.Vocabulary([*(names[w] for w in used), "</s>"]))
    grams = [
        [
            tuple(line[i : i + k])
            for k in range(1, order + 1)
            for i in range(len(line) - k + 1)
            if line[i : i + k] != ["<s>"]
        ]
        for line in lines
    ]
    theirs.fit(grams)
    ids = {word: A + i for i, word in enumerate(used)} | {EOS: EOS, UNK: UNK}
    ours = model_of(smoothing_from_name(name), order, [[ids[w] for w in s] for s in sentences], A + len(used))
    for sentence, line in zip(sentences, lines, strict=True):
        for length in range(len(sentence) + 1):
            context = line[: length + 1][len(line[: length + 1]) - order + 1 :] if order > 1 else []
            if len(context) < order - 1:
                continue  # NLTK asks for a full context
            for word in (*used, EOS, UNK):
                expected = theirs.score(names[word], context)
                found = probability(ours, [ids[w] for w in sentence[:length]], ids[word])
                assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_found_by_its_name(name: str) -> None:
    """The names of METHODS are those that train takes."""
    assert smoothing_from_name(name).name == name


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("lidstone", {"amount": 0.1}),
        ("lidstone:0.01", {"amount": 0.01}),
        ("laplace", {"amount": 1.0}),
        ("stupid-backoff", {"factor": 0.4}),
        ("stupid-backoff:1", {"factor": 1.0}),
        ("witten-bell", {}),
    ],
)
def test_the_parameter_stands_behind_a_colon(name: str, parameters: dict[str, float]) -> None:
    """It is read as a number and has a default."""
    assert smoothing_from_name(name).parameters() == parameters


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("katz", "no smoothing 'katz'"),
        ("", "no smoothing ''"),
        (None, "no smoothing None"),
        ("kneser-ney:0.5", "takes no parameter"),
        ("laplace:2", "takes no parameter"),
        ("lidstone:", "not a number"),
        ("lidstone:x", "not a number"),
        ("lidstone:0", "positive"),
        ("lidstone:-1", "positive"),
        ("lidstone:nan", "positive"),
        ("lidstone:inf", "positive"),
        ("stupid-backoff:0", r"in \(0, 1\]"),
        ("stupid-backoff:1.5", r"in \(0, 1\]"),
        ("stupid-backoff:nan", r"in \(0, 1\]"),
    ],
)
def test_a_wrong_name_or_parameter_is_an_option_error(name: str, message: str) -> None:
    """The message says what is wrong."""
    with pytest.raises(OptionError, match=message):
        smoothing_from_name(name)
