"""A network from which another training begins: its weights, read back from the file from which it is run."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.errors import ModelFormatError, OptionError
from ngramgen.neural.config import NetworkConfig
from ngramgen.neural.graph import import_onnx, weight_shapes
from ngramgen.neural.layout import TRAINING, Layout, read_layout
from ngramgen.text.subword import SubwordTokenizer

_PRECISIONS = ("float32", "int8")
SHAPE = [field.name for field in fields(NetworkConfig)]


@dataclass(frozen=True)
class Beginning:
    """Where a training begins: float32 ``weights``, as `ngramgen.neural.graph.weight_shapes` names and shapes them."""

    config: NetworkConfig
    weights: dict[str, NDArray[np.float32]]
    tokenizer: Path
    about: dict[str, Any]  # the network's name, and all the tokens and seconds of its trainings, those before it too

    def check(self, tokenizer: SubwordTokenizer) -> None:
        """Raises ModelFormatError for a tokenizer of another size."""
        if tokenizer.vocab_size != self.config.vocab_size:
            raise ModelFormatError(
                f"{self.tokenizer} has {tokenizer.vocab_size} entries where its network has {self.config.vocab_size}; "
                "put back the one that it was trained with"
            )


def check_shape(named: dict[str, Any]) -> None:
    """Raises OptionError for settings of the shape but the context, which alone no weight depends on."""
    if given := [name for name in named if name in SHAPE and name != "context"]:
        raise OptionError(f"the shape is that of the network that the training begins with; leave {given[0]} out")


def read_beginning(folder: str | Path, named: dict[str, Any]) -> Beginning:
    """The network in a folder, in float32 where that is there, else in int8.

    Of the shape the ``named`` settings may change the context (`check_shape`). Raises OptionError for a network that is
    not ngramgen's and one in other precisions only; ModelNotFoundError, ModelFormatError, and MissingDependencyError
    without onnx.
    """
    check_shape(named)
    shape = {name: value for name, value in named.items() if name in SHAPE}
    layout = _layout(Path(folder))
    assert layout.own is not None
    arrays = _arrays(layout)
    weights = {name: _matrix(layout, name, rows, arrays) for name, rows in weight_shapes(layout.own).items()}
    return Beginning(replace(layout.own, **shape), weights, layout.tokenizer, _about(layout))


def _layout(folder: Path) -> Layout:
    if folder.is_file():
        raise OptionError(f"{folder} is a file; name the folder of the network that the training begins with")
    layout = read_layout(folder)
    if layout.own is None:
        raise OptionError(f"{folder} is no network of ngramgen's; training begins only with one that it made")
    for precision in _PRECISIONS:
        try:
            return read_layout(folder, precision)
        except OptionError:
            continue
    raise OptionError(f"{folder} has its network in neither float32 nor int8, so no training can begin with it")


def _arrays(layout: Layout) -> dict[str, NDArray[Any]]:
    """The constants of the file, by name."""
    onnx = import_onnx()
    try:
        tensors = onnx.load(layout.model).graph.initializer
        return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in tensors}
    except Exception as error:  # protobuf has errors of its own
        raise ModelFormatError(f"{layout.model} is damaged ({type(error).__name__}); train the network anew") from None


def _matrix(layout: Layout, name: str, shape: tuple[int, int], arrays: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
    """Rows of outputs, as `ngramgen.neural.graph.build` and `ngramgen.neural.quantising.int8_weights` were given."""
    try:
        if name in arrays:
            is_table = name == "embedding" or name.startswith("values.")
            rows = np.array(arrays[name] if is_table else arrays[name].T, np.float32, order="C")
        else:
            bits, scales = arrays[f"{name}.bits"], arrays[f"{name}.scales"]
            rows = ((bits.reshape(*scales.shape, -1).astype(np.float32) - 128) * scales[..., None]).reshape(
                len(bits), -1
            )
    except (KeyError, ValueError, TypeError):
        rows = np.zeros((0, 0), np.float32)
    if rows.shape != shape:
        raise ModelFormatError(f"{layout.model} is damaged: it has no {name} of the shape {shape}")
    return rows


def _about(layout: Layout) -> dict[str, Any]:
    try:
        before = layout.about.get("init_from", {})
        sums = {name: float(layout.about.get(name, 0)) + float(before.get(name, 0)) for name in ("tokens", "seconds")}
    except (TypeError, ValueError, AttributeError):
        raise ModelFormatError(f"{layout.folder / TRAINING} is damaged; remove it") from None
    return {"name": layout.folder.resolve().name, "tokens": int(sums["tokens"]), "seconds": round(sums["seconds"], 1)}
