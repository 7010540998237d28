"""Checkpoints: whole, damaged, and made to do harm."""

from __future__ import annotations

import os
import pickle
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from ngramgen.errors import ModelFormatError  # noqa: E402
from ngramgen.neural.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402

VALUES = {"step": 3, "share": 0.5, "points": [{"steps": 1}], "network": {"a": torch.arange(6.0).view(2, 3)}}


class Harm:
    """What runs a command when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_round_trip(tmp_path: Path) -> None:
    """What was saved comes back, plain values and tensors, and no other file stays."""
    path = tmp_path / "latest.pt"
    save_checkpoint(path, VALUES)
    found = load_checkpoint(path)
    assert torch.equal(found.pop("network")["a"], VALUES["network"]["a"])  # type: ignore[index]
    assert found == {"format": 1, "step": 3, "share": 0.5, "points": [{"steps": 1}]}
    assert list(tmp_path.iterdir()) == [path]


def test_failed_save(tmp_path: Path) -> None:
    """A save that fails leaves the checkpoint that was there."""
    path = tmp_path / "latest.pt"
    save_checkpoint(path, VALUES)
    with pytest.raises((AttributeError, pickle.PicklingError)):
        save_checkpoint(path, {"step": lambda: 0})
    assert load_checkpoint(path)["step"] == 3
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("length", [0, 1, 100, 1000, -1])
def test_cut_off(tmp_path: Path, length: int) -> None:
    """A file that is cut off is refused by its name."""
    path = tmp_path / "latest.pt"
    save_checkpoint(path, VALUES)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ModelFormatError, match=r"latest\.pt is damaged \(.+\); delete it"):
        load_checkpoint(path)


def test_changed_numbers(tmp_path: Path) -> None:
    """A single changed byte among the weights is noticed."""
    path = tmp_path / "latest.pt"
    save_checkpoint(path, VALUES)
    data = path.read_bytes()
    first = data.index(torch.arange(6.0).numpy().tobytes())
    for place in range(first, first + 24):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(ModelFormatError, match=r"latest\.pt is damaged \(the checksum of .* is wrong\)"):
            load_checkpoint(path)


def test_changed_bytes(tmp_path: Path) -> None:
    """Whatever byte is changed, nothing but a ModelFormatError comes of it."""
    path = tmp_path / "latest.pt"
    save_checkpoint(path, VALUES)
    data = path.read_bytes()
    for place in range(0, len(data), 13):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
        with suppress(ModelFormatError):
            load_checkpoint(path)


@pytest.mark.filterwarnings("ignore:.*weights_only.*")
def test_foreign_pickle(tmp_path: Path) -> None:
    """What would run a command is refused and not run, as a plain pickle and in PyTorch's own form."""
    path, victim = tmp_path / "latest.pt", tmp_path / "victim"
    torch.save({"format": 1, "step": Harm(victim)}, path)
    with pytest.raises(ModelFormatError, match=r"latest\.pt is damaged"):
        load_checkpoint(path)
    path.write_bytes(pickle.dumps(Harm(victim)))
    with pytest.raises(ModelFormatError, match=r"latest\.pt is damaged"):
        load_checkpoint(path)
    assert not victim.exists()


@pytest.mark.parametrize("values", [{"step": 3}, {"format": 2}, [1, 2]])
def test_other_checkpoint(tmp_path: Path, values: object) -> None:
    """Another program's checkpoint, or one of another format, is said to be no checkpoint of ours."""
    path = tmp_path / "latest.pt"
    torch.save(values, path)
    with pytest.raises(ModelFormatError, match=r"latest\.pt is no checkpoint of this ngramgen"):
        load_checkpoint(path)


def test_missing(tmp_path: Path) -> None:
    """A file that is not there is not said to be damaged."""
    with pytest.raises(FileNotFoundError):
        load_checkpoint(tmp_path / "latest.pt")
