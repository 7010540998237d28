"""How a network is trained: every number that can be set, in one place."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

from ngramgen.errors import OptionError
from ngramgen.neural.config import SIZES, NetworkConfig

DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class TrainingOptions:
    """The recipe. Muon trains the matrices, AdamW the embedding and, at a rate of their own, the value embeddings; all
    rates fall to 0 over the last ``decay_share``.

    ``seconds`` or ``tokens`` is the budget, one of them; ``batch_size`` counts sequences of ``context`` tokens.
    ``valid_tokens`` limits what the bits per byte are measured on, ``evaluations`` says how often.
    Raises OptionError for a value out of its range.
    """

    seconds: float | None = None
    tokens: int | None = None
    seed: int = 1
    device: str = "auto"
    batch_size: int = 16
    muon_learning_rate: float = 0.02
    muon_momentum: float = 0.95
    muon_first_momentum: float = 0.85
    muon_momentum_steps: int = 150
    adam_learning_rate: float = 0.008
    value_learning_rate: float = 0.05
    adam_beta1: float = 0.8
    adam_beta2: float = 0.95
    warmup_steps: int = 20
    decay_share: float = 0.5
    evaluations: int = 8
    valid_tokens: int = 100_000
    checkpoint_seconds: float = 60.0
    compile: bool = True

    def __post_init__(self) -> None:
        if (self.seconds is None) == (self.tokens is None):
            raise OptionError("give a time or a number of tokens to train for, and not both")
        for field in fields(self):
            self._check(field.name, getattr(self, field.name))
        if self.device not in DEVICES:
            raise OptionError(f"device must be one of {', '.join(DEVICES)}, not {self.device!r}")

    def _check(self, name: str, value: Any) -> None:
        if name == "device" or (value is None and name in ("seconds", "tokens")):
            return
        if name == "compile":
            if not isinstance(value, bool):
                raise OptionError(f"compile must be true or false, not {value!r}")
            return
        whole = name in _WHOLE
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            raise OptionError(f"{name} must be a {'whole ' if whole else ''}number, not {value!r}")
        least = 0 if name in _MAY_BE_ZERO else math.ulp(0)
        most = 1.0 if name in _SHARES else math.inf
        if not least <= value <= most or value == math.inf:
            raise OptionError(f"{name} must be {_range(name)}, not {value!r}")
        if name == "seed" and value >= 1 << 63:  # PyTorch takes no larger one
            raise OptionError(f"seed must be below 2**63, not {value!r}")

    @property
    def budget(self) -> float:
        """The seconds or tokens that the training may take."""
        return float(self.tokens if self.seconds is None else self.seconds)  # type: ignore[arg-type]


_WHOLE = ("tokens", "seed", "batch_size", "muon_momentum_steps", "warmup_steps", "evaluations", "valid_tokens")
_SHARES = ("decay_share", "muon_momentum", "muon_first_momentum", "adam_beta1", "adam_beta2")
_MAY_BE_ZERO = ("seed", "warmup_steps", "decay_share", "muon_momentum_steps", "muon_first_momentum", "muon_momentum")


def _range(name: str) -> str:
    if name in _SHARES:
        return "from 0 to 1" if name in _MAY_BE_ZERO else "above 0 and at most 1"
    return "0 or more" if name in _MAY_BE_ZERO else "above 0"


def setting_names() -> list[str]:
    """What `settings` takes by name: all but what `ngramgen.neural.training.train_network` has an argument for."""
    names = {field.name for one in (NetworkConfig, TrainingOptions) for field in fields(one)}
    return sorted(names - {"seconds", "tokens", "seed", "device"})


def settings(size: str, named: dict[str, Any], **given: Any) -> tuple[NetworkConfig, TrainingOptions]:
    """A named size and a recipe with some values replaced, by the names of their fields; the others are ``given``.

    >>> settings("small", {"width": 320, "batch_size": 8}, seconds=60)[0].width
    320
    """
    if size not in SIZES:
        raise OptionError(f"size must be one of {', '.join(SIZES)}, not {size!r}")
    shape = {field.name for field in fields(NetworkConfig)}
    if wrong := sorted(set(named) - set(setting_names())):
        raise OptionError(f"there is no setting {wrong[0]!r}; they are {', '.join(setting_names())}")
    config = replace(SIZES[size], **{name: value for name, value in named.items() if name in shape})
    return config, TrainingOptions(**given, **{name: value for name, value in named.items() if name not in shape})
