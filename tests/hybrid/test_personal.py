"""A model that has learnt: exactly the formula over any model below, and all that every model promises."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import ngramgen
from ngramgen.errors import OptionError
from ngramgen.hybrid.counts import LearntCounts
from ngramgen.hybrid.personal import PersonalModel
from ngramgen.model import BOS, EOS, UNK, State
from ngramgen.ngram.marginals import POWER, TOKENS, can_adapt, marginals
from ngramgen.sampling import SamplingOptions, generate, stream
from ngramgen.text.tokenizers import bordered
from tests.hybrid.tiny import state_of
from tests.neural.tiny import TEXT, Foreign

CLOSE = 1e-4
"""How far a log-probability of a network may move with the tokens that are read together, in float32."""
OWN = "the dog sat on the dog\nthe dog sat\nthe cat did not\na dog is on it\n"
FOREIGN = "ab\nca ab\nab\ncde ab\n"


@pytest.fixture(scope="module", params=["ngram", "unigrams", "lidstone", "network", "hybrid", "fallback", "foreign"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The models below: n-grams, a network of ours and one that has tokens for newlines, and two mixtures.

    Lidstone's rule does not mix orders, so that its words are not made as likely as in the text.
    """
    if request.param in ("ngram", "unigrams", "lidstone"):
        order = 1 if request.param == "unigrams" else 3
        smoothing = "lidstone" if request.param == "lidstone" else "modified-kneser-ney"
        return ngramgen.train(TEXT.splitlines(), order=order, smoothing=smoothing, tokenizer="whitespace").model
    folder = request.getfixturevalue("hybrid_folder")
    if request.param == "foreign":
        return ngramgen.load(Foreign().write(tmp_path_factory.mktemp("foreign"), n_positions=64)).model
    neural = {"network": "only", "hybrid": "always", "fallback": "auto"}[request.param]
    return ngramgen.load(folder, "float32", neural=neural).model


def own_text(base: Any) -> Any:
    """Words with their borders of a text of the user's."""
    return bordered(base.tokenizer, (OWN if base.tokenizer.ends_lines else FOREIGN).encode())


@pytest.fixture(scope="module")
def model(base: Any) -> PersonalModel:
    made = PersonalModel(base)
    made.learn(own_text(base))
    return made


@pytest.fixture(scope="module")
def ids(model: PersonalModel) -> Any:
    """Rows of 21 tokens: two at random, two as they were learnt, with </s> inside where a line ends with it."""
    rows = np.random.default_rng(0).integers(EOS, model.vocab_size, (4, 21))
    words = own_text(model.base)
    read = np.resize(words[words != BOS], 30)
    rows[1], rows[2] = read[:21], read[4:25]
    return rows.astype(np.int32)


def counts_of(model: PersonalModel) -> LearntCounts:
    """What the model must have counted: where no </s> ends a line, a text is one sentence."""
    words = own_text(model.base).tolist()
    counts = LearntCounts(model.vocab_size)
    counts.add(words if model.tokenizer.ends_lines else [BOS, *[word for word in words if word != BOS]])
    return counts


def factors_of(model: PersonalModel) -> Any:
    """What the words of the model below must be multiplied by, but for each row's sum, (V,)."""
    words, base = own_text(model.base), model.base
    if not hasattr(base, "table") or not can_adapt(base.table):
        return np.ones(model.vocab_size)
    counts = np.bincount(words[words > BOS], minlength=model.vocab_size)
    return (1 + counts / (TOKENS * np.maximum(marginals(base.table), 1e-12))) ** POWER


def test_a_row_is_the_formula(model: PersonalModel, ids: Any) -> None:
    """p = factor p_0 + own, by what was counted behind the last tokens of each row's sentence.

    Where there is an n-gram below, it tells how many of them it has met as a context, and if it is the model below and
    mixes its orders, p_0 is p a / Z, by how often its words were learnt.
    """
    state = state_of(model, ids[:, :7])
    rows = np.exp(model.logprobs(state).astype(np.float64))
    counts, factors, moved = counts_of(model), factors_of(model), 0.0
    met: list[Any] = [None] * len(rows)
    mixture = getattr(model.base, "hybrid", model.base)
    ngram, base_state = getattr(mixture, "ngram", mixture), getattr(state.base, "ngram", state.base)
    if hasattr(ngram, "table"):
        met = [sum(gram >= 0 for gram in row) for row in base_state.contexts.tolist()]
    base_rows = model.base.logprobs(state.base)
    for row, base, words, known_to in zip(rows, base_rows, ids[:, :7].tolist(), met, strict=True):
        expected = np.exp(base.astype(np.float64)) * factors
        expected /= expected.sum()
        factor, known, own = counts.behind([BOS if word == EOS else word for word in words], known_to)
        expected *= factor
        expected[known] += own
        assert row == pytest.approx(expected, rel=1e-4, abs=1e-12)
        moved = max(moved, float(own.sum()))
    assert moved > 0.1


def test_rows_sum_to_one(model: PersonalModel, ids: Any) -> None:
    """A float32 row of V log-probabilities for each sequence; <s> is impossible, and the others make 1."""
    for state in (model.start(), model.start(3), state_of(model, ids), state_of(model, ids[:, :2])):
        logprobs = model.logprobs(state)
        assert logprobs.shape == (state.batch, model.vocab_size)
        assert logprobs.dtype == np.float32
        assert (logprobs[:, BOS] == -np.inf).all()
        assert not np.isnan(logprobs).any()
        assert np.exp(logprobs.astype(np.float64)).sum(axis=1) == pytest.approx(1, abs=2e-5)


def test_score_is_stepping(model: PersonalModel, ids: Any) -> None:
    """Each token's score is its log-probability after those before it."""
    for row in [ids[0], ids[1], ids[2, :5], ids[3, :0]]:
        line = row[row != EOS] if hasattr(model.base, "table") else row  # to an n-gram </s> is the end
        state, expected = model.start(), []
        for token in line:
            expected.append(model.logprobs(state)[0, token])
            state = model.advance(state, np.array([[token]]))
        found = model.score(line)
        assert found.dtype == np.float64
        assert found == pytest.approx(expected, abs=CLOSE)


def test_running_text(model: PersonalModel) -> None:
    """Sentences with <s> before each have the scores of the tokens read on, and 0 at <s>."""
    words = own_text(model.base)
    found = model.score_running(words)
    assert (found[words == BOS] == 0).all()
    if hasattr(model.base, "table"):
        lines = np.split(words, np.flatnonzero(words == BOS)[1:])
        expected = np.concatenate([model.score(line[1:]) for line in lines])
    else:
        expected = model.score(words[words != BOS])
    assert found[words != BOS] == pytest.approx(expected, abs=CLOSE)
    assert len(model.score_running(words[:0])) == 0


def test_a_batch_is_its_rows(model: PersonalModel, ids: Any) -> None:
    """What stands in other rows does not matter."""
    together = model.logprobs(state_of(model, ids))
    for i in range(len(ids)):
        assert model.logprobs(state_of(model, ids[i : i + 1]))[0] == pytest.approx(together[i], abs=CLOSE)


def test_states_fork_and_rewind(model: PersonalModel, ids: Any) -> None:
    """select forks and reorders, rewind takes back, advance goes on, and no state ever changes."""
    ids = ids[:, :10]
    state = state_of(model, ids)
    assert isinstance(state, State)
    before = model.logprobs(state)
    fork = state.select(np.array([3, 0, 0]))
    assert fork.batch == 3
    assert model.logprobs(fork) == pytest.approx(before[[3, 0, 0]], abs=CLOSE)
    gone = model.advance(fork, np.array([[EOS], [3], [4]]))
    assert model.logprobs(gone.rewind(1)) == pytest.approx(before[[3, 0, 0]], abs=CLOSE)
    for back in (0, 1, 4, 10):
        shorter = ids[:, : ids.shape[1] - back]
        assert model.logprobs(state.rewind(back)) == pytest.approx(model.logprobs(state_of(model, shorter)), abs=CLOSE)
    assert np.array_equal(model.logprobs(state), before)
    for wrong in (ids.shape[1] + 1, -1):
        with pytest.raises(OptionError, match="cannot rewind"):
            state.rewind(wrong)


def test_nothing_learnt_is_the_model_below(base: Any, ids: Any) -> None:
    """So is all forgotten, and a weight of 0, to the last bit."""
    made = PersonalModel(base)
    models = [made, PersonalModel(base), PersonalModel(base, weight=0)]
    for one in models[1:]:
        one.learn(own_text(base))
    models[1].forget()
    assert models[1].learnt_tokens == 0
    words = own_text(base)
    state = state_of(base, ids)
    expected = base.logprobs(state), base.score(ids[3]), made.score_running(words)
    for one in models:
        assert np.array_equal(one.logprobs(state_of(one, ids)), expected[0])
        assert np.array_equal(one.score(ids[3]), expected[1])
        assert np.array_equal(one.score_running(words), expected[2])


def test_the_weight_mixes(base: Any, model: PersonalModel, ids: Any) -> None:
    """With W = 0.25 each probability is a quarter of the learnt one and three of the other."""
    half = PersonalModel(base)
    half.learn(own_text(base))
    half.weigh(0.25)
    state = state_of(model, ids)
    base_rows, rows = (np.exp(x.astype(np.float64)) for x in (base.logprobs(state.base), model.logprobs(state)))
    found = np.exp(half.logprobs(state_of(half, ids)).astype(np.float64))
    assert found == pytest.approx(0.75 * base_rows + 0.25 * rows, rel=1e-4, abs=1e-12)
    for wrong in (-0.1, 1.5, float("nan"), True, "much"):
        with pytest.raises(OptionError, match="weight of what was learnt"):
            half.weigh(wrong)  # type: ignore[arg-type]
        with pytest.raises(OptionError, match="weight of what was learnt"):
            PersonalModel(base, weight=wrong)  # type: ignore[arg-type]
    assert half.weight == 0.25


def test_learnt_in_pieces(base: Any, model: PersonalModel, ids: Any) -> None:
    """Line by line is at once, where a line ends with </s>."""
    if not base.tokenizer.ends_lines:
        pytest.skip("a text is one sentence")
    words, pieces = own_text(base), PersonalModel(base)
    for line in np.split(words, np.flatnonzero(words == BOS)[1:]):
        pieces.learn(line)
    assert pieces.learnt_tokens == model.learnt_tokens == len(words) - 4
    assert np.array_equal(pieces.logprobs(state_of(pieces, ids)), model.logprobs(state_of(model, ids)))


def test_answers_while_another_thread_learns(base: Any, ids: Any) -> None:
    """Rows sum to 1 all the time, and in the end they are those of all that was learnt."""
    words, learning = own_text(base), PersonalModel(base)
    lines = np.split(words, np.flatnonzero(words == BOS)[1:]) if base.tokenizer.ends_lines else [words]
    state, sums = state_of(learning, ids), []
    thread = threading.Thread(target=lambda: [learning.learn(line) for line in lines * 20])
    thread.start()
    while thread.is_alive():
        sums.append(np.exp(learning.logprobs(state).astype(np.float64)).sum(axis=1))
        learning.score_running(words)
    thread.join()
    assert np.array(sums) == pytest.approx(1, abs=2e-5)
    whole = PersonalModel(base)
    for _ in range(20):
        whole.learn(words)
    assert np.array_equal(learning.logprobs(state), whole.logprobs(state_of(whole, ids)))


def test_what_was_learnt_is_likelier(base: Any, model: PersonalModel) -> None:
    """The text itself above all."""
    words = own_text(base)
    before = PersonalModel(base).score_running(words).sum()
    assert model.score_running(words).sum() > before + 5


def test_wrong_ids_are_refused(model: PersonalModel) -> None:
    """An id outside the vocabulary is an OptionError, and nothing of its text is learnt."""
    before = model.learnt_tokens
    for wrong in (-1, model.vocab_size, 2**32):
        for call in (
            lambda wrong=wrong: model.advance(model.start(), np.array([[wrong]])),
            lambda wrong=wrong: model.score(np.array([3, wrong, 3])),
            lambda wrong=wrong: model.score_running(np.array([BOS, wrong])),
            lambda wrong=wrong: model.learn(np.array([BOS, 3, wrong])),
        ):
            with pytest.raises(OptionError, match="ids must lie in"):
                call()
    assert model.learnt_tokens == before


def test_top(model: PersonalModel, ids: Any) -> None:
    """The best tokens of the row, best first, without <unk> and <s>, and no more than there are."""
    state = state_of(model, ids[1:2, :4])
    row = model.logprobs(state)[0]
    row[[UNK, BOS]] = -np.inf
    found, logprobs = model.top(state, 3)
    assert found.tolist() == np.argsort(-row, kind="stable")[:3].tolist()
    assert logprobs == pytest.approx(row[found])
    assert sorted(model.top(state, 10**6)[0].tolist()) == list(range(EOS, model.vocab_size))


def test_what_the_model_below_has(model: PersonalModel) -> None:
    """Its sources, embedding, filter and calls are passed on; its own ways of drawing are not, nor is what it lacks."""
    base = model.base
    for name in ("sources", "embed", "copies", "tally", "score_text", "part_weights"):
        assert hasattr(model, name) == hasattr(base, name)
    for name in ("draws_exactly", "draws_truncated", "sample_sequences", "walker", "nothing"):
        assert not hasattr(model, name)
    assert model.moves_rows_slowly == getattr(base, "moves_rows_slowly", False)
    told = base.description() if hasattr(base, "description") else {}
    learnt = {"learnt_tokens": model.learnt_tokens, "learnt_weight": 1.0}
    assert model.description() == told | learnt


def texts_of(model: Any, options: SamplingOptions, count: int) -> Iterator[list[int]]:
    for one in generate(model, [np.array([3, 4])] * count, options, seed=5):
        line = np.concatenate([[3, 4], one.ids, [EOS] * (one.finish_reason == "eos")]).astype(np.int32)
        assert one.logprob == pytest.approx(model.score(line)[2:].sum(), abs=8 * CLOSE)
        yield one.ids.tolist()


@pytest.mark.parametrize("options", [{}, {"temperature": 0.7, "top_k": 4}, {"greedy": True}])
def test_texts_are_drawn_by_seed(model: PersonalModel, options: dict[str, Any]) -> None:
    """n texts are the first n of more, the stream is the first of them, and each has the score of its tokens."""
    chosen = SamplingOptions(max_new_tokens=8, **options)
    many = list(texts_of(model, chosen, 5))
    assert list(texts_of(model, chosen, 2)) == many[:2]
    assert list(stream(model, np.array([3, 4]), chosen, seed=5)) == many[0]
