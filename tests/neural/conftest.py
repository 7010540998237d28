"""Small networks in folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.neural.tiny import write_own


@pytest.fixture(scope="session")
def own_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of ours with random weights, a context of 16 tokens, in float32 and int8."""
    for name in ("onnx", "onnxruntime", "tokenizers"):
        pytest.importorskip(name)
    folder = tmp_path_factory.mktemp("own")
    write_own(folder)
    return folder
