"""The filter of runs: none missed, few mistaken, and as large as it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ngramgen.errors import OptionError
from ngramgen.model import BOS, EOS
from ngramgen.ngram import copies as module
from ngramgen.ngram.copies import CopyFilter, RunSet, copies_of, follow, run_hashes, spread
from ngramgen.ngram.counting import corpus_from_sentences

SIZE = 9
SENTENCES = st.lists(st.lists(st.integers(3, SIZE + 1), max_size=9), max_size=8)


def runs_of(sentences: list[list[int]], length: int, size: int = SIZE) -> set[tuple[int, ...]]:
    """All runs of known words, as Python finds them."""
    return {
        tuple(run)
        for sentence in sentences
        for i in range(len(sentence) - length + 1)
        if max(run := sentence[i : i + length]) < size
    }


@settings(max_examples=200, deadline=None)
@given(sentences=SENTENCES, length=st.integers(2, 6), text=st.lists(st.integers(-1, SIZE + 1), max_size=20))
def test_no_run_is_missed(sentences: list[list[int]], length: int, text: list[int]) -> None:
    """Every run of a line is found, wherever it is asked for; one with an unknown word or across lines is no run."""
    copies = CopyFilter.build(corpus_from_sentences(sentences), length, SIZE)
    known = runs_of(sentences, length)
    for run in known:
        assert copies.contains(copies.hashes(np.array([run])))[0]
    found = copies.runs(np.array(text, np.int64)).tolist()
    assert len(found) == max(0, len(text) - length + 1)
    for i, is_found in enumerate(found):
        run = tuple(text[i : i + length])
        if run in known:
            assert is_found
        if min(run) <= EOS:
            assert not is_found
    if not known:
        assert not copies.bits.any()
        assert copies.false_positive_rate == 0


@settings(max_examples=60, deadline=None)
@given(ids=st.lists(st.integers(-1, 1 << 31), min_size=2, max_size=12), length=st.integers(2, 12))
def test_one_hash_by_three_ways(ids: list[int], length: int) -> None:
    """In running text, as rows, and a last token behind the others: the same hash, that of the formula."""
    values = spread(np.array(ids))
    running = run_hashes(values, length)
    windows = [ids[i : i + length] for i in range(len(ids) - length + 1)]
    assert len(running) == len(windows)
    if not windows:
        return
    copies = CopyFilter(length, np.zeros((1, 8), np.uint64))
    assert copies.hashes(np.array(windows)).tolist() == running.tolist()
    prefix = np.zeros(len(windows), np.uint64)
    for column in range(length - 1):
        prefix = follow(prefix, values[column : column + len(windows)])
    assert spread(follow(prefix, values[length - 1 :])).tolist() == running.tolist()
    assert running.tolist() == [_hash(window) for window in windows]


def _hash(run: list[int]) -> int:
    total = 0
    for token in run:
        total = (total * 0xC2B2AE3D27D4EB4F + _spread(token % 2**64)) % 2**64
    return _spread(total)


def _spread(value: int) -> int:
    value = value * 0x9FB21C651E98DF25 % 2**64
    value = (value ^ value >> 32) * 0x9FB21C651E98DF25 % 2**64
    return value ^ value >> 29


def random_corpus(tokens: int, size: int) -> np.ndarray:  # type: ignore[type-arg]
    corpus = np.random.default_rng(1).integers(3, size, tokens).astype(np.int32)
    corpus[::50], corpus[49::50] = BOS, EOS
    return corpus


@pytest.mark.parametrize("length", [2, 6])
def test_rate_and_size(length: int) -> None:
    """Of random runs as many are mistaken as the filter tells, about 1 in 240, for 12 bits a run."""
    size = 50_000
    corpus = random_corpus(100_000, size)
    copies = CopyFilter.build(corpus, length, size)
    runs = len(runs_of([line[1:-1].tolist() for line in corpus.reshape(-1, 50)], length, size))
    assert 12 * runs <= 8 * copies.nbytes < 12 * runs + 512
    asked = np.random.default_rng(2).integers(3, size, (300_000, length))
    measured = copies.contains(copies.hashes(asked)).mean()
    assert measured == pytest.approx(copies.false_positive_rate, rel=0.15)  # 4 standard deviations are 0.11
    # Poisson numbers of runs a block, 512/12 on average, leave a bit of a word 0 with (63/64)^m
    rate = 512 / 12
    expected = sum((-1) ** i * math.comb(8, i) * math.exp(-rate * (1 - (63 / 64) ** i)) for i in range(9))
    assert copies.false_positive_rate == pytest.approx(expected, rel=0.05)
    about = copies.about()
    assert about == {"length": length, "bytes": copies.nbytes, "false_positive_rate": about["false_positive_rate"]}
    assert about["false_positive_rate"] == pytest.approx(copies.false_positive_rate, rel=1e-2)


@pytest.mark.parametrize("slice_size", [1, 7, 1000])
def test_slices_do_not_matter(slice_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bits and answers however little is worked on at a time."""
    corpus = random_corpus(3000, 40)
    whole = CopyFilter.build(corpus, 3, 38)
    asked = whole.hashes(np.random.default_rng(3).integers(3, 40, (500, 3)))
    expected = whole.contains(asked), whole.runs(corpus), whole.false_positive_rate
    monkeypatch.setattr(module, "_SLICE", slice_size)
    again = CopyFilter.build(corpus, 3, 38)
    assert np.array_equal(again.bits, whole.bits)
    assert np.array_equal(again.contains(asked), expected[0])
    assert np.array_equal(again.runs(corpus), expected[1])
    assert again.false_positive_rate == pytest.approx(expected[2], rel=1e-12)


def test_a_run_again_takes_no_room() -> None:
    """A run that occurs a thousand times is one run: the smallest filter, with a bit in each of its words."""
    copies = CopyFilter.build(corpus_from_sentences([[3, 4, 5]] * 1000), 3, 6)
    assert copies.bits.shape == (1, 8)
    assert [bin(word).count("1") for word in copies.bits[0].tolist()] == [1] * 8
    assert copies.false_positive_rate == pytest.approx(64.0**-8)


@pytest.mark.parametrize("length", [1, 0, -1, 65, True, 6.0, "6", None])
def test_wrong_lengths(length: object) -> None:
    """A length that is no integer from 2 to 64 is refused."""
    with pytest.raises(OptionError, match="copy_filter must be an integer from 2 to 64"):
        CopyFilter.build(np.zeros(0, np.int32), length, 3)  # type: ignore[arg-type]


def test_rows_of_another_length() -> None:
    """Rows of ids that are not as long as the runs are refused."""
    copies = CopyFilter.build(corpus_from_sentences([[3, 4, 5]]), 3, 6)
    with pytest.raises(OptionError, match=r"\(Q, 3\), not \(1, 4\)"):
        copies.hashes(np.zeros((1, 4), np.int64))


@settings(max_examples=60, deadline=None)
@given(parts=st.lists(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 9))), asked=st.lists(st.integers(0, 9)))
def test_a_set_is_exact(parts: list[list[int]], asked: list[int]) -> None:
    """A set of runs holds what was put into it and nothing else."""
    known = RunSet.build([np.array(part, np.uint64) for part in parts], 3)
    everything = {h for part in parts for h in part}
    assert known.contains(np.array(asked, np.uint64)).tolist() == [h in everything for h in asked]
    assert known.contains(np.array(sorted(everything), np.uint64)).all()


def test_a_model_without() -> None:
    """A model without a filter is told how to get one."""
    with pytest.raises(OptionError, match=r"train an n-gram model with --copy-filter 6 \(copy_filter=6 in Python\)"):
        copies_of(object())
