"""A network's graph with its matrices in 8 or 4 bits, each stored once although the embedding is used twice.

>>> small = quantised(build(config, weights), "int8")    # doctest: +SKIP
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.errors import OptionError
from ngramgen.neural.graph import MICROSOFT, import_onnx

Q4_BLOCK = 32
"""Numbers that share a scale in 4 bits."""
INT8_BLOCK = 256
"""Numbers that share a scale in 8 bits at most, which is fastest."""
EMBEDDING_BLOCK = 32
"""Numbers of an embedding that share a scale. The last hidden states that it is multiplied by have a few large numbers,
which in larger blocks cost the others most of their 8 bits; so an embedding is never in 4 bits either."""

BITS = {"int8": 8, "q4": 4}
LEAST_BLOCK = {"int8": 16, "q4": Q4_BLOCK}
"""What the inputs of every matrix must be a multiple of; the runtime knows no smaller blocks than of 16."""
_INT8_PRODUCTS = 4  # the accuracy level at which the runtime multiplies in 8-bit integers


def quantised(model: Any, precision: str) -> Any:
    """A copy of a model by `ngramgen.neural.graph.build` in another precision, ``"int8"`` or ``"q4"``.

    Weights become 8 or 4 bits, with a scale for each block of the inputs of an output: up to `INT8_BLOCK` or `Q4_BLOCK`
    of them; the embedding always 8 bits in blocks of `EMBEDDING_BLOCK`. The runtime brings what they are multiplied by
    to 8 bits in the same blocks. So no token's result depends on the others of its call, as it does where one scale
    serves a whole call.

    Raises OptionError for other precisions and for matrices that blocks do not divide, MissingDependencyError without
    onnx.
    """
    if precision not in BITS:
        raise OptionError(f"precision must be one of {', '.join(BITS)}, not {precision!r}")
    copy = import_onnx().ModelProto()
    copy.CopyFrom(model)
    _Quantiser(copy.graph, BITS[precision]).rewrite()
    return copy


def block_size(bits: int, inputs: int) -> int:
    """How many of so many inputs share a scale, or 0 where no block divides them.

    >>> block_size(8, 1024), block_size(8, 96), block_size(4, 96)
    (256, 32, 32)
    """
    if bits == BITS["q4"]:
        return 0 if inputs % Q4_BLOCK else Q4_BLOCK
    block = min(INT8_BLOCK, inputs & -inputs)  # the largest power of 2 that divides them
    return block if block >= LEAST_BLOCK["int8"] else 0


def int8_weights(rows: NDArray[np.float32], block: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Rows (N, K) as (N, K / block, block) bytes and scales (N, K / block): a number is (its byte - 128) times the
    scale."""
    blocks = rows.reshape(len(rows), -1, block)
    scales = np.abs(blocks).max(-1) / np.float32(127)
    scales[scales == 0] = 1
    return (np.rint(blocks / scales[..., None]) + 128).astype(np.uint8), scales


def q4_weights(rows: NDArray[np.float32], block: int = Q4_BLOCK) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Rows (N, K) as (N, K / block, block / 2) bytes, the earlier of two numbers in the lower half, and scales.

    A number is (its four bits - 8) times the scale of its block. The one farthest from 0 is exactly -8 times that.
    """
    blocks = rows.reshape(len(rows), -1, block)
    farthest = np.take_along_axis(blocks, np.abs(blocks).argmax(-1)[..., None], -1)
    scales = farthest / np.float32(-8)
    scales[scales == 0] = 1
    numbers = np.clip(np.rint(blocks / scales) + 8, 0, 15).astype(np.uint8)
    return numbers[..., 0::2] | numbers[..., 1::2] << 4, scales[..., 0]


class _Quantiser:
    """Takes each matrix out of a graph and puts it back quantised, with the nodes that use it."""

    def __init__(self, graph: Any, bits: int) -> None:
        onnx = import_onnx()
        self.graph, self.bits = graph, bits
        matrices = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self.matrices = {name: value for name, value in matrices.items() if value.ndim == 2}
        self.embeddings = {node.input[0] for node in graph.node if node.op_type == "Gather"}
        self.added: dict[str, NDArray[Any]] = {}
        self.nodes: list[Any] = []

    def rewrite(self) -> None:
        used = set()
        for node in self.graph.node:
            name = node.input[0] if node.op_type == "Gather" else node.input[-1]
            if node.op_type not in ("Gather", "MatMul", "FusedMatMul") or name not in self.matrices:
                self.nodes.append(node)
                continue
            used.add(name)
            if node.op_type == "Gather":
                self.look_up(node, name)
            else:
                self.multiply(node, name, tied=node.op_type == "FusedMatMul")
        kept = [tensor for tensor in self.graph.initializer if tensor.name not in used]
        kept += [import_onnx().numpy_helper.from_array(value, name) for name, value in self.added.items()]
        _replace(self.graph.initializer, kept)
        _replace(self.graph.node, self.nodes)

    def look_up(self, node: Any, name: str) -> None:
        """Rows of a matrix by their numbers."""
        rows = self.matrices[name]
        weights, scales, bits, block = self.store(name, rows)
        self.added[f"{name}.flat"] = np.array([len(rows), -1], np.int64)
        self.add("Reshape", [weights, f"{name}.flat"], f"{weights}.rows")
        options = {"bits": bits, "block_size": block, "gather_axis": 0, "quantize_axis": 1}
        inputs = [f"{weights}.rows", node.input[1], scales]
        self.add("GatherBlockQuantized", inputs, node.output[0], MICROSOFT, **options)

    def multiply(self, node: Any, name: str, tied: bool) -> None:
        """Multiply by a matrix, or by the transpose of one that is also looked up in: it is tied."""
        rows = self.matrices[name] if tied else self.matrices[name].T
        weights, scales, bits, block = self.store(name, rows)
        options = {"bits": bits, "block_size": block, "accuracy_level": _INT8_PRODUCTS}
        sizes = {"N": rows.shape[0], "K": rows.shape[1]}
        self.add("MatMulNBits", [node.input[0], weights, scales], node.output[0], MICROSOFT, **options, **sizes)

    def store(self, name: str, rows: NDArray[np.float32]) -> tuple[str, str, int, int]:
        """The names of a matrix's bytes and scales, which are put into the graph once, its bits and its block."""
        weights, scales = f"{name}.bits", f"{name}.scales"
        bits = 8 if name in self.embeddings else self.bits
        block = block_size(bits, rows.shape[1])
        if not block:
            least = LEAST_BLOCK["int8" if bits == 8 else "q4"]
            raise OptionError(
                f"{bits} bits need widths that are multiples of {least}, but {name} has {rows.shape[1]} inputs: "
                f"use {'float32' if bits == 8 else 'int8'}"
            )
        if name in self.embeddings:
            block = min(block, EMBEDDING_BLOCK)
        if weights not in self.added:
            encode = int8_weights if bits == 8 else q4_weights
            self.added[weights], self.added[scales] = encode(np.ascontiguousarray(rows), block)
        return weights, scales, bits, block

    def add(self, kind: str, inputs: list[str], output: str, domain: str = "", **attributes: Any) -> None:
        node = import_onnx().helper.make_node(kind, inputs, [output], f"{output}/{kind}", domain=domain, **attributes)
        self.nodes.append(node)


def _replace(repeated: Any, values: list[Any]) -> None:
    del repeated[:]
    repeated.extend(values)
