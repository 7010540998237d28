"""Constrained texts beside the distribution that they should have, worked out from all texts of a tiny model."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ngramgen
from ngramgen.errors import ConstraintError, OptionError
from ngramgen.randomness import child_seeds
from ngramgen.sampling import SamplingOptions
from ngramgen.sampling.constrained import Effort, generate_constrained
from ngramgen.sampling.constraints import Constraints

MOST = 5  # tokens of a text
LINES = ["a b c", "b a c a", "c a b", "a c", "b b a", "c"] * 2
MODEL = ngramgen.train(LINES, order=3, tokenizer="whitespace", smoothing="witten-bell")


def all_texts() -> dict[str, float]:
    """The probability of every text of at most MOST words, <unk> left out as the sampler leaves it out."""
    found = {}
    for length in range(MOST + 1):
        for words in itertools.product("abc", repeat=length):
            ids = MODEL.tokenizer.encode(" ".join(words))
            state = MODEL.model.start()
            total = 0.0
            for index in [*ids.tolist(), 2]:
                row = MODEL.model.logprobs(state)[0].astype(np.float64)
                total += row[index] - np.log1p(-np.exp(row[0]))
                state = MODEL.model.advance(state, np.array([[index]], np.int32))
            found[" ".join(words)] = float(np.exp(total))
    return found


TEXTS = all_texts()


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({"choices": ("a b c", "c", "b a", "a c b")}, 2000),
        ({"starts_with": "b a"}, 1000),
        ({"min_words": 2, "max_words": 3}, 1000),
        ({"contains": "b", "max_words": 3}, 500),
        ({"contains": ("c", "b"), "in_order": True}, 300),
        ({"ends_with": "b"}, 800),
        ({"template": "{1..2 words} a {1 words}"}, 400),
        ({"regex": "(a|b) .* c"}, 800),
    ],
    ids=str,
)
def test_texts_follow_the_model_given_the_constraints(wanted: dict[str, Any], count: int) -> None:
    """With as many walks as usual, too, the total variation distance from the model is little more than chance's."""
    constraints = ngramgen.Constraints(**wanted)
    right = {text: p for text, p in TEXTS.items() if constraints.refusal_of(text) is None}
    probs = np.array(list(right.values())) / sum(right.values())
    drawn = Counter(MODEL.generate(n=count, seed=11, max_new_tokens=MOST, **wanted))
    assert set(drawn) <= set(right)
    by_chance = np.random.default_rng(1).multinomial(count, probs, 50) / count
    chance = np.abs(by_chance - probs).sum(axis=1).mean() / 2
    distance = np.abs(np.array([drawn[text] for text in right]) / count - probs).sum() / 2
    assert distance < chance + 0.05


def test_the_distance_can_fail() -> None:
    """Texts that are drawn freely are far from those that contain a word."""
    right = {text: p for text, p in TEXTS.items() if "b" in text.split()}
    total = sum(right.values())
    drawn = Counter(MODEL.generate(n=3000, seed=11, max_new_tokens=MOST))
    assert sum(abs(drawn[text] / 3000 - p / total) for text, p in right.items()) / 2 > 0.12


def chi_square_p_value(counts: list[int], probs: list[float]) -> float:
    """Pearson's test; the chi-square tail by the cube-root normal approximation of Wilson & Hilferty (1931)."""
    expected = np.array(probs) * sum(counts)
    statistic = float(((np.array(counts) - expected) ** 2 / expected).sum())
    freedom = len(counts) - 1
    z = ((statistic / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / math.sqrt(2 / (9 * freedom))
    return 0.5 * math.erfc(z / math.sqrt(2))


@pytest.mark.parametrize(
    ("wanted", "prompt"),
    [
        ({"choices": ("a b c", "c", "b a", "a c b", "b")}, ""),
        ({"choices": ("a b c", "c", "b a", "a c b", "b"), "contains": "b"}, "a c"),
        ({"template": "{choices:a,b} {choices:b,c}"}, ""),
        ({"starts_with": "b a"}, ""),
        ({"min_words": 2, "max_words": 3}, "b"),
    ],
    ids=str,
)
def test_exact_ones(wanted: dict[str, Any], prompt: str, texts_of: Callable[..., dict[tuple[int, ...], float]]) -> None:
    """Choices, beginnings, and lengths that free texts have, pass a chi-square test on 20,000 draws."""
    constraints, model, draws = Constraints(**wanted), MODEL.model, 20_000
    ids = MODEL.prompt_ids(prompt)
    chances = texts_of(model, MOST - 1, tuple(ids.tolist()))
    said = {text: MODEL.tokenizer.decode(np.array(text, int)) for text in chances}
    right = {text: p for text, p in chances.items() if constraints.refusal_of(said[text]) is None}
    options = SamplingOptions(max_new_tokens=MOST - 1)
    effort = Effort((4, 40), (1,))  # so many free texts that one is right
    made = generate_constrained(model, [ids] * draws, options, constraints, child_seeds(5, 0, draws), False, effort)
    counts = Counter(tuple(one.ids.tolist()) for one in made)
    total = sum(right.values())
    often = [text for text, p in right.items() if p / total * draws > 5]
    rest = draws - sum(counts[text] for text in often)
    share = 1 - sum(right[text] for text in often) / total
    tail = ([rest], [share]) if share * draws > 5 else ([], [])
    observed, probs = [counts[text] for text in often] + tail[0], [right[text] / total for text in often] + tail[1]
    assert chi_square_p_value(observed, [p / sum(probs) for p in probs]) > 1e-4


KINDS = ("whitespace", "word", "char", "byte", "nltk:WordPunctTokenizer")
TALES = ["a fox ran.", '"a fox" ran, it ran.', "the fox, a fox.", "fox a the", "A fox. The end."] * 3
TALE_MODELS = {kind: ngramgen.train(TALES, order=3, tokenizer=kind) for kind in KINDS}
WORDS = st.sampled_from(["a", "fox", "fox.", "ran", "the", "a fox", "fox ran", '"', "fox,", "The", "zebra", "ox"])
HOLES = st.sampled_from(["{words}", "{1..2 words} fox", "a {words}", "{words}, {words}", '"{words}" {0..2 words}'])
HOLES |= st.sampled_from(["{choices:a,fox} {..3 characters}", "{1 sentence}", "{words}. {sentences}", "{2 tokens}"])
WISHES = st.fixed_dictionaries(
    {},
    optional={
        "starts_with": WORDS,
        "ends_with": WORDS,
        "contains": st.lists(WORDS, min_size=1, max_size=3),
        "in_order": st.booleans(),
        "min_words": st.integers(0, 4),
        "max_words": st.integers(1, 8),
        "min_chars": st.integers(0, 10),
        "max_chars": st.integers(1, 40),
        "sentences": st.integers(1, 2),
        "regex": st.sampled_from(["a .*", ".*", "[a-z ]+", "(a |the )*fox", ".* fox.?"]),
        "choices": st.lists(WORDS, min_size=1, max_size=3),
        "template": HOLES,
        "max_new_tokens": st.sampled_from([0, 1, 3, 8, 30]),
        "min_new_tokens": st.sampled_from([0, 2, 4]),
        "temperature": st.sampled_from([0.5, 1.0]),
        "top_k": st.sampled_from([0, 3]),
        "bad_words": st.lists(WORDS, max_size=1),
        "no_repeat_ngram_size": st.sampled_from([0, 2]),
    },
)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(KINDS), st.sampled_from(["", "the fox"]), WISHES)
def test_a_text_is_as_asked_or_an_error_says_why_not(kind: str, prompt: str, wishes: dict[str, Any]) -> None:
    """Whatever is asked of whatever model: texts that are so, or one sentence; alone as among others."""
    names = SamplingOptions.__dataclass_fields__
    model = TALE_MODELS[kind]
    made = []
    with suppress(ConstraintError, OptionError):
        constraints = Constraints(**{name: value for name, value in wishes.items() if name not in names})
        made = [] if constraints.is_empty else list(model.generate_all(prompt, n=3, seed=1, **wishes))
    if not made:
        return
    (alone,) = model.generate_all(prompt, n=1, seed=1, first_index=2, **wishes)
    assert (alone.ids == made[2].ids).all()
    for one in made:
        assert constraints.refusal_of(model.tokenizer.decode(one.ids)) is None
        assert wishes.get("min_new_tokens", 0) <= len(one.ids) <= wishes.get("max_new_tokens", 100)
        assert one.finish_reason == "eos"
        assert one.logprob == pytest.approx(
            model.model.score_continuations([model.prompt_ids(prompt)], [np.append(one.ids, 2)])[0], rel=1e-5
        )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "wanted",
    [
        {"contains": ("fox", "the"), "max_words": 8},
        {"contains": ("the", "fox"), "in_order": True},
        {"starts_with": "a fox", "min_words": 4},
        {"template": "a {1..3 words} fox"},
        {"choices": ("a fox", "the fox")},
        {"regex": "a [a-z ]+"},
    ],
    ids=str,
)
def test_every_tokenizer(kind: str, wanted: dict[str, Any]) -> None:
    """What every tokenizer can write is found with every one."""
    constraints, model = Constraints(**wanted), TALE_MODELS[kind]
    for one in model.generate_all(n=2, seed=2, max_new_tokens=80, **wanted):
        assert constraints.refusal_of(model.tokenizer.decode(one.ids)) is None


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0.7},
        {"top_k": 4},
        {"top_p": 0.8, "top_k": 50},
        {"repetition_penalty": 1.3, "dry_multiplier": 1},
        {"bad_words": ["the"], "logit_bias": {"ran": 1.0}},
        {"min_p": 0.05, "min_new_tokens": 6},
        {"xtc_probability": 0.5},
    ],
    ids=str,
)
def test_with_filters(options: dict[str, Any]) -> None:
    """Constraints hold beside filters, and what is banned does not come."""
    model = TALE_MODELS["word"]
    for wanted in (
        {"contains": "fox", "max_words": 9},
        {"regex": "(a|A) .*fox.*"},
        {"template": "{words} fox {words}"},
    ):
        for one in model.generate_all(n=2, seed=1, **wanted, **options):
            text = model.tokenizer.decode(one.ids)
            assert Constraints(**wanted).refusal_of(text) is None
            assert len(one.ids) >= options.get("min_new_tokens", 0)
            assert "bad_words" not in options or " the " not in f"{text} "


@pytest.mark.parametrize("smoothing", ["lidstone", "arpa"])
def test_engines_without_walks_of_their_own(smoothing: str, tmp_path: Any) -> None:
    """Models that are read from ARPA files, or not interpolated, meet constraints by the methods all models have."""
    if smoothing == "arpa":
        TALE_MODELS["whitespace"].save(tmp_path / "m.arpa")
        model = ngramgen.load(tmp_path / "m.arpa")
    else:
        model = ngramgen.train(TALES, order=3, tokenizer="whitespace", smoothing="lidstone")
    assert not model.model.draws_truncated
    for wanted in (
        {"contains": ("fox", "the")},
        {"starts_with": "a fox", "max_words": 6},
        {"ends_with": "fox."},
        {"template": "a {1..3 words} fox"},
        {"regex": "the .*fox.*"},
    ):
        (one,) = model.generate_all(seed=4, **wanted)
        assert Constraints(**wanted).refusal_of(one.text) is None


def test_prompt() -> None:
    """Constraints speak of the continuation; a keyword that the prompt has must come again."""
    for text in TALE_MODELS["word"].generate("a fox", n=5, seed=1, contains="fox"):
        assert text.startswith("a fox")
        assert Constraints(contains="fox").refusal_of(text.removeprefix("a fox")) is None


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"greedy": True}, "greedy"),
        ({"temperature": 0}, "greedy"),
        ({"num_beams": 2}, "num_beams"),
        ({"stop": "fox"}, "stop"),
        ({"mirostat": 2}, "mirostat"),
        ({"max_time": 1.0}, "max_time"),
        ({"max_copied_words": 3}, "max_copied_words"),
        ({"forced_bos_token_id": 3}, "forced_bos_token_id"),
        ({"suppress_tokens": [2]}, "has to end"),
    ],
)
def test_options_that_do_not_go_with_constraints(options: dict[str, Any], name: str) -> None:
    """An option that cannot hold beside constraints is refused by its name."""
    with pytest.raises(OptionError, match=name):
        TALE_MODELS["word"].generate(contains="fox", **options)


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ({"contains": "zebra"}, 'cannot write "zebra"; use words that were in its training text'),
        (
            {"contains": ("fox", "the", "ran"), "max_words": 1},
            "1 free and .* guided ones that were tried; raise max_words",
        ),
        ({"contains": "a fox", "max_words": 1}, "takes at least 2 words, but max_words is 1"),
        ({"contains": "fox", "bad_words": ["fox"]}, "other options forbid it"),
        ({"choices": ("fox", "ran"), "min_new_tokens": 3}, "gives no choice a chance, or the other options forbid"),
        (
            {"choices": ("fox", "ran"), "bad_words": ["fox", "ran"]},
            "gives no choice a chance, or the other options forbid",
        ),
        ({"contains": "fox", "max_new_tokens": 0}, "at least 1 tokens, but max_new_tokens is 0"),
        ({"regex": "[0-9]+"}, "cannot spell"),
    ],
)
def test_what_cannot_be_met(wanted: dict[str, Any], why: str) -> None:
    """What cannot be met is one sentence with what was tried, or why it cannot be, and the way out."""
    with pytest.raises(ConstraintError, match=why) as caught:
        TALE_MODELS["word"].generate(**wanted)
    assert str(caught.value).endswith(".")


def test_texts_before_the_one_that_was_not_found() -> None:
    """Texts come in order up to the first that is not found, and then the error."""
    model = TALE_MODELS["whitespace"].model
    options, constraints = SamplingOptions(max_new_tokens=4), Constraints(contains=("fox", "The", "ran"))
    made = generate_constrained(model, [()] * 40, options, constraints, child_seeds(1, 0, 40), effort=Effort((), (2,)))
    found: list[Any] = []
    with pytest.raises(ConstraintError):
        found.extend(made)
    assert 0 < len(found) < 40
