"""`ngramgen export`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

import ngramgen

Invoke = Callable[..., Result]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of a few steps."""
    pytest.importorskip("torch", reason="training needs torch")
    from ngramgen.neural.training import NetworkCorpus, train_network

    shape = {"vocab_size": 270, "layers": 1, "width": 32, "heads": 2, "kv_heads": 2, "hidden": 32, "context": 32}
    return train_network(
        NetworkCorpus([ngramgen.sample_text()]),
        tmp_path_factory.mktemp("trained") / "network",
        size="tiny",
        tokens=2048,
        compile=False,
        **shape,
    )


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.onnx"))


def test_default(invoke: Invoke, trained: Path) -> None:
    """Without options the newest checkpoint is written in float32 and int8, and each file is told with its size."""
    for path in trained.glob("*.onnx"):
        path.unlink()
    result = invoke("export", trained)
    assert (result.exit_code, result.stdout) == (0, "")
    assert files(trained) == ["model.onnx", "model_int8.onnx"]
    told = [line.partition(": ") for line in result.stderr.splitlines()]
    assert [name for name, _, _ in told] == [str(trained / name) for name in files(trained)]
    assert all(size.endswith("kB.") for _, _, size in told)


def test_constant(invoke: Invoke, trained: Path) -> None:
    """--checkpoint constant writes another network than latest, and latest the first one again."""
    written = []
    for name in ("latest", "constant", "latest"):
        assert invoke("export", trained, "--checkpoint", name).exit_code == 0
        written.append((trained / "model.onnx").read_bytes())
    assert written[0] != written[1]
    assert written[0] == written[2]


def test_precisions(invoke: Invoke, trained: Path) -> None:
    """Several precisions may be asked for."""
    result = invoke("export", trained, "--precision", "q4", "--precision", "float32")
    assert result.exit_code == 0
    assert {"model.onnx", "model_q4.onnx"} <= set(files(trained))


def test_no_training(invoke: Invoke, tmp_path: Path) -> None:
    """A folder without a training is misuse, in one sentence."""
    pytest.importorskip("torch", reason="training needs torch")
    result = invoke("export", tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: there is no checkpoint ")


def test_damaged_checkpoint(invoke: Invoke, tmp_path: Path) -> None:
    """A damaged checkpoint is a failure that names the file."""
    pytest.importorskip("torch", reason="training needs torch")
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "latest.pt").write_bytes(b"not a checkpoint")
    result = invoke("export", tmp_path)
    assert result.exit_code == 1
    assert "latest.pt is damaged" in result.stderr
