"""What the export writes into a folder, and what keeps it from writing."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from ngramgen.errors import MissingDependencyError, ModelFormatError, OptionError
from ngramgen.neural.config import NetworkConfig
from ngramgen.neural.export import export_network
from ngramgen.neural.graph import weight_shapes

CONFIG = NetworkConfig(vocab_size=50, layers=2, width=64, heads=4, kv_heads=2, hidden=96, context=24)


@pytest.fixture
def weights():
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    rng = np.random.default_rng(1)
    shapes = weight_shapes(CONFIG).items()
    return {name: (rng.standard_normal(shape) * 0.7 / shape[1] ** 0.5).astype(np.float32) for name, shape in shapes}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_files(tmp_path, weights):
    """Each precision has its file, which the runtime loads by its path, and config.json tells the shape."""
    import onnxruntime

    written = export_network(tmp_path, CONFIG, weights, ("float32", "int8", "q4"))
    assert written == ["model.onnx", "model_int8.onnx", "model_q4.onnx", "config.json"]
    assert names(tmp_path) == sorted(written)
    for name in written[:3]:
        session = onnxruntime.InferenceSession(str(tmp_path / name), providers=["CPUExecutionProvider"])
        assert session.get_outputs()[0].name == "logits"
    values = json.loads((tmp_path / "config.json").read_text())
    assert NetworkConfig.from_values(values, "config.json") == CONFIG
    sizes = [(tmp_path / name).stat().st_size for name in written[:3]]
    assert sizes == sorted(sizes, reverse=True)


def test_same_bytes(tmp_path, weights):
    """The same weights give the same files."""
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        export_network(folder, CONFIG, weights)
    for name in names(tmp_path / "a"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_older_files(tmp_path, weights):
    """A file of another precision, which holds older weights, is written anew; what else is there stays."""
    (tmp_path / "model_q4.onnx").write_text("older")
    (tmp_path / "tokenizer.json").write_text("{}")
    assert export_network(tmp_path, CONFIG, weights, ("float32",)) == ["model.onnx", "model_q4.onnx", "config.json"]
    assert names(tmp_path) == ["config.json", "model.onnx", "model_q4.onnx", "tokenizer.json"]
    assert (tmp_path / "model_q4.onnx").stat().st_size > 20_000


def test_agrees_with_torch(tmp_path):
    """The network as it is trained is the reference that the export agrees with."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    torch = pytest.importorskip("torch")
    from ngramgen.neural.network import Network

    network = Network(CONFIG)
    with torch.no_grad():
        for parameter in network.parameters():  # some of them begin at zero, which would hide them
            parameter.normal_(0, 0.7 / parameter.shape[1] ** 0.5)

    def reference(ids):
        with torch.no_grad():
            return network(torch.from_numpy(ids)).numpy()

    assert "model.onnx" in export_network(tmp_path, CONFIG, network.weights(), reference=reference)


def test_disagrees(tmp_path, weights):
    """Where the logits are not those of the reference, nothing is written."""

    def reference(ids):
        return np.zeros((1, ids.shape[1], CONFIG.vocab_size))

    with pytest.raises(ModelFormatError, match=r"model\.onnx is not written: its logits differ"):
        export_network(tmp_path, CONFIG, weights, reference=reference)
    assert names(tmp_path) == []


def test_no_numbers(tmp_path, weights):
    """Weights so large that the logits overflow are not written."""
    weights["layers.1.down"] = np.full_like(weights["layers.1.down"], 3e38)
    with pytest.raises(ModelFormatError, match="no numbers"):
        export_network(tmp_path, CONFIG, weights, ("float32",))
    assert names(tmp_path) == []


def test_old_runtime(tmp_path, weights, monkeypatch):
    """A file that the installed runtime cannot load is not written, and the error says what to update."""
    import onnxruntime

    def refuse(*args, **options):
        raise RuntimeError("GatherBlockQuantized is not a registered function")

    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)
    with pytest.raises(ModelFormatError, match=r"model_q4\.onnx is not written: onnxruntime .* cannot load it; update"):
        export_network(tmp_path, CONFIG, weights, ("q4",))
    assert names(tmp_path) == []


@pytest.mark.parametrize("precisions", [(), ("float32", "int3")])
def test_precisions(tmp_path, precisions):
    """A precision that is not known, and none at all, are refused."""
    with pytest.raises(OptionError, match="of float32, int8, q4"):
        export_network(tmp_path, CONFIG, {}, precisions)


def test_without_runtime(tmp_path, weights, monkeypatch):
    """Where onnxruntime is not installed, the error gives the command that installs it."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'ngramgen\[neural\]'"):
        export_network(tmp_path, CONFIG, weights)
    assert names(tmp_path) == []
