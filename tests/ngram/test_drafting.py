"""Quick guesses against the model's own distributions, and against what was counted in plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ngramgen.model import BOS, EOS
from ngramgen.ngram import drafting
from ngramgen.ngram.drafting import NgramDrafter
from ngramgen.ngram.smoothing import METHODS
from tests.ngram.test_drawing import PRUNES, SENTENCES, SIZE, model_of

PLAIN = "witten-bell"
"""Its values rise with the counts in the smallest text, too."""
TEXTS = st.lists(st.sampled_from([BOS, EOS, *range(3, SIZE)]), min_size=1, max_size=8)


def draft(drafter: NgramDrafter, ids: list[int], most: int) -> list[tuple[int, float]]:
    return list(drafter.draft(np.array(ids, np.int32), most))


def line(ids: list[int]) -> list[int]:
    """The words of the last line, <s> left out."""
    ends = [place for place, word in enumerate(ids) if word in (BOS, EOS)]
    return ids[ends[-1] + 1 :] if ends else ids


def test_the_likeliest_goes_on() -> None:
    """Behind <s> 3 4 stands 5 twice and 6 once, and 5 ends the sentence both times."""
    drafter = NgramDrafter(model_of([[3, 4, 5], [3, 4, 5], [3, 4, 6]], 3, PLAIN))
    assert [word for word, _ in draft(drafter, [BOS, 3, 4], 9)] == [5, EOS]
    assert [word for word, _ in draft(drafter, [BOS], 2)] == [3, 4]
    assert draft(drafter, [BOS, 3, 4], 0) == []


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("few", [0, 1000])
@settings(max_examples=15, deadline=None)
@given(sentences=SENTENCES, order=st.integers(1, 5), prune=PRUNES, ids=TEXTS, interpolate=st.booleans())
def test_the_confidence_is_the_probability(
    name: str,
    few: int,
    sentences: list[list[int]],
    order: int,
    prune: tuple[int, ...],
    ids: list[int],
    interpolate: bool,
) -> None:
    """Each guess has the probability that the model gives it behind the line and the guesses before it."""
    interpolate = interpolate or METHODS[name].reading != "interpolate"  # which others always do
    model = model_of(sentences, order, name, prune, interpolate=interpolate)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drafting, "_FEW", few)
        found = draft(NgramDrafter(model), [BOS, *ids], 4)
    state = model.advance(model.start(), np.array([line(ids)], np.int64))
    for word, confidence in found:
        assert word > BOS
        assert confidence == pytest.approx(min(float(np.exp(model.logprobs(state)[0, word])), 1), abs=1e-6)
        state = model.advance(state, np.array([[word]]))
    assert EOS not in [word for word, _ in found[:-1]]


@settings(max_examples=60, deadline=None)
@given(sentences=SENTENCES, order=st.integers(2, 4), ids=TEXTS)
def test_the_longest_context_is_heard(sentences: list[list[int]], order: int, ids: list[int]) -> None:
    """The guess is what stood most often behind the longest context that was seen; there is one if any was."""
    texts = [[BOS, *sentence, EOS] for sentence in sentences]
    words, counts = [BOS, *line(ids)], {}
    for length in range(min(order - 1, len(words)), 0, -1):
        context = words[-length:]
        for text in texts:
            for place in range(length, len(text)):
                if text[place - length : place] == context:
                    counts[text[place]] = counts.get(text[place], 0) + 1
        if counts:
            break
    found = draft(NgramDrafter(model_of(sentences, order, PLAIN)), [BOS, *ids], 1)
    assert bool(found) == bool(counts)
    if found:
        assert found[0][0] in counts
        if length == order - 1:  # shorter grams count by the words before them
            assert counts[found[0][0]] == max(counts.values())


@given(before=TEXTS, ids=st.lists(st.integers(3, SIZE - 1), max_size=5))
def test_other_lines_do_not_count(before: list[int], ids: list[int]) -> None:
    """What stands before the last </s> changes nothing."""
    drafter = NgramDrafter(model_of([[3, 4, 5], [4, 5, 6, 7], [3, 5, 6]], order=4))
    assert draft(drafter, [BOS, *before, EOS, *ids], 3) == draft(drafter, [BOS, *ids], 3)


def test_few_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """When there is no room for more guesses, all are made again."""
    drafter = NgramDrafter(model_of([[3, 4, 5], [4, 5, 6, 7], [3, 5, 6]], order=4))
    expected = [draft(drafter, [BOS, word], 5) for word in range(3, 8)]
    monkeypatch.setattr(drafting, "KEPT", 2)
    drafter = NgramDrafter(model_of([[3, 4, 5], [4, 5, 6, 7], [3, 5, 6]], order=4))
    assert [draft(drafter, [BOS, word], 5) for word in range(3, 8)] == expected
    assert len(drafter._guesses) <= 2
