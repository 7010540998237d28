"""The text of a continuation while its tokens arrive: what is settled, and where it stops.

>>> search = StopSearch(("END",))
>>> search.push("to the E"), search.push("ND of it"), search.text_end
('to the ', '', 7)
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ngramgen.model import Tokenizer

_UNFINISHED = "\ufffd"  # what a decoder shows for a character whose last bytes have not come yet
_OVERLAP = 4


class GrowingText:
    """Decodes a growing list of ids a tail at a time; the pieces joined are the decoding of all.

    A tail is decoded with and without the new ids, and the difference is their text; so a tokenizer that
    joins with spaces, or one whose tokens are bytes, needs no special care. It must only grow:
    decode(ids + more) begins with decode(ids), an unfinished character at its end apart.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._length = 0
        # Counts of ids after which the text was whole: decoding may start at any of them.
        self._settled: deque[int] = deque([0], maxlen=_OVERLAP)

    def push(self, index: int) -> str:
        """The text that one more id settles; empty while a character is unfinished."""
        self._ids.append(index)
        start = self._settled[0]
        before = self._decode(self._ids[start : self._settled[-1]])
        after = self._decode(self._ids[start:])
        if len(after) <= len(before) or after.endswith(_UNFINISHED):
            return ""
        self._settled.append(len(self._ids))
        self._length += len(after) - len(before)
        return after[len(before) :]

    def finish(self) -> str:
        """The text that was still held back."""
        rest = self._decode(self._ids)[self._length :]
        self._length += len(rest)
        return rest

    def _decode(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(np.array(ids, dtype=np.int32))


class StopSearch:
    """Passes text on up to the first stop string, holding back an end that may be the beginning of one."""

    def __init__(self, stop: tuple[str, ...]) -> None:
        self._stop = stop
        self._pending = ""
        self._passed = 0
        self.text_end: int | None = None
        """The number of characters before the first stop string, once it has come."""

    def push(self, text: str) -> str:
        """The text that may be shown now that more has come; empty once a stop string has come."""
        if self.text_end is not None:
            return ""
        self._pending += text
        places = [place for place in map(self._pending.find, self._stop) if place >= 0]
        if places:
            self.text_end = self._passed + min(places)
            return self._pass_on(min(places))
        return self._pass_on(len(self._pending) - self._held())

    def finish(self) -> str:
        """The text that was held back in vain."""
        return self._pass_on(len(self._pending)) if self.text_end is None else ""

    def _held(self) -> int:
        longest = min(max(map(len, self._stop), default=1) - 1, len(self._pending))
        for size in range(longest, 0, -1):
            if any(s.startswith(self._pending[-size:]) for s in self._stop):
                return size
        return 0

    def _pass_on(self, count: int) -> str:
        piece, self._pending = self._pending[:count], self._pending[count:]
        self._passed += len(piece)
        return piece


class Continuation:
    """The text of one continuation up to its first stop string: ids in, pieces out."""

    def __init__(self, tokenizer: Tokenizer, stop: tuple[str, ...]) -> None:
        self._text = GrowingText(tokenizer)
        self._search = StopSearch(stop)

    @property
    def text_end(self) -> int | None:
        """The number of characters before the first stop string; None while there is none."""
        return self._search.text_end

    def push(self, index: int) -> str:
        """The text that may be shown after one more id."""
        return self._search.push(self._text.push(index))

    def finish(self) -> str:
        """The text still held back when no more ids come."""
        return self._search.push(self._text.finish()) + self._search.finish()
