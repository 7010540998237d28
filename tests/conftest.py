"""Fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.shipping import Ship, write_models


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public text, beside the repository or where NGRAMGEN_TEST_DATA says."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("NGRAMGEN_TEST_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"needs the shared test data: there is no folder {folder} (set NGRAMGEN_TEST_DATA)")
    return folder


@pytest.fixture
def ship(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Ship:
    """Puts models in the place of the shipped ones, by name: a folder, or files by name. Gives the folder models/."""
    root = tmp_path_factory.mktemp("installed")
    monkeypatch.setattr("ngramgen.shipped._PACKAGE", root / "ngramgen")

    def put(**sources: Path | dict[str, bytes]) -> Path:
        write_models(root / "models", sources)
        return root / "models"

    return put


@pytest.fixture(scope="session")
def untuned_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with random weights and an order-3 n-gram, mixed evenly. Not to be written into."""
    return _hybrid(tmp_path_factory.mktemp("hybrid"))


@pytest.fixture(scope="session")
def hybrid_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a random weighting of the numbers of a place."""
    folder = _hybrid(tmp_path_factory.mktemp("weighted"))
    from ngramgen.hybrid.classes import SIZE
    from ngramgen.hybrid.folder import Settings, write_settings
    from tests.hybrid.tiny import random_gate, random_weighting

    size = 6 + SIZE
    write_settings(folder, Settings(random_weighting(size), random_gate(size), {"bytes": 7}))
    return folder


def _hybrid(folder: Path) -> Path:
    for name in ("onnx", "onnxruntime", "tokenizers"):
        pytest.importorskip(name)
    from tests.hybrid.tiny import write_hybrid

    write_hybrid(folder)
    return folder
