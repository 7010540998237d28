"""Networks small enough for a test: one of ours, and a foreign one that numpy can follow.

The foreign one has an embedding E and an output matrix H. The logits of a token are the sum of E[id] (1 + place / 10)
over itself and all tokens before it, times H. It keeps these terms as the values of its only layer.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.neural.config import NetworkConfig

CONTEXT = 16
CONFIG = NetworkConfig(vocab_size=300, layers=2, width=64, heads=4, kv_heads=2, hidden=48, context=CONTEXT)
TEXT = "the cat sat on the mat\nthe dog sat on the cat, and the cat did not like it\na cat is a cat is a cat\n"

WIDTH = 4
FOREIGN_TOKENS = ["a", "b", "c", "<|endoftext|>", "d", "e", "\u0120", "\u010a"]
END = FOREIGN_TOKENS.index("<|endoftext|>")
_rng = np.random.default_rng(3)
EMBEDDING = _rng.normal(0, 0.5, (len(FOREIGN_TOKENS) + 2, WIDTH)).astype(np.float32)  # two rows that no token has
HEAD = _rng.normal(0, 1, (WIDTH, len(FOREIGN_TOKENS) + 2)).astype(np.float32)


def write_own(folder: Path) -> None:
    """A folder as `ngramgen train` leaves it, with random weights."""
    from ngramgen.neural.export import export_network
    from ngramgen.neural.graph import weight_shapes
    from ngramgen.text.subword import SubwordTokenizer

    tokenizer = SubwordTokenizer.train([TEXT.encode() * 3], CONFIG.vocab_size)
    (folder / "tokenizer.json").write_text(tokenizer.json, encoding="utf-8")
    config = NetworkConfig(**{**CONFIG.__dict__, "vocab_size": tokenizer.vocab_size})
    rng = np.random.default_rng(1)
    shapes = weight_shapes(config).items()
    weights = {name: rng.normal(0, 1.5 / shape[1] ** 0.5, shape).astype(np.float32) for name, shape in shapes}
    export_network(folder, config, weights, ("float32", "int8"))
    (folder / "training.json").write_text(json.dumps({"cleaning": ["nfc", "whitespace"], "steps": 7}))


def foreign_logits(ids: NDArray[Any]) -> NDArray[np.float64]:
    """What the foreign network gives for its ids (T,), (T, W)."""
    terms = EMBEDDING.astype(np.float64)[ids] * (1 + np.arange(len(ids)) / 10)[:, None]
    return np.cumsum(terms, axis=0) @ HEAD.astype(np.float64)


@dataclass
class Foreign:
    """The foreign network's graph; the fields make it a different or a wrong one."""

    element: str = "FLOAT"
    ids: str = "INT64"
    position_ids: bool = True
    hidden: bool = True
    rename: dict[str, str] = field(default_factory=dict)
    more: list[tuple[str, str, list[Any]]] = field(default_factory=list)  # inputs: name, type, shape
    batch: Any = "batch"
    head: NDArray[Any] = field(default_factory=lambda: HEAD)

    def model(self) -> Any:
        import onnx
        from onnx import TensorProto, helper, numpy_helper

        kind = getattr(TensorProto, self.element)
        dtype = helper.tensor_dtype_to_np_dtype(kind)

        def constant(name: str, value: Any, of: Any = None) -> Any:
            return numpy_helper.from_array(np.asarray(value, of or dtype), name)

        def name(given: str) -> str:
            return self.rename.get(given, given)

        def info(given: str, shape: list[Any], of: int = kind) -> Any:
            return helper.make_tensor_value_info(name(given), of, shape)

        def node(op: str, inputs: list[str], output: str, **attributes: Any) -> Any:
            return helper.make_node(op, [name(i) for i in inputs], [name(output)], **attributes)

        constants = [constant("E", EMBEDDING), constant("H", self.head), constant("tenth", 0.1), constant("one", 1)]
        constants += [constant("axis", 2, np.int64), constant("last", [-1], np.int64), constant("axes", [1], np.int64)]
        constants += [constant("zero", [0], np.int64)]
        nodes = [
            node("Gather", ["E", "input_ids"], "embedded"),
            node("Shape", ["past_key_values.0.value"], "past", start=2, end=3),
            node("Shape", ["attention_mask"], "total", start=1, end=2),
        ]
        if self.position_ids:
            nodes.append(node("Cast", ["position_ids"], "places", to=kind))
        else:
            constants += [constant("step", 1, np.int64), constant("first", 0, np.int64)]
            nodes += [
                node("Squeeze", ["past"], "from"),
                node("Squeeze", ["total"], "to"),
                node("Range", ["from", "to", "step"], "range"),
                node("Unsqueeze", ["range", "zero"], "row"),
                node("Cast", ["row"], "places", to=kind),
            ]
        nodes += [
            node("Mul", ["places", "tenth"], "tenths"),
            node("Add", ["tenths", "one"], "factors"),
            node("Unsqueeze", ["factors", "last"], "columns"),
            node("Mul", ["embedded", "columns"], "terms"),
            node("Unsqueeze", ["terms", "axes"], "one_head"),
            node("Concat", ["past_key_values.0.value", "one_head"], "present.0.value", axis=2),
            node("Concat", ["past_key_values.0.key", "one_head"], "present.0.key", axis=2),
            node("CumSum", ["present.0.value", "axis"], "sums"),
            node("Slice", ["sums", "past", "total", "two"], "new"),
            node("Squeeze", ["new", "axes"], "last_hidden_state"),
            node("MatMul", ["last_hidden_state", "H"], "logits"),
        ]
        constants.append(constant("two", [2], np.int64))
        shape = [self.batch, 1, "past", WIDTH]
        inputs = [
            info("input_ids", [self.batch, "sequence"], getattr(TensorProto, self.ids)),
            info("attention_mask", [self.batch, "total"], TensorProto.INT64),
            info("past_key_values.0.key", shape),
            info("past_key_values.0.value", shape),
        ]
        if self.position_ids:
            inputs.append(info("position_ids", [self.batch, "sequence"], TensorProto.INT64))
        inputs += [info(given, size, getattr(TensorProto, of)) for given, of, size in self.more]
        outputs = [info("logits", [self.batch, "sequence", self.head.shape[1]])]
        outputs += [info(f"present.0.{part}", [self.batch, 1, "all", WIDTH]) for part in ("key", "value")]
        if self.hidden:
            outputs.append(info("last_hidden_state", [self.batch, "sequence", WIDTH]))
        graph = helper.make_graph(nodes, "foreign", inputs, outputs, constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
        model.ir_version = 9
        assert isinstance(model, onnx.ModelProto)
        return model

    def write(self, folder: Path, name: str = "model.onnx", **config: Any) -> Path:
        """A folder with the network; ``config`` replaces values of its config.json, None leaves them out."""
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(self.model().SerializeToString())
        values: dict[str, Any] = {"model_type": "gpt2", "n_positions": 8, "vocab_size": len(EMBEDDING)}
        values |= {"bos_token_id": END, "eos_token_id": [END]} | config
        values = {key: value for key, value in values.items() if value is not None}
        (folder / "config.json").write_text(json.dumps(values))
        (folder / "tokenizer.json").write_text(json.dumps(foreign_tokenizer()))
        return folder


def foreign_tokenizer() -> dict[str, Any]:
    """A tokenizer.json that knows a few letters."""
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    vocab = {token: i for i, token in enumerate(FOREIGN_TOKENS) if i != END}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": END, "content": FOREIGN_TOKENS[END], "special": True, **flags}],
        "normalizer": None,
        "pre_tokenizer": level,
        "post_processor": None,
        "decoder": level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {**vocab, FOREIGN_TOKENS[END]: END},
            "merges": [],
        },
    }
