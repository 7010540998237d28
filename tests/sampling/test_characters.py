"""No broken characters: whatever tokens a model has, and whatever the options, its texts are whole characters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ngramgen
from ngramgen.model import EOS
from ngramgen.sampling import (
    SamplingOptions,
    child_seeds,
    direct,
    generate,
    sampler,
    stepping,
    stream,
    stream_text,
)
from ngramgen.sampling.beams import beam_search
from ngramgen.sampling.characters import CharacterGuard
from ngramgen.sampling.explaining import explain
from ngramgen.textmodel import TextModel
from tests.neural.huggingface_models import byte_fallback_tokenizer, byte_level_tokenizer

Toy = Callable[..., Any]

# many characters that share their first bytes, and few occurrences of each: an n-gram that backs off breaks them
LINES = [
    "明月出天山，蒼茫雲海間。",
    "長風幾萬里，吹度玉門關。",
    "漢下白登道，胡窺青海灣。",
    "由來征戰地，不見有人還。",
] * 2
PIECES = [
    b"a",
    b"b",
    "é".encode(),
    b"\xc3",
    b"\xa9",
    b"\xe2",
    b"\x82",
    b"\xac",
    b"\xf0\x9f",
    b"\x98",
    b"\x80\xe2",
    b"\xff",
]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"temperature": 0.8, "top_p": 0.95},
    {"top_k": 5},
    {"top_k": 3, "temperature": 1.5},
    {"min_p": 0.05},
    {"greedy": True},
    {"greedy": True, "repetition_penalty": 2.0},
    {"mirostat": 2, "mirostat_tau": 8.0},
    {"min_new_tokens": 2},
    {"xtc_probability": 0.9, "xtc_threshold": 0.01},
    {"end_sentence": True},
    {"stop": ("月", "b")},
    {"max_time": 1000.0},
    {"suppress_tokens": (4, 9)},
]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("bpe:280", marks=pytest.mark.skipif(find_spec("tokenizers") is None, reason="needs tokenizers")),
        "byte",
    ],
)
def model(request: pytest.FixtureRequest) -> TextModel:
    return ngramgen.train(LINES, order=3, tokenizer=request.param)


@pytest.fixture(scope="module")
def filtered() -> TextModel:
    return ngramgen.train(LINES, order=3, tokenizer="byte", copy_filter=9)


def _is_whole(tokenizer: Any, prompt: list[int], ids: Any) -> bool:
    """By the bytes themselves."""
    data, offsets = tokenizer.token_bytes()
    row = [*prompt, *np.asarray(ids).tolist()]
    try:
        b"".join(data[int(offsets[i]) : int(offsets[i + 1])].tobytes() for i in row).decode()
    except UnicodeDecodeError:
        return False
    return True


def test_free_texts_are_broken(model: TextModel) -> None:
    """Without the guard the engine's own draws break characters: these tests can fail."""
    made = model.model.sample_sequences([np.zeros(0, np.int32)] * 50, 40, child_seeds(1, 0, 50))
    assert sum(not _is_whole(model.tokenizer, [], ids) for ids, _ in made) > 10


@pytest.mark.parametrize("options", OPTIONS)
def test_whole_whatever_the_options(options: dict[str, Any], model: TextModel) -> None:
    """Many texts or one, whole or streamed, they are the same, and whole characters."""
    _check(model, options)


@pytest.mark.parametrize("options", [{}, {"top_k": 5}, {"temperature": 0.9}, {"greedy": True}])
def test_whole_and_no_copies(options: dict[str, Any], filtered: TextModel) -> None:
    """Under both guards it is the same."""
    _check(filtered, {"max_copied_words": 4, **options})


def _check(model: TextModel, options: dict[str, Any]) -> None:
    prompt = model.tokenizer.encode("明")
    for most in (2, 3, 14):
        chosen = SamplingOptions(max_new_tokens=most, **options)
        many = list(generate(model.model, [prompt] * 60, chosen, seed=5))
        for i, one in enumerate(many):
            assert _is_whole(model.tokenizer, [], one.ids[: None if one.text_end is None else 0])
            assert len(one.ids) <= most
            if i % 20 == 0:
                alone = next(generate(model.model, [prompt], chosen, seed=5, first_index=i))
                assert (alone.ids.tolist(), alone.finish_reason) == (one.ids.tolist(), one.finish_reason)
                assert alone.logprob == pytest.approx(one.logprob, abs=1e-4)
                assert list(stream(model.model, prompt, chosen, seed=5, index=i)) == one.ids.tolist()
                text = model.tokenizer.decode(one.ids)[: one.text_end]
                assert "".join(stream_text(model.model, prompt, chosen, seed=5, index=i)) == text
                assert "\ufffd" not in text


@pytest.mark.parametrize("options", OPTIONS)
def test_logprobs_are_the_models_own(options: dict[str, Any], model: TextModel) -> None:
    """Of the tokens that are left, and of </s> where it came, whatever was vetoed."""
    prompt = model.tokenizer.encode("明")
    for one in generate(model.model, [prompt] * 8, SamplingOptions(max_new_tokens=7, **options), seed=2):
        ids = np.concatenate([prompt, one.ids, [EOS] * (one.finish_reason == "eos")]).astype(np.int32)
        assert one.logprob == pytest.approx(float(model.model.score(ids)[len(prompt) :].sum()), abs=1e-4)


@pytest.mark.parametrize("options", [{}, {"top_k": 5}, {"temperature": 1.2}])
def test_a_text_that_breaks_nothing_is_as_it_was(
    options: dict[str, Any], model: TextModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guard changes nothing before the first token that it vetoes."""
    chosen, prompts = SamplingOptions(max_new_tokens=12, **options), [np.zeros(0, np.int32)] * 400
    found = [one.ids.tolist() for one in generate(model.model, prompts, chosen, seed=3)]
    for module in (direct, sampler, stepping):
        monkeypatch.setattr(module, "CharacterGuard", _NoGuard)
    free = [one.ids.tolist() for one in generate(model.model, prompts, chosen, seed=3)]
    whole = [i for i, ids in enumerate(free) if _is_whole(model.tokenizer, [], ids)]
    assert 4 < len(whole) < 400
    assert [found[i] for i in whole] == [free[i] for i in whole]


class _NoGuard:
    @staticmethod
    def of(tokenizer: Any) -> None:
        return None


def test_no_guard_where_tokens_are_characters(toy: Toy) -> None:
    """Words, characters, and whatever else is never a part of a character."""
    for tokenizer in ("word", "whitespace", "char"):
        assert CharacterGuard.of(ngramgen.train(LINES, order=2, tokenizer=tokenizer).tokenizer) is None
    assert CharacterGuard.of(toy(["明".encode(), b"a"]).tokenizer) is None
    assert CharacterGuard.of(toy([b"\xe6", b"a"], b" ").tokenizer) is None
    assert CharacterGuard.of(toy([b"\xe6", b"a"]).tokenizer) is not None


@pytest.mark.skipif(find_spec("tokenizers") is None, reason="needs tokenizers")
@pytest.mark.parametrize("made", [lambda: byte_level_tokenizer(280), lambda: byte_fallback_tokenizer(320)])
def test_foreign_tokenizers(made: Callable[[], str], tmp_path: Path) -> None:
    """Another program's bytes are guarded, too: by level, as GPT-2's, or as a way to fall back on, as Llama's."""
    (tmp_path / "tokenizer.json").write_text(made(), encoding="utf-8")
    foreign = ngramgen.train(LINES, order=3, tokenizer=f"bpe:{tmp_path / 'tokenizer.json'}")
    prompts = [np.zeros(0, np.int32)] * 60
    free = foreign.model.sample_sequences(prompts, 40, child_seeds(1, 0, 60))
    assert not all(_is_whole(foreign.tokenizer, [], ids) for ids, _ in free)
    for options in OPTIONS[:4]:
        texts = foreign.generate("", n=60, seed=1, max_new_tokens=40, **options)
        assert not any("\ufffd" in text for text in texts)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 1000),
    pieces=st.lists(st.sampled_from(PIECES), min_size=2, unique=True),
    options=st.sampled_from(OPTIONS[:9]),
)
def test_any_tokens(seed: int, pieces: list[bytes], options: dict[str, Any], toy: Toy) -> None:
    """Whole characters, even of a vocabulary in which some can be begun and never be ended."""
    model = toy(pieces, seed=seed)
    for one in generate(model, [[]] * 4, SamplingOptions(max_new_tokens=6, **options), seed=seed):
        assert _is_whole(model.tokenizer, [], one.ids)
    found = beam_search(model, [], SamplingOptions(max_new_tokens=4, num_beams=3), 3)
    assert found
    assert all(_is_whole(model.tokenizer, [], one.ids) for one in found)
    assert len({tuple(one.ids.tolist()) for one in found}) == len(found)


def test_a_prompt_that_ends_inside_a_character(toy: Toy) -> None:
    """Its bytes decide what may come first: b"\\xe2" and "€"[1:], but no b"a"."""
    pieces = [b"a", b"\xe2", b"\x82", b"\xac", b"\xff"]
    model = toy(pieces)
    guard = CharacterGuard.of(model.tokenizer)
    assert guard is not None
    for prompt, expected in (([], [3, 4]), ([3], [3, 4]), ([4], [5, 6]), ([3, 4, 5], [5, 6]), ([4, 5, 6], [3, 4])):
        permitted = np.flatnonzero(~guard.vetoed(guard.start([np.array(prompt, np.int32)]))[0])
        assert [i for i in permitted.tolist() if i > EOS] == expected
        assert (EOS in permitted) == (expected == [3, 4])
    for one in generate(model, [[4, 5]] * 20, SamplingOptions(max_new_tokens=5), seed=1):
        assert _is_whole(model.tokenizer, [4, 5], one.ids) or not len(one.ids)


def test_the_cut_character_is_left_out(toy: Toy) -> None:
    """By hand: always "a", then the three bytes of "€"; after 3 tokens 1 is left, after 4 all are."""
    probs = np.zeros((7, 7))
    probs[[0, 1, 2, 3, 4, 5, 6], [3, 3, 3, 4, 5, 6, 3]] = 1
    model = toy([b"a", b"\xe2", b"\x82", b"\xac"], probs=probs)
    for most, expected in ((1, [3]), (2, [3]), (3, [3]), (4, [3, 4, 5, 6]), (5, [3, 4, 5, 6, 3]), (6, [3, 4, 5, 6, 3])):
        options = SamplingOptions(max_new_tokens=most)
        one = next(generate(model, [[]], options, seed=1))
        assert (one.ids.tolist(), one.finish_reason, one.logprob) == (expected, "length", 0.0)
        assert list(stream(model, [], options, seed=1)) == expected
        [best] = beam_search(model, [], replace(options, num_beams=2))
        assert (best.ids.tolist(), best.finish_reason, best.logprob) == (expected, "length", 0.0)


def test_beams(model: TextModel) -> None:
    """Whole characters, and no continuation twice, though they are cut."""
    prompt = model.tokenizer.encode("明")
    for most in range(1, 12):
        found = beam_search(model.model, prompt, SamplingOptions(max_new_tokens=most, num_beams=4), 4)
        assert found
        assert all(_is_whole(model.tokenizer, [], one.ids) for one in found)
        assert len({one.ids.tobytes() for one in found}) == len(found)


def test_a_redraw_follows_the_distribution(toy: Toy) -> None:
    """By hand: of a 1/2, b 1/4 and a stray byte 1/4 the text has 2/3 and 1/3; counts are within four deviations."""
    probs = np.tile([0, 0, 0, 0.5, 0.25, 0.25], (6, 1))
    made = list(
        generate(toy([b"a", b"b", b"\x80"], probs=probs), [[]] * 3000, SamplingOptions(max_new_tokens=1), seed=1)
    )
    counts = np.bincount([int(one.ids[0]) for one in made], minlength=6).tolist()
    assert counts[5] == 0
    assert abs(counts[3] - 2000) < 4 * np.sqrt(3000 * 2 / 9)


def test_explanations(model: TextModel) -> None:
    """A token counts among those that were permitted, so that what mirostat did is found again."""
    prompt, child = model.tokenizer.encode("明"), child_seeds(4, 0, 1)[0]
    for options in (SamplingOptions(max_new_tokens=30), SamplingOptions(max_new_tokens=30, mirostat=2)):
        one = next(generate(model.model, [prompt], options, seed=4))
        found = explain(model.model, prompt, one.ids, one.finish_reason == "eos", options, child)
        assert all(0 < token.probability_kept <= 1 + 1e-9 for token in found)
        assert sum(token.logprob for token in found) == pytest.approx(one.logprob, abs=1e-4)


@pytest.mark.parametrize("asked", [{"contains": "月"}, {"ends_with": "。"}, {"regex": ".{3,9}"}, {"min_chars": 5}])
def test_constraints(asked: dict[str, Any], model: TextModel) -> None:
    """Texts that meet constraints are whole characters, too."""
    texts = model.generate("", n=6, seed=1, max_new_tokens=60, **asked)
    assert not any("\ufffd" in text for text in texts)
