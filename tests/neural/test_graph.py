"""The ONNX graph of a network against the same network in plain numpy."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from ngramgen.errors import MissingDependencyError, ModelFormatError
from ngramgen.neural.config import NetworkConfig
from ngramgen.neural.graph import build, weight_shapes

CONFIG = NetworkConfig(vocab_size=50, layers=2, width=64, heads=4, kv_heads=2, hidden=96, context=24)
EACH_OWN = replace(CONFIG, kv_heads=4, rope_base=500.0, norm_eps=1e-2, layers=1)
SAYING = replace(CONFIG, value_embeddings=2, layers=3)


def random_weights(config):
    """Normal with standard deviation 0.7/sqrt(fan_in)."""
    rng = np.random.default_rng(1)
    shapes = weight_shapes(config).items()
    return {name: (rng.standard_normal(shape) * 0.7 / shape[1] ** 0.5).astype(np.float32) for name, shape in shapes}


def reference(config, weights, ids):
    """Logits (T, V) and last hidden states (T, W) of ids (T,), in float64."""
    w = {name: value.astype(np.float64) for name, value in weights.items()}
    x = norm(w["embedding"][ids], config)
    for layer in range(config.layers):
        name = f"layers.{layer}"
        joint = norm(x, config) @ w[f"{name}.qkv"].T
        if config.value_embeddings:
            joint[:, -config.qkv_sizes[2] :] += w[f"values.{layer % config.value_embeddings}"][ids]
        x = x + attended(joint, config) @ w[f"{name}.output"].T
        x = x + np.maximum(norm(x, config) @ w[f"{name}.up"].T, 0) ** 2 @ w[f"{name}.down"].T
    hidden = norm(x, config)
    return hidden @ w["embedding"].T, hidden


def norm(x, config):
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + config.norm_eps)


def attended(joint, config):
    """softmax(Q K^T / sqrt(d_k)) V over each place and those before it, of joint (T, heads * head_dim)."""
    places, d = len(joint), config.head_dim
    heads = joint.reshape(places, -1, d).transpose(1, 0, 2)
    query, key, value = np.split(heads, np.cumsum([config.heads, config.kv_heads]))
    query, key = (turned(norm(part, config), config) for part in (query, key))
    key, value = (np.repeat(part, config.heads // config.kv_heads, 0) for part in (key, value))
    odds = np.exp(query @ key.transpose(0, 2, 1) / np.sqrt(d)) * np.tri(places)
    return (odds / odds.sum(-1, keepdims=True) @ value).transpose(1, 0, 2).reshape(places, -1)


def turned(x, config):
    """Each pair (j, j + d/2) is a complex number, multiplied by that of its angle."""
    half = config.head_dim // 2
    angles = np.arange(x.shape[1])[:, None] * config.rope_base ** (-np.arange(half) / half)
    product = (x[..., :half] + 1j * x[..., half:]) * np.exp(1j * angles)
    return np.concatenate([product.real, product.imag], -1)


class Concatenated:
    """Reads ids (B, T) with new tensors for present, which are past the next time."""

    def __init__(self, session, config, batch):
        self.session, self.seen = session, 0
        names = [f"{layer}.{part}" for layer in range(config.layers) for part in ("key", "value")]
        self.past = {name: np.zeros((batch, config.kv_heads, 0, config.head_dim), np.float32) for name in names}

    def read(self, ids):
        self.seen += ids.shape[1]
        feed = {"input_ids": ids, "attention_mask": np.ones((len(ids), self.seen), np.int64)}
        feed |= {f"past_key_values.{name}": value for name, value in self.past.items()}
        outputs = ["logits", "last_hidden_state", *(f"present.{name}" for name in self.past)]
        logits, hidden, *present = self.session.run(outputs, feed)
        self.past = dict(zip(self.past, present, strict=True))
        return logits, hidden

    def rewind(self, count):
        self.seen -= count
        self.past = {name: value[:, :, : self.seen].copy() for name, value in self.past.items()}


class Shared:
    """Reads ids (B, T) with past and present in one buffer, longer than what is in it; rewinding changes a number."""

    def __init__(self, session, config, batch):
        from onnxruntime import OrtValue

        self.session, self.seen = session, 0
        shape = (batch, config.kv_heads, config.context, config.head_dim)
        names = [f"{layer}.{part}" for layer in range(config.layers) for part in ("key", "value")]
        self.arrays = {name: np.full(shape, 7, np.float32) for name in names}  # what is not yet read is not zero
        self.buffers = {name: OrtValue.ortvalue_from_numpy(array) for name, array in self.arrays.items()}

    def read(self, ids):
        self.seen += ids.shape[1]
        binding = self.session.io_binding()
        binding.bind_cpu_input("input_ids", ids)
        binding.bind_cpu_input("attention_mask", np.ones((len(ids), self.seen), np.int64))
        for name, buffer in self.buffers.items():
            binding.bind_ortvalue_input(f"past_key_values.{name}", buffer)
            binding.bind_ortvalue_output(f"present.{name}", buffer)
        binding.bind_output("logits")
        binding.bind_output("last_hidden_state")
        self.session.run_with_iobinding(binding)
        return tuple(output.numpy() for output in binding.get_outputs()[-2:])

    def rewind(self, count):
        self.seen -= count


@pytest.fixture(scope="module")
def runtime():
    pytest.importorskip("onnx")
    return pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module", params=[CONFIG, EACH_OWN, SAYING], ids=["keys shared", "keys for each", "values"])
def network(request, runtime):
    """A config, weights, and a session of their graph."""
    config, weights = request.param, random_weights(request.param)
    content = build(config, weights).SerializeToString()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return config, weights, runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


@pytest.fixture(params=[Concatenated, Shared])
def reader(request, network):
    """Makes what reads a batch, and gives the arrays that it has to come to."""
    config, weights, session = network
    ids = np.random.default_rng(2).integers(0, config.vocab_size, (3, 20))
    expected = [np.stack(rows) for rows in zip(*(reference(config, weights, row) for row in ids), strict=True)]

    def start(rows=1):
        return request.param(session, config, rows)

    return start, ids, expected


def agree(found, expected, rows, places):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other[rows, places], rtol=0, atol=1e-4)


@pytest.mark.parametrize("rows", [1, 3])
def test_whole_prompt(reader, rows):
    """A prompt, and a batch of them, read in one call gives the logits and hidden states of every place."""
    start, ids, expected = reader
    agree(start(rows).read(ids[:rows]), expected, slice(rows), slice(None))


@pytest.mark.parametrize(
    ("rows", "sizes"), [(1, [1] * 20), (1, [7, 5, 1, 3, 4]), (1, [1, 19]), (3, [1] * 20), (3, [15, *[1] * 5])], ids=str
)
def test_in_pieces(reader, rows, sizes):
    """Tokens read one at a time or, in a single row, some at a time give what the whole gives."""
    start, ids, expected = reader
    state, begin = start(rows), 0
    for size in sizes:
        places = slice(begin, begin + size)
        agree(state.read(ids[:rows, places]), expected, slice(rows), places)
        begin += size


def test_rewind(reader):
    """After going back, other tokens and then the right ones give what they would have given at first."""
    start, ids, expected = reader
    state = start()
    state.read(ids[:1, :10])
    state.read((ids[:1, 10:14] + 1) % 50)
    state.rewind(4)
    state.read((ids[:1, 10:11] + 2) % 50)
    state.rewind(3)
    agree(state.read(ids[:1, 8:13]), expected, slice(1), slice(8, 13))


def test_rewind_batch(reader):
    """The rows of a batch go back together."""
    start, ids, expected = reader
    state = start(3)
    state.read(ids[:, :10])
    state.read((ids[:, 10:11] + 1) % 50)
    state.rewind(2)
    for place in (9, 10):
        agree(state.read(ids[:, place : place + 1]), expected, slice(3), slice(place, place + 1))


def test_interface(network):
    """Inputs and outputs have the names, in Hugging Face's order, and the types that programs for such files expect."""
    config, _, session = network
    caches = [f"{layer}.{part}" for layer in range(config.layers) for part in ("key", "value")]
    inputs = {entry.name: (entry.type, entry.shape) for entry in session.get_inputs()}
    assert list(inputs) == ["input_ids", "attention_mask", *(f"past_key_values.{name}" for name in caches)]
    assert inputs["input_ids"] == ("tensor(int64)", ["batch", "sequence"])
    assert inputs["attention_mask"] == ("tensor(int64)", ["batch", "total"])
    assert inputs["past_key_values.0.key"] == ("tensor(float)", ["batch", config.kv_heads, "past", config.head_dim])
    outputs = {entry.name: entry.shape for entry in session.get_outputs()}
    assert list(outputs) == ["logits", *(f"present.{name}" for name in caches), "last_hidden_state"]
    assert outputs["logits"] == ["batch", "sequence", config.vocab_size]


def test_one_copy(runtime):
    """The embedding, which is used twice, is in the file once."""
    content = build(CONFIG, random_weights(CONFIG)).SerializeToString()
    assert len(content) < 4 * CONFIG.parameters + 20_000


def without(weights, name):
    return {other: value for other, value in weights.items() if other != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: without(weights, "layers.1.up"), r"lack layers\.1\.up"),
        (lambda weights: weights | {"layers.2.up": weights["layers.1.up"]}, r"layers\.2\.up are none"),
        (lambda weights: weights | {"embedding": weights["embedding"].T}, r"embedding have the shape \(64, 50\)"),
        (lambda weights: weights | {"embedding": weights["embedding"] * np.nan}, "embedding hold what is no number"),
    ],
)
def test_wrong_weights(runtime, change, message):
    """Weights that are not those of the config are refused by name."""
    with pytest.raises(ModelFormatError, match=message):
        build(CONFIG, change(random_weights(CONFIG)))


def test_beyond_the_context(network):
    """More tokens than the context are an error of the runtime, never a wrong answer."""
    config, _, session = network
    with pytest.raises(Exception, match="total_sequence_length"):
        Concatenated(session, config, 1).read(np.zeros((1, config.context + 1), np.int64))


def test_without_onnx(monkeypatch):
    """Where onnx is not installed, the error gives the command that installs it."""
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'ngramgen\[train\]'"):
        build(CONFIG, random_weights(CONFIG))
