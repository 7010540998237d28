"""What a training keeps beside its model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch", reason="training needs torch")

from ngramgen.errors import ModelFormatError, OptionError, TrainingError
from ngramgen.neural.workspace import TextFacts, Workspace


class Letters:
    """An encoder whose ids are the bytes themselves."""

    vocab_size = 300

    def encode_block(self, block: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        lines = block.split(b"\n")[:-1]
        return np.frombuffer(b"".join(lines), np.uint8).astype(np.int64), np.cumsum([len(line) for line in lines])


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace(tmp_path / "model")
    made.begin()
    return made


def written(workspace: Workspace, lines: int, valid: list[bytes] | None = None, limit: int = 100) -> None:
    """A text of so many lines of nine letters, so ten bytes and ten tokens each."""
    count = workspace.write_train([b"abcdefghi\n" * lines], Letters())
    pieces = [(block, 2 * len(block)) for block in valid or []]
    size, tokens = workspace.write_valid(pieces, Letters(), limit) if valid else (0, 0)
    workspace.write_facts(TextFacts([["a.txt", 5]], 20 * lines, count, size, tokens))


def test_facts(workspace: Workspace) -> None:
    """The facts come back as they were written."""
    facts = TextFacts([["a.txt", 5], ["b.txt", 6]], 100, 50, 10, 5)
    workspace.write_facts(facts)
    assert workspace.facts() == facts


def test_no_facts(workspace: Workspace) -> None:
    """Without a text there is nothing to resume."""
    with pytest.raises(OptionError, match=r"there is nothing to resume in .*training; train without resume first"):
        workspace.facts()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"bytes": 5}', '{"sources": [], "other": 1}'])
def test_damaged_facts(workspace: Workspace, text: str) -> None:
    """Facts that are none are one error that names the file and the way out."""
    (workspace.folder / "texts.json").write_text(text)
    with pytest.raises(ModelFormatError, match=r"texts\.json is damaged; delete .*training and train anew"):
        workspace.facts()


def test_measured_on_the_end(workspace: Workspace) -> None:
    """Without a text to measure on, the last fiftieth is left out of the training, and read from its last token on."""
    written(workspace, 100)
    texts = workspace.texts(300, 1000)
    # 1 + 100 * 10 tokens, of which 1001 // 50 = 20 are for measuring; two raw bytes a letter and line end
    assert (len(texts.train), len(texts.valid)) == (981, 21)
    assert texts.train[-1] == texts.valid[0]
    assert bytes(texts.valid[1:].astype(np.uint8)) == b"abcdefghi\2" * 2
    assert texts.train_bytes_a_token == texts.valid_bytes_a_token == pytest.approx(2000 / 1001)


def test_limit_of_the_end(workspace: Workspace) -> None:
    """No more is left out than is measured on."""
    written(workspace, 100)
    assert [len(part) for part in (workspace.texts(300, 3).train, workspace.texts(300, 3).valid)] == [998, 4]


def test_measured_on_other_text(workspace: Workspace) -> None:
    """With a text to measure on all of the other is learnt, and its bytes a token are its own."""
    written(workspace, 10, valid=[b"abc\n", b"d\n"])
    texts = workspace.texts(300, 100)
    assert len(texts.train) == 101
    assert texts.valid.tolist() == [2, *b"abc", 2, *b"d", 2]
    assert texts.valid_bytes_a_token == 12 / 6  # six raw bytes, twice


def test_limit_of_other_text(workspace: Workspace) -> None:
    """Blocks are read until there are enough tokens, and only their bytes count."""
    pieces = iter([(b"abc\n", 40), (b"de\n", 30), (b"f\n", 20)])
    assert workspace.write_valid(pieces, Letters(), 5) == (70, 7)
    assert list(pieces) == [(b"f\n", 20)]


def test_too_little_text(workspace: Workspace) -> None:
    """A text of which nothing can be left out is refused."""
    written(workspace, 4)
    with pytest.raises(TrainingError, match="the text is too short to measure anything on it; give more"):
        workspace.texts(300, 100)


def test_training_that_is_there(workspace: Workspace, tmp_path: Path) -> None:
    """A folder with a checkpoint is not written over; one without is."""
    workspace.begin()
    (workspace.folder / "latest.pt").write_bytes(b"hours of work")
    with pytest.raises(OptionError, match="training holds a training: go on with it by resume, or delete that folder"):
        Workspace(tmp_path / "model").begin()
    assert (workspace.folder / "latest.pt").read_bytes() == b"hours of work"
