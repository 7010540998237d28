"""The mixture as a language model: a p_network + b p_ngram + c p_cache, and all that every model promises."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ngramgen
from ngramgen.errors import OptionError, TokenizerError
from ngramgen.hybrid import cache
from ngramgen.hybrid.cache import cache_behind
from ngramgen.hybrid.classes import SIZE
from ngramgen.hybrid.model import HybridModel, Places, mixed
from ngramgen.hybrid.weighting import Weighting
from ngramgen.loading import load
from ngramgen.model import BOS, EOS, UNK, State
from ngramgen.textmodel import TextModel
from tests.hybrid.tiny import rows_of_ids, state_of
from tests.neural.tiny import TEXT

CLOSE = 1e-4
"""How far a log-probability may move with the tokens that the network reads together, in float32."""


@pytest.fixture(scope="module")
def text_model(hybrid_folder: Path) -> TextModel:
    return load(hybrid_folder, "float32")


@pytest.fixture(scope="module")
def model(text_model: TextModel) -> HybridModel:
    assert isinstance(text_model.model, HybridModel)
    return text_model.model


@pytest.fixture(scope="module")
def ids(model: HybridModel) -> Any:
    return rows_of_ids(model)


def test_three_known_distributions() -> None:
    """A quarter of (0.5, 0.5, 0, 0), half of (0.1, 0.2, 0.7, 0) and a quarter of (0, 0, 0.4, 0.6)."""
    with np.errstate(divide="ignore"):
        logprobs = np.log([[0.5, 0.5, 0, 0], [0.1, 0.2, 0.7, 0], [0, 0, 0.4, 0.6]]).T
    assert np.exp(mixed(logprobs, np.array([0.25, 0.5, 0.25]))) == pytest.approx([0.175, 0.225, 0.45, 0.15])


def test_a_row_is_the_mixture(model: HybridModel, ids: Any) -> None:
    """By what is known of each row, which is not the same everywhere; the cache takes part where it has something."""
    state = state_of(model, ids)
    caches = [cache_behind(words) for words in state.ngram.words]
    known = np.concatenate([model.evidence.of(state.ngram.contexts), [numbers for numbers, _, _ in caches]], axis=1)
    weights = model.weighting.weights(known.astype(np.float32)).astype(np.float64)
    assert np.ptp(weights[:, 0]) > 0.05
    assert 0 < np.count_nonzero(weights[:, 2]) < len(ids)
    network, ngram = (np.exp(part.astype(np.float64)) for part in both(model, state))
    expected = weights[:, :1] * network + weights[:, 1:2] * ngram
    for row, weight, (_, found, probs) in zip(expected, weights[:, 2], caches, strict=True):
        row[found] += weight * probs
    assert np.exp(model.logprobs(state).astype(np.float64)) == pytest.approx(expected, rel=1e-4, abs=1e-12)


def both(model: HybridModel, state: Any) -> tuple[Any, Any]:
    return model.network.logprobs(state.network), model.ngram.logprobs(state.ngram)


def test_rows_sum_to_one(model: HybridModel, ids: Any) -> None:
    """A float32 row of V log-probabilities for each sequence; <s> is impossible, and the others make 1."""
    for state in (model.start(), model.start(3), state_of(model, ids), state_of(model, ids[:, :2])):
        logprobs = model.logprobs(state)
        assert logprobs.shape == (state.batch, model.vocab_size)
        assert logprobs.dtype == np.float32
        assert (logprobs[:, BOS] == -np.inf).all()
        assert not np.isnan(logprobs).any()
        assert np.exp(logprobs.astype(np.float64)).sum(axis=1) == pytest.approx(1, abs=2e-5)


def test_score_is_stepping(model: HybridModel, ids: Any) -> None:
    """Each token's score is its log-probability after those before it, also behind a </s> and beyond the context."""
    for row in [ids[0], ids[1], ids[2, :5], ids[3, :0]]:
        line = np.append(row, EOS)
        state, expected = model.start(), []
        for token in line:
            expected.append(model.logprobs(state)[0, token])
            state = model.advance(state, np.array([[token]]))
        found = model.score(line)
        assert found.dtype == np.float64
        assert found == pytest.approx(expected, abs=CLOSE)
    assert len(model.score(np.array([]))) == 0


def test_running_text(model: HybridModel, ids: Any) -> None:
    """Sentences with <s> before each have the scores of the tokens without, and 0 at <s>."""
    words = np.concatenate([[BOS], ids[0, :4], [EOS, BOS], ids[3], [EOS]])
    found = model.score_running(words)
    read = words != BOS
    assert (found[~read] == 0).all()
    assert found[read] == pytest.approx(model.score(words[read]), abs=1e-12)
    assert len(model.score_running(words[:0])) == 0


def test_a_line_begins_anew_for_the_n_gram(model: HybridModel, ids: Any) -> None:
    """Behind </s> the n-gram stands at the beginning of a sentence, and the network has seen what was before."""
    ended = state_of(model, [[*ids[0, :3], EOS]])
    network, ngram = both(model, ended)
    assert np.array_equal(ngram, model.ngram.logprobs(model.ngram.start()))
    assert not np.allclose(network, model.network.logprobs(model.network.start()), atol=0.01)


def test_a_batch_is_its_rows(model: HybridModel, ids: Any) -> None:
    """What stands in other rows does not matter."""
    together = model.logprobs(state_of(model, ids))
    for i in range(len(ids)):
        assert model.logprobs(state_of(model, ids[i : i + 1]))[0] == pytest.approx(together[i], abs=CLOSE)


def test_states_fork_and_rewind(model: HybridModel, ids: Any) -> None:
    """select forks and reorders, rewind takes back, advance goes on, and no state ever changes."""
    ids = ids[:, :10]
    state = state_of(model, ids)
    assert isinstance(state, State)
    before = model.logprobs(state)
    fork = state.select(np.array([3, 0, 0]))
    assert fork.batch == 3
    assert model.logprobs(fork) == pytest.approx(before[[3, 0, 0]], abs=CLOSE)
    gone = model.advance(fork, np.array([[EOS], [3], [4]]))
    alone = model.advance(state.select(np.array([0])), np.array([[4]]))
    assert model.logprobs(gone)[2:] == pytest.approx(model.logprobs(alone), abs=CLOSE)
    assert model.logprobs(gone.rewind(1)) == pytest.approx(before[[3, 0, 0]], abs=CLOSE)
    for back in (0, 1, 4, 10):
        shorter = ids[:, : ids.shape[1] - back]
        assert model.logprobs(state.rewind(back)) == pytest.approx(model.logprobs(state_of(model, shorter)), abs=CLOSE)
        again = model.advance(state.rewind(back), ids[:, ids.shape[1] - back :])
        assert model.logprobs(again) == pytest.approx(before, abs=CLOSE)
    assert np.array_equal(model.logprobs(state), before)
    for wrong in (ids.shape[1] + 1, -1):
        with pytest.raises(OptionError, match="cannot rewind"):
            state.rewind(wrong)


def test_wrong_ids_are_refused(model: HybridModel) -> None:
    """An id outside the vocabulary is an OptionError, not another word; so are rows that do not fit."""
    for wrong in (-1, model.vocab_size, 2**32):
        with pytest.raises(OptionError, match="ids must lie in"):
            model.advance(model.start(), np.array([[wrong]]))
        with pytest.raises(OptionError, match="ids must lie in"):
            model.score(np.array([3, wrong, 3]))
    with pytest.raises(OptionError, match="do not fit a batch of 2"):
        model.advance(model.start(2), np.array([[3]]))
    with pytest.raises(OptionError, match="must be integers"):
        model.score(np.array([3.0]))


def test_top(model: HybridModel, ids: Any) -> None:
    """The best tokens of the row, best first, without <unk> and <s>, and no more than there are."""
    state = state_of(model, ids[:1, :4])
    row = model.logprobs(state)[0]
    row[UNK] = -np.inf
    found, logprobs = model.top(state, 3)
    assert found.tolist() == np.argsort(-row, kind="stable")[:3].tolist()
    assert logprobs == pytest.approx(row[found])
    assert sorted(model.top(state, 10**6)[0].tolist()) == list(range(EOS, model.vocab_size))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"temperature": 0.8, "top_k": 5},
        {"top_p": 0.9, "repetition_penalty": 1.2},
        {"greedy": True, "no_repeat_ngram_size": 2},
        {"stop": "a"},
    ],
)
def test_texts_are_drawn_by_seed(text_model: TextModel, options: dict[str, Any]) -> None:
    """n texts are the first n of more, the stream is the first of them, and each has the score of its tokens."""
    many = text_model.generate("the cat", n=5, seed=9, max_new_tokens=8, **options)
    assert text_model.generate("the cat", n=2, seed=9, max_new_tokens=8, **options) == many[:2]
    assert text_model.generate("the cat", seed=9, max_new_tokens=8, **options) == many[0]
    pieces = text_model.stream("the cat", seed=9, max_new_tokens=8, **options)
    assert "the cat" + "".join(pieces) == many[0]
    prompt = text_model.prompt_ids("the cat")
    for made in text_model.generate_all("the cat", n=3, seed=9, max_new_tokens=8, **options):
        line = np.concatenate([prompt, made.ids, [EOS] * (made.finish_reason == "eos")]).astype(np.int32)
        assert made.logprob == pytest.approx(text_model.model.score(line)[len(prompt) :].sum(), abs=8 * CLOSE)
        assert not {UNK, BOS, EOS} & set(made.ids.tolist())


def test_constraints_and_beams(text_model: TextModel) -> None:
    """What was asked for is in the text; beams come best first."""
    text = text_model.generate("the", seed=1, contains="dog", max_new_tokens=12)
    assert isinstance(text, str)
    assert "dog" in text.split()
    assert text_model.generate("", seed=1, choices=("a cat", "a dog")) in ("a cat", "a dog")
    beams = list(text_model.generate_all("the cat", n=2, num_beams=3, max_new_tokens=4))
    assert all(one.text.startswith("the cat") for one in beams)
    assert beams[0].text != beams[1].text


def test_explained(text_model: TextModel) -> None:
    """--explain tells the mixture's probability of each token."""
    [made] = text_model.generate_all("the cat", seed=3, max_new_tokens=4, explained=True)
    assert made.explanations
    assert sum(token.logprob for token in made.explanations) == pytest.approx(made.logprob, abs=8 * CLOSE)


def test_weights_along_a_text(model: HybridModel, ids: Any) -> None:
    """They are those of its tokens one by one, also where <s> stands in it, which no text has but a caller may give."""
    row = np.concatenate([ids[1, :9], [BOS], ids[1, :9]]).astype(np.int32)
    found = model.part_weights(row[:3], row[3:])
    assert found.shape == (16, 3)
    assert found.sum(axis=1) == pytest.approx(1, abs=1e-6)
    for place in (0, 6, 15):
        state = state_of(model, [row[: 3 + place]])
        numbers, _, _ = cache_behind(state.ngram.words[0])
        known = np.concatenate([model.evidence.of(state.ngram.contexts), numbers[None]], axis=1)
        assert found[place] == pytest.approx(model.weighting.weights(known)[0], abs=1e-6)


def test_perplexity_and_score(text_model: TextModel, model: HybridModel) -> None:
    """The bits per byte of a text are those of its tokens read on; the score of a line is that of it alone."""
    lines = TEXT.splitlines()
    ids = model.tokenizer.encode(TEXT)
    found = text_model.perplexity(lines)
    assert found.tokens == len(ids)
    bits = -model.score(ids).sum() / math.log(2)
    assert found.bits_per_byte == pytest.approx(bits / len(TEXT.encode()), rel=1e-5)
    alone = [model.score(np.append(model.tokenizer.encode(line), EOS)).sum() for line in lines]
    assert [text_model.score(line) for line in lines] == pytest.approx(alone, abs=1e-3)


def test_description_and_embedding(text_model: TextModel, model: HybridModel) -> None:
    """A hybrid tells both parts, embeds as its network does, and is no n-gram to be saved."""
    found = text_model.description()
    assert (found["kind"], found["order"], found["weighting"], found["layers"]) == ("hybrid", 3, "fitted", 2)
    assert found["ngrams"] == list(model.ngram.table.sizes)
    assert found["tuned_on"] == {"bytes": 7}
    assert np.array_equal(text_model.embed("the cat"), model.network.embed(model.tokenizer.encode("the cat")))
    with pytest.raises(OptionError, match="only an n-gram model"):
        text_model.save("copy.ngram")


@pytest.mark.parametrize("tokenizer", ["whitespace", "bpe:270"])
def test_two_tokenizers(tokenizer: str, model: HybridModel) -> None:
    """An n-gram of other tokens is refused."""
    other = ngramgen.train(TEXT.splitlines(), order=2, tokenizer=tokenizer).model
    with pytest.raises(TokenizerError, match="different tokenizers"):
        HybridModel(other, model.network, Weighting.fixed(0.5))


def test_places_of_several_texts(model: HybridModel, ids: Any) -> None:
    """Joined they are one behind the other; there must be one."""
    parts = [model.places(np.concatenate([[BOS], row])) for row in ids]
    joined = Places.joined(parts)
    assert joined.numbers.shape == (ids.size, 6 + SIZE + cache.SIZE)
    assert np.array_equal(joined.logprobs[21:42], parts[1].logprobs)
    assert joined.logprobs[21:42, 1] == pytest.approx(model.ngram.score_text(np.concatenate([[BOS], ids[1]]))[1:])
    with pytest.raises(OptionError, match="no text to tune on"):
        Places.joined([])
