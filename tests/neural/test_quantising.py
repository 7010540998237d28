"""Graphs in fewer bits against the same graphs in float32."""

from __future__ import annotations

import numpy as np
import pytest

from ngramgen.errors import OptionError
from ngramgen.neural.config import NetworkConfig
from ngramgen.neural.graph import build, weight_shapes
from ngramgen.neural.quantising import block_size, int8_weights, q4_weights, quantised

CONFIG = NetworkConfig(vocab_size=400, layers=2, width=64, heads=4, kv_heads=2, hidden=96, context=32)
BITS = {"int8": 8, "q4": 4}


@pytest.fixture(scope="module")
def weights():
    rng = np.random.default_rng(1)
    shapes = weight_shapes(CONFIG).items()
    return {name: (rng.standard_normal(shape) * 0.7 / shape[1] ** 0.5).astype(np.float32) for name, shape in shapes}


@pytest.fixture(scope="module")
def model(weights):
    pytest.importorskip("onnx")
    return build(CONFIG, weights)


def restored(name, matrix, precision):
    """The matrix as its quantised form has it."""
    if precision == "int8" or name == "embedding":
        block = 32 if name == "embedding" else block_size(8, matrix.shape[1])
        numbers, scales = int8_weights(matrix, block)
        return ((numbers.astype(np.float32) - 128) * scales[..., None]).reshape(matrix.shape)
    numbers, scales = q4_weights(matrix)
    halves = np.stack([numbers & 15, numbers >> 4], -1).reshape(*scales.shape, 32)
    return ((halves.astype(np.float32) - 8) * scales[..., None]).reshape(matrix.shape)


def outputs(model, ids, past=None):
    """Logits (1, T, V) of ids (1, T), and the caches after them."""
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()][2:]
    past = past or [np.zeros((1, CONFIG.kv_heads, 0, CONFIG.head_dim), np.float32)] * len(names)
    mask = np.ones((1, past[0].shape[2] + ids.shape[1]), np.int64)
    feed = {"input_ids": ids, "attention_mask": mask, **dict(zip(names, past, strict=True))}
    logits, *caches, _ = session.run(None, feed)
    return logits, caches


def apart(found, expected):
    """The root mean square of the difference, against that of what is expected."""
    return np.sqrt(((found - expected) ** 2).mean() / (expected**2).mean())


def test_int8_weights():
    """The largest magnitude of a block is 127 above or below 128, the rest follows in proportion, zeros are 128."""
    # first block: 2.54 / 127 = 0.02, so -1 / 0.02 = -50 and 0.031 / 0.02 = 1.55; second: all zero
    numbers, scales = int8_weights(np.array([[2.54, -1.0, 0.031, 0.0] + [0.0] * 4], np.float32), 4)
    assert numbers.tolist() == [[[255, 78, 130, 128], [128, 128, 128, 128]]]
    assert scales[0] == pytest.approx([0.02, 1])


@pytest.mark.parametrize(
    ("bits", "inputs", "block"), [(8, 1024, 256), (8, 384, 128), (8, 48, 16), (8, 40, 0), (4, 48, 0)]
)
def test_block_size(bits, inputs, block):
    """A block is a power of 2 that divides the inputs, at most 256 of them in 8 bits and 32 in 4, or none."""
    assert block_size(bits, inputs) == block


def test_q4_weights():
    """A block's farthest number is -8 of its scale, and two numbers share a byte, the earlier one below."""
    rows = np.zeros((1, 96), np.float32)
    # first block: scale -4 / -8 = 0.5, so -4, 3.5, 1 are -8, 7, 2: halves 0, 15, 10
    rows[0, :3] = -4, 3.5, 1
    # second: scale 16 / -8 = -2, so 16 and 3 are -8 and -1.5, which rounds to -2: halves 0 and 6
    rows[0, 32:34] = 16, 3
    numbers, scales = q4_weights(rows)
    assert numbers.shape == (1, 3, 16)
    assert numbers[0, 0].tolist() == [0 + 16 * 15, 10 + 16 * 8] + [8 + 16 * 8] * 14
    assert numbers[0, 1].tolist() == [0 + 16 * 6] + [8 + 16 * 8] * 15
    assert scales.tolist() == [[0.5, -2.0, 1.0]]


@pytest.mark.parametrize("precision", ["int8", "q4"])
def test_same_network(model, weights, precision):
    """The quantised graph computes, but for its 8-bit activations, what its rounded weights compute in float32."""
    ids = np.random.default_rng(2).integers(0, CONFIG.vocab_size, (1, 20))
    rounded = {name: restored(name, matrix, precision) for name, matrix in weights.items()}
    found, _ = outputs(quantised(model, precision), ids)
    # the rounding of weights to 4 bits is many times as large: another layout of them would show
    assert apart(found, outputs(build(CONFIG, rounded), ids)[0]) < 0.04


@pytest.mark.parametrize(("precision", "most"), [("int8", 0.05), ("q4", 0.3)])
def test_drift(model, precision, most):
    """The logits stay near those of the network that was quantised."""
    ids = np.random.default_rng(3).integers(0, CONFIG.vocab_size, (1, 20))
    assert apart(outputs(quantised(model, precision), ids)[0], outputs(model, ids)[0]) < most


@pytest.mark.parametrize("precision", ["int8", "q4"])
def test_goes_on(model, precision):
    """Reading in two calls gives the logits of one call but for the order of sums: no scale is shared by tokens."""
    ids = np.random.default_rng(4).integers(0, CONFIG.vocab_size, (1, 20))
    small = quantised(model, precision)
    whole, _ = outputs(small, ids)
    _, past = outputs(small, ids[:, :13])
    np.testing.assert_allclose(outputs(small, ids[:, 13:], past)[0], whole[:, 13:], atol=1e-4)


@pytest.mark.parametrize("precision", ["int8", "q4"])
def test_size(model, precision):
    """Every matrix is stored once, in its bits, and nothing lies outside the file."""
    small = quantised(model, precision)
    embedding = CONFIG.vocab_size * CONFIG.width
    bits = 8 * embedding + BITS[precision] * (CONFIG.parameters - embedding)
    scales = 32 * CONFIG.parameters / 32  # of 32 bits, for 32 numbers or more
    assert small.ByteSize() < (bits + scales) / 8 + 25_000
    assert all(tensor.HasField("raw_data") and not tensor.external_data for tensor in small.graph.initializer)


def test_leaves_the_original(model):
    """The model that was quantised is as it was."""
    before = model.SerializeToString()
    quantised(model, "int8")
    assert model.SerializeToString() == before


def test_refusals(model):
    """A precision that is not known and a width that blocks of 32 do not divide are refused."""
    with pytest.raises(OptionError, match="one of int8, q4, not 'int3'"):
        quantised(model, "int3")
    odd = NetworkConfig(vocab_size=50, layers=1, width=64, heads=4, kv_heads=4, hidden=80, context=8)
    zeros = {name: np.zeros(shape, np.float32) for name, shape in weight_shapes(odd).items()}
    with pytest.raises(OptionError, match=r"4 bits .* layers\.0\.down has 80 inputs: use int8"):
        quantised(build(odd, zeros), "q4")
    odder = NetworkConfig(vocab_size=50, layers=1, width=64, heads=4, kv_heads=4, hidden=72, context=8)
    zeros = {name: np.zeros(shape, np.float32) for name, shape in weight_shapes(odder).items()}
    with pytest.raises(OptionError, match=r"8 bits .* layers\.0\.down has 72 inputs: use float32"):
        quantised(build(odder, zeros), "int8")
