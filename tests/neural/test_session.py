"""Graphs that are no decoders, or not such as we can run: each is one clear error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ngramgen.errors import MissingDependencyError, ModelFormatError
from ngramgen.neural.model import OnnxModel
from ngramgen.neural.session import Session
from tests.neural.tiny import Foreign, foreign_logits

for name in ("onnx", "onnxruntime", "tokenizers"):
    pytest.importorskip(name)

WRONG = {
    "no ids": (Foreign(rename={"input_ids": "tokens"}), "it has no input_ids"),
    "no logits": (Foreign(rename={"logits": "scores"}), "it has no logits"),
    "no cache": (Foreign(rename={f"past_key_values.0.{p}": f"past.{p}" for p in ("key", "value")}), "export it with"),
    "no present": (Foreign(rename={"present.0.key": "present_key"}), "no output present.0.key"),
    "float ids": (Foreign(more=[("cache_position", "FLOAT", ["sequence"])]), "cache_position is of the type"),
    "double": (Foreign("DOUBLE"), r"is of the type tensor\(double\), not"),
    "unknown": (Foreign(more=[("pixel_values", "FLOAT", ["batch", 3])]), "has an input 'pixel_values'"),
    "rank": (Foreign(more=[("use_cache_branch", "BOOL", [1, 1])]), "use_cache_branch has 2 dimensions, not 1"),
    "fixed": (Foreign(batch=1), "input_ids has a fixed shape"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_graphs(kind: str, tmp_path: Path) -> None:
    """Missing or unknown inputs and outputs, other types and ranks, and fixed shapes are told with the file."""
    made, message = WRONG[kind]
    (tmp_path / "m.onnx").write_bytes(made.model().SerializeToString())
    with pytest.raises(ModelFormatError, match=rf"m\.onnx.*{message}"):
        Session(tmp_path / "m.onnx", 1)


@pytest.mark.parametrize(
    ("more", "value"),
    [
        (("cache_position", "INT64", ["sequence"]), [2, 3]),
        (("num_logits_to_keep", "INT64", []), 1),
        (("num_logits_to_keep", "INT64", [1]), [1]),
        (("use_cache_branch", "BOOL", [1]), [True]),
    ],
)
def test_more_inputs(more: Any, value: Any, tmp_path: Path) -> None:
    """Inputs that some exports have are given what they stand for."""
    (tmp_path / "m.onnx").write_bytes(Foreign(more=[more]).model().SerializeToString())
    session = Session(tmp_path / "m.onnx", 1)
    feeds = session.feeds(np.array([[1, 2]]), 2, 1)
    assert feeds[more[0]].tolist() == value
    assert feeds["position_ids"].tolist() == [[2, 3]]
    assert feeds["attention_mask"].tolist() == [[1, 1, 1, 1]]
    found = session.run(np.array([[1, 2]]), "logits")
    assert found[0] == pytest.approx(foreign_logits(np.array([1, 2])), abs=1e-4)


def test_int32_ids(tmp_path: Path) -> None:
    """Ids are fed in the type that the graph wants."""
    (tmp_path / "m.onnx").write_bytes(Foreign(ids="INT32").model().SerializeToString())
    found = Session(tmp_path / "m.onnx", 1).run(np.array([[1, 2]]), "logits")
    assert found[0] == pytest.approx(foreign_logits(np.array([1, 2])), abs=1e-4)


@pytest.mark.parametrize("cut", [0, 10, 500, -1])
def test_truncated(cut: int, own_folder: Path, tmp_path: Path) -> None:
    """A file that breaks off, even an empty one, is one error that names it."""
    data = (own_folder / "model.onnx").read_bytes()
    (tmp_path / "m.onnx").write_bytes(data[:cut])
    with pytest.raises(ModelFormatError, match=r"m\.onnx"):
        Session(tmp_path / "m.onnx", 1)


def test_what_the_runtime_refuses(tmp_path: Path) -> None:
    """Its errors, as it opens and as it runs, become one sentence with the file's name."""
    made = Foreign().model()
    made.graph.node[0].op_type = "NoSuchOperator"
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(ModelFormatError, match=r"m\.onnx cannot be run: .*NoSuchOperator"):
        Session(tmp_path / "m.onnx", 1)
    (tmp_path / "m.onnx").write_bytes(Foreign().model().SerializeToString())
    with pytest.raises(ModelFormatError, match=r"m\.onnx fails as it runs: ") as caught:
        Session(tmp_path / "m.onnx", 1).run(np.array([[99]]), "logits")
    assert "\n" not in str(caught.value)


def test_nothing_on_stderr(own_folder: Path, tmp_path: Path) -> None:
    """The runtime prints nothing of its own, whether all is well or not."""
    folder = Foreign().write(tmp_path / "foreign")
    code = f"""
import numpy as np
from ngramgen.errors import ModelFormatError
from ngramgen.neural.model import OnnxModel
from ngramgen.neural.session import Session
for folder in ({str(own_folder)!r}, {str(folder)!r}):
    OnnxModel(folder).score(np.array([3, 4]))
try:
    Session(OnnxModel({str(folder)!r}).layout.model, 1).run(np.array([[99]]), "logits")
except ModelFormatError:
    print("told")
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (found.stdout, found.stderr) == ("told\n", "")


def test_without_the_runtime(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without onnxruntime we are told how to get it."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    model = OnnxModel(own_folder)
    with pytest.raises(MissingDependencyError, match=r"pip install 'ngramgen\[neural\]'"):
        model.logprobs(model.start())
