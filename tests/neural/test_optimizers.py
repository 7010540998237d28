"""Muon and AdamW together: their rates, and one step by hand."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from ngramgen.neural.config import NetworkConfig  # noqa: E402
from ngramgen.neural.network import Network  # noqa: E402
from ngramgen.neural.optimizers import Optimizers  # noqa: E402
from ngramgen.neural.options import TrainingOptions  # noqa: E402

CONFIG = NetworkConfig(vocab_size=11, layers=1, width=32, heads=2, kv_heads=1, hidden=96, context=4)
OPTIONS = TrainingOptions(
    tokens=1,
    warmup_steps=4,
    decay_share=0.5,
    muon_learning_rate=0.02,
    muon_first_momentum=0.8,
    muon_momentum=0.9,
    muon_momentum_steps=10,
    adam_learning_rate=0.01,
)


def network() -> Any:
    torch.manual_seed(3)
    made = Network(CONFIG)
    for parameter in made.parameters():
        parameter.grad = torch.randn_like(parameter)
    return made


@pytest.mark.parametrize(
    ("step", "progress", "factor", "momentum"),
    [(0, 0.0, 0.2, 0.8), (5, 0.1, 1.0, 0.85), (10, 0.5, 1.0, 0.9), (99, 0.75, 0.5, 0.9), (99, 1.0, 0.0, 0.9)],
)
def test_rates(step: int, progress: float, factor: float, momentum: float) -> None:
    """A step is made with the rates and the momentum of its moment, and takes the gradients away."""
    made = network()
    optimizers = Optimizers(made, OPTIONS)
    optimizers.step(step, progress)
    (muon,), (adam,) = optimizers.muon.param_groups, optimizers.adam.param_groups
    assert muon["lr"] == pytest.approx(0.02 * factor)
    assert muon["momentum"] == pytest.approx(momentum)
    assert adam["lr"] == pytest.approx(0.01 * factor)
    assert adam["betas"] == (0.8, 0.95)
    assert all(parameter.grad is None for parameter in made.parameters())


def test_who_trains_what() -> None:
    """AdamW has the embedding, Muon each of the other matrices, and nobody has any twice."""
    made = network()
    optimizers = Optimizers(made, OPTIONS)
    (muon,), (adam,) = optimizers.muon.param_groups, optimizers.adam.param_groups
    assert [parameter is made.embedding for parameter in adam["params"]] == [True]
    names = {id(parameter): name for name, parameter in made.named_parameters()}
    parts = ("query", "key", "value", "output", "up", "down")
    assert [names[id(parameter)] for parameter in muon["params"]] == [f"layers.0.{part}" for part in parts]


def test_orthogonal_steps() -> None:
    """Muon's step has singular values near 1 times the rate, and sqrt(3) times that for a matrix thrice as tall."""
    made = network()
    before = {name: parameter.detach().clone() for name, parameter in made.named_parameters()}
    Optimizers(made, OPTIONS).step(20, 0.0)
    for name, size in (("layers.0.query", 1.0), ("layers.0.key", 1.0), ("layers.0.up", 3**0.5), ("layers.0.down", 1.0)):
        moved = (before[name] - made.get_parameter(name)).detach().numpy()
        values = np.linalg.svd(moved, compute_uv=False) / (0.02 * size)
        # the iteration's polynomial brings them to about 0.7 to 1.2, not to 1
        assert ((values > 0.4) & (values < 1.35)).all(), name


def test_first_step_of_adam() -> None:
    """The first step of AdamW moves each number of the embedding by the rate, against its gradient's sign."""
    made = network()
    before, gradient = made.embedding.detach().clone(), made.embedding.grad.clone()
    Optimizers(made, OPTIONS).step(20, 0.0)
    np.testing.assert_allclose((before - made.embedding.detach()), 0.01 * gradient.sign(), rtol=1e-4)


def test_value_embeddings() -> None:
    """AdamW trains value embeddings at a rate of their own, which falls as the others do."""
    torch.manual_seed(3)
    made = Network(replace(CONFIG, value_embeddings=1))
    for parameter in made.parameters():
        parameter.grad = torch.randn_like(parameter)
    gradient = made.values[0].grad.clone()
    optimizers = Optimizers(made, replace(OPTIONS, value_learning_rate=0.04))
    optimizers.step(20, 0.75)
    np.testing.assert_allclose(-made.values[0].detach(), 0.02 * gradient.sign(), rtol=1e-4)
    assert len(optimizers.muon.param_groups[0]["params"]) == 6


def test_state() -> None:
    """What was saved goes on in other optimizers as in the first ones, and betas are those that are set now."""
    one, two = network(), network()
    first, second = Optimizers(one, OPTIONS), Optimizers(two, OPTIONS)
    first.step(0, 0.0)
    second.load_state_dict(deepcopy(first.state_dict()))
    two.load_state_dict(one.state_dict())
    for made, optimizers in ((one, first), (two, second)):
        torch.manual_seed(5)
        for parameter in made.parameters():
            parameter.grad = torch.randn_like(parameter)
        optimizers.step(1, 0.0)
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(a, b)
    other = Optimizers(two, TrainingOptions(tokens=1, adam_beta1=0.7))
    other.load_state_dict(first.state_dict())
    assert other.adam.param_groups[0]["betas"] == (0.7, 0.95)
