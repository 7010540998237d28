"""What every model promises, whatever it is: one body of tests over every kind of model there is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ngramgen
from ngramgen.errors import OptionError
from ngramgen.model import BOS, EOS, UNK, State
from ngramgen.ngram.smoothing import METHODS
from ngramgen.textmodel import TextModel

LINES = [
    "the cat sat on the mat",
    "the dog sat on the cat, and the cat did not like it",
    "",
    "a cat is a cat is a cat",
    "it's the naïve café: 日本語!",
    "the end",
    "the end",
    "mat",
]
TEXTS = ["the cat sat", "", "a dog did not", "the zebra is a cat 本", "mat mat mat mat mat mat mat mat mat mat"]
WITHOUT_ARPA = ("lidstone", "laplace")


@dataclass(frozen=True)
class Kind:
    """How a model is made: options of train, and the form it is loaded from again."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    suffix: str | None = None


def kinds() -> list[Kind]:
    whitespace = {"tokenizer": "whitespace"}
    made = [
        Kind(f"{name}-{order}", {**whitespace, "smoothing": name, "order": order})
        for name in METHODS
        for order in (1, 3)
    ]
    made += [Kind(f"order-{order}", {**whitespace, "order": order}) for order in range(1, 9)]
    made += [Kind(f"tokenizer-{kind}", {"tokenizer": kind, "order": 4}) for kind in ("word", "char", "byte")]
    made += [Kind("tokenizer-bpe", {"tokenizer": "bpe:300", "order": 4})]
    made += [Kind("tokenizer-nltk", {"tokenizer": "nltk:TreebankWordTokenizer", "order": 3})]
    made += [
        Kind(f"pruned-{name}", {**whitespace, "smoothing": name, "order": 4, "prune": (0, 0, 1)}) for name in METHODS
    ]
    made += [Kind("pruned-empty", {**whitespace, "order": 4, "prune": (0, 0, 99)})]
    made += [Kind("pruned-bigrams", {**whitespace, "order": 3, "prune": (0, 99)})]
    made += [Kind(f"limited-{size}", {**whitespace, "order": 3, "vocab_size": size}) for size in (1, 4)]
    made += [Kind("limited-pruned", {"order": 4, "vocab_min_count": 2, "prune": (0, 1)})]
    made += [Kind("no-interpolated-unigrams", {**whitespace, "order": 3, "interpolate_unigrams": False})]
    loaded = [Kind(f"{kind.name}.ngram", kind.options, ".ngram") for kind in made]
    holds = [k for k in made if k.options.get("smoothing") not in WITHOUT_ARPA]
    holds = [k for k in holds if k.options.get("tokenizer") not in ("byte", "bpe:300")]
    loaded += [Kind(f"{kind.name}.arpa", kind.options, ".arpa") for kind in holds]
    return made + loaded + [Kind("order-5.arpa.gz", {**whitespace, "order": 5}, ".arpa.gz")]


@pytest.fixture(scope="module", params=kinds(), ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    if found.options.get("tokenizer", "").startswith("nltk"):
        pytest.importorskip("nltk")
    if found.options.get("tokenizer", "").startswith("bpe"):
        pytest.importorskip("tokenizers")
    return found


@pytest.fixture(scope="module")
def trained(kind: Kind) -> TextModel:
    return ngramgen.train(LINES, **kind.options)


@pytest.fixture(scope="module")
def text_model(kind: Kind, trained: TextModel, tmp_path_factory: pytest.TempPathFactory) -> TextModel:
    if kind.suffix is None:
        return trained
    path = tmp_path_factory.mktemp("models") / f"model{kind.suffix}"
    trained.save(path)
    return ngramgen.load(path)


@pytest.fixture(scope="module")
def model(text_model: TextModel) -> Any:
    return text_model.model


@pytest.fixture(scope="module")
def ids(model: Any) -> np.ndarray:  # type: ignore[type-arg]
    """Rows of six tokens, known and unknown ones, some that follow each other in the corpus and some that don't."""
    rng = np.random.default_rng(0)
    rows = rng.integers(0, model.vocab_size, (6, 6))
    rows[rows == BOS] = UNK
    text = [w for line in LINES for w in model.tokenizer.encode(line).tolist()]
    rows[0] = text[:6]
    rows[1] = text[6:12]
    rows[2, 2:] = text[2:6]
    return rows.astype(np.int32)


def state_of(model: Any, rows: Any) -> Any:
    return model.advance(model.start(len(rows)), np.array(rows))


def test_rows_sum_to_one(model: Any, ids: Any) -> None:
    """A float32 row of V log-probabilities for each sequence; <s> is impossible, and the others make 1."""
    for state in (model.start(), model.start(3), state_of(model, ids), state_of(model, ids[:, :2])):
        logprobs = model.logprobs(state)
        assert logprobs.shape == (state.batch, model.vocab_size)
        assert logprobs.dtype == np.float32
        assert (logprobs[:, BOS] == -np.inf).all()
        assert not np.isnan(logprobs).any()
        if model.table.normalised:
            assert np.exp(logprobs.astype(np.float64)).sum(axis=1) == pytest.approx(1, abs=2e-5)


def test_only_stupid_backoff_is_not_normalised(kind: Kind, model: Any) -> None:
    """It says so; every other model is."""
    assert model.table.normalised == (kind.options.get("smoothing") != "stupid-backoff")


def test_score_is_stepping(model: Any, ids: Any) -> None:
    """Each token's score is its log-probability after those before it."""
    for row in [*ids, ids[0][:0], *map(model.tokenizer.encode, TEXTS)]:
        line = np.append(row, EOS)
        state, expected = model.start(), []
        for token in line:
            expected.append(model.logprobs(state)[0, token])
            state = model.advance(state, np.array([[token]]))
        found = model.score(line)
        assert found.shape == line.shape
        assert found.dtype == np.float64
        assert found == pytest.approx(expected, rel=1e-5, abs=5e-6)


def test_a_batch_is_its_rows(model: Any, ids: Any) -> None:
    """What stands in other rows does not matter."""
    together = model.logprobs(state_of(model, ids))
    for i in range(len(ids)):
        assert np.array_equal(model.logprobs(state_of(model, ids[i : i + 1]))[0], together[i])


def test_states_fork_and_rewind(model: Any, ids: Any) -> None:
    """select forks and reorders, rewind takes back, advance goes on, and no state ever changes."""
    state = state_of(model, ids)
    assert isinstance(state, State)
    before = model.logprobs(state)
    fork = state.select(np.array([3, 0, 0]))
    assert np.array_equal(model.logprobs(fork), before[[3, 0, 0]])
    gone = model.advance(fork, np.array([[EOS], [3 % model.vocab_size], [UNK]]))
    assert np.array_equal(model.logprobs(gone.rewind(1)), before[[3, 0, 0]])
    for back in range(ids.shape[1] + 1):
        shorter = ids[:, : ids.shape[1] - back]
        expected = model.logprobs(model.advance(model.start(len(ids)), shorter))
        assert np.array_equal(model.logprobs(state.rewind(back)), expected)
        again = model.advance(state.rewind(back), ids[:, ids.shape[1] - back :])
        assert np.array_equal(model.logprobs(again), before)
    assert np.array_equal(model.logprobs(state), before)
    with pytest.raises(OptionError):
        state.rewind(ids.shape[1] + 1)


def test_wrong_ids_are_refused(model: Any) -> None:
    """An id outside the vocabulary is an OptionError, not another word."""
    for wrong in (-1, model.vocab_size, 2**32):
        with pytest.raises(OptionError):
            model.advance(model.start(), np.array([[wrong]]))


def test_a_model_that_learns_keeps_the_promises(text_model: TextModel, ids: Any) -> None:
    """Its rows sum to 1, score is stepping, a batch is its rows, and with all forgotten it is the model again."""
    personal = replace(text_model)
    personal.learn([*TEXTS, *LINES[:3], "the cat sat"])
    model = personal.model
    logprobs = model.logprobs(state_of(model, ids))
    assert (logprobs[:, BOS] == -np.inf).all()
    if text_model.model.table.normalised:
        assert np.exp(logprobs.astype(np.float64)).sum(axis=1) == pytest.approx(1, abs=2e-5)
    for row in (ids[0], model.tokenizer.encode("the cat sat")):
        line = np.append(row, EOS)
        state, expected = model.start(), []
        for token in line:
            expected.append(model.logprobs(state)[0, token])
            state = model.advance(state, np.array([[token]]))
        assert model.score(line) == pytest.approx(expected, rel=1e-5, abs=5e-6)
    for i in range(len(ids)):
        assert np.array_equal(model.logprobs(state_of(model, ids[i : i + 1]))[0], logprobs[i])
    [scores] = personal.score_lines([b"the cat sat\n"])
    assert scores.log10[0] == pytest.approx(personal.score("the cat sat", base=10))
    knows_a_word = bool((model.tokenizer.encode("the cat sat") != UNK).any())
    assert (personal.score("the cat sat") > text_model.score("the cat sat")) == knows_a_word
    personal.forget()
    assert personal.model is text_model.model


def test_a_loaded_model_is_the_saved_one(kind: Kind, trained: TextModel, text_model: TextModel) -> None:
    """The same distributions, scores, candidates and, from a .ngram file, texts; ARPA rounds to seven digits."""
    exact = kind.suffix in (None, ".ngram")
    for text in TEXTS:
        if exact:
            assert text_model.score(text) == pytest.approx(trained.score(text), rel=1e-12)
            found, expected = text_model.next(text, k=5), trained.next(text, k=5)
            assert [t.token for t in found] == [t.token for t in expected]
            assert [t.prob for t in found] == pytest.approx([t.prob for t in expected], rel=1e-12)
            assert text_model.generate(text, seed=5) == trained.generate(text, seed=5)
    if exact:
        assert text_model.description() == trained.description()
        assert text_model.perplexity(TEXTS).log10 == pytest.approx(trained.perplexity(TEXTS).log10, rel=1e-12)
    elif text_model.tokenizer.kind == trained.tokenizer.kind:
        scores = [text_model.score(text) for text in TEXTS]
        assert scores == pytest.approx([trained.score(text) for text in TEXTS], rel=1e-5, abs=1e-4)
        assert (
            text_model.model.table.sizes[: len(trained.model.table.sizes)]
            == trained.model.table.sizes[: text_model.model.order]
        )


def test_saving_again_gives_the_same_file(kind: Kind, text_model: TextModel, tmp_path: Path) -> None:
    """What was loaded from a .ngram file is written byte for byte as it was."""
    text_model.save(tmp_path / "one.ngram")
    ngramgen.load(tmp_path / "one.ngram", verify=True).save(tmp_path / "two.ngram")
    assert (tmp_path / "one.ngram").read_bytes() == (tmp_path / "two.ngram").read_bytes()


@pytest.mark.parametrize("options", [{}, {"temperature": 0.8, "top_k": 5}, {"greedy": True}, {"stop": "a"}])
def test_texts_are_drawn_by_seed(text_model: TextModel, options: dict[str, Any]) -> None:
    """n texts are the first n of more, the stream is the first of them, and each has the score of its tokens."""
    many = text_model.generate("the cat", n=60, seed=9, max_new_tokens=12, **options)
    assert text_model.generate("the cat", n=3, seed=9, max_new_tokens=12, **options) == many[:3]
    pieces = text_model.stream("the cat", seed=9, max_new_tokens=12, **options)
    assert "the cat" + "".join(pieces) == many[0]
    prompt = text_model.prompt_ids("the cat")
    for made in text_model.generate_all("the cat", n=4, seed=9, max_new_tokens=12, **options):
        line = np.concatenate([prompt, made.ids, [EOS] * (made.finish_reason == "eos")]).astype(np.int32)
        expected = text_model.model.score(line)[len(prompt) :].sum()
        assert made.logprob == pytest.approx(expected, rel=1e-5, abs=1e-4)
        assert not {UNK, BOS, EOS} & set(made.ids.tolist())


def test_scores_add_up(text_model: TextModel) -> None:
    """The score of a text is the sum over its lines, and what perplexity is made from."""
    lines = "".join(f"{text}\n" for text in TEXTS).encode()
    [scores] = text_model.score_lines([lines])
    assert scores.log10 == pytest.approx([text_model.score(text, base=10) for text in TEXTS])
    found = text_model.perplexity(TEXTS)
    assert found.log10 == pytest.approx(scores.log10.sum())
    assert (found.tokens, found.oov) == (scores.tokens.sum(), scores.oov.sum())
