"""Learning rates over a training that knows its end, whether that is a time or a number of tokens.

>>> Schedule(warmup_steps=20, decay_share=0.5).factor(step=100, progress=0.75)
0.5
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """A linear warm-up, a constant stage, and a linear decay to 0 over the last share of the budget.

    The constant stage can be prolonged afterwards: a checkpoint of it knows nothing of the end (Hu et al. 2024).
    """

    warmup_steps: int
    decay_share: float

    def factor(self, step: int, progress: float) -> float:
        """What the learning rates are multiplied by at a step, from 0, and a progress from 0 to 1."""
        warm = min(1.0, (step + 1) / (self.warmup_steps + 1))
        left = max(0.0, 1.0 - progress)
        return min(warm, left / self.decay_share) if self.decay_share else warm

    def is_constant(self, progress: float) -> bool:
        """Whether the decay has not begun."""
        return progress <= 1.0 - self.decay_share


def momentum(step: int, first: float, last: float, steps: int) -> float:
    """Muon's momentum, which grows linearly over the first steps.

    >>> momentum(75, 0.5, 1.0, 150)
    0.75
    """
    return last if step >= steps else first + (last - first) * step / steps
