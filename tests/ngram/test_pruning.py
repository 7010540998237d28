"""Pruned tables: normalised, closed, with the counts that the literature asks for, the least relevant grams gone."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ngramgen.errors import OptionError
from ngramgen.model import BOS, EOS
from ngramgen.ngram.counting import corpus_from_sentences, count
from ngramgen.ngram.estimation import Estimate, estimate
from ngramgen.ngram.model import NgramModel
from ngramgen.ngram.pruning import check_max_ngrams, links, pruned, relevance
from ngramgen.ngram.smoothing import Smoothing, smoothing_from_name
from ngramgen.ngram.table import NgramTable

Gram = tuple[int, ...]

SIZE = 8  # ids 3 to 6 occur in corpora, 7 never
INTERPOLATING = ("modified-kneser-ney", "kneser-ney", "absolute-discounting", "witten-bell")
SENTENCES = st.builds(
    lambda seed, n: [
        line.tolist() for line in np.split(np.random.default_rng(seed).zipf(1.5, 6 * n) % 4 + 3, range(6, 6 * n, 6))
    ],
    st.integers(0, 1000),
    st.integers(1, 9),
)


def estimated(sentences: list[list[int]], order: int, smoothing: Smoothing, kept: int = SIZE) -> Estimate:
    counts = count(corpus_from_sentences(sentences), SIZE, order)
    return estimate(counts, kept, smoothing, with_counts=True)


def grams_of(table: NgramTable) -> list[list[Gram]]:
    """All grams of each order, as they are stored."""
    found: list[list[Gram]] = [[(word,) for word in range(table.vocab_size)]]
    for order in table.orders:
        words = table.scramble.inverse(order.words_of(order.packed)).tolist()
        children = order.children.tolist()
        found.append(
            [
                (*context, words[i])
                for context, begin, end in zip(found[-1], children, children[1:], strict=False)
                for i in range(begin, end)
            ]
        )
    return found


def distribution(table: NgramTable, context: Gram) -> np.ndarray:
    """p(w|context) of every word by the look-up of docs/file-format.md."""
    grams = [{gram: i for i, gram in enumerate(some)} for some in grams_of(table)]
    probabilities = table.unigrams.astype(np.float64)
    for length in range(1, len(context) + 1):
        ending = context[-length:]
        if length > len(table.orders) or ending not in grams[length - 1]:
            break
        pair = table.pairs_of(length, np.array([grams[length - 1][ending]]))[0]
        probabilities = probabilities * pair.real
        order = table.orders[length - 1]
        for word in range(table.vocab_size):
            if (place := grams[length].get((*ending, word))) is not None:
                code = int(order.value_codes_of(order.packed[place : place + 1])[0])
                probabilities[word] += float(order.values[code]) * pair.imag
    return probabilities


@settings(max_examples=40, deadline=None)
@given(SENTENCES, st.integers(2, 4), st.sampled_from(INTERPOLATING), st.floats(0, 1), st.integers(6, SIZE))
def test_every_context_sums_to_one(sentences: list[list[int]], order: int, name: str, share: float, kept: int) -> None:
    """However much is dropped, what follows any context of what is left sums to 1, as the engine reads it too."""
    smoothing = smoothing_from_name(name)
    whole = estimated(sentences, order, smoothing, kept)
    table = pruned(whole, int(share * sum(whole.table.sizes[1:])), smoothing).table
    model = NgramModel(table, None)  # type: ignore[arg-type]  # no text is read
    for context in [gram for some in grams_of(whole.table)[:-1] for gram in some if EOS not in gram and 0 not in gram]:
        words = [word for word in context if word != BOS]
        if BOS in context[1:] or (BOS in context) != (context[0] == BOS):
            continue
        expected = distribution(table, context)
        assert expected.sum() == pytest.approx(1, abs=1e-5)
        if context[0] == BOS:
            state = model.start()
            state = model.advance(state, np.array([words])) if words else state
            np.testing.assert_allclose(np.exp(model.logprobs(state)[0]), expected, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(SENTENCES, st.integers(2, 4), st.sampled_from(INTERPOLATING), st.floats(0, 1))
def test_what_is_kept_has_its_parts(sentences: list[list[int]], order: int, name: str, share: float) -> None:
    """What a gram begins with and ends in stays with it; so many stay as were asked for, or equals more."""
    smoothing = smoothing_from_name(name)
    whole = estimated(sentences, order, smoothing)
    number = int(share * sum(whole.table.sizes[1:]))
    result = pruned(whole, number, smoothing)
    grams = grams_of(result.table)
    assert sum(result.table.sizes[1:]) >= number
    assert [report.kept for report in result.reports] == list(result.table.sizes)
    for k in range(1, order):
        assert set(grams[k]) <= set(grams_of(whole.table)[k])
        for gram in grams[k]:
            assert gram[:-1] in grams[k - 1]
            assert gram[1:] in grams[k - 1]


@settings(max_examples=40, deadline=None)
@given(SENTENCES, st.integers(2, 4), st.floats(0, 1))
def test_counts_hear_of_what_is_gone(sentences: list[list[int]], order: int, share: float) -> None:
    """A Kneser-Ney count is 1 for each longer gram that stays and the whole count of each that goes.

    Written out over dictionaries: Siivola et al. 2007, with the discounts of the whole model.
    """
    smoothing = smoothing_from_name("modified-kneser-ney")
    whole = estimated(sentences, order, smoothing)
    table = pruned(whole, int(share * sum(whole.table.sizes[1:])), smoothing).table
    kept = [set(some) for some in grams_of(table)]
    lines = [(BOS, *sentence, EOS) for sentence in sentences]
    raw = [Counter(line[i : i + k] for line in lines for i in range(len(line) - k + 1)) for k in range(1, order + 1)]
    counts = [Counter(raw[-1])]
    for k in range(order - 1, 0, -1):
        lower = Counter({gram: n for gram, n in raw[k - 1].items() if gram[0] == BOS and k > 1})
        for gram, n in counts[0].items():
            lower[gram[1:]] += 1 if gram in kept[k] else n
        counts.insert(0, lower)

    def worth(k: int, gram: Gram) -> float:
        n = counts[k - 1][gram]
        return n - whole.reports[k - 1].discount.amounts[min(n, 3) - 1] if n else 0.0

    def probability(word: int, context: Gram) -> float:
        if not context:
            total = sum(counts[0].values())
            seen = sum(worth(1, (w,)) for w in range(SIZE))
            return (worth(1, (word,)) + (total - seen) / (SIZE - 1)) / total
        lower = probability(word, context[1:])
        k = len(context) + 1
        stay = [gram for gram in kept[k - 1] if gram[:-1] == context]
        if not stay:
            return lower
        total = sum(n for gram, n in counts[k - 1].items() if gram[:-1] == context)
        own = worth(k, (*context, word)) if (*context, word) in kept[k - 1] else 0.0
        return (own + (total - sum(worth(k, gram) for gram in stay)) * lower) / total

    for context in [(), *(gram for some in kept[:-1] for gram in some if EOS not in gram and BOS not in gram[1:])]:
        found = distribution(table, context)
        for word in range(SIZE):
            if word != BOS:
                assert found[word] == pytest.approx(probability(word, context), abs=1e-5)


@settings(max_examples=30, deadline=None)
@given(SENTENCES, st.sampled_from(INTERPOLATING))
def test_the_loss_is_what_the_model_would_lose(sentences: list[list[int]], name: str) -> None:
    """The loss of a bigram is the divergence that dropping it alone makes, to first order in the other words' gain."""
    smoothing = smoothing_from_name(name)
    table = estimated(sentences, 2, smoothing).table
    raw = estimated(sentences, 2, smoothing).counts
    losses = relevance(table, [one.raw for one in raw], links(table))[0]
    lower = table.unigrams.astype(np.float64)
    for loss, (context, word) in zip(losses, grams_of(table)[1], strict=True):
        before = distribution(table, (context,))
        gamma = float(table.pairs_of(1)[context].real)
        mass = before[word] - gamma * lower[word]
        after = before + mass * lower
        after[word] -= mass
        possible = before > 0
        exact = float((before[possible] * np.log(before[possible] / after[possible])).sum())
        explicit = [w for c, w in grams_of(table)[1] if c == context and w != word]
        second = sum((mass * lower[w]) ** 2 / (2 * before[w]) for w in explicit)
        times = int(raw[0].raw[context])
        assert times * (exact - second) - 1e-4 <= loss <= times * exact + 1e-4


def test_rare_company_goes_first() -> None:
    """Of a text where one pair is a fixed phrase and the others mix freely, the phrase is kept longest."""
    rng = np.random.default_rng(5)
    mixed = [rng.integers(5, 7, 4).tolist() for _ in range(40)]
    phrase = [[3, 4] for _ in range(20)]
    smoothing = smoothing_from_name("kneser-ney")
    whole = estimated(mixed + phrase, 2, smoothing)
    grams = grams_of(pruned(whole, 2, smoothing).table)[1]
    assert (3, 4) in grams
    assert not {(5, 6), (6, 5)} & set(grams)


def test_enough_room_changes_nothing() -> None:
    """A number that all grams fit in gives the same table."""
    smoothing = smoothing_from_name("modified-kneser-ney")
    whole = estimated([[3, 4, 5], [3, 4, 6]], 3, smoothing)
    assert pruned(whole, 1000, smoothing) is whole


@pytest.mark.parametrize(
    ("number", "name"),
    [(-1, "kneser-ney"), (1.5, "kneser-ney"), (True, "kneser-ney"), (5, "lidstone"), (5, "stupid-backoff")],
)
def test_what_cannot_be_pruned_is_refused(number: object, name: str) -> None:
    """A number of grams is a whole one, and the smoothing one that interpolates."""
    with pytest.raises(OptionError, match="max_ngrams"):
        check_max_ngrams(number, smoothing_from_name(name))
