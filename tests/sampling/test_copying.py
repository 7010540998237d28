"""The guard against copying: what it promises, checked by plain Python, and what it vetoes, token by token."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ngramgen
from ngramgen.errors import OptionError
from ngramgen.model import EOS, UNK
from ngramgen.ngram.copies import CopyFilter
from ngramgen.sampling.copying import CopyGuard, CopyState, checked_words, guard_of
from ngramgen.text.splitting import split_words
from ngramgen.text.words import NONE, word_tokens
from ngramgen.textmodel import TextModel

KINDS = ("word", "whitespace", "char", "byte")
LINES = st.lists(st.text("ab ',東", min_size=1, max_size=14), min_size=1, max_size=5)


def trained(lines: Sequence[str], kind: str, length: int) -> TextModel:
    return ngramgen.train(list(lines), order=2, smoothing="witten-bell", tokenizer=kind, copy_filter=length)


def stretches(text: str, kind: str, words: int) -> set[str | tuple[bytes, ...]]:
    """All stretches of so many successive words of a line, with all that stands between them."""
    if kind == "word":
        tokens = split_words(f"{text}\n".encode()).tokens()
    elif kind == "whitespace":
        tokens = text.encode().split()
    else:
        found = list(re.finditer(r"\S+", text))
        ends = zip(found, found[words - 1 :], strict=False)
        return {text[first.start() : last.end()] for first, last in ends}
    places = [i for i, token in enumerate(tokens) if any(map(str.isalnum, token.decode()))]
    return {tuple(tokens[i : j + 1]) for i, j in zip(places, places[words - 1 :], strict=False)}


class Walk:
    """A text that goes on by tokens that the guard permits, with a liking for those that copy."""

    def __init__(self, model: TextModel, guard: CopyGuard, chance: random.Random) -> None:
        self.model, self.guard, self.chance = model, guard, chance
        self.every = np.arange(EOS + 1, model.model.vocab_size)

    def text(self, prompt: str, length: int) -> str:
        line = self.model.tokenizer.encode(prompt)
        ids = line.tolist()
        state = self.guard.start([line])
        for _ in range(length):
            allowed = self.every[~self.guard.vetoed_all(state, self.every)]
            if not len(allowed):
                break
            copying = allowed[self.guard.step(_repeated(state, len(allowed)), allowed)[1].is_copied]
            some = copying if len(copying) and self.chance.random() < 0.9 else allowed
            ids.append(int(self.chance.choice(some.tolist())))
            state = self.guard.advance(state, np.array(ids[-1:]))
        return self.model.tokenizer.decode(np.array(ids)).removeprefix(" ")


def _repeated(state: CopyState, count: int) -> CopyState:
    return state.select(np.zeros(count, np.int64))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(lines=LINES, length=st.integers(2, 5), more=st.integers(0, 2), seed=st.integers(0, 1 << 32))
def test_the_promise(kind: str, lines: list[str], length: int, more: int, seed: int) -> None:
    """No text has K + 1 successive words that stand so in a line, though it is written to copy all it can."""
    model = trained(lines, kind, length)
    most = more + (length - 1 if kind in ("word", "whitespace") else length // 2)
    guard = guard_of(model.model, most)
    walk = Walk(model, guard, random.Random(seed))
    cleaned = [model.cleaner.text(line) for line in lines]
    known = set().union(*(stretches(line, kind, most + 1) for line in cleaned))
    for _ in range(5):
        text = walk.text("", 15)
        assert not stretches(text, kind, most + 1) & known
    # a prompt that copies as many words as may be: a continuation does not add one to them
    for stretch in set().union(*(stretches(line, kind, most) for line in cleaned)):
        prompt = stretch if isinstance(stretch, str) else model.tokenizer.decode(_ids(model, stretch)).removeprefix(" ")
        text = walk.text(prompt, 6)
        assert not stretches(text, kind, most + 1) & known


def _ids(model: TextModel, tokens: Sequence[bytes]) -> np.ndarray:  # type: ignore[type-arg]
    every = {model.tokenizer.vocabulary.token(i): i for i in range(3, model.model.vocab_size)}
    return np.array([every[token] for token in tokens])


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(lines=LINES, length=st.integers(2, 5), more=st.integers(0, 3), data=st.data())
def test_every_way_of_asking(kind: str, lines: list[str], length: int, more: int, data: st.DataObject) -> None:
    """vetoed, vetoed_all, mask and step agree with one another and with a plain reading of the definition."""
    model = trained(lines, kind, length)
    guard = guard_of(model.model, more + (length - 1 if kind in ("word", "whitespace") else length // 2))
    size = model.model.vocab_size
    rows = data.draw(st.lists(st.lists(st.integers(0, min(size, 12) - 1), max_size=12), min_size=1, max_size=3))
    state = guard.start([np.array(row, np.int64) for row in rows])
    stepped = [guard.start([np.zeros(0, np.int64)]) for _ in rows]
    for i, row in enumerate(rows):
        for token in row:
            stepped[i] = guard.advance(stepped[i], np.array([token]))
        assert stepped[i].columns.tolist() == state.columns[i : i + 1].tolist()
    every = np.arange(size)
    logprobs = np.full((len(rows), size), -np.log(size))
    masked = guard.mask(state, logprobs)
    assert (logprobs > -np.inf).all()
    for i, row in enumerate(rows):
        one = state.select(np.array([i]))
        vetoed = guard.vetoed_all(one, every)
        assert vetoed.tolist() == [_is_vetoed(guard, [*row, token]) for token in every.tolist()]
        assert guard.vetoed(_repeated(one, size), every).tolist() == vetoed.tolist()
        assert not vetoed[: EOS + 1].any()
        assert np.isneginf(masked[i]).tolist() == vetoed.tolist()


def _is_vetoed(guard: CopyGuard, row: list[int]) -> bool:
    """Whether the last token of a row is one too many, by looking back from it."""
    copies, words = guard.copies, guard.words
    if row[-1] <= EOS:
        return False
    padded = [NONE, NONE, *row]
    if words.seams is not None and words.seams.joins(*np.array(padded[-3:])[:, None])[0]:
        return True
    runs = copies.runs(np.array(row)).tolist()
    copied = 0
    while copied < len(runs) and runs[-1 - copied]:
        copied += 1
    if not copied:
        return False
    stretch = row[len(row) - copied - copies.length + 1 :]
    flags = words.is_word.take(stretch).tolist()
    if words.runs_together:
        touched = len(re.findall("1+", "".join(str(int(flag)) for flag in flags)))
    else:
        touched = sum(flags)
    return touched > guard.most


def word_guard(sentences: list[str], length: int, most: int) -> tuple[CopyGuard, TextModel]:
    model = trained(sentences, "whitespace", length)
    return guard_of(model.model, most), model


def test_by_hand() -> None:
    """After a b c of "a b c d" there is no d with K = 3, and one with K = 4; marks do not count."""
    for text, most, expected in [
        ("a b c", 3, True),
        ("a b c", 4, False),
        ("x a b c", 3, True),
        ("a x b c", 3, False),
        ("b c", 3, False),
        ("c", 3, False),
        ("", 3, False),
    ]:
        guard, model = word_guard(["a b c d", "e x"], 3, most)
        state = guard.start([model.tokenizer.encode(text)])
        assert guard.vetoed(state, model.tokenizer.encode("d")).tolist() == [expected], (text, most)
        assert not guard.vetoed(state, model.tokenizer.encode("e"))[0]
        assert not guard.vetoed(state, np.array([EOS]))[0]
    guard, model = word_guard(["a , b - c d"], 3, 3)
    state = guard.start([model.tokenizer.encode("a , b - c")])
    assert state.words.tolist() == [3]
    assert guard.vetoed(state, model.tokenizer.encode("d"))[0]
    state = guard.start([model.tokenizer.encode(", b - c")])
    assert not guard.vetoed(state, model.tokenizer.encode("d"))[0]


def test_lines_and_unknown_words_end_runs() -> None:
    """What follows in another line is no copy, and a word that the prompt has and the model has not parts two runs."""
    guard, model = word_guard(["a b", "c d"], 2, 1)
    state = guard.start([model.tokenizer.encode("b")])
    assert not guard.vetoed(state, model.tokenizer.encode("c"))[0]
    assert guard.vetoed(guard.start([model.tokenizer.encode("c")]), model.tokenizer.encode("d"))[0]
    assert guard.start([model.tokenizer.encode("a zzz")]).columns[0, -2:].tolist() == [0, 0]


def test_a_prompt_that_copies_too_much() -> None:
    """It is not gone on with: not by a word and not by a mark; something else begins a new run."""
    guard, model = word_guard(["a b c d , e f"], 2, 2)
    state = guard.start([model.tokenizer.encode("a b c d")])
    assert (state.words.tolist(), state.is_copied.tolist()) == ([4], [True])
    assert guard.vetoed(state, model.tokenizer.encode(","))[0]
    assert not guard.vetoed(state, model.tokenizer.encode("a"))[0]
    state = guard.advance(state, model.tokenizer.encode("a"))
    assert (state.words.tolist(), state.is_copied.tolist()) == ([1], [False])


def test_characters_count_the_words_they_touch() -> None:
    """ "ab cd ef" with K = 2 and runs of 3: after "ab cd" a space may come, but not the "e" of a third word."""
    model = trained(["ab cd ef"], "char", 3)
    guard = guard_of(model.model, 2)
    state = guard.start([model.tokenizer.encode("ab cd")])
    assert not guard.vetoed(state, model.tokenizer.encode(" "))[0]
    state = guard.advance(state, model.tokenizer.encode(" "))
    assert guard.vetoed(state, model.tokenizer.encode("e"))[0]
    assert not guard.vetoed(state, model.tokenizer.encode("f"))[0]


def test_words_that_grow_together() -> None:
    """The tokens x bar|foo y z copy no two words, the text "x barfoo y z" copies four: so foo may not follow bar."""
    lines = ["(foo) is here", "the bar", "x barfoo y z"]
    model = trained(lines, "word", 2)
    ids = _ids(model, [b" x", b" bar", b"foo", b" y", b" z"])
    assert model.tokenizer.decode(ids) == " x barfoo y z"
    words = word_tokens(model.tokenizer)
    copies = model.model.copies
    assert isinstance(copies, CopyFilter)
    for seams, expected in [(words.seams, [2]), (None, [])]:
        guard = CopyGuard(copies, replace(words, seams=seams), 3)
        states = [guard.start([ids[:length]]) for length in range(len(ids))]
        assert [i for i, state in enumerate(states) if guard.vetoed(state, ids[i : i + 1])[0]] == expected
        masked = guard.mask(states[2], np.zeros((1, model.model.vocab_size)))
        assert np.isneginf(masked[0, ids[2]]) == bool(expected)


def test_a_row_without_a_word_left() -> None:
    """Where every word is vetoed, and where nothing was possible before, </s> is, whatever its probability."""
    guard, model = word_guard(["a b"], 2, 1)
    state = guard.start([model.tokenizer.encode("a")] * 3)
    logprobs = np.full((3, model.model.vocab_size), -np.inf)
    b = int(model.tokenizer.encode("b")[0])
    logprobs[0, b] = 0
    logprobs[1, [UNK, b]] = -1
    logprobs[2, [b, EOS]] = -1
    masked = guard.mask(state, logprobs)
    assert masked[:, EOS].tolist() == [0, 0, -1]
    assert np.isneginf(masked[:, b]).all()


def test_rows_are_selected() -> None:
    """Rows can be forked, reordered and left out; no prompts make a state of none."""
    guard, model = word_guard(["a b c", "c d"], 3, 2)
    prompts = [model.tokenizer.encode(text) for text in ("a b", "", "c d")]
    state = guard.start(prompts)
    assert (
        state.select(np.array([2, 0, 0])).columns.tolist()
        == guard.start([prompts[i] for i in (2, 0, 0)]).columns.tolist()
    )
    none = guard.start([])
    assert (none.batch, none.columns.shape) == (0, (0, guard.width))
    assert guard.vetoed(none, np.zeros(0, np.int64)).tolist() == []
    assert guard.mask(none, np.zeros((0, model.model.vocab_size))).shape == (0, model.model.vocab_size)
    assert state.select(np.array([], np.int64)).batch == 0


@pytest.mark.parametrize(
    ("length", "together", "least"),
    [(2, False, 1), (6, False, 5), (64, False, 63), (2, True, 1), (3, True, 1), (6, True, 3)],
)
def test_which_numbers_can_be_promised(length: int, together: bool, least: int) -> None:
    """K + 1 words take K + 1 tokens, or 2 K + 1 characters; fewer than a run has cannot be seen."""
    assert checked_words(least, length, together) == least
    assert checked_words(10**9, length, together) == 10**9
    for few in range(1, least):
        with pytest.raises(OptionError, match=rf"runs of {length} tokens, with which {least} or more") as caught:
            checked_words(few, length, together)
        other = int(re.findall(r"--copy-filter (\d+)", str(caught.value))[0])
        assert checked_words(few, other, together) == few
        if not (together and other == 64):
            with pytest.raises(OptionError):
                checked_words(few, other + 1, together)


@pytest.mark.parametrize("value", [0, -1, True, 5.0, "5", float("nan")])
def test_wrong_numbers(value: object) -> None:
    """A number of words is an integer of 1 or more."""
    with pytest.raises(OptionError, match=r"^max_copied_words is .*, but must be an integer of 1 or more\.$"):
        checked_words(value, 2, False)


def test_a_model_without_a_filter() -> None:
    """It is told how to be trained."""
    with pytest.raises(OptionError, match="copy_filter=6 in Python"):
        guard_of(ngramgen.train(["a b"], order=2).model, 5)


def test_mistaken_runs_only_make_it_stricter() -> None:
    """A filter that takes every run for a copy leaves K words between breaks, and never fewer than a run can have."""
    model = trained(["a b c d"], "whitespace", 3)
    full = CopyFilter(3, np.full((1, 8), 2**64 - 1, np.uint64))
    guard = CopyGuard(full, word_tokens(model.tokenizer), 4)
    text = Walk(model, guard, random.Random(1)).text("", 10)
    assert len(text.split()) == 4
