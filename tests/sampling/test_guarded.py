"""Exact draws under a guard: the right distribution, whatever is drawn beside them."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ngramgen
from ngramgen.model import BOS, EOS, UNK
from ngramgen.ngram.drawing import Base, BatchDrawer, contexts_after
from ngramgen.ngram.model import NgramModel, NgramState
from ngramgen.ngram.sequences import side_by_side
from ngramgen.randomness import child_seeds, uniforms
from ngramgen.sampling import guarded
from ngramgen.sampling.copying import CopyState, guard_of
from ngramgen.sampling.guarded import GuardedDrawer
from ngramgen.text.splitting import split_words
from ngramgen.textmodel import TextModel

TEXT = ["a b c d", "a b c d e", "b c d a , b", "e a b", "c c d d", ", a b , c d", "a b c"]


def drawer_of(model: NgramModel, most: int) -> GuardedDrawer:
    def logprobs(contexts: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        return model.logprobs(NgramState(model, np.zeros((len(contexts), 1), np.int32), contexts))

    drawer = BatchDrawer(model.table, Base(model.table))
    return GuardedDrawer(drawer, guard_of(model, most), logprobs, partial(contexts_after, model.table))


def starts_of(model: NgramModel, drawer: GuardedDrawer, prompts: list[np.ndarray]) -> np.ndarray:  # type: ignore[type-arg]
    words = [np.concatenate([np.array([BOS]), prompt]).astype(np.int32) for prompt in prompts]
    contexts = np.concatenate([model.context_grams(row[None, :]) for row in words])
    return drawer.starts(contexts, prompts)


@pytest.fixture(scope="module")
def tiny() -> TextModel:
    return ngramgen.train(TEXT, order=3, smoothing="witten-bell", tokenizer="whitespace", copy_filter=2)


@pytest.mark.parametrize("prompt", ["", "a", "a b", "a b c", "c d e", "c d d", "e"])
@pytest.mark.parametrize(("blocks", "draws"), [((4, 12, 48), 100_000), ((1,), 2000), ((), 1000)])
def test_the_distribution(
    prompt: str, blocks: tuple[int, ...], draws: int, tiny: TextModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Words come as often as the model has them, but for vetoed ones, which others share: by drawing again or not."""
    monkeypatch.setattr(guarded, "_BLOCKS", blocks)
    drawer, ids = drawer_of(tiny.model, 1), tiny.tokenizer.encode(prompt)
    start = starts_of(tiny.model, drawer, [ids])
    logprobs = tiny.model.logprobs(tiny.model.advance(tiny.model.start(), ids[None, :])).astype(np.float64)
    permitted = ~drawer.guard.vetoed_all(drawer.guard.start([ids]), np.arange(logprobs.shape[1]))
    permitted[[UNK, BOS]] = False
    expected = np.where(permitted, np.exp(logprobs[0]), 0)
    expected /= expected.sum()
    numbers = uniforms(child_seeds(3, 0, draws), 0)
    words, after = drawer.draw(np.repeat(start, draws, axis=0), numbers)
    found = np.bincount(words, minlength=len(expected))
    assert not found[~permitted].any()
    some = expected * draws >= 5
    assert found[~some].sum() < 30
    squares = (found[some] - expected[some] * draws) ** 2 / (expected[some] * draws)
    freedom = np.count_nonzero(some) - 1
    assert squares.sum() < freedom + 5 * np.sqrt(2 * freedom) + 1e-6
    if prompt == "a b":
        assert np.count_nonzero(permitted) < len(permitted) - 2
    for word in np.unique(words).tolist():  # what comes after is what a text with this word would begin from
        row = after[words == word][0]
        assert row.tolist() == starts_of(tiny.model, drawer, [np.append(ids, word)])[0].tolist()


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**64 - 1), rows=st.lists(st.sampled_from(["", "a b", "a b c", "c d"]), min_size=1, max_size=9)
)
def test_rows_do_not_see_one_another(seed: int, rows: list[str], tiny: TextModel) -> None:
    """A row draws the same word alone as among others."""
    drawer = drawer_of(tiny.model, 1)
    contexts = starts_of(tiny.model, drawer, [tiny.tokenizer.encode(row) for row in rows])
    numbers = uniforms(child_seeds(seed, 0, len(rows)), 0)
    words, after = drawer.draw(contexts, numbers)
    for i in range(len(rows)):
        word, alone = drawer.draw(contexts[i : i + 1], numbers[i : i + 1])
        assert word[0] == words[i]
        assert alone.tolist() == after[i : i + 1].tolist()


def test_attempts_may_be_made_in_any_blocks(tiny: TextModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first permitted attempt counts, however many are made side by side."""
    drawer = drawer_of(tiny.model, 1)
    contexts = np.repeat(starts_of(tiny.model, drawer, [tiny.tokenizer.encode("a b")]), 500, axis=0)
    numbers = uniforms(child_seeds(1, 0, 500), 0)
    expected = drawer.draw(contexts, numbers)[0].tolist()
    assert sum(guarded._BLOCKS) == guarded.ATTEMPTS
    for blocks in ((1,) * 64, (64,), (60, 4)):
        monkeypatch.setattr(guarded, "_BLOCKS", blocks)
        assert drawer.draw(contexts, numbers)[0].tolist() == expected


def test_nothing_left_is_the_end() -> None:
    """Where every word is vetoed and the end has no probability, the text ends all the same."""
    model = ngramgen.train(["a a a a a a"] * 3, order=2, tokenizer="whitespace", copy_filter=2)
    drawer = drawer_of(model.model, 1)
    start = starts_of(model.model, drawer, [model.tokenizer.encode("a")])
    drawer.logprobs = lambda contexts: np.full((len(contexts), model.model.vocab_size), -np.inf)
    drawer.drawer = _Always(int(model.tokenizer.encode("a")[0]))
    words, after = drawer.draw(start, np.array([0.5]))
    assert words.tolist() == [EOS]
    assert not CopyState(after[:, -drawer.guard.width :]).is_copied.any()


class _Always:
    """Draws one word only."""

    def __init__(self, word: int) -> None:
        self.word = word

    def draw(self, contexts: np.ndarray, uniforms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
        return np.full(len(contexts), self.word), contexts


def test_two_thousand_fables() -> None:
    """Of 2,000 texts side by side none has six words in a row that stand so in the fables; free ones have."""
    model = ngramgen.train(ngramgen.sample_text(), copy_filter=4)
    drawer = drawer_of(model.model, 5)
    lines = [model.cleaner.text(line) for line in ngramgen.sample_text().read_text("utf-8").split("\n")]
    prompts = [model.tokenizer.encode(text) for text in ("", "Once upon a time there", "The fox and the")]
    starts = starts_of(model.model, drawer, prompts)
    made = side_by_side(drawer, starts, np.arange(2000) % 3, child_seeds(1, 0, 2000), 100)
    texts = [_text(model, prompts[i % 3], ids) for i, (ids, _) in enumerate(made)]
    free = model.model.sample_sequences([prompts[i % 3] for i in range(2000)], 100, child_seeds(1, 0, 2000))
    free_texts = [_text(model, prompts[i % 3], ids) for i, (ids, _) in enumerate(free)]
    assert _stretches(texts, 5) & _stretches(lines, 5)
    assert not _stretches(texts, 6) & _stretches(lines, 6)
    assert _stretches(free_texts, 8) & _stretches(lines, 8)
    assert sum(map(len, texts)) > 0.9 * sum(map(len, free_texts))


def _text(model: TextModel, prompt: np.ndarray, ids: np.ndarray) -> str:  # type: ignore[type-arg]
    return model.tokenizer.decode(np.concatenate([prompt, ids])).removeprefix(" ")


def _stretches(texts: list[str], words: int) -> set[tuple[bytes, ...]]:
    """All stretches of so many successive words, and the marks between them, as text that is split again has them."""
    found = set()
    for text in texts:
        tokens = split_words(f"{text}\n".encode()).tokens()
        places = [i for i, token in enumerate(tokens) if any(map(str.isalnum, token.decode()))]
        found |= {tuple(tokens[i : j + 1]) for i, j in zip(places, places[words - 1 :], strict=False)}
    return found
