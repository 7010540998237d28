"""Scores and perplexity: by hand on a tiny model, and beside KenLM on real text."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ngramgen
from ngramgen.evaluation.perplexity import PerplexityCounter, score_block
from ngramgen.text.splitting import pieces
from ngramgen.textmodel import TextModel


@pytest.fixture(scope="module")
def tiny() -> TextModel:
    """Laplace, order 1, "a a b": a 2, b 1, </s> 1 of 4, and 4 words (<unk> too), so that all are counts + 1 of 8.

    p(a) = 3/8, p(b) = 2/8, p(</s>) = 2/8, p(<unk>) = 1/8.
    """
    return ngramgen.train(["a a b"], order=1, smoothing="laplace", tokenizer="whitespace")


def test_every_number_by_hand(tiny: TextModel) -> None:
    """Two lines, "a b" and "c a": p = 3/8 2/8 2/8 and 1/8 3/8 2/8, 6 tokens with </s>, one of them unknown, 8 bytes."""
    found = tiny.perplexity(["a b", "c a"])
    product = (3 / 8 * 2 / 8 * 2 / 8) * (1 / 8 * 3 / 8 * 2 / 8)
    assert (found.tokens, found.oov) == (6, 1)
    assert found.log10 == pytest.approx(math.log10(product), rel=1e-6)
    assert found.perplexity == pytest.approx(product ** (-1 / 6), rel=1e-6)
    assert found.perplexity_excluding_oov == pytest.approx((product * 8) ** (-1 / 5), rel=1e-6)
    assert found.bits_per_byte == pytest.approx(-math.log2(product) / 8, rel=1e-6)


def test_lines_by_hand(tiny: TextModel) -> None:
    """Each line has its own sum, tokens and unknown words; an empty line is </s> alone."""
    [scores] = tiny.score_lines([b"a b\n\nc c a\n"])
    assert scores.log10 == pytest.approx(np.log10([6 / 8 * 2 / 64, 2 / 8, 3 / 8 * 2 / 512]), rel=1e-6)
    assert scores.tokens.tolist() == [3, 1, 4]
    assert scores.oov.tolist() == [0, 0, 2]


def test_no_text_is_nan_and_no_error(tiny: TextModel) -> None:
    """Nothing to measure: no tokens, log10 0, and NaN for every ratio."""
    found = tiny.perplexity([])
    assert (found.tokens, found.oov, found.log10) == (0, 0, 0)
    assert math.isnan(found.perplexity)
    assert math.isnan(found.perplexity_excluding_oov)
    assert math.isnan(found.bits_per_byte)
    assert list(tiny.score_lines([])) == []
    assert len(score_block(tiny.model, b"").log10) == 0


def test_empty_lines_are_sentences(tiny: TextModel) -> None:
    """Two empty lines: twice p(</s>) = 1/4, in two bytes."""
    found = tiny.perplexity(["", ""])
    assert found.tokens == 2
    assert found.perplexity == pytest.approx(4)
    assert found.bits_per_byte == pytest.approx(2)


def test_unknown_words_alone(tiny: TextModel) -> None:
    """Without them only </s> is left: p = 2/8."""
    found = tiny.perplexity(["x y z"])
    assert (found.tokens, found.oov) == (4, 3)
    assert found.perplexity == pytest.approx((2 / 8 / 512) ** (-1 / 4), rel=1e-6)
    assert found.perplexity_excluding_oov == pytest.approx(4, rel=1e-6)


def test_impossible_words_have_infinite_perplexity() -> None:
    """Without mass for unseen bytes a text with one has probability 0: infinity, with no warning and no crash."""
    model = ngramgen.train(["aab"], order=2, tokenizer="byte", interpolate_unigrams=False)
    found = model.perplexity(["az", "aab"])
    assert found.log10 == -math.inf
    assert found.perplexity == math.inf
    assert found.bits_per_byte == math.inf
    assert model.score("z") == -math.inf


def test_unknown_words_without_probability(tmp_path: Path) -> None:
    """An ARPA file without <unk> still scores words that it does not have, and the rest as ever."""
    lines = ["\\data\\", "ngram 1=3", "", "\\1-grams:", "-99\t<s>", "-0.30103\t</s>", "-0.30103\ta", "", "\\end\\", ""]
    (tmp_path / "closed.arpa").write_text("\n".join(lines), "utf-8")
    model = ngramgen.load(tmp_path / "closed.arpa")
    found = model.perplexity(["a b"])
    assert found.oov == 1
    assert found.perplexity_excluding_oov == pytest.approx(2, rel=1e-4)
    assert found.perplexity > 1e9


@pytest.mark.parametrize("piece", [1, 7, 1 << 18])
def test_pieces_do_not_matter(monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    """Sums and lines are the same however small the pieces are that are scored together."""
    model = ngramgen.train(["a b a c", "b c a", "", "a"], order=3, tokenizer="whitespace")
    block = b"a b x\n\nc c a b\nb\n"
    expected = [score_block(model.model, line + b"\n") for line in block.split(b"\n")[:-1]]
    whole = score_block(model.model, block)
    monkeypatch.setattr("ngramgen.evaluation.perplexity.pieces", lambda block: pieces(block, piece))
    counter = PerplexityCounter(model.model)
    counter.add(block, len(block))
    found = list(model.score_lines([block]))
    for name in ("log10", "tokens", "oov"):
        want = np.concatenate([getattr(scores, name) for scores in expected])
        assert np.allclose(getattr(whole, name), want)
        assert np.allclose(np.concatenate([getattr(scores, name) for scores in found]), want)
    assert counter.result().log10 == pytest.approx(float(whole.log10.sum()))


def test_an_engine_without_score_text_gives_the_same(tiny: TextModel) -> None:
    """A LanguageModel that can only score one sentence is enough."""

    class Plain:
        tokenizer = tiny.tokenizer

        def score(self, ids: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
            return tiny.model.score(ids)  # type: ignore[no-any-return]

    block = b"a b\n\nc a\n"
    found, expected = score_block(Plain(), block), score_block(tiny.model, block)  # type: ignore[arg-type]
    assert np.allclose(found.log10, expected.log10)
    assert found.oov.tolist() == expected.oov.tolist()


@pytest.mark.parametrize("order", [3, 5])
def test_novels_score_as_with_kenlm(shared_data: Path, order: int) -> None:
    """Our model of tinyshakespeare gives 50 lines of a novel the log10 that KenLM gave them under lmplz's."""
    expected = json.loads((shared_data / "arpa" / "scores.json").read_text("utf-8"))[f"ts_o{order}"]
    model = ngramgen.train(shared_data / "tinyshakespeare" / "input.txt", order=order, tokenizer="whitespace")
    with (shared_data / "fiction" / "test.txt").open("rb") as file:
        block = b"".join(next(file) for _ in range(50))
    found = np.concatenate([scores.log10 for scores in model.score_lines([block])])
    # KenLM adds up in single precision, which shows in lines of hundreds of words
    assert found == pytest.approx(expected, rel=2e-6, abs=1e-5)
    assert model.perplexity(block.decode().split("\n")[:-1]).log10 == pytest.approx(sum(expected), abs=1e-2)


@pytest.mark.slow
def test_lines_score_as_with_kenlm(shared_data: Path, tmp_path: Path) -> None:
    """Our model, written as ARPA and read by KenLM's own module, gives each line the log10 that we give it."""
    kenlm = pytest.importorskip("kenlm")
    model = ngramgen.train(shared_data / "tinyshakespeare" / "input.txt", order=3, tokenizer="whitespace")
    model.save(tmp_path / "ours.arpa")
    theirs = kenlm.Model(str(tmp_path / "ours.arpa"))
    with (shared_data / "fiction" / "test.txt").open("rb") as file:
        lines = [next(file) for _ in range(1000)]
    found = np.concatenate([scores.log10 for scores in model.score_lines([b"".join(lines)])])
    # a line of a hundred words and more adds up a hundred values of single precision
    expected = [sum(s[0] for s in theirs.full_scores(line.decode().rstrip("\n"))) for line in lines]
    assert np.abs(found - expected).max() < 1e-4


def test_running_text_by_hand() -> None:
    """Where newlines have tokens of their own, a line's are counted with it, and there is no </s>.

    Of four tokens that can come each has 1/4: "a\\n" is two tokens, an empty line one.
    """

    class Running:
        ends_lines = False

        def encode_block(self, block: bytes) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
            ids = np.frombuffer(block, np.uint8).astype(np.int64)
            return ids, np.flatnonzero(ids == 10) + 1

    class Uniform:
        tokenizer = Running()

        def score(self, ids: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
            return np.full(len(ids), math.log(1 / 4))

    model: Any = Uniform()
    scores = score_block(model, b"a\n\nbc\n")
    assert scores.tokens.tolist() == [2, 1, 3]
    assert scores.log10 == pytest.approx(np.array([2, 1, 3]) * math.log10(1 / 4))
    counter = PerplexityCounter(model)
    counter.add(b"a\n\nbc\n", 6)
    found = counter.result()
    assert (found.tokens, found.oov, found.perplexity, found.bits_per_byte) == pytest.approx((6, 0, 4, 2))
