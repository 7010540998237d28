"""What every network promises as a language model, in each form that it is run in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ngramgen.errors import OptionError
from ngramgen.loading import load
from ngramgen.model import BOS, EOS, UNK, State
from ngramgen.textmodel import TextModel
from tests.neural.tiny import TEXT, Foreign

EXACT, ROUNDED = 1e-4, 0.01
"""How far a log-probability may move with the tokens that are read together: in int8 a sum that differs in its last bit
may be rounded to the next of 255 steps."""
KINDS = {"float32": EXACT, "int8": ROUNDED, "foreign": EXACT, "foreign-without-places": EXACT, "float16": 0.02}


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def text_model(kind: str, own_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> TextModel:
    if kind in ("float32", "int8"):
        return load(own_folder, kind)
    folder = tmp_path_factory.mktemp("foreign")
    element = "FLOAT16" if kind == "float16" else "FLOAT"
    return load(Foreign(element, position_ids=kind != "foreign-without-places").write(folder))


@pytest.fixture(scope="module")
def model(text_model: TextModel) -> Any:
    return text_model.model


@pytest.fixture(scope="module")
def close(kind: str) -> Callable[[Any, Any], bool]:
    """Whether two arrays of log-probabilities agree; what is impossible is so in both."""

    def agree(one: Any, other: Any) -> bool:
        one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
        possible = np.isfinite(one)
        assert one.shape == other.shape
        return np.array_equal(possible, np.isfinite(other)) and bool(
            (np.abs(one[possible] - other[possible]) <= KINDS[kind]).all()
        )

    return agree


@pytest.fixture(scope="module")
def ids(model: Any) -> Any:
    """Rows of 21 tokens, more than either context."""
    rows = np.random.default_rng(0).integers(EOS, model.vocab_size, (4, 21))
    rows[0, 3] = UNK
    return rows.astype(np.int32)


def state_of(model: Any, rows: Any) -> Any:
    return model.advance(model.start(len(rows)), np.array(rows))


def test_rows_sum_to_one(model: Any, ids: Any) -> None:
    """A float32 row of V log-probabilities for each sequence; <s> and <unk> are impossible, and the others make 1."""
    for state in (model.start(), model.start(3), state_of(model, ids), state_of(model, ids[:, :2])):
        logprobs = model.logprobs(state)
        assert logprobs.shape == (state.batch, model.vocab_size)
        assert logprobs.dtype == np.float32
        assert (logprobs[:, [UNK, BOS]] == -np.inf).all()
        assert np.isfinite(logprobs[:, EOS:]).all()
        assert np.exp(logprobs.astype(np.float64)).sum(axis=1) == pytest.approx(1, abs=2e-5)


def test_score_is_stepping(model: Any, ids: Any, close: Any) -> None:
    """Each token's score is its log-probability after those before it, in texts beyond the context too."""
    for row in [ids[1], ids[2, :5], ids[3, :0]]:
        line = np.append(row, EOS)
        state, expected = model.start(), []
        for token in line:
            expected.append(model.logprobs(state)[0, token])
            state = model.advance(state, np.array([[token]]))
        found = model.score(line)
        assert found.dtype == np.float64
        assert close(found, expected)


def test_reading_in_pieces(model: Any, ids: Any, close: Any) -> None:
    """How the tokens were split into calls does not matter."""
    expected = model.logprobs(state_of(model, ids))
    for cuts in ([3, 4, 12, 15], [20], [8, 16], [1]):
        state, begin = model.start(len(ids)), 0
        for end in [*cuts, ids.shape[1]]:
            state = model.advance(state, ids[:, begin:end])
            begin, found = end, model.logprobs(state)
        assert close(found, expected)


def test_along_is_stepping(model: Any, ids: Any, close: Any) -> None:
    """Several tokens in one call give what follows each, also where the window moves on between them."""
    for begin, length in [(0, 0), (0, 5), (3, 4), (5, 12), (14, 5)]:
        state = state_of(model, ids[:, :begin])
        for asked in (False, True):
            if asked:
                model.logprobs(state)
            found = model.logprobs_along(state, ids[:, begin : begin + length])
            assert found.shape == (len(ids), length + 1, model.vocab_size)
            for place in range(length + 1):
                expected = model.logprobs(state_of(model, ids[:, : begin + place]))
                assert close(found[:, place], expected)


def test_a_batch_is_its_rows(model: Any, ids: Any, close: Any) -> None:
    """What stands in other rows does not matter."""
    for length in (4, ids.shape[1]):
        together = model.logprobs(state_of(model, ids[:, :length]))
        for i in range(len(ids)):
            assert close(model.logprobs(state_of(model, ids[i : i + 1, :length]))[0], together[i])


def test_states_fork_and_rewind(model: Any, ids: Any, close: Any) -> None:
    """select forks and reorders, rewind takes back, advance goes on, and no state ever changes."""
    ids = ids[:, :10]
    state = state_of(model, ids)
    assert isinstance(state, State)
    before = model.logprobs(state)
    assert np.array_equal(model.logprobs(state), before)
    fork = state.select(np.array([3, 0, 0]))
    assert close(model.logprobs(fork), before[[3, 0, 0]])
    gone = model.advance(fork, np.array([[EOS], [3], [4]]))
    alone = model.advance(state.select(np.array([0])), np.array([[4]]))
    assert close(model.logprobs(gone)[2:], model.logprobs(alone))
    assert close(model.logprobs(gone.rewind(1)), before[[3, 0, 0]])
    for back in range(ids.shape[1] + 1):
        shorter = ids[:, : ids.shape[1] - back]
        expected = model.logprobs(model.advance(model.start(len(ids)), shorter))
        assert close(model.logprobs(state.rewind(back)), expected)
        again = model.advance(state.rewind(back), ids[:, ids.shape[1] - back :])
        assert close(model.logprobs(again), before)
    assert close(model.logprobs(state), before)
    for wrong in (ids.shape[1] + 1, -1):
        with pytest.raises(OptionError, match="cannot rewind"):
            state.rewind(wrong)


def test_a_fork_of_forks(model: Any, ids: Any, close: Any) -> None:
    """Rows taken twice before anything was asked, or after the source has gone another way, are those rows."""
    state = state_of(model, ids[:, :6])
    model.logprobs(state)
    twice = state.select(np.array([3, 2, 1])).select(np.array([2, 0, 0]))
    model.logprobs(model.advance(state.rewind(4), ids[:, 10:15]))  # what the source had read is overwritten
    expected = model.logprobs(state_of(model, ids[[1, 3, 3], :6]))
    assert close(model.logprobs(twice), expected)
    assert model.logprobs(state.select(np.zeros(0, np.int64))).shape == (0, model.vocab_size)
    mask = np.array([False, True, False, False])
    assert close(model.logprobs(state.select(mask)), model.logprobs(state)[mask])


def test_a_fork_of_what_was_before(model: Any, ids: Any, close: Any) -> None:
    """Rows are taken of a state that the others have gone on from."""
    state = state_of(model, ids[:, :6])
    expected = model.logprobs(state)
    after = model.advance(state, ids[:, 6:7])
    model.logprobs(after)
    assert close(model.logprobs(state.select(np.array([2, 1]))), expected[[2, 1]])
    assert close(model.logprobs(after.rewind(1).select(np.array([3, 3]))), expected[[3, 3]])


def test_the_answer_is_the_callers(model: Any, ids: Any) -> None:
    """Who writes into an array that was given changes no later answer."""
    state = state_of(model, ids[:, :3])
    first = model.logprobs(state)
    kept = first.copy()
    first[:] = 0
    assert np.array_equal(model.logprobs(state), kept)
    along = model.logprobs_along(state, ids[:, 3:4])
    assert np.array_equal(along[:, 0], kept)


def test_wrong_ids_are_refused(model: Any) -> None:
    """An id outside the vocabulary is an OptionError, not another word; so are rows that do not fit."""
    for wrong in (-1, model.vocab_size, 2**32):
        with pytest.raises(OptionError, match="ids must lie in"):
            model.advance(model.start(), np.array([[wrong]]))
        with pytest.raises(OptionError, match="ids must lie in"):
            model.score(np.array([wrong]))
    with pytest.raises(OptionError, match="do not fit a batch of 2"):
        model.advance(model.start(2), np.array([[3]]))
    with pytest.raises(OptionError, match="must be integers"):
        model.advance(model.start(), np.array([[3.0]]))


def test_top(model: Any, ids: Any) -> None:
    """The best tokens of the row, best first, and no more than can come."""
    state = state_of(model, ids[:1, :4])
    row = model.logprobs(state)[0]
    found, logprobs = model.top(state, 3)
    assert found.tolist() == np.argsort(-row, kind="stable")[:3].tolist()
    assert logprobs == pytest.approx(row[found])
    assert sorted(model.top(state, 10**6)[0].tolist()) == list(range(EOS, model.vocab_size))


def test_running_text(model: Any, ids: Any, close: Any) -> None:
    """score_running reads sentences as one text: each <s> gives 0, and what follows it sees the text before."""
    words = np.concatenate([[BOS], ids[1, :5], [EOS, BOS], ids[2, :14], [EOS]])
    found = model.score_running(words)
    read = words != BOS
    assert (found[~read] == 0).all()
    assert close(found[read], model.score(words[read]))
    assert len(model.score_running(words[:0])) == 0


def test_texts(text_model: TextModel) -> None:
    """Text goes in and comes out: the prompt goes on the same way by the same seed, alone, streamed or among others."""
    prompt = "a cab"
    many = text_model.generate(prompt, n=3, seed=9, max_new_tokens=8)
    assert all(text.startswith(prompt) for text in many)
    pieces = text_model.stream(prompt, seed=9, max_new_tokens=8)
    assert prompt + "".join(pieces) == text_model.generate(prompt, seed=9, max_new_tokens=8)
    for made in text_model.generate_all(prompt, n=2, seed=9, num_beams=3, max_new_tokens=5):
        assert made.text.startswith(prompt)
    assert len(text_model.next(prompt, k=3)) == 3
    assert text_model.score(prompt) < 0


def test_perplexity(text_model: TextModel, kind: str) -> None:
    """The bits per byte of a text are those of its tokens' scores."""
    text = TEXT if kind in ("float32", "int8") else "ab cab\ndead bead\n"
    lines = text.splitlines()
    found = text_model.perplexity(lines)
    ids = text_model.tokenizer.encode(text)
    assert found.tokens == len(ids)
    bits = -text_model.model.score(ids).sum() / np.log(2)
    assert found.bits_per_byte == pytest.approx(bits / len(text.encode()), rel=1e-6)
