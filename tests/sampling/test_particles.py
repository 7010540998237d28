"""The search for texts: with many walks its weights are the model's distribution given the constraints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import ngramgen
from ngramgen.randomness import child_seeds
from ngramgen.sampling import SamplingOptions
from ngramgen.sampling.constrained import Effort, generate_constrained
from ngramgen.sampling.constraints import Constraints
from ngramgen.sampling.particles import Search
from ngramgen.sampling.readings import readings

Texts = dict[tuple[int, ...], float]
TextsOf = Callable[..., Texts]

LINES = {
    "letters": ["a b c", "b c a", "c a b a", "a b", "b b c", "a a c b", "c", "a c a b", "b a"],
    "whitespace": ["a b.", '"a b', "b, a.", "a-b a", "a b", "a, b. A b."],
    "word": ["a b.", '"a" b', "b, a.", "ab a", "a b! A b."],
    "char": ["ab a", "a b", "ba ab", "b", "aa b a", "b ab"],
}
MODELS = {
    name: ngramgen.train(lines * 3, order=2, tokenizer="whitespace" if name == "letters" else name).model
    for name, lines in LINES.items()
}


def weighted(model: Any, constraints: Constraints, most: int, walks: int, prompt: tuple[int, ...] = ()) -> Texts:
    """What one search with so many walks would choose among, with the probabilities of its choice."""
    found: Counter[tuple[int, ...]] = Counter()

    def picked(self: Search, scores: Any, text: Any, output: int, seed: Any) -> None:
        counts: dict[tuple[int, ...], int] = {}
        for place in np.flatnonzero(scores > -np.inf).tolist():
            ids = text(place)
            if ids not in counts:
                times = readings(self.plan, self.frame, ids) if self.plan.has_windows else 1
                counts[ids] = times if self.check(output, ids) else 0
            if counts[ids]:
                found[ids] += float(np.exp(scores[place])) / counts[ids]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Search, "_picked", picked)
        options, effort = SamplingOptions(max_new_tokens=most), Effort((), (walks,))
        made = generate_constrained(model, [prompt], options, constraints, child_seeds(3, 0, 1), effort=effort)
        with pytest.raises(ngramgen.ConstraintError, match="guided ones"):
            list(made)
    total = sum(found.values())
    return {ids: weight / total for ids, weight in found.items()}


def given(model: Any, texts: Texts, constraints: Constraints) -> Texts:
    """The distribution of the texts, given that they are as asked."""
    right = {
        ids: p for ids, p in texts.items() if constraints.refusal_of(model.tokenizer.decode(np.array(ids, int))) is None
    }
    total = sum(right.values())
    return {ids: p / total for ids, p in right.items()}


def distance(first: Texts, second: Texts) -> float:
    """Total variation distance."""
    return sum(abs(first.get(ids, 0) - second.get(ids, 0)) for ids in first.keys() | second.keys()) / 2


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("letters", {"contains": "c"}),
        ("letters", {"contains": "a a"}),
        ("letters", {"contains": ("c", "b")}),
        ("letters", {"contains": ("a", "a"), "in_order": True}),
        ("letters", {"contains": ("a b", "b c")}),  # one may begin in the other
        ("letters", {"contains": ("a b", "b a"), "max_words": 3}),
        ("letters", {"contains": "b c", "starts_with": "a b"}),
        ("letters", {"starts_with": "a b", "ends_with": "b c"}),
        ("letters", {"contains": "b c", "ends_with": "c a"}),
        ("letters", {"ends_with": "c b"}),
        ("letters", {"min_words": 3, "max_words": 3}),
        ("letters", {"template": "{words} a {words}"}),  # may be read in several ways
        ("letters", {"template": "{words} a {0..3 words} b"}),
        ("letters", {"template": "a {0..2 words} {choices:b,c}"}),
        ("whitespace", {"contains": ("a", "b"), "max_words": 2}),  # in tokens such as "a-b", too
        ("whitespace", {"contains": "b.", "ends_with": "b."}),
        ("whitespace", {"sentences": 1}),
        ("whitespace", {"template": "{words}, {words}"}),
        ("whitespace", {"template": "{words}."}),
        ("word", {"contains": "a", "max_words": 2}),
        ("word", {"ends_with": "b."}),
        ("word", {"sentences": 1}),
        ("word", {"template": "{words}. {0..1 words}"}),
        ("word", {"template": 'a" {words}'}),
        ("char", {"contains": "ab"}),
        ("char", {"contains": ("a", "b")}),
        ("char", {"contains": ("a b", "b a")}),
        ("char", {"starts_with": "a"}),
        ("char", {"min_chars": 3, "max_chars": 3}),
        ("char", {"min_words": 2, "max_words": 2}),
        ("char", {"template": "a{..2 characters} b"}),
        ("char", {"template": "a {0..1 words} b"}),
    ],
    ids=str,
)
def test_weights_are_the_distribution(name: str, wanted: dict[str, Any], texts_of: TextsOf) -> None:
    """With 4,000 walks the total variation distance from the model given the constraints is below 0.1."""
    model, constraints = MODELS[name], Constraints(**wanted)
    most = {"letters": 4, "char": 5}.get(name, 3)
    expected = given(model, texts_of(model, most), constraints)
    found = weighted(model, constraints, most, 4000)
    assert found.keys() <= expected.keys()
    assert distance(found, expected) < 0.1


@pytest.mark.parametrize("wanted", [{"contains": ("c", "a b")}, {"template": "{words} a {words}"}, {"ends_with": "b"}])
def test_behind_a_prompt(wanted: dict[str, Any], texts_of: TextsOf) -> None:
    """The same holds for what follows a prompt, which counts for nothing in what is asked."""
    model, constraints, prompt = MODELS["letters"], Constraints(**wanted), (3, 4)
    expected = given(model, texts_of(model, 4, prompt), constraints)
    assert distance(weighted(model, constraints, 4, 4000, prompt), expected) < 0.08


@pytest.mark.parametrize(
    "wanted",
    [{"contains": ("c", "a b")}, {"template": "{words} a {words}"}, {"starts_with": "b", "max_words": 3}],
    ids=str,
)
def test_any_model(wanted: dict[str, Any], toy: Callable[..., Any], texts_of: TextsOf) -> None:
    """The same holds for a model without ways of its own, and with much probability on <unk> and <s>."""
    model = toy([b"a", b"b", b"c"], b" ", eos=0.2)
    constraints = Constraints(**wanted)
    expected = given(model, texts_of(model, 4), constraints)
    assert distance(weighted(model, constraints, 4, 3000), expected) < 0.07


def test_few_walks_are_far_from_it(texts_of: TextsOf) -> None:
    """The distance tells: with three walks it is large."""
    model, constraints = MODELS["letters"], Constraints(contains=("c", "b"))
    expected = given(model, texts_of(model, 5), constraints)
    assert distance(weighted(model, constraints, 5, 3), expected) > 0.3


def test_choice_by_weight_and_readings(texts_of: TextsOf) -> None:
    """Texts are chosen in proportion to their weights; one with several readings, and as many weights, not oftener."""
    model, constraints = MODELS["letters"], Constraints(template="{words} a {words}")
    options, effort = SamplingOptions(max_new_tokens=4), Effort((), (60,))
    made = generate_constrained(model, [()] * 600, options, constraints, child_seeds(1, 0, 600), False, effort)
    counts = Counter(tuple(one.ids.tolist()) for one in made)
    expected = given(model, texts_of(model, 4), constraints)
    exact = [np.random.default_rng(i).multinomial(600, list(expected.values())) / 600 for i in range(20)]
    chance = np.mean([np.abs(row - list(expected.values())).sum() / 2 for row in exact])
    assert distance({ids: count / 600 for ids, count in counts.items()}, expected) < chance + 0.05
