"""Writing ARPA files: what KenLM and our own reader make of them."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ngramgen.errors import ArpaError
from ngramgen.model import BOS, EOS
from ngramgen.ngram.arpa_reader import read_arpa
from ngramgen.ngram.arpa_writer import write_arpa
from ngramgen.ngram.counting import corpus_from_sentences, count
from ngramgen.ngram.estimation import estimate
from ngramgen.ngram.lookup import score_text
from ngramgen.ngram.smoothing import Smoothing, smoothing_from_name
from ngramgen.ngram.table import NgramTable
from ngramgen.text.vocabulary import Vocabulary

WORDS = ["the", "naïve", "café", "你好", "😀", "a\u00a0b", "c\u3000d", "x\vy", "\\end\\", "-1.5"]
SENTENCES = st.lists(st.lists(st.integers(3, 12), max_size=8), min_size=1, max_size=12)
METHODS = ["modified-kneser-ney", "kneser-ney", "absolute-discounting", "witten-bell", "stupid-backoff"]


def trained(sentences: list[list[int]], order: int, smoothing: Smoothing | None = None) -> NgramTable:
    corpus = corpus_from_sentences(sentences)
    size = len(WORDS) + 3
    return estimate(count(corpus, size, order), size, smoothing).table


def written(table: NgramTable, words: list[str]) -> bytes:
    file = io.BytesIO()
    write_arpa(file, table, Vocabulary.from_tokens(word.encode("utf-8", "surrogateescape") for word in words))
    return file.getvalue()


def log_probabilities(table: NgramTable, sentence: list[int]) -> NDArray[np.float64]:
    logs: NDArray[np.float64] = np.log10(score_text(table, np.array([BOS, *sentence, EOS])))
    return logs[1:]


@given(SENTENCES, st.integers(1, 5), st.sampled_from(METHODS), SENTENCES)
def test_reading_gives_the_written_model(
    tmp_path_factory: pytest.TempPathFactory,
    sentences: list[list[int]],
    order: int,
    method: str,
    texts: list[list[int]],
) -> None:
    """A table that was written and read scores any text as before, in every smoothing that ARPA can express."""
    table = trained(sentences, order, smoothing_from_name(method))
    path = tmp_path_factory.mktemp("arpa") / "model.arpa"
    path.write_bytes(written(table, WORDS))
    again, tokens = read_arpa(path)
    assert again.sizes == table.sizes[: again.order]
    assert not sum(table.sizes[again.order :])  # empty orders are left out
    assert method == "stupid-backoff" or again.normalised
    ids = {token.decode(): index for index, token in enumerate(tokens, start=3)}
    for text in texts:
        moved = [ids[WORDS[word - 3]] for word in text]
        assert np.allclose(log_probabilities(again, moved), log_probabilities(table, text), rtol=0, atol=2e-6)


@pytest.mark.parametrize("order", [2, 3, 5])
@pytest.mark.parametrize("method", METHODS)
def test_kenlm_scores_as_we_do(tmp_path: Path, method: str, order: int) -> None:
    """KenLM reads what we write, and gives every word our probability, be it Unicode, a number or unknown."""
    kenlm = pytest.importorskip("kenlm")
    random = np.random.default_rng(order)
    sentences = [random.integers(3, 13, random.integers(0, 9)).tolist() for _ in range(40)]
    table = trained(sentences, order, smoothing_from_name(method))
    path = tmp_path / "model.arpa"
    path.write_bytes(written(table, WORDS))
    model = kenlm.Model(str(path))
    for _ in range(50):
        sentence = random.integers(3, 13, 10).tolist()
        sentence[int(random.integers(10))] = 0
        # word by word, since the module splits sentences at vertical tabs too
        found = []
        state, following = kenlm.State(), kenlm.State()
        model.BeginSentenceWrite(state)
        for word in (*("unseen" if word == 0 else WORDS[word - 3] for word in sentence), "</s>"):
            found.append(model.BaseScore(state, word, following))
            state, following = following, state
        assert np.allclose(found, log_probabilities(table, sentence), rtol=0, atol=2e-6)


def test_the_layout_is_lmplz_own() -> None:
    """Counts, a blank line before each section, tabs around the words, no backoff in the highest order."""
    lines = written(trained([[3, 4, 3]], 2), WORDS).decode().split("\n")
    assert lines[:6] == ["\\data\\", "ngram 1=13", "ngram 2=4", "", "\\1-grams:", lines[5]]
    assert lines[6].startswith("0\t<s>\t-0.")
    assert lines[7].endswith("\t</s>\t0")
    assert lines[-9:-7] == ["", "\\2-grams:"]
    assert all(line.count("\t") == 1 for line in lines[-7:-3])
    assert lines[-3:] == ["", "\\end\\", ""]


@pytest.mark.parametrize("name", ["lidstone", "laplace"])
def test_a_uniform_remainder_is_refused(name: str) -> None:
    """Lidstone's rule cannot be expressed with backoffs, so nothing is written; its unigrams alone can be."""
    file = io.BytesIO()
    with pytest.raises(ArpaError, match="lidstone"):
        write_arpa(file, trained([[3, 4]], 2, smoothing_from_name(name)), Vocabulary.from_tokens([b"a", b"b"]))
    assert not file.getvalue()
    lines = written(trained([[3, 4]], 1, smoothing_from_name(name)), WORDS).decode().split("\n")
    assert math.isclose(sum(10 ** float(line.split("\t")[0]) for line in lines if "\t" in line) - 1, 1, rel_tol=1e-6)


@pytest.mark.parametrize(
    "word",
    ["a b", "a ", "  ", "\t", "a\tb", "a\nb", "\r", "a\0", "<s>", "</s>", "<unk>", "<UNK>", "", "\udcff", "\udc80x"],
)
def test_tokens_that_cannot_stand_there_are_refused(word: str) -> None:
    """A token with white space, a special's name, no bytes or no UTF-8 is named, and a way out is offered."""
    file = io.BytesIO()
    words = [*WORDS[:4], word, *WORDS[5:]]
    shown = word.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    with pytest.raises(ArpaError) as refusal:
        file.write(written(trained([[3, 4]], 2), words))
    assert f"the token {shown!r} cannot" in str(refusal.value)
    assert "whitespace" in str(refusal.value)
    assert not file.getvalue()


def test_specials_inside_longer_tokens_are_written() -> None:
    """Only the whole name of a special is refused, also where two tokens side by side would spell it."""
    text = written(trained([[3, 4]], 2), ["x<s>", "<s", ">", "<unk>s", *WORDS[4:]]).decode()
    assert "\tx<s>\t" in text
    assert "\t<unk>s\t" in text


def test_a_leading_space_is_written_as_in_sentencepiece() -> None:
    """Tokens of the word and character tokenizers, which begin with a space or are one, get U+2581 for it."""
    words = [" the", "the", " ", *WORDS[3:]]
    text = written(trained([[3, 4, 5]], 3), words).decode()
    assert "\t▁the the ▁\n" in text
    assert text.count("\t▁\t") == 1


def test_the_sign_for_a_space_must_be_free() -> None:
    """U+2581 in the vocabulary is refused where spaces have to be written, and is a letter where not."""
    with pytest.raises(ArpaError, match="▁"):
        written(trained([[3, 4]], 2), [" the", "▁the", *WORDS[2:]])
    assert "\t▁the\t" in written(trained([[3, 4]], 2), ["the", "▁the", *WORDS[2:]]).decode()
