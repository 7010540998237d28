"""Folders of networks: which file is taken, and what is wrong with one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ngramgen.errors import ModelFormatError, ModelNotFoundError, OptionError
from ngramgen.neural.config import NetworkConfig
from ngramgen.neural.layout import is_network, read_layout

GPT2 = {"model_type": "gpt2", "n_positions": 1024, "n_embd": 768, "n_head": 12, "vocab_size": 50257}
GPT2 |= {"bos_token_id": 50256, "eos_token_id": 50256}
LLAMA = {"model_type": "llama", "max_position_embeddings": 2048, "hidden_size": 576, "num_attention_heads": 9}
LLAMA |= {"num_key_value_heads": 3, "vocab_size": 49152, "bos_token_id": None, "eos_token_id": [0, 2]}


def folder_of(folder: Path, config: Any, *names: str) -> Path:
    """A folder with a config.json and empty files of those names."""
    folder.mkdir(exist_ok=True)
    if config is not None:
        text = config if isinstance(config, str) else json.dumps(config)
        (folder / "config.json").write_text(text)
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


@pytest.mark.parametrize(
    ("names", "precision", "expected"),
    [
        (["model.onnx", "model_int8.onnx"], None, "model.onnx"),
        (["model.onnx", "model_int8.onnx"], "int8", "model_int8.onnx"),
        (["model.onnx", "model_quantized.onnx"], "int8", "model_quantized.onnx"),
        (["onnx/model.onnx", "onnx/model_fp16.onnx"], "float16", "onnx/model_fp16.onnx"),
        (["onnx/model.onnx", "onnx/model_q4.onnx", "onnx/model_q4f16.onnx"], "q4", "onnx/model_q4.onnx"),
        (["model.onnx", "onnx/model.onnx"], "float32", "model.onnx"),
        (["decoder_model.onnx", "decoder_model_merged.onnx"], None, "decoder_model_merged.onnx"),
        (["my.onnx"], None, "my.onnx"),
        (["model_int8.onnx"], None, "model_int8.onnx"),
    ],
)
def test_foreign_files(names: list[str], precision: str | None, expected: str, tmp_path: Path) -> None:
    """By default model.onnx or the only file; else the one of the precision; in the folder or in onnx/ below."""
    folder = folder_of(tmp_path, GPT2, *names)
    layout = read_layout(folder, precision)
    assert layout.model == folder / expected
    assert layout.own is None
    assert layout.tokenizer == folder / "tokenizer.json"


def test_own_files(tmp_path: Path) -> None:
    """Of a network of ours the int8 form is taken where it is there, and training.json is read."""
    folder = folder_of(tmp_path, NetworkConfig().to_json(), "model.onnx", "model_int8.onnx", "model_q4.onnx")
    layout = read_layout(folder)
    assert (layout.model.name, layout.precision) == ("model_int8.onnx", "int8")
    assert layout.own == NetworkConfig()
    assert (layout.context, layout.vocab_size, layout.heads, layout.about) == (256, 8192, (4, 64), {})
    (folder / "model_int8.onnx").unlink()
    (folder / "training.json").write_text('{"steps": 5}')
    layout = read_layout(str(folder))
    assert (layout.model.name, layout.precision, layout.about) == ("model.onnx", "float32", {"steps": 5})


def test_a_file_by_name(tmp_path: Path) -> None:
    """A file is taken as it is named, with the config.json beside it, or above it where it lies in onnx/."""
    folder = folder_of(tmp_path, GPT2, "model.onnx", "onnx/model_fp16.onnx", "other.onnx")
    layout = read_layout(folder / "onnx" / "model_fp16.onnx")
    assert (layout.folder, layout.precision) == (folder, "float16")
    layout = read_layout(folder / "other.onnx")
    assert (layout.folder, layout.precision) == (folder, None)
    with pytest.raises(OptionError, match="name the folder"):
        read_layout(folder / "other.onnx", "int8")


def test_what_config_tells(tmp_path: Path) -> None:
    """Context, vocabulary, heads and special tokens, by the names of either kind of model."""
    layout = read_layout(folder_of(tmp_path / "gpt2", GPT2, "model.onnx"))
    assert (layout.context, layout.vocab_size, layout.heads) == (1024, 50257, (12, 64))
    assert (layout.bos_id, layout.eos_ids) == (50256, (50256,))
    layout = read_layout(folder_of(tmp_path / "llama", LLAMA, "model.onnx"))
    assert (layout.context, layout.vocab_size, layout.heads) == (2048, 49152, (3, 64))
    assert (layout.bos_id, layout.eos_ids) == (None, (0, 2))
    inside = {"model_type": "gemma3", "eos_token_id": 1, "text_config": LLAMA | {"head_dim": 32}}
    layout = read_layout(folder_of(tmp_path / "inside", inside, "model.onnx"))
    assert (layout.context, layout.heads) == (2048, (3, 32))


def test_is_network(tmp_path: Path) -> None:
    """A folder with an ONNX file in it or in onnx/, and such a file itself."""
    assert not is_network(tmp_path)
    assert not is_network(tmp_path / "none.onnx")
    folder_of(tmp_path, None, "onnx/model.onnx")
    assert is_network(tmp_path)
    assert is_network(tmp_path / "onnx")
    assert is_network(tmp_path / "onnx" / "model.onnx")
    assert not is_network(tmp_path / "onnx" / "model.bin")


def test_missing(tmp_path: Path) -> None:
    """No folder, no network in it, no such precision, no config.json: each is told apart."""
    for path in (tmp_path / "none", tmp_path / "none.onnx"):
        with pytest.raises(ModelNotFoundError, match="there is no network"):
            read_layout(path)
    with pytest.raises(ModelNotFoundError, match="is a folder without a network"):
        read_layout(folder_of(tmp_path / "a", GPT2))
    with pytest.raises(ModelFormatError, match=r"config\.json is missing"):
        read_layout(folder_of(tmp_path / "b", None, "model.onnx"))
    folder = folder_of(tmp_path / "c", GPT2, "model_fp16.onnx", "model_q4.onnx")
    with pytest.raises(ModelFormatError, match=r"has no model\.onnx, only model_fp16\.onnx, model_q4\.onnx; name one"):
        read_layout(folder)
    with pytest.raises(OptionError, match=r"has no network in int8 .*only model_fp16\.onnx, model_q4\.onnx"):
        read_layout(folder, "int8")
    with pytest.raises(OptionError, match="precision must be one of float32, float16, int8, q4, not 'int4'"):
        read_layout(folder, "int4")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("", "is damaged: it is no JSON"),
        ('{"n_positions": 10', "is damaged: it is no JSON"),
        ("\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), "is damaged: it is no JSON"),
        ("[" * 100_000, "is damaged: it is no JSON"),
        ("[1]", "holds no object"),
        ("{}", "does not tell the length of the context"),
        ({"n_positions": 0}, "does not tell the length of the context"),
        ({"n_positions": "10"}, "n_positions is '10'"),
        ({"n_positions": True}, "n_positions is True"),
        ({"n_positions": 10, "vocab_size": -5}, "vocab_size is -5"),
        ({"n_positions": 10, "eos_token_id": [1.5]}, r"eos_token_id is 1\.5"),
        ({"model_type": "ngramgen"}, "format None is not known"),
        ({"model_type": "ngramgen", "format": 1}, "vocab_size is missing"),
        (" " * (1 << 24) + "{}", "is too long"),
    ],
)
def test_damaged_config(config: Any, message: str, tmp_path: Path) -> None:
    """A config.json that is no JSON or says what makes no sense is one error that names it."""
    with pytest.raises(ModelFormatError, match=rf"config\.json.*{message}"):
        read_layout(folder_of(tmp_path, config, "model.onnx"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes(tmp_path: Path) -> None:
    """A pipe is no file of a network and is not waited for."""
    os.mkfifo(tmp_path / "config.json")
    os.mkfifo(tmp_path / "model.onnx")
    assert not is_network(tmp_path)
    (tmp_path / "other.onnx").write_bytes(b"")
    with pytest.raises(ModelFormatError, match=r"config\.json is missing"):
        read_layout(tmp_path)
