"""A corpus as a row of tokens, and its batches."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ngramgen.errors import TrainingError
from ngramgen.neural.stream import Batches, read_stream, token_dtype, with_ends, write_stream


class Bytes:
    """An encoder whose ids are the bytes themselves."""

    def __init__(self, vocab_size: int) -> None:
        self.vocab_size = vocab_size

    def encode_block(self, block: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        data = np.frombuffer(block, np.uint8).astype(np.int64)
        is_end = data == ord("\n")
        ends = np.flatnonzero(is_end)
        return data[~is_end], ends - np.arange(len(ends))


def batches(tokens: NDArray[np.uint16], *, context: int = 4, batch_size: int = 3, seed: int = 1) -> Batches:
    return Batches(tokens, context, batch_size, seed)


ROW = np.arange(60, dtype=np.uint16)


def test_ends_by_hand() -> None:
    """Lines of 2, 0, 1 and 0 tokens get an end each: 7 8 | | 9 | |."""
    found = with_ends(np.array([7, 8, 9]), np.array([2, 2, 3, 3]))
    assert found.tolist() == [7, 8, 2, 2, 9, 2, 2]
    assert with_ends(np.array([], np.int64), np.array([0])).tolist() == [2]


@pytest.mark.parametrize(("vocab_size", "name"), [(3, "<u2"), (65536, "<u2"), (65537, "<u4")])
def test_dtype(vocab_size: int, name: str) -> None:
    """The ids take two bytes as long as the largest of them fits."""
    assert token_dtype(vocab_size) == np.dtype(name)


@pytest.mark.parametrize("vocab_size", [300, 70_000])
def test_stream_on_disk(tmp_path: Path, vocab_size: int) -> None:
    """The file holds </s> line </s> line </s>, whatever the blocks, and is read back as it was written."""
    path = tmp_path / "tokens"
    assert write_stream(path, [b"ab\n\n", b"c\n"], Bytes(vocab_size)) == 7
    assert read_stream(path, vocab_size).tolist() == [2, 97, 98, 2, 2, 99, 2]
    assert path.stat().st_size == 7 * token_dtype(vocab_size).itemsize


def test_interrupted_stream(tmp_path: Path) -> None:
    """A text that breaks off leaves no file."""

    def broken() -> Iterator[bytes]:
        yield b"a\n"
        raise ValueError("not UTF-8")

    with pytest.raises(ValueError, match="not UTF-8"):
        write_stream(tmp_path / "tokens", broken(), Bytes(300))
    assert list(tmp_path.iterdir()) == []


def test_batch_shape() -> None:
    """A batch is int64 (B, context + 1), and each row is a run of the text."""
    batch = next(batches(ROW).from_step(0))
    assert (batch.shape, batch.dtype) == ((3, 5), np.int64)
    assert (np.diff(batch, axis=1) == 1).all()


@pytest.mark.parametrize("length", range(16, 60))
@pytest.mark.parametrize("number", range(3))
def test_each_window_once(length: int, number: int) -> None:
    """In each pass no target comes twice, and fewer windows than fill a batch are left out."""
    made = batches(ROW[:length])
    one_pass = islice(made.from_step(number * made.steps_a_pass), made.steps_a_pass)
    targets = np.concatenate([batch[:, 1:].ravel() for batch in one_pass])
    assert len(set(targets.tolist())) == len(targets)
    # a pass may begin up to 3 tokens late; then at most 2 windows of 4, and 3 tokens at the end, are left
    assert length - 1 - len(targets) <= 3 + 2 * 4 + 3
    assert targets.max() < length


def test_passes_differ() -> None:
    """The second pass begins elsewhere or has another order than the first, and goes on without end."""
    made = batches(ROW)
    steps = made.steps_a_pass
    found = list(islice(made.from_step(0), 3 * steps))
    first, second, third = (np.concatenate(found[i * steps : (i + 1) * steps]) for i in range(3))
    assert not np.array_equal(first, second)
    assert not np.array_equal(second, third)


@pytest.mark.parametrize("step", [0, 1, 3, 4, 5, 17])
def test_from_step(step: int) -> None:
    """Beginning at a step gives what skipping to it gives."""
    made = batches(ROW)
    skipped = list(islice(made.from_step(0), step, step + 6))
    np.testing.assert_array_equal(list(islice(made.from_step(step), 6)), skipped)


def test_seeds() -> None:
    """The same seed gives the same batches, another seed others."""
    one, again, other = (next(batches(ROW, seed=seed).from_step(0)) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_too_short() -> None:
    """Text that does not fill one batch is refused; one token more is enough."""
    # 3 windows of 4 targets, one token that is only read, and 3 tokens by which a pass may begin late
    assert batches(ROW[:16]).steps_a_pass == 1
    with pytest.raises(TrainingError, match=r"the text is too short: 15 tokens do not fill a batch of 3 windows of 4;"):
        batches(ROW[:15])
