"""The network as an ONNX graph that reads many tokens at once, or one after another with what it saw before.

>>> model = build(NetworkConfig(), weights)                  # doctest: +SKIP
>>> session = InferenceSession(model.SerializeToString())    # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.errors import MissingDependencyError, ModelFormatError
from ngramgen.neural.config import NetworkConfig

OPSET = 18
IR_VERSION = 9
MICROSOFT = "com.microsoft"

Weights = Mapping[str, NDArray[np.float32]]


def import_onnx() -> Any:
    """The package onnx. Raises MissingDependencyError where it is not installed."""
    try:
        import onnx
    except ImportError:
        raise MissingDependencyError(
            "writing ONNX files needs the package onnx: pip install 'ngramgen[train]'"
        ) from None
    return onnx


def weight_shapes(config: NetworkConfig) -> dict[str, tuple[int, int]]:
    """The name and shape of every matrix that a network of this config has."""
    width = config.width
    shapes = {"embedding": (config.vocab_size, width)}
    shapes |= {f"values.{table}": (config.vocab_size, config.qkv_sizes[-1]) for table in range(config.value_embeddings)}
    for layer in range(config.layers):
        shapes[f"layers.{layer}.qkv"] = (sum(config.qkv_sizes), width)
        shapes[f"layers.{layer}.output"] = (width, width)
        shapes[f"layers.{layer}.up"] = (config.hidden, width)
        shapes[f"layers.{layer}.down"] = (width, config.hidden)
    return shapes


def rotary_tables(config: NetworkConfig) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cosines and sines of the angles by which each place turns its heads, (context, head_dim / 2) each."""
    half = config.head_dim // 2
    angles = np.outer(np.arange(config.context), config.rope_base ** (-np.arange(half) / half))
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def build(config: NetworkConfig, weights: Weights) -> Any:
    """The onnx.ModelProto of a network, all weights inside.

    Inputs are ``input_ids`` (B, T) int64, ``attention_mask`` (B, S) int64 with a one for each token seen, these T
    included, and for each layer ``past_key_values.N.key`` and ``.value`` (B, kv_heads, P, head_dim) float32. Outputs
    are ``logits`` (B, T, V), ``last_hidden_state`` (B, T, width) and ``present.N.key`` and ``.value``. P is S - T where
    present is a new tensor. Where past and present are one buffer, P is its length, and only the places from S - T to S
    are written: a smaller S rewinds. With a past, the runtime reads T > 1 tokens of a single row only: B is 1 then.

    Weights are named and shaped as `weight_shapes` says, rows being outputs, and become float32. Raises
    ModelFormatError where they are not or hold what is no number, OptionError for heads of a size that the runtime
    cannot take, and MissingDependencyError without onnx.
    """
    _check(config, weights)
    return _Graph(config, weights).model()


def _check(config: NetworkConfig, weights: Weights) -> None:
    shapes = weight_shapes(config)
    for name, shape in shapes.items():
        if name not in weights:
            raise ModelFormatError(f"the weights lack {name}, which a network of {config.layers} layers has")
        if weights[name].shape != shape:
            raise ModelFormatError(f"the weights {name} have the shape {weights[name].shape}, not {shape}")
        if not np.isfinite(weights[name]).all():
            raise ModelFormatError(f"the weights {name} hold what is no number: take an earlier checkpoint")
    for name in weights:
        if name not in shapes:
            raise ModelFormatError(f"the weights {name} are none of a network of {config.layers} layers")


@dataclass
class _Graph:
    """Nodes and constants as they are gathered; every method that adds a node gives the name of its output."""

    config: NetworkConfig
    weights: Weights
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def model(self) -> Any:
        onnx = import_onnx()
        self._tables()
        for name in ["embedding", *self._value_tables()]:
            self._constant(name, self.weights[name].astype(np.float32))
        hidden = self._layers(self._lengths())
        # the embedding again: one copy in the file and in memory
        self._add("FusedMatMul", [hidden, "embedding"], ["logits"], domain=MICROSOFT, transB=1)
        graph = onnx.helper.make_graph(self.nodes, "ngramgen", *self._interface(), self.constants)
        opsets = [onnx.helper.make_opsetid("", OPSET), onnx.helper.make_opsetid(MICROSOFT, 1)]
        model = onnx.helper.make_model(graph, opset_imports=opsets, producer_name="ngramgen")
        model.ir_version = IR_VERSION
        return model

    def _tables(self) -> None:
        """What every layer uses: angles, shapes, and the ones by which the runtime's norms multiply."""
        config = self.config
        for name, table in zip(("rotary.cos", "rotary.sin"), rotary_tables(config), strict=True):
            self._constant(name, table)
        self._constant("norm.width", np.ones(config.width, np.float32))
        self._constant("norm.head", np.ones(config.head_dim, np.float32))
        self._constant("by_head", np.array([0, 0, -1, config.head_dim], np.int64))
        self._constant("joined", np.array([0, 0, -1], np.int64))
        self._constant("parts", np.array([config.heads + config.kv_heads, config.kv_heads], np.int64))

    def _lengths(self) -> list[str]:
        """The index of each row's last token (B,), and the number of tokens of the longest, int32 both."""
        int32 = import_onnx().TensorProto.INT32
        self._constant("one", np.array(1, np.int32))
        self._constant("axis", np.array([1], np.int64))
        self._add("Cast", ["attention_mask"], ["mask"], to=int32)
        self._add("ReduceSum", ["mask", "axis"], ["lengths"], keepdims=0)
        self._add("Sub", ["lengths", "one"], ["last"])
        self._add("Shape", ["attention_mask"], ["total.long"], start=1, end=2)
        self._add("Cast", ["total.long"], ["total"], to=int32)
        return ["last", "total"]

    def _layers(self, lengths: list[str]) -> str:
        """All between the embeddings and the logits; gives the last hidden states."""
        self._add("Gather", ["embedding", "input_ids"], ["embedded"])
        for name in self._value_tables():
            self._add("Gather", [name, "input_ids"], [f"{name}.rows"])
            self._add("Reshape", [f"{name}.rows", "by_head"], [f"{name}.heads"])
        total = self._norm("embedded", "embedded.normed", "norm.width")
        normed = self._norm(total, "embedded.normed.twice", "norm.width")
        for layer in range(self.config.layers):
            name = f"layers.{layer}"
            attended = self._linear(self._attention(layer, normed, lengths), f"{name}.output")
            total, normed = self._residual(total, attended, f"{name}.attended")
            raised = self._linear(normed, f"{name}.up")
            self._add("Relu", [raised], [f"{name}.relu"])
            self._add("Mul", [f"{name}.relu"] * 2, [f"{name}.square"])
            lowered = self._linear(f"{name}.square", f"{name}.down")
            last = layer == self.config.layers - 1
            total, normed = self._residual(total, lowered, name, "last_hidden_state" if last else "")
        return normed

    def _attention(self, layer: int, normed: str, lengths: list[str]) -> str:
        """What the heads bring (B, T, width), from keys and values of before and of now."""
        config, name = self.config, f"layers.{layer}"
        tables = self._value_tables()
        said = f"{tables[layer % len(tables)]}.heads" if tables else ""
        joint = self._head_norms(self._linear(normed, f"{name}.qkv"), name, said)
        past, present = (
            [f"{prefix}.{layer}.{part}" for part in ("key", "value")] for prefix in ("past_key_values", "present")
        )
        self._add(
            "GroupQueryAttention",
            [joint, "", "", *past, *lengths, "rotary.cos", "rotary.sin"],
            [f"{name}.attention", *present],
            domain=MICROSOFT,
            num_heads=config.heads,
            kv_num_heads=config.kv_heads,
            do_rotary=1,
        )
        return f"{name}.attention"

    def _value_tables(self) -> list[str]:
        return [f"values.{table}" for table in range(self.config.value_embeddings)]

    def _head_norms(self, joint: str, name: str, said: str) -> str:
        """The joint (B, T, heads * head_dim) of queries, keys and values, each head but those of values normed.

        ``said`` names what the tokens add to the values, if anything.
        """
        self._add("Reshape", [joint, "by_head"], [f"{name}.heads"])
        self._add("Split", [f"{name}.heads", "parts"], [f"{name}.query_key", f"{name}.value"], axis=2)
        normed = self._norm(f"{name}.query_key", f"{name}.query_key.normed", "norm.head")
        value = f"{name}.value"
        if said:
            self._add("Add", [value, said], [f"{name}.value.whole"])
            value = f"{name}.value.whole"
        self._add("Concat", [normed, value], [f"{name}.heads.normed"], axis=2)
        self._add("Reshape", [f"{name}.heads.normed", "joined"], [f"{name}.joint"])
        return f"{name}.joint"

    def _norm(self, x: str, out: str, ones: str) -> str:
        self._add("SimplifiedLayerNormalization", [x, ones], [out], epsilon=self.config.norm_eps)
        return out

    def _residual(self, x: str, added: str, name: str, normed: str = "") -> tuple[str, str]:
        """The sum and its norm, in one node."""
        outputs = [normed or f"{name}.normed", "", "", f"{name}.sum"]
        inputs = [x, added, "norm.width"]
        self._add("SkipSimplifiedLayerNormalization", inputs, outputs, domain=MICROSOFT, epsilon=self.config.norm_eps)
        return outputs[3], outputs[0]

    def _linear(self, x: str, name: str) -> str:
        """x times the transpose of a matrix whose rows are outputs."""
        self._constant(name, self.weights[name].T.astype(np.float32))
        self._add("MatMul", [x, name], [f"{name}.out"])
        return f"{name}.out"

    def _constant(self, name: str, value: NDArray[Any]) -> None:
        self.constants.append(import_onnx().numpy_helper.from_array(np.ascontiguousarray(value), name))

    def _add(self, kind: str, inputs: list[str], outputs: list[str], domain: str = "", **attributes: Any) -> None:
        node = import_onnx().helper.make_node(
            kind, inputs, outputs, outputs[0] + "/" + kind, domain=domain, **attributes
        )
        self.nodes.append(node)

    def _interface(self) -> tuple[list[Any], list[Any]]:
        helper, kinds = import_onnx().helper, import_onnx().TensorProto
        config = self.config

        def info(name: str, shape: list[str | int], kind: int = kinds.FLOAT) -> Any:
            return helper.make_tensor_value_info(name, kind, shape)

        def cache(prefix: str, length: str) -> list[Any]:
            shape: list[str | int] = ["batch", config.kv_heads, length, config.head_dim]
            names = [f"{prefix}.{layer}.{part}" for layer in range(config.layers) for part in ("key", "value")]
            return [info(name, shape) for name in names]

        inputs = [
            info("input_ids", ["batch", "sequence"], kinds.INT64),
            info("attention_mask", ["batch", "total"], kinds.INT64),
            *cache("past_key_values", "past"),
        ]
        outputs = [
            info("logits", ["batch", "sequence", config.vocab_size]),
            *cache("present", "present"),
            info("last_hidden_state", ["batch", "sequence", config.width]),
        ]
        return inputs, outputs
