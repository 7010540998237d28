"""How the tokens of a model are spelt: their bytes, and the texts that rows of them make."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ngramgen.model import EOS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from ngramgen.model import Tokenizer

    Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Spelling:
    """The bytes of every token of a tokenizer.

    Attributes:
        data: The tokens' bytes one after the other, uint8.
        offsets: Where each token begins in them, (V + 1,); specials have no bytes.
        separator: What stands between two tokens of a text.
    """

    data: NDArray[np.uint8]
    offsets: NDArray[np.integer[Any]]
    separator: bytes

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Spelling:
        """The spelling of a tokenizer; one without a ``vocabulary`` is asked for each token."""
        separator = b" " if getattr(tokenizer, "joins_with_space", False) else b""
        vocabulary = getattr(tokenizer, "vocabulary", None)
        if vocabulary is not None:
            return cls(vocabulary.data, vocabulary.offsets, separator)
        texts = [b"" if i <= EOS else tokenizer.token(i).encode() for i in range(tokenizer.vocab_size)]
        offsets = np.concatenate([[0], np.cumsum([len(text) for text in texts])])
        return cls(np.frombuffer(b"".join(texts), np.uint8), offsets, separator)

    @cached_property
    def _bytes(self) -> bytes:
        return self.data[: int(self.offsets[-1])].tobytes()

    def token(self, index: int) -> bytes:
        """The bytes of one token."""
        return self._bytes[int(self.offsets[index]) : int(self.offsets[index + 1])]

    def text(self, ids: Iterable[int]) -> bytes:
        """The bytes of a row of tokens."""
        return self.separator.join(map(self.token, ids))

    def tokens_with(self, part: bytes) -> Ints:
        """The ids of the tokens that hold these bytes, ascending."""
        places = []
        place = self._bytes.find(part)
        while place >= 0:
            places.append(place)
            place = self._bytes.find(part, place + 1)
        found = np.searchsorted(self.offsets, np.array(places, np.int64), side="right") - 1
        inside = np.array(places, np.int64) + len(part) <= self.offsets[found + 1]
        different: Ints = np.unique(found[inside])
        return different

    def borders(self, ids: Sequence[int]) -> tuple[str, Ints]:
        """The text of a row of T tokens, and the number of its characters after 0, 1, ... T tokens, (T + 1,)."""
        parts = [self.token(i) for i in ids]
        text = self.separator.join(parts)
        ends = np.zeros(len(parts) + 1, np.int64)
        np.cumsum([len(part) for part in parts], out=ends[1:])
        ends[2:] += len(self.separator) * np.arange(1, len(parts))
        if text.isascii():
            return text.decode(), ends
        starts = np.zeros(len(text) + 1, np.int64)  # characters begun before each byte
        np.cumsum((np.frombuffer(text, np.uint8) & 0xC0) != 0x80, out=starts[1:])
        return text.decode("utf-8", "replace"), starts.take(ends)
