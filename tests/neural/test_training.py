"""From a corpus to a folder with a network."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ngramgen
from ngramgen.errors import (
    CorpusError,
    MissingDependencyError,
    ModelFormatError,
    OptionError,
    TokenizerError,
    TrainingError,
)
from ngramgen.neural.beginning import read_beginning
from ngramgen.neural.training import NetworkCorpus, export_checkpoint, train_network
from ngramgen.text.subword import SubwordTokenizer

SMALL = {
    "vocab_size": 300,
    "layers": 1,
    "width": 32,
    "heads": 2,
    "kv_heads": 2,
    "hidden": 64,
    "context": 32,
    "batch_size": 8,
    "evaluations": 2,
    "compile": False,
    "device": "cpu",
}
STEP = 8 * 32

Train = Callable[..., Path]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """The first lines of the sample text."""
    path = tmp_path / "fables.txt"
    path.write_text("".join(ngramgen.sample_text().read_text().splitlines(keepends=True)[:40]))
    return path


@pytest.fixture
def train(corpus: Path, tmp_path: Path) -> Train:
    """Trains for four steps, of which everything can be changed."""
    pytest.importorskip("torch", reason="training needs torch")

    def run(folder: str = "network", sources: list[Path] | None = None, **options: Any) -> Path:
        valid = options.pop("valid", ())
        text = NetworkCorpus(sources or [corpus], valid)
        return train_network(text, tmp_path / folder, **{"size": "tiny", "tokens": 4 * STEP} | SMALL | options)

    return run


def about(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "training.json").read_text())
    return found


def test_folder(train: Train, corpus: Path) -> None:
    """A training leaves the model, what it was made of, the curve, and a folder to go on from."""
    folder = train()
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "config.json",
        "curve.csv",
        "curve.svg",
        "model.onnx",
        "model_int8.onnx",
        "tokenizer.json",
        "training",
        "training.json",
    }
    kept = {path.name for path in (folder / "training").iterdir()}
    assert kept == {"constant.pt", "latest.pt", "texts.json", "train.tokens"}
    assert len((folder / "curve.csv").read_text().splitlines()) == 3


def test_what_it_was_made_of(train: Train, corpus: Path) -> None:
    """training.json tells every option, the files, and how good the network is."""
    found = about(train())
    assert found["ngramgen"] == ngramgen.__version__
    assert found["corpus"]["files"] == [["fables.txt", corpus.stat().st_size]]
    assert (found["steps"], found["tokens"], found["device"]) == (4, 4 * STEP, "cpu")
    assert found["options"]["batch_size"] == 8
    assert found["options"]["muon_learning_rate"] == 0.02
    assert found["cleaning"] == ["nfc", "control", "whitespace"]
    assert 3 < found["valid_bits_per_byte"] < 8.3  # it has learnt little, and log2 300 is 8.2


def test_onnx_agrees(train: Train) -> None:
    """model.onnx gives the logits of the checkpoint's network, within 1e-4."""
    torch = pytest.importorskip("torch")
    onnxruntime = pytest.importorskip("onnxruntime")
    from ngramgen.neural.checkpoint import load_checkpoint
    from ngramgen.neural.config import NetworkConfig
    from ngramgen.neural.network import Network

    folder = train()
    state = load_checkpoint(folder / "training" / "latest.pt")
    network = Network(NetworkConfig(**state["config"]))
    network.load_state_dict(state["network"])
    ids = np.arange(2, 32)[None]
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    feed |= {f"past_key_values.0.{part}": np.zeros((1, 2, 0, 16), np.float32) for part in ("key", "value")}
    with torch.no_grad():
        expected = network(torch.from_numpy(ids)).numpy()
    np.testing.assert_allclose(session.run(["logits"], feed)[0], expected, atol=1e-4)


def test_begun_with_a_network(train: Train, corpus: Path, tmp_path: Path) -> None:
    """A training that learns nothing gives the network that it began with, also where it sees more tokens at once; the
    tokenizer is that network's, and training.json tells of both trainings."""
    first = train("first")
    options: dict[str, Any] = {"context": 48, "batch_size": 8, "evaluations": 1, "compile": False, "device": "cpu"}
    rates = {f"{name}_learning_rate": 1e-30 for name in ("muon", "adam", "value")}
    text, folder = NetworkCorpus([corpus]), tmp_path / "second"
    train_network(text, folder, tokens=2 * 8 * 48, init_from=first, **options, **rates)
    one, two = (read_beginning(path, {}) for path in (first, folder))
    assert (one.config.context, two.config.context) == (32, 48)
    for name, values in one.weights.items():
        np.testing.assert_allclose(two.weights[name], values, rtol=1e-6, atol=1e-7)
    assert (folder / "tokenizer.json").read_bytes() == (first / "tokenizer.json").read_bytes()
    assert about(folder)["init_from"] == {"name": "first", "tokens": 4 * STEP, "seconds": about(first)["seconds"]}
    assert about(folder)["size"] is None


def test_begun_with_a_network_and_resumed(train: Train, corpus: Path, tmp_path: Path) -> None:
    """A resumed training is that which was not stopped; it knows what it began with without being told again."""
    first = train("first")
    options: dict[str, Any] = {"context": 48, "batch_size": 8, "compile": False, "device": "cpu", "decay_share": 0.5}
    text, one, two = NetworkCorpus([corpus]), tmp_path / "one", tmp_path / "two"
    train_network(text, one, tokens=4 * 8 * 48, evaluations=1, init_from=first, **options)
    train_network(text, two, tokens=2 * 8 * 48, evaluations=2, init_from=first, **options)
    (first / "model.onnx").unlink()
    (first / "model_int8.onnx").unlink()
    del options["context"]
    train_network(text, two, tokens=4 * 8 * 48, evaluations=1, resume=True, **options)
    assert (one / "model.onnx").read_bytes() == (two / "model.onnx").read_bytes()
    assert about(two)["init_from"] == about(one)["init_from"]
    assert about(two)["steps"] == 4
    with pytest.raises(OptionError, match="leave init_from out"):
        train_network(text, two, tokens=4 * 8 * 48, resume=True, init_from=one, **options)
    again = tmp_path / "three"
    train_network(text, again, tokens=8 * 48, evaluations=1, init_from=two, **options)
    assert about(again)["init_from"]["tokens"] == 4 * STEP + 4 * 8 * 48


def test_what_comes_with_a_network(train: Train, tmp_path: Path) -> None:
    """Its tokenizer and its shape, so others are refused."""
    first = train("first")
    with pytest.raises(OptionError, match="takes over its tokenizer too; leave yours out"):
        train("second", init_from=first, tokenizer=first / "tokenizer.json")
    with pytest.raises(OptionError, match="leave vocab_size out"):
        train("second", init_from=first)
    with pytest.raises(OptionError, match="is a file; name the folder"):
        train_network(NetworkCorpus([]), tmp_path / "second", tokens=5, init_from=first / "model.onnx")
    (first / "tokenizer.json").write_text(SubwordTokenizer.train([b"some words"], 259).json)
    with pytest.raises(ModelFormatError, match=r"tokenizer\.json has 259 entries where its network has 300"):
        train_network(NetworkCorpus([]), tmp_path / "second", tokens=5, init_from=first)
    assert not (tmp_path / "second").exists()


def test_same_seed(train: Train) -> None:
    """The same text, options and seed give the same files, byte for byte."""
    one, two = train("one"), train("two")
    for name in ("model.onnx", "model_int8.onnx", "tokenizer.json", "config.json"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_other_text_to_measure_on(train: Train, tmp_path: Path) -> None:
    """With text to measure on, all of the corpus is learnt and the other's bytes count."""
    valid = tmp_path / "valid.txt"
    valid.write_text("The fox saw the grapes.\n" * 20)
    folder = train(valid=[valid])
    facts = json.loads((folder / "training" / "texts.json").read_text())
    assert facts["valid_bytes"] == valid.stat().st_size
    assert about(folder)["corpus"]["tokens"] == facts["tokens"]
    assert [name for name, _ in facts["sources"]] == ["fables.txt", "valid.txt"]


def test_missing_text_to_measure_on(train: Train, tmp_path: Path) -> None:
    """A text to measure on that is not there is told before the corpus is read, and nothing is written."""
    with pytest.raises(CorpusError, match=r"There is no file .*nowhere\.txt"):
        train(valid=[tmp_path / "nowhere.txt"])
    assert not (tmp_path / "network").exists()


def test_corpus_that_goes(train: Train, corpus: Path) -> None:
    """The corpus is needed no more once it is read: a training ends well when it has been deleted."""
    size = corpus.stat().st_size
    folder = train(report=lambda progress: corpus.unlink(missing_ok=True))
    assert not corpus.exists()
    assert about(folder)["corpus"]["files"] == [["fables.txt", size]]


def test_empty_text_to_measure_on(train: Train, tmp_path: Path) -> None:
    """An empty text to measure on is refused, and not replaced by another."""
    valid = tmp_path / "valid.txt"
    valid.write_text("")
    with pytest.raises(TrainingError, match="the text to measure on is empty"):
        train(valid=[valid])


def test_too_short_text(train: Train, tmp_path: Path) -> None:
    """A text that does not fill a batch is refused, and the folder can be trained into afterwards."""
    short = tmp_path / "short.txt"
    short.write_text("A fox.\n" * 60)
    with pytest.raises(TrainingError, match=r"the text is too short: .* give more text, or set a smaller batch_size"):
        train(sources=[short])
    train()


def test_own_tokenizer(train: Train) -> None:
    """A tokenizer.json of an earlier training is taken as it is, and its size is the network's."""
    pytest.importorskip("tokenizers")
    first = train("first", vocab_size=280)
    second = train("second", tokenizer=first / "tokenizer.json")
    assert (second / "tokenizer.json").read_text() == (first / "tokenizer.json").read_text()
    assert json.loads((second / "config.json").read_text())["vocab_size"] == 280


def test_foreign_tokenizer(train: Train, tmp_path: Path) -> None:
    """Another program's tokenizer.json is refused before anything is read or written."""
    tokenizers = pytest.importorskip("tokenizers")
    path = tmp_path / "tokenizer.json"
    tokenizers.Tokenizer(tokenizers.models.BPE({"a": 0, "b": 1}, [])).save(str(path))
    with pytest.raises(TokenizerError, match=r"tokenizer\.json was made by another program; give .* or none"):
        train(tokenizer=path)
    assert not (tmp_path / "network").exists()


def test_resume(train: Train) -> None:
    """A longer budget goes on with the training in the folder, and its last model is that of one long training."""
    folder = train()
    train(resume=True, tokens=8 * STEP)
    whole = train("whole", tokens=8 * STEP)
    assert about(folder)["steps"] == 8
    assert (folder / "model.onnx").read_bytes() == (whole / "model.onnx").read_bytes()


def test_training_that_is_there(train: Train) -> None:
    """Without resume a training is not written over."""
    train()
    with pytest.raises(OptionError, match="holds a training: go on with it by resume"):
        train()


def test_resume_with_other_files(train: Train, corpus: Path) -> None:
    """A training goes on with its own files only: a changed size is noticed."""
    train()
    corpus.write_text(corpus.read_text() + "One line more.\n")
    with pytest.raises(OptionError, match="was trained on other files; resume with the same ones"):
        train(resume=True, tokens=8 * STEP)


def test_resume_of_nothing(train: Train) -> None:
    """There is nothing to resume in a folder that is not there."""
    with pytest.raises(OptionError, match="there is nothing to resume in"):
        train(resume=True)


def test_export_checkpoint(train: Train) -> None:
    """A checkpoint's export is what the training wrote itself, and that of the constant stage is another."""
    folder = train()
    written = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").unlink()
    (folder / "model_int8.onnx").unlink()
    assert export_checkpoint(folder, precisions=["float32"]) == folder
    assert (folder / "model.onnx").read_bytes() == written
    assert not (folder / "model_int8.onnx").exists()
    export_checkpoint(folder, "constant")
    assert (folder / "model.onnx").read_bytes() != written


def test_export_of_nothing(tmp_path: Path) -> None:
    """A folder without a checkpoint is an error that names the file."""
    pytest.importorskip("torch", reason="training needs torch")
    with pytest.raises(OptionError, match=r"there is no checkpoint .*latest\.pt; train first"):
        export_checkpoint(tmp_path)


def test_unknown_precision(tmp_path: Path) -> None:
    """A precision that there is not is refused before anything is trained or read."""
    message = "there is no precision 'int3'; they are float32, int8, q4"
    with pytest.raises(OptionError, match=message):
        train_network(NetworkCorpus(["nowhere.txt"]), tmp_path / "network", tokens=1, precisions=["int3"])
    with pytest.raises(OptionError, match=message):
        export_checkpoint(tmp_path, precisions=["int3"])


def test_no_precision(tmp_path: Path) -> None:
    """No precision at all is refused before anything is trained."""
    with pytest.raises(OptionError, match="at least one precision is needed, of float32, int8, q4"):
        train_network(NetworkCorpus(["nowhere.txt"]), tmp_path / "network", tokens=1, precisions=[])


@pytest.mark.parametrize("shape", [{"width": 144, "heads": 3}, {"hidden": 100}])
def test_q4_of_odd_widths(tmp_path: Path, shape: dict[str, int]) -> None:
    """Widths that four bits cannot take are refused before the training, not after it."""
    with pytest.raises(OptionError, match="q4 needs a width and a hidden that are multiples of 32"):
        train_network(NetworkCorpus(["nowhere.txt"]), tmp_path, size="tiny", tokens=1, precisions=["q4"], **shape)


@pytest.mark.parametrize("name", ["torch", "onnx"])
def test_missing_package(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without torch or onnx, training is one sentence with the command that mends it."""
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependencyError, match=r"needs torch and onnx; .* pip install 'ngramgen\[train\]'"):
        train_network(NetworkCorpus(["nowhere.txt"]), tmp_path / "network", tokens=1)
    with pytest.raises(MissingDependencyError):
        export_checkpoint(tmp_path)


def test_old_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PyTorch without Muon is said to be too old."""
    torch = pytest.importorskip("torch", reason="training needs torch")
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(MissingDependencyError, match=r"needs torch 2\.9 or newer; pip install -U torch"):
        train_network(NetworkCorpus(["nowhere.txt"]), tmp_path / "network", tokens=1)
