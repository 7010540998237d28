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
from ngramgen.neural.layout import Layout, read_layout

_PRECISIONS = ("float32", "int8")
_SHAPE = [field.name for field in fields(NetworkConfig)]


@dataclass(frozen=True)
class Beginning:
    """Where a training begins: float32 ``weights``, as `ngramgen.neural.graph.weight_shapes` names and shapes them."""

    config: NetworkConfig
    weights: dict[str, NDArray[np.float32]]
    tokenizer: Path
    folder: Path
    training: dict[str, Any]  # what the folder's training.json tells

    @property
    def size(self) -> str:
        return str(self.training.get("size", "small"))

    def about(self) -> dict[str, Any]:
        """The network's name, and all the tokens and seconds of its trainings, of those before it too."""
        before = self.training.get("init_from", {})
        sums = {name: self.training.get(name, 0) + before.get(name, 0) for name in ("tokens", "seconds")}
        return {"name": self.folder.resolve().name, **sums}


def read_beginning(folder: str | Path, named: dict[str, Any]) -> Beginning:
    """The network in a folder, in float32 where that is there, else in int8.

    Of the shape the ``named`` settings may change the context, which no weight depends on. Raises OptionError for
    another setting of it, a network that is not ngramgen's and one in other precisions only; ModelNotFoundError,
    ModelFormatError, and MissingDependencyError without onnx.
    """
    shape = {name: value for name, value in named.items() if name in _SHAPE}
    if given := [name for name in shape if name != "context"]:
        raise OptionError(f"the shape is that of the network that the training begins with; leave {given[0]} out")
    layout = _layout(Path(folder))
    assert layout.own is not None
    read = {name: _matrix(name, parts) for name, parts in _parts(layout).items()}
    shapes = weight_shapes(layout.own)
    for name, rows in shapes.items():
        if name not in read or read[name].shape != rows:
            raise ModelFormatError(f"{layout.model} is damaged: it has no {name} of the shape {rows}")
    weights = {name: read[name] for name in shapes}
    return Beginning(replace(layout.own, **shape), weights, layout.tokenizer, layout.folder, layout.about)


def _layout(folder: Path) -> Layout:
    layout = read_layout(folder)
    if layout.own is None:
        raise OptionError(f"{folder} is no network of ngramgen's; training begins only with one that it made")
    for precision in _PRECISIONS:
        try:
            return read_layout(folder, precision)
        except OptionError:
            continue
    raise OptionError(f"{folder} has its network in neither float32 nor int8, so no training can begin with it")


def _parts(layout: Layout) -> dict[str, dict[str, NDArray[Any]]]:
    """The arrays of the file by matrix: ``""`` where it is one, ``bits`` and ``scales`` where it is quantised."""
    onnx = import_onnx()
    try:
        tensors = onnx.load(layout.model).graph.initializer
        arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in tensors}
    except Exception as error:  # protobuf has errors of its own
        raise ModelFormatError(f"{layout.model} is damaged ({type(error).__name__}); train the network anew") from None
    found: dict[str, dict[str, NDArray[Any]]] = {}
    for name, array in arrays.items():
        stem, _, part = name.rpartition(".")
        is_quantised = part in ("bits", "scales")
        found.setdefault(stem if is_quantised else name, {})[part if is_quantised else ""] = array
    return found


def _matrix(name: str, parts: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
    """Rows of outputs, as `ngramgen.neural.graph.build` and `ngramgen.neural.quantising.int8_weights` were given."""
    if "" in parts:
        is_table = name == "embedding" or name.startswith("values.")
        return np.array(parts[""] if is_table else parts[""].T, np.float32, order="C")
    bits, scales = parts["bits"], parts["scales"]
    blocks = (bits.reshape(*scales.shape, -1).astype(np.float32) - 128) * scales[..., None]
    rows: NDArray[np.float32] = blocks.reshape(len(bits), -1)
    return rows
