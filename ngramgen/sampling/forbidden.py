"""Which texts hold what the options forbid: a keyword that is put into a text goes past the filters.

>>> forbidden = Forbidden.of(SamplingOptions(bad_words_ids=[[5, 6]], no_repeat_ngram_size=2))
>>> forbidden.holds([5], [6, 7]), forbidden.holds([7, 8], [7, 8]), forbidden.holds([5, 6], [7])
(True, True, False)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ngramgen.errors import OptionError
from ngramgen.model import EOS
from ngramgen.sampling.options import SamplingOptions
from ngramgen.sampling.wordings import needed, ways_to_write

if TYPE_CHECKING:
    from ngramgen.model import Tokenizer

    Ids = tuple[int, ...]


@dataclass(frozen=True)
class Forbidden:
    """Sequences of tokens that do not come, by their length, and the length that none has which comes twice."""

    sequences: dict[int, frozenset[Ids]]
    no_repeat: int

    @classmethod
    def of(cls, options: SamplingOptions, tokenizer: Tokenizer | None = None) -> Forbidden:
        """What bad_words, bad_words_ids, suppress_tokens and no_repeat_ngram_size forbid.

        Raises OptionError where they forbid the end of every text.
        """
        listed = [way for text in options.bad_words for way in ways_to_write(needed(tokenizer, "bad_words"), text)]
        listed += [tuple(ids) for ids in options.bad_words_ids]
        listed += [(int(index),) for index in options.suppress_tokens]
        if (EOS,) in listed:
            raise OptionError(f"Token {EOS}, the end, is forbidden, but a text with constraints has to end; permit it.")
        lengths = sorted({len(ids) for ids in listed})
        return cls(
            {n: frozenset(ids for ids in listed if len(ids) == n) for n in lengths}, options.no_repeat_ngram_size
        )

    def holds(self, prompt: Iterable[int], ids: Sequence[int], *, ends: bool = True) -> bool:
        """Whether a continuation holds what is forbidden, the prompt's end counted; ``ends`` where </s> follows it."""
        before = tuple(map(int, prompt))
        text = (*before, *ids, *(EOS,) * ends)
        for length, sequences in self.sequences.items():
            first = max(0, len(before) - length + 1)
            if any(text[place : place + length] in sequences for place in range(first, len(text) - length + 1)):
                return True
        return self.no_repeat > 0 and self._repeats(text, len(before))

    def _repeats(self, text: Ids, begin: int) -> bool:
        """Whether some tokens that end behind a place have come before in the same order."""
        seen: set[Ids] = set()
        for end in range(self.no_repeat, len(text) + 1):
            part = text[end - self.no_repeat : end]
            if end > begin and part in seen:
                return True
            seen.add(part)
        return False
