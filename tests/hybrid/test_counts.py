"""Learnt counts: the sums of Kneser-Ney smoothing over another model, whatever the order in which they grew."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngramgen.hybrid.counts import DISCOUNTS, LEVELS, SHARES, LearntCounts
from ngramgen.model import BOS, EOS, UNK

A, B, C, D = 3, 4, 5, 6
SIZE = 7

sentences = st.lists(st.lists(st.sampled_from([UNK, A, B, C, D]), max_size=7), min_size=1, max_size=8)


def text_of(lines: list[list[int]]) -> list[int]:
    return [word for line in lines for word in (BOS, *line, EOS)]


def counts_of(*lines: list[int]) -> LearntCounts:
    counts = LearntCounts(SIZE)
    counts.add(text_of(list(lines)))
    return counts


def context_at(words: list[int], place: int) -> tuple[int, ...]:
    """The words before a place back to the beginning of the sentence, to <unk>, or `LEVELS` of them."""
    begin = place
    while begin and words[begin] != BOS and place - begin < LEVELS and words[begin - 1] != UNK:
        begin -= 1
    return tuple(words[begin:place])


def share_of(k: int, met: int | None) -> float:
    """s_k, by how much longer a context the model below has met."""
    return SHARES[k - 1] if met is None else {0: 1.0, 1: 0.55, 2: 0.35}.get(max(0, met - k), 0.2)


def row_of(lines: list[list[int]], context: tuple[int, ...], row: Any, met: int | None) -> Any:
    """The formula word by word: grams are told apart by the whole context in which they stand, then counted."""
    words = text_of(lines)
    wholes = [(*context_at(words, i), word) for i, word in enumerate(words) if word not in (BOS, UNK)]
    for k in range(1, min(len(context), LEVELS) + 1):
        end, share = context[-k:], share_of(k, met)
        counts = np.zeros(SIZE)
        for gram in {whole[-k - 1 :] for whole in wholes if whole[-k - 1 : -1] == end}:
            longest = sum(whole == gram for whole in wholes)  # no longer context here
            counts[gram[-1]] = longest + len({whole[-k - 2] for whole in wholes if whole[-k - 1 :] == gram != whole})
        if not counts.any():
            break
        kept = np.array(DISCOUNTS)[np.minimum(counts, 3).astype(int)] / 100
        row = (share * (counts - kept) + (1 - share) * counts.sum() * row + share * kept.sum() * row) / counts.sum()
    return row


def test_one_sentence_by_hand() -> None:
    """<s> a b </s>: behind <s> a, b came once behind a and once behind <s> a.

    Behind a: own = 0.5 (1 - 0.95) = 0.025, factor = 0.5 + 0.5 0.95 = 0.975.
    Behind <s> a: own = 0.7 (1 - 0.95) + 0.025 (0.3 + 0.7 0.95) = 0.059125, factor = 0.975 0.965 = 0.940875.
    """
    counts = counts_of([A, B])
    factor, ids, own = counts.behind([A])
    assert (factor, ids.tolist(), own.tolist()) == (pytest.approx(0.975), [B], [pytest.approx(0.025)])
    factor, ids, own = counts.behind([BOS, A])
    assert (factor, ids.tolist(), own.tolist()) == (pytest.approx(0.940875), [B], [pytest.approx(0.059125)])
    assert counts.tokens == 3


def test_how_often_words_came() -> None:
    """<unk> and <s> do not count, and what is learnt or forgotten in between can be told."""
    counts = counts_of([A, B, UNK], [A])
    changes, came = counts.came()
    assert came.tolist() == [0, 0, 2, 2, 1, 0, 0]
    counts.add(text_of([[B]]))
    assert came.tolist() == [0, 0, 2, 2, 1, 0, 0]
    assert counts.changes != changes
    assert counts.came()[0] == counts.changes
    assert counts.came()[1].tolist() == [0, 0, 3, 2, 2, 0, 0]
    before = counts.changes
    counts.clear()
    assert counts.changes != before
    assert not counts.came()[1].any()


def test_short_contexts_count_neighbours() -> None:
    """<s> a b </s> twice and <s> c b </s>: behind b, </s> came behind two different words, a and c, so a_1 = 2.

    own = 0.5 (2 - 1.55) / 2 = 0.1125, factor = 0.5 + 0.5 1.55 / 2 = 0.8875. Behind <s>, a came twice and c once, and
    no context is longer: own = 0.5 (2 - 1.55) / 3 = 0.075 and 0.5 (1 - 0.95) / 3 = 1 / 120.
    """
    counts = counts_of([A, B], [A, B], [C, B])
    factor, ids, own = counts.behind([B])
    assert (factor, ids.tolist(), own.tolist()) == (pytest.approx(0.8875), [EOS], [pytest.approx(0.1125)])
    factor, ids, own = counts.behind([BOS])
    assert (factor, ids.tolist(), own.tolist()) == (pytest.approx(11 / 12), [A, C], pytest.approx([0.075, 1 / 120]))


def test_what_was_not_met_changes_nothing() -> None:
    """Nor does <unk>, which is no word that could come again."""
    counts = counts_of([A, UNK, B])
    for tokens in ([C], [A], [D, B, A], [A, UNK], [UNK]):
        factor, ids, _ = counts.behind(tokens)
        assert (factor, len(ids)) == (1.0, 0)
    assert counts.behind([UNK, B])[1].tolist() == [EOS]


def test_what_the_model_below_has_met_by_hand() -> None:
    """<s> a b </s> behind <s> a, where the model below has met two tokens: s_1 = 0.55 and s_2 = 1.

    Behind a: own = 0.55 (1 - 0.95) = 0.0275, factor = 0.45 + 0.55 0.95 = 0.9725; behind <s> a: own = 0.05 + 0.95 0.0275
    and factor = 0.95 0.9725. Where it has met ten, s_1 = s_2 = 0.2: 0.01 and 0.99, then 0.01 + 0.99 0.01 and 0.99 0.99.
    """
    counts = counts_of([A, B])
    factor, ids, own = counts.behind([BOS, A], 2)
    assert (factor, ids.tolist(), own.tolist()) == (pytest.approx(0.923875), [B], [pytest.approx(0.076125)])
    factor, ids, own = counts.behind([BOS, A], 10)
    assert (factor, ids.tolist(), own.tolist()) == (pytest.approx(0.9801), [B], [pytest.approx(0.0199)])


@given(sentences, sentences, st.none() | st.lists(st.integers(0, 9), min_size=72, max_size=72))
def test_the_formula(lines: list[list[int]], read: list[list[int]], met: list[int] | None) -> None:
    """Rows are those of the formula and sum to 1, and the scores along a text are theirs."""
    counts = counts_of(*lines)
    base = np.array([0.05, 0, 0.2, 0.3, 0.1, 0.25, 0.1])
    words = text_of(read)
    factors, owns = counts.along(words, met)
    for place, word in enumerate(words):
        if word == BOS:
            continue
        context = context_at(words, place)
        known = None if met is None else met[place]
        factor, ids, own = counts.behind(words[max(0, place - LEVELS) : place], known)
        row = base * factor
        row[ids] += own
        assert row.sum() == pytest.approx(1)
        assert row == pytest.approx(row_of(lines, context, base, known))
        assert factors[place] * base[word] + owns[place] == pytest.approx(row[word])


@given(sentences)
def test_the_order_of_learning_does_not_matter(lines: list[list[int]]) -> None:
    """All at once, sentence by sentence, and from the last to the first give the same to the last bit."""
    words = text_of(lines)
    expected = counts_of(*lines).along(words)
    for order in (lines, lines[::-1]):
        counts = LearntCounts(SIZE)
        for line in order:
            counts.add(text_of([line]))
        for found, wanted in zip(counts.along(words), expected, strict=True):
            assert found.tolist() == wanted.tolist()


def test_a_long_text_is_counted_as_its_parts() -> None:
    """Where another thread may have its turn, no context is lost."""
    rng = np.random.default_rng(0)
    lines = [rng.integers(3, 40, 60).tolist() for _ in range(150)]
    words = text_of(lines)
    whole, parts = LearntCounts(40), LearntCounts(40)
    whole.add(words)
    for line in lines:
        parts.add(text_of([line]))
    joined = [np.concatenate(arrays) for arrays in zip(*(parts.along(text_of([x])) for x in lines), strict=True)]
    for found, wanted in zip(whole.along(words), joined, strict=True):
        assert found.tolist() == wanted.tolist()


def test_learning_while_others_read() -> None:
    """No reader fails, and in the end all was counted."""
    lines = [np.random.default_rng(i).integers(3, 60, 20).tolist() for i in range(300)]
    counts, failures, done = LearntCounts(60), [], threading.Event()

    def read() -> None:
        try:
            while not done.is_set():
                for tokens in ([BOS], [3], [4, 5]):
                    factor, _, own = counts.behind(tokens)
                    assert factor + own.sum() == pytest.approx(1)
                counts.along(text_of(lines[:3]))
        except Exception as error:
            failures.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    writers = [threading.Thread(target=lambda i=i: [counts.add(text_of([x])) for x in lines[i::2]]) for i in (0, 1)]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    assert not failures
    whole = LearntCounts(60)
    whole.add(text_of(lines))
    assert counts.along(text_of(lines))[1].tolist() == whole.along(text_of(lines))[1].tolist()
