"""The training loop: batches, steps, measurements and checkpoints, until the budget is used up."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ngramgen.errors import OptionError, TrainingError
from ngramgen.neural.checkpoint import load_checkpoint, save_checkpoint
from ngramgen.neural.config import NetworkConfig
from ngramgen.neural.curve import CurvePoint
from ngramgen.neural.measuring import mean_bits
from ngramgen.neural.network import Network, mean_cross_entropy
from ngramgen.neural.optimizers import Optimizers
from ngramgen.neural.options import TrainingOptions
from ngramgen.neural.stream import Batches, Tokens

LATEST, CONSTANT = "latest.pt", "constant.pt"
"""Checkpoints: the newest, and the newest before the learning rates began to fall."""


@dataclass(frozen=True)
class Progress:
    """How far a training is; ``remaining`` is an estimate in seconds, ``point`` is there where it was measured."""

    share: float
    steps: int
    tokens: int
    seconds: float
    remaining: float
    point: CurvePoint | None = None


@dataclass(frozen=True)
class Texts:
    """The tokens to learn and those to measure on, and how many bytes a token of each stands for."""

    train: Tokens
    valid: Tokens
    train_bytes_a_token: float
    valid_bytes_a_token: float


@dataclass
class Trainer:
    """One training. ``begun`` is the monotonic time from which a budget of seconds counts."""

    config: NetworkConfig
    options: TrainingOptions
    texts: Texts
    folder: Path
    begun: float = field(default_factory=time.monotonic)
    notices: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        torch.manual_seed(self.options.seed)
        self.device = _device(self.options.device)
        self.network = Network(self.config).to(self.device)
        self.optimizers = Optimizers(self.network, self.options)
        self.batches = Batches(self.texts.train, self.config.context, self.options.batch_size, self.options.seed)
        self.hidden = self._compiled()
        self.step = 0
        self.tokens = 0
        self.earlier = 0.0  # seconds of the sittings before this one
        self.points: list[CurvePoint] = []
        self._losses: list[float] = []
        self._started = 0.0, 0.0  # when this sitting's training began, and at which share

    def _compiled(self) -> Any:
        if not self.options.compile:
            return self.network.hidden
        if self.device.type == "cpu" and not any(map(shutil.which, ("c++", "g++", "clang++", "cl"))):
            self.notices.append("There is no C++ compiler, so training takes about half as long again.")
            return self.network.hidden
        return torch.compile(self.network.hidden, dynamic=False)

    def autocast(self) -> AbstractContextManager[Any]:
        """bfloat16 where the processor multiplies it in hardware."""
        return torch.autocast(self.device.type, torch.bfloat16) if has_bfloat16(self.device) else nullcontext()

    @property
    def seconds(self) -> float:
        return self.earlier + time.monotonic() - self.begun

    @property
    def progress(self) -> float:
        """The share of the budget that is used, from 0 to 1."""
        used = self.tokens if self.options.seconds is None else self.seconds
        return min(1.0, used / self.options.budget)

    def resume(self) -> None:
        """Goes on from the newest checkpoint; from the constant stage's where the budget has grown since.

        Raises OptionError where there is none or it is of another network, ModelFormatError for a damaged one.
        """
        path = self.folder / LATEST
        if not path.exists():
            raise OptionError(f"there is nothing to resume in {self.folder}; train without resume first")
        state = load_checkpoint(path)
        if self.progress_of(state) < state["progress"] and not state["is_constant"] and self._has_constant():
            state = load_checkpoint(self.folder / CONSTANT)
        if state["config"] != asdict(self.config):
            raise OptionError(f"the checkpoint in {self.folder} is of a network of another shape; resume with the same")
        self.network.load_state_dict(state["network"])
        self.optimizers.load_state_dict(state["optimizers"])
        self.step, self.tokens, self.earlier = state["step"], state["tokens"], state["seconds"]
        self.points = [CurvePoint(**point) for point in state["points"]]

    def _has_constant(self) -> bool:
        return (self.folder / CONSTANT).exists()

    def progress_of(self, state: dict[str, Any]) -> float:
        """The share of this training's budget that a checkpoint has used."""
        return float(state["tokens" if self.options.seconds is None else "seconds"]) / self.options.budget

    def run(self, report: Callable[[Progress], None] | None = None) -> None:
        """Trains until the budget is used up.

        Raises TrainingError where the loss is no number any more, or no time is left for a first step.
        """
        if self.step == 0 and self.progress == 1:
            raise TrainingError(
                f"the time was over before the training began, for reading the text took {self.seconds:.1f} s; give "
                "more time, or a number of tokens"
            )
        report = report or (lambda progress: None)
        marks = [(i + 1) / self.options.evaluations for i in range(self.options.evaluations)]
        marks = [mark for mark in marks if mark > self.progress]
        saved = time.monotonic()
        self._started = saved, self.progress
        batches = self.batches.from_step(self.step)
        while marks and self.progress < 1:
            self._losses.append(self._step(torch.from_numpy(next(batches)).to(self.device)))
            self._check(self._losses[-1])
            is_due = self.progress >= marks[0] and marks[0] < 1
            if is_due:
                marks = [mark for mark in marks if mark > self.progress]
            if self.step % 16 == 0 or is_due:
                report(self._told(self._measured() if is_due else None))
            if is_due or time.monotonic() - saved > self.options.checkpoint_seconds:
                self.save()
                saved = time.monotonic()
        if marks or not self.points:
            report(self._told(self._measured()))
            self.save()

    def _step(self, batch: Tensor) -> float:
        self.network.train()
        with self.autocast():
            hidden = self.hidden(batch[:, :-1])
        if has_bfloat16(self.device):
            hidden = hidden.to(torch.bfloat16)
        loss = mean_cross_entropy(hidden, self.network.embedding, batch[:, 1:])
        loss.backward()
        self.optimizers.step(self.step, self.progress)
        self.step += 1
        self.tokens += batch[:, 1:].numel()
        return float(loss.detach())

    def _check(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss is no number any more after {self.step} steps; set smaller learning rates, such as "
                f"muon_learning_rate={self.options.muon_learning_rate / 2:g}, and train anew"
            )

    def _measured(self) -> CurvePoint:
        self.network.eval()
        with self.autocast():
            valid = mean_bits(self.network, self.hidden, self.texts.valid, self.device)
        self._check(valid)
        train = float(np.mean(self._losses)) / math.log(2) if self._losses else math.nan
        point = CurvePoint(
            round(self.seconds, 1),
            self.step,
            self.tokens,
            self.optimizers.schedule.factor(self.step, self.progress),
            train / self.texts.train_bytes_a_token,
            valid / self.texts.valid_bytes_a_token,
        )
        self._losses.clear()
        self.points.append(point)
        return point

    def _told(self, point: CurvePoint | None) -> Progress:
        share, seconds = self.progress, self.seconds
        if self.options.seconds is not None:
            remaining = max(0.0, self.options.seconds - seconds)
        else:  # as fast as in this sitting, reading the text apart
            since, first = self._started
            remaining = (time.monotonic() - since) * (1 - share) / max(share - first, 1e-9)
        return Progress(share, self.step, self.tokens, seconds, remaining, point)

    def save(self) -> None:
        """Writes the newest checkpoint, and before the decay the constant stage's too. Raises OSError."""
        is_constant = self.optimizers.schedule.is_constant(self.progress)
        state = {
            "config": asdict(self.config),
            "network": self.network.state_dict(),
            "optimizers": self.optimizers.state_dict(),
            "step": self.step,
            "tokens": self.tokens,
            "seconds": self.seconds,
            "progress": self.progress,
            "is_constant": is_constant,
            "points": [asdict(point) for point in self.points],
        }
        save_checkpoint(self.folder / LATEST, state)
        if is_constant:
            save_checkpoint(self.folder / CONSTANT, state)


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 in hardware."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    checks = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in checks)


def _device(name: str) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise OptionError("device is cuda, but PyTorch sees no such device; use cpu, or install PyTorch with CUDA")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
