"""Muon for the matrices and AdamW for the tables of embeddings, as one."""

from __future__ import annotations

from typing import Any

import torch

from ngramgen.neural.network import Network
from ngramgen.neural.options import TrainingOptions
from ngramgen.neural.schedule import Schedule, momentum


class Optimizers:
    """Both optimizers with their schedule.

    Muon (Jordan et al. 2024) makes each matrix's step orthogonal by five Newton-Schulz iterations; a step of a tall
    matrix is larger by sqrt(rows / columns). AdamW: Loshchilov & Hutter 2019, here without decay.
    """

    def __init__(self, network: Network, options: TrainingOptions) -> None:
        self.options = options
        self.schedule = Schedule(options.warmup_steps, options.decay_share)
        rate = options.muon_learning_rate
        self.muon = torch.optim.Muon(network.matrices(), lr=rate, weight_decay=0.0, adjust_lr_fn="original")
        betas = options.adam_beta1, options.adam_beta2
        groups = [{"params": [network.embedding], "rate": options.adam_learning_rate}]
        if network.values:
            groups.append({"params": list(network.values), "rate": options.value_learning_rate})
        self.adam = torch.optim.AdamW(groups, betas=betas, weight_decay=0.0, fused=True)

    def step(self, step: int, progress: float) -> None:
        """One step of both with the rates of that moment; the gradients are gone afterwards."""
        options = self.options
        factor = self.schedule.factor(step, progress)
        for group in self.muon.param_groups:
            group["lr"] = options.muon_learning_rate * factor
            group["momentum"] = momentum(
                step, options.muon_first_momentum, options.muon_momentum, options.muon_momentum_steps
            )
        for group in self.adam.param_groups:
            group["lr"] = group["rate"] * factor
        for optimizer in (self.muon, self.adam):
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        return {"muon": self.muon.state_dict(), "adam": self.adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.muon.load_state_dict(state["muon"])
        self.adam.load_state_dict(state["adam"])
        rates = self.options.adam_learning_rate, self.options.value_learning_rate
        for group, rate in zip(self.adam.param_groups, rates, strict=False):  # what is set now, not what was set then
            group["rate"], group["betas"] = rate, (self.options.adam_beta1, self.options.adam_beta2)
