"""What the sampler takes and gives: checked prompts in, generated sequences out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from ngramgen.errors import OptionError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ngramgen.model import IntArray

FinishReason: TypeAlias = Literal["stop", "length", "eos", "time"]


@dataclass(frozen=True, eq=False)
class Generated:
    """One generated sequence.

    Attributes:
        ids: The new tokens, (T,) int32, without ``</s>``, and without those of a character that the limit cut.
        logprob: Natural log-probability of the new tokens under the model itself, filters apart, with ``</s>``
            where it ended the sequence; None where it was not asked for.
        finish_reason: "eos" after ``</s>``, "stop" after a stop string, "length" at max_new_tokens or where
            end_sentence ended it, "time" at max_time.
        text_end: Characters of the decoded continuation before the stop string; None where none came.
    """

    ids: IntArray
    logprob: float | None
    finish_reason: FinishReason
    text_end: int | None = None


def checked_prompt(prompt: ArrayLike, vocab_size: int) -> NDArray[np.int32]:
    """The ids of a prompt (T,) as int32. Raises OptionError for what is no row of ids of the vocabulary.

    >>> checked_prompt([17, 4], 20)
    array([17,  4], dtype=int32)
    """
    ids = np.asarray(prompt)
    if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
        raise OptionError(f"A prompt is one row of integer ids, not {ids.ndim}-dimensional {ids.dtype}.")
    wrong = ids[(ids < 0) | (ids >= vocab_size)]
    if wrong.size:
        raise OptionError(f"The prompt holds id {wrong[0]}, but the vocabulary goes from 0 to {vocab_size - 1}.")
    return ids.astype(np.int32)
