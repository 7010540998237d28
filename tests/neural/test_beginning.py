"""A network's weights, read back from its files, for another training to begin with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ngramgen.errors import ModelFormatError, ModelNotFoundError, OptionError
from ngramgen.neural.beginning import read_beginning
from ngramgen.neural.config import NetworkConfig
from tests.neural.tiny import Foreign, write_own

pytest.importorskip("onnx", reason="files are read by onnx")

CONFIG = NetworkConfig(
    vocab_size=40, layers=2, width=64, heads=4, kv_heads=2, hidden=96, context=16, value_embeddings=1
)


@pytest.fixture(scope="module")
def weights() -> dict[str, Any]:
    from ngramgen.neural.graph import weight_shapes

    rng = np.random.default_rng(0)
    return {name: rng.normal(0, 1, shape).astype(np.float32) for name, shape in weight_shapes(CONFIG).items()}


def folder_of(path: Path, weights: dict[str, Any], *precisions: str) -> Path:
    from ngramgen.neural.export import export_network

    export_network(path, CONFIG, weights, precisions)
    return path


def test_float32(weights: dict[str, Any], tmp_path: Path) -> None:
    """To the last bit, also where other precisions lie beside it."""
    found = read_beginning(folder_of(tmp_path, weights, "float32", "int8"), {})
    assert found.config == CONFIG
    assert list(found.weights) == list(weights)
    for name, values in weights.items():
        assert np.array_equal(found.weights[name], values)
    assert found.tokenizer == tmp_path / "tokenizer.json"


def test_int8(weights: dict[str, Any], tmp_path: Path) -> None:
    """Within half a step of 8 bits, all of them: matrices, the embedding, the value embeddings."""
    found = read_beginning(folder_of(tmp_path, weights, "int8"), {})
    for name, values in weights.items():
        step = np.abs(values).max() / 127
        assert found.weights[name].dtype == np.float32
        assert np.abs(found.weights[name] - values).max() <= 0.51 * step
        assert np.abs(found.weights[name] - values).max() > 0


def test_the_context_may_change(weights: dict[str, Any], tmp_path: Path) -> None:
    """Nothing else of the shape."""
    folder = folder_of(tmp_path, weights, "int8")
    assert read_beginning(folder, {"context": 32, "batch_size": 3}).config.context == 32
    with pytest.raises(
        OptionError, match="the shape is that of the network that the training begins with; leave width"
    ):
        read_beginning(folder, {"context": 32, "width": 32})


def test_no_network_to_begin_with(weights: dict[str, Any], tmp_path: Path) -> None:
    """A folder without one, a foreign one, and one in 4 bits alone are refused by name."""
    with pytest.raises(ModelNotFoundError, match="no network"):
        read_beginning(tmp_path / "none", {})
    (tmp_path / "four").mkdir()
    with pytest.raises(OptionError, match="neither float32 nor int8"):
        read_beginning(folder_of(tmp_path / "four", weights, "q4"), {})
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "model.onnx").write_bytes(Foreign().model().SerializeToString())
    (foreign / "config.json").write_text(json.dumps({"model_type": "gpt2", "n_positions": 16}))
    with pytest.raises(OptionError, match="is no network of ngramgen's"):
        read_beginning(foreign, {})


def test_damage(weights: dict[str, Any], tmp_path: Path) -> None:
    """A file that is cut off, and one whose config.json tells of another shape, are errors that name it."""
    folder = folder_of(tmp_path, weights, "int8")
    path = folder / "model_int8.onnx"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelFormatError, match=r"model_int8\.onnx is damaged"):
        read_beginning(folder, {})
    path.write_bytes(whole)
    for change in ({"layers": 3}, {"hidden": 128}, {"value_embeddings": 2}):
        config = json.loads(CONFIG.to_json()) | change
        (folder / "config.json").write_text(json.dumps(config))
        with pytest.raises(ModelFormatError, match=r"model_int8\.onnx is damaged: it has no "):
            read_beginning(folder, {})


def test_trainings_add_up(tmp_path: Path) -> None:
    """What is told of the beginning counts the trainings before it, too; what is no number there is refused."""
    write_own(tmp_path)
    assert read_beginning(tmp_path, {}).about == {"name": tmp_path.name, "tokens": 0, "seconds": 0}
    told = {"tokens": 100, "seconds": 7.5, "init_from": {"name": "a", "tokens": 20, "seconds": 1.5}}
    (tmp_path / "training.json").write_text(json.dumps(told))
    assert read_beginning(tmp_path, {}).about == {"name": tmp_path.name, "tokens": 120, "seconds": 9.0}
    for wrong in ({"init_from": None}, {"tokens": "many"}, {"seconds": []}, {"init_from": 3}):
        (tmp_path / "training.json").write_text(json.dumps(told | wrong))
        with pytest.raises(ModelFormatError, match=r"training\.json is damaged"):
            read_beginning(tmp_path, {})


def test_parts_that_are_missing(weights: dict[str, Any], tmp_path: Path) -> None:
    """A file without the scales of a matrix is damaged."""
    import onnx

    path = folder_of(tmp_path, weights, "int8") / "model_int8.onnx"
    model = onnx.load(path)
    kept = [one for one in model.graph.initializer if one.name != "layers.1.up.scales"]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelFormatError, match=r"it has no layers\.1\.up of the shape \(96, 64\)"):
        read_beginning(tmp_path, {})
