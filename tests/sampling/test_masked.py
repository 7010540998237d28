"""Texts under the mask of a regular expression."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import ngramgen
from ngramgen.errors import ConstraintError, OptionError
from ngramgen.randomness import child_seeds
from ngramgen.sampling import SamplingOptions
from ngramgen.sampling.constraints import Constraints
from ngramgen.sampling.masked import MaskedSearch, patterns
from ngramgen.sampling.patterns import compile_pattern
from ngramgen.sampling.spelling import Spelling

Texts = dict[tuple[int, ...], float]

LINES = ["a b c", "b c a", "c a b a", "a b", "b b c", "a a c b", "c", "a c a b", "b a"]
MODEL = ngramgen.train(LINES * 3, order=2, tokenizer="whitespace").model
CHARS = ngramgen.train(["ab a", "a b", "ba ab", "b", "aa b a", "b ab"] * 3, order=3, tokenizer="char").model
MODELS = {"letters": MODEL, "char": CHARS}


def search_of(model: Any, most: int, least: int = 0, **wanted: Any) -> MaskedSearch:
    options = SamplingOptions(max_new_tokens=most, min_new_tokens=least)
    return MaskedSearch(model, options, Constraints(**wanted), Spelling.of(model.tokenizer))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("letters", {"regex": "a.*"}),
        ("letters", {"regex": "(a|b c)( b)+"}),
        ("letters", {"regex": ".*", "contains": "b c", "max_words": 3}),
        ("letters", {"regex": ".*", "contains": ("c", "a"), "in_order": True, "max_words": 3}),
        ("letters", {"regex": ".*", "starts_with": "b", "ends_with": "c b"}),
        ("char", {"regex": "(a|b )(ab)+"}),
        ("char", {"regex": "[ab ]{3}", "min_words": 2}),
    ],
    ids=str,
)
def test_texts_follow_the_model(
    name: str, wanted: dict[str, Any], texts_of: Callable[..., Texts], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 1,500 texts the weights are within 0.1 of the model's distribution, given the constraints."""
    model, constraints = MODELS[name], Constraints(**wanted)
    tokenizer = model.tokenizer
    found: Counter[tuple[int, ...]] = Counter()

    def noted(self: MaskedSearch, prompt: Any, drafts: Any) -> None:
        draw(self, prompt, drafts)
        limits = [draft.limit for draft in drafts]
        for draft in drafts:
            found[draft.ids] += np.exp(draft.weight) / sum(len(draft.ids) <= limit for limit in limits)

    draw = MaskedSearch._draw
    monkeypatch.setattr(MaskedSearch, "_draw", noted)
    search_of(model, 4, **wanted).text(np.zeros(0, np.int32), 1, lambda ids: True, texts=1500)
    expected = {
        ids: p
        for ids, p in texts_of(model, 4).items()
        if constraints.refusal_of(tokenizer.decode(np.array(ids, int))) is None
        and not tokenizer.decode(np.array(ids, int)).endswith(" ")  # the mask lets no space come behind a match
    }
    assert found.keys() <= expected.keys()
    total, all_weights = sum(expected.values()), sum(found.values())
    assert sum(abs(found[ids] / all_weights - p / total) for ids, p in expected.items()) / 2 < 0.1


def test_one_is_chosen_by_weight(texts_of: Callable[..., Texts]) -> None:
    """The shares of what is chosen come near to the distribution with 20 texts for each."""
    search = search_of(MODEL, 3, regex="(a|b c)( b)*")
    seeds = child_seeds(1, 0, 300).tolist()
    counts = Counter(search.text(np.zeros(0, np.int32), seed, lambda ids: True, texts=20) for seed in seeds)
    texts = texts_of(MODEL, 3)
    right = {ids: texts[ids] for ids in texts if Constraints(regex="(a|b c)( b)*").refusal_of(said(ids)) is None}
    assert sum(abs(counts[ids] / 300 - p / sum(right.values())) for ids, p in right.items()) / 2 < 0.08


def said(ids: tuple[int, ...]) -> str:
    return MODEL.tokenizer.decode(np.array(ids, int))


def test_lengths_in_tokens() -> None:
    """A text has as many tokens as are asked for, and what cannot be long or short enough is not found."""
    search = search_of(MODEL, 4, 3, regex="(a|b)( a)*")
    for seed in range(20):
        text = search.text(np.zeros(0, np.int32), seed, lambda ids: True)
        assert text is not None
        assert 3 <= len(text) <= 4
    assert search_of(MODEL, 4, 3, regex="a b?").text(np.zeros(0, np.int32), 1, lambda ids: True) is None
    with pytest.raises(ConstraintError, match="takes at least 3 tokens, but max_new_tokens is 2"):
        search_of(MODEL, 2, regex="a b c.*")


def test_an_unlikely_end_comes_at_many_lengths() -> None:
    """Texts whose end the model would hardly say are not all as long as they may be."""
    model = ngramgen.train(ngramgen.sample_text(), order=2)
    texts = model.generate(n=20, seed=1, regex=r"The king .*(gold|cart)!", max_new_tokens=60)
    assert all(re.fullmatch(r"The king .*(gold|cart)!", text) for text in texts)
    lengths = [len(text.split()) for text in texts]
    assert min(lengths) < 12
    assert max(lengths) > 20


def test_the_check_has_the_last_word() -> None:
    """A text that the check refuses is not given; None is where it refuses all."""
    search = search_of(MODEL, 3, regex="[abc]( [abc])*")
    assert search.text(np.zeros(0, np.int32), 1, lambda ids: False) is None
    found = {search.text(np.zeros(0, np.int32), seed, lambda ids: len(ids) == 2) for seed in range(10)}
    assert {len(text) for text in found if text is not None} == {2}


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ({"regex": "a+", "contains": "b"}, "No text matches"),
        ({"regex": "[x-z]+"}, "cannot spell"),
        ({"regex": "a b", "min_words": 3}, "No text matches"),
    ],
)
def test_what_cannot_be(wanted: dict[str, Any], why: str) -> None:
    """A pattern that no text of the model can match is refused at once."""
    with pytest.raises(ConstraintError, match=why):
        search_of(MODEL, 10, **wanted)


def test_patterns_too_large() -> None:
    """A pattern that makes too large an automaton is refused."""
    with pytest.raises(OptionError, match="too large"):
        search_of(MODEL, 10, regex="(a|b c){200000}")


@pytest.mark.parametrize(
    "wanted",
    [
        {"starts_with": "a b"},
        {"ends_with": "b."},
        {"contains": ("a b", "c.")},
        {"contains": ("a", ".", "b"), "in_order": True},
        {"min_words": 2, "max_words": 3},
        {"max_words": 2},
        {"min_chars": 2, "max_chars": 5},
    ],
    ids=str,
)
def test_patterns_say_what_constraints_say(wanted: dict[str, Any]) -> None:
    """A text matches the patterns of constraints where it meets them."""
    constraints, spelling = Constraints(**wanted), Spelling.of(MODEL.tokenizer)
    automaton = compile_pattern("(?s).*", *patterns(constraints, spelling, 100))
    rng = np.random.default_rng(1)
    texts = [" ".join(rng.choice(["a", "b", "c.", "b.", ".", "ab", "a.b"], size)) for size in rng.integers(0, 6, 400)]
    assert len({constraints.refusal_of(text) is None for text in texts}) == 2
    assert [text for text in texts if automaton.matches(text) != (constraints.refusal_of(text) is None)] == []


def test_lengths_that_cannot_be_passed_make_no_pattern() -> None:
    """A length beyond what the tokens can reach is left out, however large."""
    spelling = Spelling.of(MODEL.tokenizer)
    assert patterns(Constraints(max_words=10**9, max_chars=10**9), spelling, 100) == []
    assert len(patterns(Constraints(max_words=99, max_chars=20), spelling, 100)) == 2
