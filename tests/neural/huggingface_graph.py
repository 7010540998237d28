"""The ONNX graphs of the models in `huggingface_models`: caches go in as they came out, with the new tokens behind."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tests.neural.huggingface_models import EPSILON, GELU_CUBE, GELU_FACTOR, Decoder, Weights, rotation

FLOAT, INT64, BOOL, FLOAT16 = 1, 7, 9, 10  # of onnx.TensorProto


class _Graph:
    """Nodes and constants as they are added; `op` gives the name of its result."""

    def __init__(self, decoder: Decoder, weights: Weights) -> None:
        from onnx import helper, numpy_helper

        self.helper, self.numpy_helper = helper, numpy_helper
        self.decoder, self.weights = decoder, weights
        self.dtype = np.float16 if decoder.float16 else np.float32
        self.element = FLOAT16 if decoder.float16 else FLOAT
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}

    def op(self, kind: str, *inputs: str, result: str = "", **attributes: Any) -> str:
        name = result or f"{kind}_{len(self.nodes)}"
        self.nodes.append(
            self.helper.make_node(kind, list(inputs), [name], name=f"node_{len(self.nodes)}", **attributes)
        )
        return name

    def constant(self, value: Any, kind: Any = None, name: str = "") -> str:
        name = name or f"constant_{len(self.constants)}"
        array = np.asarray(value, dtype=kind or self.dtype)
        self.constants[name] = self.numpy_helper.from_array(array, name)
        return name

    def weight(self, name: str) -> str:
        return name if name in self.constants else self.constant(self.weights[name], name=name)

    def integers(self, *values: int) -> str:
        return self.constant(values, np.int64)

    def size(self, name: str, axis: int) -> str:
        """The length of an axis, int64 without axes of its own."""
        return self.op("Gather", self.op("Shape", name), self.constant(axis, np.int64))

    def linear(self, name: str, x: str) -> str:
        x = self.op("MatMul", x, self.weight(name))
        return self.op("Add", x, self.weight(f"{name}.bias")) if f"{name}.bias" in self.weights else x

    def norm(self, name: str, x: str) -> str:
        if self.decoder.is_gpt2:
            inputs = x, self.weight(name), self.weight(f"{name}.bias")
            return self.op("LayerNormalization", *inputs, epsilon=EPSILON, axis=-1)
        wide = self.op("Cast", x, to=FLOAT)  # float32 inside, as transformers has it
        mean = self.op("ReduceMean", self.op("Mul", wide, wide), axes=[-1], keepdims=1)
        root = self.op("Sqrt", self.op("Add", mean, self.constant(EPSILON, np.float32)))
        return self.op("Mul", self.op("Cast", self.op("Div", wide, root), to=self.element), self.weight(name))

    def heads_of(self, x: str, heads: int) -> str:
        """(batch, sequence, heads * head_dim) as (batch, heads, sequence, head_dim)."""
        parts = self.op("Reshape", x, self.integers(0, 0, heads, self.decoder.head_dim))
        return self.op("Transpose", parts, perm=[0, 2, 1, 3])

    def rotated(self, x: str, cos: str, sin: str) -> str:
        half = self.decoder.head_dim // 2
        ends = [self.integers(0), self.integers(half), self.integers(2 * half)]
        a, b = (self.op("Slice", x, ends[i], ends[i + 1], self.integers(3)) for i in (0, 1))
        turned = self.op("Concat", self.op("Neg", b), a, axis=3)
        return self.op("Add", self.op("Mul", x, cos), self.op("Mul", turned, sin))

    def repeated(self, x: str) -> str:
        """Each head of keys or values for all the heads of queries that share it."""
        decoder = self.decoder
        shared = decoder.heads // decoder.kv_heads
        tiled = self.op("Tile", self.op("Unsqueeze", x, self.integers(2)), self.integers(1, 1, shared, 1, 1))
        return self.op("Reshape", tiled, self.integers(0, decoder.heads, -1, decoder.head_dim))

    def attention(self, i: int, x: str, bias: str, angles: tuple[str, str] | None) -> str:
        decoder = self.decoder
        if decoder.is_gpt2:
            thirds = self.integers(*[decoder.width] * 3)
            q, k, v = names = [f"{part}_{i}" for part in "qkv"]
            inputs = [self.linear(f"{i}.qkv", x), thirds]
            self.nodes.append(self.helper.make_node("Split", inputs, names, name=f"split_{i}", axis=2))
        else:
            q, k, v = (self.linear(f"{i}.{part}", x) for part in "qkv")
        q, k, v = (self.heads_of(*pair) for pair in ((q, decoder.heads), (k, decoder.kv_heads), (v, decoder.kv_heads)))
        if angles:
            q, k = self.rotated(q, *angles), self.rotated(k, *angles)
        k = self.op("Concat", f"past_key_values.{i}.key", k, axis=2, result=f"present.{i}.key")
        v = self.op("Concat", f"past_key_values.{i}.value", v, axis=2, result=f"present.{i}.value")
        k, v = (self.repeated(part) for part in (k, v))
        scores = self.op("MatMul", q, self.op("Transpose", k, perm=[0, 1, 3, 2]))
        scores = self.op("Mul", scores, self.constant(1 / math.sqrt(decoder.head_dim)))
        mixed = self.op("MatMul", self.op("Softmax", self.op("Add", scores, bias), axis=-1), v)
        mixed = self.op("Transpose", mixed, perm=[0, 2, 1, 3])
        return self.linear(f"{i}.output", self.op("Reshape", mixed, self.integers(0, 0, decoder.width)))

    def feed_forward(self, i: int, x: str) -> str:
        up = self.linear(f"{i}.up", x)
        if self.decoder.is_gpt2:
            cube = self.op("Mul", self.op("Pow", up, self.constant(3)), self.constant(GELU_CUBE))
            tanh = self.op("Tanh", self.op("Mul", self.op("Add", up, cube), self.constant(GELU_FACTOR)))
            half = self.op("Mul", up, self.constant(0.5))
            active = self.op("Mul", half, self.op("Add", tanh, self.constant(1)))
        else:
            gate = self.linear(f"{i}.gate", x)
            active = self.op("Mul", self.op("Mul", gate, self.op("Sigmoid", gate)), up)
        return self.linear(f"{i}.down", active)

    def decode(self) -> None:
        """All nodes, from the inputs to `logits` and the caches."""
        decoder = self.decoder
        past = self.size("past_key_values.0.key", 2)
        total = self.op("Add", past, self.size("input_ids", 1))
        one, zero = self.constant(1, np.int64), self.constant(0, np.int64)
        places = self.op("Range", past, total, one)
        positions = "position_ids" if decoder.position_ids else self.op("Unsqueeze", places, self.integers(0))
        column = self.op("Unsqueeze", places, self.integers(1))
        earlier = self.op("LessOrEqual", self.op("Range", zero, total, one), column)
        real = self.op("Unsqueeze", self.op("Cast", "attention_mask", to=BOOL), self.integers(1, 2))
        seen = self.op("And", earlier, real)
        bias = self.op("Where", seen, self.constant(0), self.constant(-1e4))
        x, angles = self.op("Gather", self.weight("embedding"), "input_ids"), None
        if decoder.is_gpt2:
            x = self.op("Add", x, self.op("Gather", self.weight("positions"), positions))
        else:
            tables = (self.op("Gather", self.constant(table), positions) for table in rotation(decoder))
            cos, sin = (self.op("Unsqueeze", table, self.integers(1)) for table in tables)
            angles = cos, sin
        for i in range(decoder.layers):
            x = self.op("Add", x, self.attention(i, self.norm(f"{i}.norm1", x), bias, angles))
            x = self.op("Add", x, self.feed_forward(i, self.norm(f"{i}.norm2", x)))
        x = self.norm("norm", x)
        head = self.op("Transpose", self.weight("embedding"), perm=[1, 0]) if decoder.is_gpt2 else self.weight("head")
        self.op("MatMul", x, head, result="logits")


def graph(decoder: Decoder, weights: Weights) -> Any:
    """The ModelProto of a decoder with concatenated caches. Needs onnx."""
    made = _Graph(decoder, weights)
    made.decode()
    info = made.helper.make_tensor_value_info
    cache = ["batch_size", decoder.kv_heads, "past_sequence_length", decoder.head_dim]
    inputs = [info("input_ids", INT64, ["batch_size", "sequence_length"])]
    inputs += [info("attention_mask", INT64, ["batch_size", "total_sequence_length"])]
    if decoder.position_ids:
        inputs += [info("position_ids", INT64, ["batch_size", "sequence_length"])]
    outputs = [info("logits", made.element, ["batch_size", "sequence_length", decoder.vocab_size])]
    for i in range(decoder.layers):
        for part in ("key", "value"):
            inputs += [info(f"past_key_values.{i}.{part}", made.element, cache)]
            outputs += [info(f"present.{i}.{part}", made.element, [*cache[:2], "total_sequence_length", cache[3]])]
    whole = made.helper.make_graph(made.nodes, decoder.kind, inputs, outputs, list(made.constants.values()))
    opset = made.helper.make_opsetid("", 17)
    return made.helper.make_model(whole, opset_imports=[opset], ir_version=8)
