"""The files of a network in a folder, ours or one that Hugging Face's tools exported."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ngramgen.errors import ModelFormatError, ModelNotFoundError, OptionError
from ngramgen.neural.config import MODEL_TYPE, NetworkConfig

CONFIG, TOKENIZER, TRAINING = "config.json", "tokenizer.json", "training.json"
GENERATION = "generation_config.json"
_LARGEST_JSON = 1 << 24  # bytes of a config.json; a real one has some thousands

# The names in use for the forms of a network, those of transformers.js and optimum included.
_STEMS = ("model", "decoder_model_merged")
_ENDINGS = {"float32": ("",), "float16": ("_fp16",), "int8": ("_int8", "_quantized"), "q4": ("_q4",)}
PRECISIONS = tuple(_ENDINGS)

_CONTEXT_NAMES = ("max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length", "max_seq_len", "seq_length")


@dataclass(frozen=True)
class Layout:
    """Where a network lies and what its config.json tells of it."""

    folder: Path
    model: Path
    precision: str | None  # one of PRECISIONS, where the name tells
    context: int  # tokens that are seen at once
    vocab_size: int | None  # as far as it is told
    heads: tuple[int, int] | None  # of the keys: how many, and their width
    bos_id: int | None  # foreign ids
    eos_ids: tuple[int, ...]  # any of them ends a text; the first is </s>
    own: NetworkConfig | None  # of a network of ours
    about: dict[str, Any] = field(default_factory=dict)  # how it was trained

    @property
    def tokenizer(self) -> Path:
        return self.folder / TOKENIZER


def is_network(path: Path) -> bool:
    """Whether a folder holds an ONNX file, or a path is one."""
    if path.suffix == ".onnx" and path.is_file():
        return True
    return path.is_dir() and bool(_onnx_files(path))


def read_layout(path: str | os.PathLike[str], precision: str | None = None) -> Layout:
    """The layout of a folder, or of a file of it.

    ``precision`` picks among the forms of a network; by default it is int8 for one of ours, where that is there, and
    float32 for others. Raises ModelNotFoundError where there is no such network, ModelFormatError for a config.json
    that is missing or wrong, OptionError for a precision that is not known or is not there.
    """
    path = Path(path)
    if precision is not None and precision not in PRECISIONS:
        raise OptionError(f"precision must be one of {', '.join(PRECISIONS)}, not {precision!r}")
    if path.is_dir():
        values = read_json(path / CONFIG) if _onnx_files(path) else {}
        model = _chosen(path, precision, values.get("model_type") == MODEL_TYPE)
        return _layout(path, model, values)
    if not path.is_file():
        raise ModelNotFoundError(f"there is no network {str(path)!r}: give a folder or an .onnx file")
    if precision is not None:
        raise OptionError(f"{path} is a file, so its precision cannot be chosen; name the folder")
    folder = path.parent
    if path.parent.name == "onnx" and not (folder / CONFIG).exists():
        folder = folder.parent  # as the hub has it
    return _layout(folder, path, read_json(folder / CONFIG))


def _onnx_files(folder: Path) -> list[Path]:
    """The ONNX files of a folder and of its folder ``onnx``, by name."""
    return [path for place in (folder, folder / "onnx") for path in sorted(place.glob("*.onnx")) if path.is_file()]


def _chosen(folder: Path, precision: str | None, own: bool) -> Path:
    files = {path.name: path for path in reversed(_onnx_files(folder))}  # the folder's own before those below
    if not files:
        raise ModelNotFoundError(f"{folder} is a folder without a network: it has no .onnx file")
    wanted = (precision,) if precision else ("int8", "float32") if own else ("float32",)
    names = [f"{stem}{ending}.onnx" for form in wanted for ending in _ENDINGS[form] for stem in _STEMS]
    for name in names:
        if name in files:
            return files[name]
    if precision is None and len(files) == 1:
        return next(iter(files.values()))
    there = ", ".join(sorted(files))
    if precision is None:
        raise ModelFormatError(f"{folder} has no {names[0]}, only {there}; name one of these files")
    raise OptionError(f"{folder} has no network in {precision} ({' or '.join(names)}), only {there}")


def _layout(folder: Path, model: Path, values: dict[str, Any]) -> Layout:
    source = str(folder / CONFIG)
    forms = {f"{stem}{ending}": form for form, ends in _ENDINGS.items() for ending in ends for stem in _STEMS}
    form = forms.get(model.stem)
    if values.get("model_type") == MODEL_TYPE:
        own = NetworkConfig.from_values(values, source)
        training = folder / TRAINING
        about = read_json(training) if training.exists() else {}
        heads = own.kv_heads, own.head_dim
        return Layout(folder, model, form, own.context, own.vocab_size, heads, None, (), own, about)
    inner = values.get("text_config")
    if isinstance(inner, dict):  # a model of several kinds of data
        values = {**values, **inner}
    context = next((found for name in _CONTEXT_NAMES if (found := _number(values, name, source)) is not None), None)
    if not context:
        raise ModelFormatError(f"{source} does not tell the length of the context, as in {_CONTEXT_NAMES[0]}")
    return Layout(
        folder,
        model,
        form,
        context,
        _number(values, "vocab_size", source),
        _heads(values, source),
        next(iter(_ids(values, "bos_token_id", source)), None),
        _ends(folder, values),
        None,
    )


def _ends(folder: Path, values: dict[str, Any]) -> tuple[int, ...]:
    """The tokens that end a text: those of config.json, and what generation_config.json adds, as for chats."""
    ids = _ids(values, "eos_token_id", str(folder / CONFIG))
    if (folder / GENERATION).exists():
        ids += _ids(read_json(folder / GENERATION), "eos_token_id", str(folder / GENERATION))
    return tuple(dict.fromkeys(ids))


def _heads(values: dict[str, Any], source: str) -> tuple[int, int] | None:
    """The number of heads of the keys and their width."""
    queries = _number(values, "num_attention_heads", source) or _number(values, "n_head", source)
    width = _number(values, "hidden_size", source) or _number(values, "n_embd", source)
    if not queries or not width:
        return None
    heads = _number(values, "num_key_value_heads", source) or queries
    return heads, _number(values, "head_dim", source) or width // queries


def _number(values: dict[str, Any], name: str, source: str) -> int | None:
    value = values.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 31:
        raise ModelFormatError(f"{source}: {name} is {value!r}, which is no number that makes sense there")
    return value


def _ids(values: dict[str, Any], name: str, source: str) -> tuple[int, ...]:
    """A token's id, or a list of them; none where nothing is told."""
    value = values.get(name)
    listed = value if isinstance(value, list) else [value]
    found = [_number({name: one}, name, source) for one in listed]
    return tuple(one for one in found if one is not None)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises ModelFormatError where there is none."""
    try:
        if not path.is_file():
            raise ModelFormatError(f"{path} is missing")
        with path.open("rb") as file:
            data = file.read(_LARGEST_JSON + 1)
    except OSError as error:
        raise ModelFormatError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > _LARGEST_JSON:
        raise ModelFormatError(f"{path} is too long")
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        raise ModelFormatError(f"{path} is damaged: it is no JSON") from None
    if not isinstance(values, dict):
        raise ModelFormatError(f"{path} is damaged: it holds no object")
    return values
