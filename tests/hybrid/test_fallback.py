"""The fallback as a language model: the mixture where it is called for, the n-gram elsewhere, alone as in a batch."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ngramgen
from ngramgen.errors import ModelFormatError, OptionError
from ngramgen.hybrid.fallback import FallbackModel
from ngramgen.hybrid.model import HybridModel, with_borders
from ngramgen.loading import load
from ngramgen.model import BOS, EOS, State, Tally
from ngramgen.randomness import child_seeds
from ngramgen.sampling import SamplingOptions
from ngramgen.sampling.beams import beam_search
from ngramgen.sampling.explaining import explain
from ngramgen.sampling.sampler import generate
from ngramgen.textmodel import TextModel
from tests.hybrid.tiny import rows_of_ids, state_of
from tests.neural.tiny import TEXT

CLOSE = 1e-4
"""How far a log-probability may move with the tokens that the network reads together, in float32."""


@pytest.fixture(scope="module")
def text_model(hybrid_folder: Path) -> TextModel:
    return load(hybrid_folder, "float32", neural_budget=0.5)


@pytest.fixture(scope="module")
def model(text_model: TextModel) -> FallbackModel:
    assert isinstance(text_model.model, FallbackModel)
    return text_model.model


@pytest.fixture(scope="module")
def ids(model: FallbackModel) -> Any:
    return rows_of_ids(model)


def called_at(model: FallbackModel, row: Any) -> list[bool]:
    """The decision before each token of a row and behind the last, from the definition: place by place."""
    hybrid, gate, drift, found = model.hybrid, model.gate, 0.0, []
    for end in range(len(row) + 1):
        state = hybrid.advance(hybrid.start(), row[None, :end]) if end else hybrid.start()
        score = gate.scores(hybrid.evidence.of(state.ngram.contexts))[0]
        called, drift = gate.after(drift, score, model.budget)
        found.append(called)
    return found


def test_each_place_has_its_engine(model: FallbackModel, ids: Any) -> None:
    """The mixture's row to the last bits where the definition calls for it, exactly the n-gram's where not."""
    kinds = set()
    for row in ids:
        called = called_at(model, row)
        for end in range(len(row) + 1):
            state = model.advance(model.start(), row[None, :end]) if end else model.start()
            hybrid = model.hybrid.advance(model.hybrid.start(), row[None, :end]) if end else model.hybrid.start()
            assert state.called[0].tolist() == called[: end + 1]
            found = model.logprobs(state)
            if called[end]:
                assert found == pytest.approx(model.hybrid.logprobs(hybrid), abs=CLOSE)
            else:
                assert np.array_equal(found, model.hybrid.ngram.logprobs(hybrid.ngram))
            kinds.add(called[end])
    assert kinds == {True, False}


def test_rows_sum_to_one(model: FallbackModel, ids: Any) -> None:
    """A float32 row of V log-probabilities for each sequence."""
    for state in (model.start(), model.start(3), state_of(model, ids), state_of(model, ids[:, :2])):
        logprobs = model.logprobs(state)
        assert (logprobs.shape, logprobs.dtype) == ((state.batch, model.vocab_size), np.float32)
        assert (logprobs[:, BOS] == -np.inf).all()
        assert np.exp(logprobs.astype(np.float64)).sum(axis=1) == pytest.approx(1, abs=2e-5)


def test_score_is_stepping(model: FallbackModel, ids: Any) -> None:
    """Each token's score is its log-probability after those before it, also behind a </s> and beyond the context."""
    for row in [ids[0], ids[1], ids[2, :5], ids[3, :0]]:
        line = np.append(row, EOS)
        state, expected = model.start(), []
        for token in line:
            expected.append(model.logprobs(state)[0, token])
            state = model.advance(state, np.array([[token]]))
        assert model.score(line) == pytest.approx(expected, abs=CLOSE)
    assert len(model.score(np.array([]))) == 0


def test_in_pieces(model: FallbackModel, ids: Any) -> None:
    """However many tokens are appended at once, the same places are called for."""
    whole = state_of(model, ids)
    state = model.start(len(ids))
    for begin, end in ((0, 1), (1, 4), (4, 4), (4, 5), (5, 21)):
        state = model.advance(state, ids[:, begin:end])
    assert np.array_equal(state.called, whole.called)
    assert np.array_equal(state.drifts, whole.drifts)
    assert model.logprobs(state) == pytest.approx(model.logprobs(whole), abs=CLOSE)


def test_a_batch_is_its_rows(model: FallbackModel, ids: Any) -> None:
    """To the last bit: each row's network reads alone, when that row calls for it."""
    together = model.start(len(ids))
    alone = [model.start() for _ in ids]
    for t in range(ids.shape[1]):
        together = model.advance(together, ids[:, t : t + 1])
        alone = [model.advance(state, ids[i : i + 1, t : t + 1]) for i, state in enumerate(alone)]
        rows = np.concatenate([model.logprobs(state) for state in alone])
        assert np.array_equal(model.logprobs(together), rows)


def test_states_fork_and_rewind(model: FallbackModel, ids: Any) -> None:
    """select forks and reorders, rewind takes back, advance goes on, and no state ever changes."""
    ids = ids[:, :10]
    state = state_of(model, ids)
    assert isinstance(state, State)
    before = model.logprobs(state)
    fork = state.select(np.array([3, 0, 0]))
    assert model.logprobs(fork) == pytest.approx(before[[3, 0, 0]], abs=CLOSE)
    gone = model.advance(fork, np.array([[EOS], [3], [4]]))
    alone = model.advance(state.select(np.array([0])), np.array([[4]]))
    assert model.logprobs(gone)[2:] == pytest.approx(model.logprobs(alone), abs=CLOSE)
    for back in (0, 1, 4, 10):
        shorter = state_of(model, ids[:, : 10 - back]) if back < 10 else model.start(len(ids))
        taken = state.rewind(back)
        assert np.array_equal(taken.called, shorter.called)
        assert model.logprobs(taken) == pytest.approx(model.logprobs(shorter), abs=CLOSE)
        assert model.logprobs(model.advance(taken, ids[:, 10 - back :])) == pytest.approx(before, abs=CLOSE)
    assert model.logprobs(state) == pytest.approx(before, abs=CLOSE)
    assert state.select(np.array([], int)).batch == 0
    with pytest.raises(OptionError, match="cannot rewind"):
        state.rewind(11)


def test_one_seed_one_text_whatever_the_batch(model: FallbackModel) -> None:
    """Sixteen texts at once are those of one after the other."""
    prompt = model.tokenizer.encode("the cat").astype(np.int32)
    options = SamplingOptions(max_new_tokens=25)
    many = list(generate(model, [prompt] * 16, options, seed=5, batch_size=16))
    single = list(generate(model, [prompt] * 16, options, seed=5, batch_size=1))
    for one, other in zip(many, single, strict=True):
        assert one.ids.tolist() == other.ids.tolist()
    assert len({tuple(one.ids.tolist()) for one in many}) > 8


def test_nothing_and_everything(model: FallbackModel, ids: Any) -> None:
    """With a budget of 0 it is the n-gram, with 1 the mixture."""
    none, all_ = (FallbackModel(model.hybrid, model.gate, budget) for budget in (0.0, 1.0))
    state = state_of(none, ids)
    assert np.array_equal(none.logprobs(state), model.hybrid.ngram.logprobs(state.ngram))
    mixture = state_of(model.hybrid, ids)
    assert all_.logprobs(state_of(all_, ids)) == pytest.approx(model.hybrid.logprobs(mixture), abs=CLOSE)
    assert all_.score(ids[1]) == pytest.approx(model.hybrid.score(ids[1]), abs=1e-9)


def test_top(model: FallbackModel, ids: Any) -> None:
    """The likeliest tokens of either engine, best first."""
    for end in range(8):
        state = state_of(model, ids[1:2, :end])
        found, logprobs = model.top(state, 5)
        row = model.logprobs(state)[0]
        assert logprobs == pytest.approx(row[found], abs=CLOSE)
        assert (np.delete(row, [0, BOS, *found]) <= logprobs.min() + CLOSE).all()


def test_the_calls_are_counted(hybrid_folder: Path, ids: Any) -> None:
    """Tokens and calls, of steps and of whole texts; perplexity tells their share."""
    text_model = load(hybrid_folder, neural_budget=0.5)
    model = text_model.model
    state = state_of(model, ids)
    model.logprobs(state)
    assert model.tally == Tally(4, int(state.called[:, -1].sum()))
    found = text_model.perplexity(TEXT.splitlines() * 20)
    assert found.neural_calls == pytest.approx(0.5, abs=0.05)
    assert found.ms_per_token > 0
    assert model.tally.tokens == 4 + found.tokens
    assert load(hybrid_folder).perplexity(["the cat"]).neural_calls == 1
    assert load(hybrid_folder, neural="only").perplexity(["the cat"]).neural_calls == 1
    assert load(hybrid_folder, neural="never").perplexity(["the cat"]).neural_calls == 0


def test_a_network_that_fails(hybrid_folder: Path, ids: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The n-gram goes on, which is told once, whether a step or a whole text failed."""
    for ask in ("logprobs", "score_running"):
        told: list[str] = []
        for budget in (None, 1.0):
            text_model = load(hybrid_folder, neural_budget=budget, notify=told.append)
            model = text_model.model
            hybrid: HybridModel = model if budget is None else model.hybrid

            def failing(*_: Any) -> Any:
                raise ModelFormatError("model.onnx fails as it runs: no more memory")

            monkeypatch.setattr(hybrid.network, ask, failing)
            if ask == "score_running":
                words, own = with_borders(ids[1])
                assert np.array_equal(model.score(ids[1]), hybrid.ngram.score_text(words)[own])
            state = state_of(model, ids[1:2])
            assert np.array_equal(model.logprobs(state), hybrid.ngram.logprobs(state.ngram))
            assert str(text_model.generate("the cat", seed=1)).startswith("the cat")
            assert hybrid.tally.calls == 0
            assert model.part_weights(ids[1, :3], ids[1, 3:]).tolist() == [[0.0, 1.0, 0.0]] * 18
        assert told == ["model.onnx fails as it runs: no more memory; the n-gram goes on alone"] * 2


def test_a_failure_is_a_warning_without_anyone_to_tell(hybrid_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's own way to say something beside the answer."""
    model = load(hybrid_folder).model

    def failing(*_: Any) -> Any:
        raise ModelFormatError("it fails")

    monkeypatch.setattr(model.network, "logprobs", failing)
    with pytest.warns(RuntimeWarning, match="it fails; the n-gram goes on alone"):
        model.logprobs(model.start())


def test_explained(model: FallbackModel) -> None:
    """Each token tells the network's weight: 0 where the n-gram answered, the mixture's where it was called."""
    prompt = model.tokenizer.encode("the cat").astype(np.int32)
    options = SamplingOptions(max_new_tokens=25)
    made = next(generate(model, [prompt], options, seed=5))
    found = explain(model, prompt, made.ids, False, options, child_seeds(5, 0, 1)[0])
    called = called_at(model, np.concatenate([prompt, made.ids]))[len(prompt) : -1]
    assert [one.engine for one in found] == ["mixture" if one else "ngram" for one in called]
    assert {one.engine for one in found} == {"mixture", "ngram"}
    for one in found:
        assert one.neural_weight is not None
        assert (one.neural_weight == 0) == (one.engine == "ngram")
        assert one.source.endswith("-gram")
    mixture = explain(model.hybrid, prompt, made.ids, False, options, child_seeds(5, 0, 1)[0])
    assert [one.neural_weight for one, call in zip(mixture, called, strict=True) if call] == [
        one.neural_weight for one in found if one.neural_weight
    ]
    read = [one.cache_weight for one in mixture]
    assert any(read)
    assert read[0] == 0  # nothing came before
    assert all((one.cache_weight or 0) + (one.neural_weight or 0) < 1 for one in mixture)


def test_a_limit_on_time(hybrid_folder: Path) -> None:
    """Texts are made within it; what would tell another story afterwards, or measure, is refused in a sentence."""
    text_model = load(hybrid_folder, max_ms_per_token=1000)
    for seed in range(6):
        text_model.generate("the cat", seed=seed, min_new_tokens=60, max_new_tokens=60)
    assert text_model.model.tally.calls > 180  # so much time allows every call, as soon as both times are known
    for ask in (
        lambda: text_model.score("the cat"),
        lambda: text_model.perplexity(["the cat"]),
        lambda: list(text_model.generate_all("the cat", explained=True)),
    ):
        with pytest.raises(OptionError, match=r"max_ms_per_token is for texts .* give a neural_budget to score"):
            ask()


def test_no_probabilities_to_mix(hybrid_folder: Path, tmp_path: Path) -> None:
    """An n-gram with stupid backoff is refused beside a network."""
    folder = Path(shutil.copytree(hybrid_folder, tmp_path / "copy"))
    tokenizer = f"bpe:{folder / 'tokenizer.json'}"
    made = ngramgen.train(TEXT.splitlines(), order=3, tokenizer=tokenizer, smoothing="stupid-backoff")
    made.save(folder / "model.ngram")
    with pytest.raises(OptionError, match="no probabilities to mix; train it with another smoothing"):
        load(folder)


def test_beams(model: FallbackModel) -> None:
    """Beam search, which forks and reorders at each step, scores its beams as `score` does."""
    prompt = model.tokenizer.encode("the cat").astype(np.int32)
    best = beam_search(model, prompt, SamplingOptions(num_beams=3, max_new_tokens=8), 1)[0]
    tokens = np.append(best.ids, EOS) if best.finish_reason == "eos" else best.ids
    assert best.logprob == pytest.approx(model.score(np.concatenate([prompt, tokens]))[len(prompt) :].sum(), abs=1e-3)


def test_wrong_ids_are_refused(model: FallbackModel) -> None:
    """An id outside the vocabulary, rows that do not fit, and what is no whole number."""
    with pytest.raises(OptionError, match="ids must lie in"):
        model.advance(model.start(), np.array([[model.vocab_size]]))
    with pytest.raises(OptionError, match="ids must lie in"):
        model.score(np.array([3, -1]))
    with pytest.raises(OptionError, match="do not fit a batch of 2"):
        model.advance(model.start(2), np.array([[3]]))
    with pytest.raises(OptionError, match="must be integers"):
        model.score(np.array([1.5]))
