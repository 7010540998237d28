"""hybrid.json: written, read, and damaged."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ngramgen.errors import ModelFormatError
from ngramgen.hybrid.cache import SIZE
from ngramgen.hybrid.folder import SETTINGS, Settings, read_settings, write_settings
from ngramgen.hybrid.weighting import Weighting
from tests.hybrid.tiny import random_gate, random_weighting

GOOD = {
    "format": 3,
    "weighting": random_weighting(6).values(),
    "gate": random_gate(6).values(),
    "about": {},
}
NUMBERS = np.random.default_rng(0).normal(0, 1, (9, 6 + SIZE)).astype(np.float32)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """The same weights and the same report; a few kB and nothing else in the folder."""
    about = {"bytes": 12, "bits_per_byte": {"mixture": 1.25}}
    write_settings(tmp_path, Settings(random_weighting(6), random_gate(6), about))
    found = read_settings(tmp_path, 6)
    assert np.array_equal(found.weighting.weights(NUMBERS), random_weighting(6).weights(NUMBERS))
    assert found.gate is not None
    assert np.array_equal(found.gate.scores(NUMBERS[:, :6]), random_gate(6).scores(NUMBERS[:, :6]))
    assert np.array_equal(found.gate.borders, random_gate(6).borders)
    assert found.about == about
    assert os.listdir(tmp_path) == [SETTINGS]
    assert (tmp_path / SETTINGS).stat().st_size < 10_000


def test_a_fixed_weight(tmp_path: Path) -> None:
    """It suits an n-gram of any order."""
    write_settings(tmp_path, Settings(Weighting.fixed(0.2)))
    for size in (3, 6, 12):
        assert read_settings(tmp_path, size).weighting.weights(NUMBERS) == pytest.approx(np.full((9, 3), [0.2, 0.8, 0]))


def test_an_even_mixture_without_the_file(tmp_path: Path) -> None:
    """Before anything was fitted both count the same."""
    found = read_settings(tmp_path, 6)
    assert found.weighting.weights(NUMBERS).tolist() == [[0.5, 0.5, 0]] * 9
    assert (found.gate, found.about) == (None, {})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"1",
        b"[" * 100_000,
        b" " * (1 << 20) + b"{}",
        json.dumps(GOOD).encode()[:-9],
        *(
            json.dumps(GOOD | change).encode()
            for change in (
                {"format": 1},
                {"format": None},
                {"about": []},
                {"weighting": []},
                {"weighting": None},
                {"weighting": {}},
                {"gate": []},
                {"gate": {}},
                {"gate": random_gate(6).values() | {"borders": [0.0]}},
                {"weighting": random_weighting(6).values() | {"outer_bias": [float("nan")] * 3}},
                {"weighting": random_weighting(6).values() | {"spread": [0.0] * (6 + SIZE)}},
                {"weighting": random_weighting(6).values() | {"outer": [[0.0] * 5], "outer_bias": [0.0]}},
            )
        ),
        *(json.dumps({k: v for k, v in GOOD.items() if k != name}).encode() for name in GOOD if name != "gate"),
    ],
)
def test_damage(content: bytes, tmp_path: Path) -> None:
    """A file that is none of ours is an error that names it and the way out."""
    (tmp_path / SETTINGS).write_bytes(content)
    with pytest.raises(ModelFormatError, match=r"hybrid\.json.*; tune the model again$"):
        read_settings(tmp_path, 6)


def test_the_file_cannot_be_read(tmp_path: Path) -> None:
    """A folder in its place is told, and so is one that cannot be looked into."""
    (tmp_path / SETTINGS).mkdir()
    with pytest.raises(ModelFormatError, match=r"hybrid\.json cannot be read"):
        read_settings(tmp_path, 6)


@pytest.mark.parametrize("size", [3, 5, 9])
def test_an_n_gram_of_another_order(size: int, tmp_path: Path) -> None:
    """The weights are for the numbers of one order: with another n-gram beside them they have to be fitted again."""
    write_settings(tmp_path, Settings(random_weighting(6)))
    with pytest.raises(ModelFormatError, match=r"hybrid\.json was made for an n-gram of another order; tune"):
        read_settings(tmp_path, size)


def test_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where writing fails the old file stays, and nothing else is left."""

    def failing(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    write_settings(tmp_path, Settings(Weighting.fixed(0.2), about={"bytes": 1}))
    monkeypatch.setattr("ngramgen.atomic.os.replace", failing)
    with pytest.raises(OSError, match="No space left"):
        write_settings(tmp_path, Settings(Weighting.fixed(0.4), about={"bytes": 2}))
    assert os.listdir(tmp_path) == [SETTINGS]
    assert read_settings(tmp_path, 6).about == {"bytes": 1}
