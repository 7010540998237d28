"""Where a text may be left that is long enough: behind the end of a sentence.

>>> ends = SentenceEnds(tokenizer, SamplingOptions(max_new_tokens=20))   # doctest: +SKIP
>>> ends.first(prompt, ids)   # doctest: +SKIP
14
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ngramgen.sampling.edges import LAST_CHARACTERS, stands_at_end
from ngramgen.sampling.spelling import Spelling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ngramgen.model import IntArray, Tokenizer
    from ngramgen.sampling.options import SamplingOptions

_IS_LAST = np.zeros(256, bool)
_IS_LAST[[character.encode()[-1] for character in LAST_CHARACTERS + "\n"]] = True


class SentenceEnds:
    """Tells where ``end_sentence`` ends texts: behind half of ``max_new_tokens``, or all of ``min_new_tokens``."""

    def __init__(self, tokenizer: Tokenizer, options: SamplingOptions) -> None:
        self._tokenizer = tokenizer
        self._least = max(1, options.min_new_tokens, (options.max_new_tokens + 1) // 2)
        self._may_be_last = _IS_LAST.take(Spelling.of(tokenizer).last_bytes)  # by far the most tokens are not

    @classmethod
    def asked(cls, tokenizer: Tokenizer, options: SamplingOptions) -> SentenceEnds | None:
        """None where the options do not ask for it."""
        return cls(tokenizer, options) if options.end_sentence else None

    def reached(self, prompt: IntArray, ids: Sequence[int]) -> bool:
        """Whether a text ends with its last new token; the prompt (P,) tells which quotations are open."""
        if len(ids) < self._least or not self._may_be_last[ids[-1]]:
            return False
        return self._ends(prompt, np.array(ids, np.int32))

    def first(self, prompt: IntArray, ids: IntArray) -> int | None:
        """The fewest of the new tokens (T,) after which a text ends; None where it does not."""
        some = np.flatnonzero(self._may_be_last.take(ids[self._least - 1 :])) + self._least
        return next((count for count in some.tolist() if self._ends(prompt, ids[:count])), None)

    def _ends(self, prompt: IntArray, ids: IntArray) -> bool:
        return stands_at_end(self._tokenizer.decode(np.concatenate([prompt, ids])))
