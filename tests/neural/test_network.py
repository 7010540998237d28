"""The network in PyTorch, against numpy."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="training needs torch")

from ngramgen.neural.config import NetworkConfig  # noqa: E402
from ngramgen.neural.graph import weight_shapes  # noqa: E402
from ngramgen.neural.network import (  # noqa: E402
    Network,
    attention,
    mean_cross_entropy,
    rotary_tables,
    rotated,
)

Floats = NDArray[np.float64]
CONFIG = NetworkConfig(vocab_size=23, layers=2, width=64, heads=4, kv_heads=2, hidden=20, context=9)


def softmax(x: Floats) -> Floats:
    found = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(found / found.sum(-1, keepdims=True))


def numpy_attention(query: Floats, key: Floats, value: Floats) -> Floats:
    """softmax(Q K^T / sqrt(d_k)) V of one head, (T, D) each, where no place sees a later one."""
    scores = query @ key.T / math.sqrt(query.shape[-1])
    scores[np.triu_indices(len(scores), 1)] = -np.inf
    return np.asarray(softmax(scores) @ value)


def norm(x: Floats) -> Floats:
    return np.asarray(x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6))


def turned(x: Floats) -> Floats:
    """Heads (T, D) as complex numbers, multiplied by exp(i angle)."""
    half = x.shape[-1] // 2
    angles = np.outer(np.arange(len(x)), CONFIG.rope_base ** (-np.arange(half) / half))
    found = (x[:, :half] + 1j * x[:, half:]) * np.exp(1j * angles)
    return np.concatenate([found.real, found.imag], -1)


def numpy_logits(weights: dict[str, Any], ids: NDArray[np.int64]) -> Floats:
    """Logits (T, V) of a row of ids, by the formulas in double precision."""
    tables = [name for name in weights if name.startswith("values.")]
    weights = {name: value.astype(np.float64) for name, value in weights.items()}
    size, groups = CONFIG.head_dim, CONFIG.heads // CONFIG.kv_heads
    h = norm(weights["embedding"][ids])
    for i in range(CONFIG.layers):
        joint = norm(h) @ weights[f"layers.{i}.qkv"].T
        if tables:
            joint[:, -CONFIG.kv_heads * size :] += weights[f"values.{i % len(tables)}"][ids]
        heads = [joint[:, j : j + size] for j in range(0, joint.shape[1], size)]
        keys, values = heads[CONFIG.heads : CONFIG.heads + CONFIG.kv_heads], heads[CONFIG.heads + CONFIG.kv_heads :]
        attended = [
            numpy_attention(turned(norm(heads[j])), turned(norm(keys[j // groups])), values[j // groups])
            for j in range(CONFIG.heads)
        ]
        h = h + np.concatenate(attended, -1) @ weights[f"layers.{i}.output"].T
        h = h + np.maximum(norm(h) @ weights[f"layers.{i}.up"].T, 0) ** 2 @ weights[f"layers.{i}.down"].T
    return np.asarray(norm(h) @ weights["embedding"].T)


def full_network(config: NetworkConfig = CONFIG) -> Any:
    """A network of which no matrix is zero."""
    torch.manual_seed(1)
    network = Network(config)
    for parameter in network.matrices():
        torch.nn.init.normal_(parameter, std=0.15)
    return network


@pytest.mark.parametrize("shared", [1, 2, 4])
def test_attention(shared: int) -> None:
    """Attention is softmax(Q K^T / sqrt(d_k)) V for every head, with keys of its own and with shared ones, causal."""
    rng = np.random.default_rng(shared)
    query = rng.standard_normal((2, 4, 7, 6))
    key, value = rng.standard_normal((2, 2, shared, 7, 6))
    found = attention(*map(torch.from_numpy, (query, key, value))).numpy()
    for batch in range(2):
        for head in range(4):
            other = head // (4 // shared)
            expected = numpy_attention(query[batch, head], key[batch, other], value[batch, other])
            np.testing.assert_allclose(found[batch, head], expected, atol=1e-6)


def test_attention_is_causal() -> None:
    """The first place sees itself alone, and what comes later changes nothing before it."""
    query, key, value = torch.randn(3, 1, 2, 5, 4)
    found = attention(query, key, value)
    torch.testing.assert_close(found[:, :, 0], value[:, :, 0])
    key[:, :, 3:], value[:, :, 3:] = 9, 9
    torch.testing.assert_close(attention(query, key, value)[:, :, :3], found[:, :, :3])


def test_rotation() -> None:
    """A rotation multiplies the halves of a head, as the parts of complex numbers, by exp(i angle)."""
    x = np.random.default_rng(1).standard_normal((9, CONFIG.head_dim))
    cos, sin = map(torch.from_numpy, rotary_tables(CONFIG))
    np.testing.assert_allclose(rotated(torch.from_numpy(x), cos, sin).numpy(), turned(x), atol=1e-6)


def test_rotation_by_hand() -> None:
    """The angles of place 3 are 3 at the beginning of a half, and 3 / sqrt(rope_base), which is 0.03, in its middle."""
    cos, sin = rotary_tables(CONFIG)
    assert cos.shape == sin.shape == (9, 8)
    np.testing.assert_allclose(cos[3, ::4], [math.cos(3), math.cos(0.03)], rtol=1e-6)
    np.testing.assert_allclose(sin[3, ::4], [math.sin(3), math.sin(0.03)], rtol=1e-6)


@pytest.mark.parametrize("tables", [0, 1, 2])
@pytest.mark.parametrize("length", [1, 4, 9])
def test_forward(length: int, tables: int) -> None:
    """The logits are those of the formulas, written out in numpy, with value embeddings and without."""
    network = full_network(replace(CONFIG, value_embeddings=tables))
    ids = np.random.default_rng(2).integers(0, CONFIG.vocab_size, (3, length))
    with torch.no_grad():
        found = network(torch.from_numpy(ids)).numpy()
    weights = network.weights()
    for row in range(3):
        np.testing.assert_allclose(found[row], numpy_logits(weights, ids[row]), atol=2e-5)


def test_logits_for_the_export() -> None:
    """The logits that the export is held against are those of a forward pass, without gradients."""
    network = full_network()
    ids = np.arange(9)[None]
    found = network.logits(ids)
    assert (found.shape, found.dtype) == ((1, 9, CONFIG.vocab_size), np.float32)
    np.testing.assert_allclose(found[0], numpy_logits(network.weights(), ids[0]), atol=2e-5)


def test_weights() -> None:
    """The weights have the names and shapes that the export takes."""
    config = replace(CONFIG, value_embeddings=2)
    shapes = {name: value.shape for name, value in full_network(config).weights().items()}
    assert shapes == weight_shapes(config)
    assert sum(a * b for a, b in shapes.values()) == config.parameters


def test_fresh_network() -> None:
    """In a new network no layer adds anything: the logits are E norm(norm(e)), e being the last token's embedding."""
    torch.manual_seed(1)
    network = Network(CONFIG)
    ids = torch.arange(9)[None]
    table = network.embedding.detach().double().numpy()
    with torch.no_grad():
        found = network(ids)[0].numpy()
    np.testing.assert_allclose(found, norm(norm(table[:9])) @ table.T, atol=1e-6)


def test_seed() -> None:
    """The seed of PyTorch alone decides what a new network begins with."""
    one, again = full_network(), full_network()
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), again.parameters(), strict=True))


def test_larger_context_same_weights() -> None:
    """The context is no part of the weights: a network with a longer one gives the same logits."""
    network, longer = full_network(), full_network(replace(CONFIG, context=30))
    ids = torch.arange(9)[None]
    torch.testing.assert_close(longer(ids), network(ids))


@pytest.mark.parametrize("rows", [1, 4, 6, 512])
def test_mean_cross_entropy(rows: int) -> None:
    """The loss and both gradients are those of PyTorch's cross_entropy, however many rows are taken at a time."""
    torch.manual_seed(rows)
    hidden = torch.randn(2, 5, 8, requires_grad=True)
    table = torch.randn(13, 8, requires_grad=True)
    targets = torch.randint(13, (2, 5))
    found = mean_cross_entropy(hidden, table, targets, rows)
    gradients = torch.autograd.grad(3 * found, (hidden, table))  # the factor of what comes behind counts too
    expected = torch.nn.functional.cross_entropy((hidden @ table.t()).flatten(0, 1), targets.flatten())
    torch.testing.assert_close(found, expected)
    for one, other in zip(gradients, torch.autograd.grad(3 * expected, (hidden, table)), strict=True):
        torch.testing.assert_close(one, other)


def test_mean_cross_entropy_of_nan() -> None:
    """States that are no numbers give a loss that is none, and one that is impossible a finite one."""
    table, targets = torch.eye(2), torch.tensor([[1]])
    assert math.isnan(mean_cross_entropy(torch.tensor([[[math.nan, 0.0]]]), table, targets))
    assert math.isfinite(mean_cross_entropy(torch.tensor([[[1e4, 0.0]]]), table, targets))
