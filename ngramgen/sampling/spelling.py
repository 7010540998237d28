"""How the tokens of a model are spelt: their bytes, and the texts that rows of them make."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ngramgen.model import EOS
from ngramgen.sampling.wellformed import BORDER, are_whole, token_states

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from ngramgen.model import Tokenizer

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

_FEW_SPACES = 0.3
_LONG_WORD = 12
_SAMPLE = 5000
_WORD_BYTES = frozenset(bytes([code]) for code in range(128) if chr(code).isalnum())
_KNOWN: dict[int, tuple[weakref.ref[Any], Spelling]] = {}


@dataclass(frozen=True)
class FlatText:
    """The texts of R rows of tokens, one behind the other, each but an empty one with a newline behind it.

    Attributes:
        text: All of them; a byte that belongs to no character is half a surrogate pair, as "surrogateescape" makes it.
        begins: Where each row begins in it, (R,).
        borders: Where the text after each place of each row ends in it, (R, H + 1).
        whole: Whether no character is cut there, (R, H + 1).
    """

    text: str
    begins: Ints
    borders: Ints
    whole: Bools


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
        """The spelling of a tokenizer, which is kept; one without ``token_bytes`` is asked for each token."""
        key = id(tokenizer)
        known = _KNOWN.get(key)
        if known is None or known[0]() is not tokenizer:
            known = weakref.ref(tokenizer, lambda _: _KNOWN.pop(key, None)), cls._made(tokenizer)
            _KNOWN[key] = known
        return known[1]

    @classmethod
    def _made(cls, tokenizer: Tokenizer) -> Spelling:
        separator = b" " if getattr(tokenizer, "joins_with_space", False) else b""
        token_bytes = getattr(tokenizer, "token_bytes", None)
        if token_bytes is not None:
            data, offsets = token_bytes()
            return cls(data, offsets, separator)
        texts = [b"" if i <= EOS else tokenizer.token(i).encode() for i in range(tokenizer.vocab_size)]
        offsets = np.concatenate([[0], np.cumsum([len(text) for text in texts])])
        return cls(np.frombuffer(b"".join(texts), np.uint8), offsets, separator)

    @cached_property
    def _bytes(self) -> bytes:
        return self.data[: int(self.offsets[-1])].tobytes()

    @cached_property
    def last_bytes(self) -> NDArray[np.uint8]:
        """The last byte of each token, (V,); 0 where there is none."""
        ends = self.offsets[1:].astype(np.int64)
        found = self.data.take(np.maximum(ends - 1, 0))
        found[ends == self.offsets[:-1]] = 0
        return found

    @cached_property
    def states(self) -> NDArray[np.int8] | None:
        """What `ngramgen.sampling.wellformed.token_states` gives; None where every token is whole characters."""
        return None if are_whole(self.data, self.offsets) else token_states(self.data, self.offsets)

    @cached_property
    def are_whole(self) -> Bools:
        """Which tokens are whole characters, (V,)."""
        if self.states is None:
            return np.ones(len(self.offsets) - 1, bool)
        whole: Bools = self.states[BORDER] == BORDER
        return whole

    @cached_property
    def tokens_a_word(self) -> int:
        """About the most tokens that a word takes on the average of a text."""
        if self.separator:
            return 1
        offsets = self.offsets[EOS + 1 : EOS + 2 + _SAMPLE].astype(np.int64)
        begins = offsets[:-1][np.diff(offsets) > 1]
        with_space = np.count_nonzero(self.data.take(begins) == ord(" ")) / max(1, len(offsets) - 1)
        return _LONG_WORD if with_space < _FEW_SPACES else 2

    @cached_property
    def spaces_stand_alone(self) -> bool:
        """Whether a space is a token by itself, and begins no other."""
        offsets = self.offsets.astype(np.int64)
        begins = offsets[:-1][np.diff(offsets) > 1]
        return not self.separator and not bool((self.data.take(begins) == ord(" ")).any())

    @cached_property
    def tokens_a_character(self) -> int:
        """The most tokens that a character takes: where tokens are bytes, several."""
        begins = self.offsets[:-1].astype(np.int64)
        firsts = self.data.take(begins[begins < self.offsets[-1]])
        return 4 if ((firsts & 0xC0) == 0x80).any() else 1

    @cached_property
    def longest(self) -> int:
        """The most bytes that a token adds to a text."""
        return int(np.diff(self.offsets.astype(np.int64)).max(initial=0)) + len(self.separator)

    @cached_property
    def holds_single_words(self) -> bool:
        """Whether no token holds white space behind anything else."""
        begins = np.zeros(len(self._bytes) + 1, bool)
        begins[self.offsets.astype(np.int64)] = True
        # of ASCII's white space; other is rare, and a bound on words is then too strict for a few texts
        spaces = np.isin(self.data[: len(self._bytes)], np.frombuffer(b" \t\r\n\v\f", np.uint8))
        return not bool((spaces & ~begins[:-1]).any())

    def token(self, index: int) -> bytes:
        """The bytes of one token."""
        return self._bytes[int(self.offsets[index]) : int(self.offsets[index + 1])]

    def text(self, ids: Iterable[int]) -> str:
        """The text of a row of tokens, as the tokenizer decodes it."""
        return self.separator.join(map(self.token, ids)).decode("utf-8", "replace")

    @cached_property
    def _lines(self) -> tuple[bytes, Ints]:
        """The bytes of all tokens with a newline behind each, and where each begins."""
        begins = self.offsets.astype(np.int64)
        lines = np.insert(self.data[: begins[-1]], begins[1:], ord("\n"))
        return lines.tobytes(), begins + np.arange(len(begins))

    def tokens_with(self, part: str, *, whole: bool = False) -> Iterator[int]:
        """The ids of the tokens that hold a text, ascending; ``whole`` where no letter or digit of ASCII touches it."""
        lines, begins = self._lines
        sought = part.encode()
        before = _WORD_BYTES if whole and sought[:1] in _WORD_BYTES else frozenset()
        after = _WORD_BYTES if whole and sought[-1:] in _WORD_BYTES else frozenset()
        last, place = -1, -1
        while (place := lines.find(sought, place + 1)) >= 0:
            behind = place + len(sought)
            if lines[place - 1 : place] in before or lines[behind : behind + 1] in after:
                continue
            found = int(np.searchsorted(begins, place, side="right")) - 1
            if found != last and behind < begins[found + 1]:
                last = found
                yield found

    def flat(self, prefixes: Sequence[tuple[int, ...]], tokens: Ints) -> FlatText:
        """The texts of R rows: a prefix and then tokens (R, H); place t of a row is the one after t of those."""
        rows, width = tokens.shape
        before = np.fromiter(map(len, prefixes), np.int64, rows)
        ids = np.concatenate([part for row in range(rows) for part in (np.array(prefixes[row], np.int64), tokens[row])])
        row_ends = np.cumsum(before + width)
        begins = self.offsets.take(ids).astype(np.int64)
        lengths = self.offsets.take(ids + 1).astype(np.int64) - begins
        last = row_ends[np.diff(row_ends, prepend=0) > 0] - 1
        extra = np.full(len(ids), len(self.separator))
        extra[last] = 1
        ends = np.cumsum(lengths + extra)
        source = np.repeat(begins + lengths + extra - ends, lengths + extra) + np.arange(ends[-1] if len(ids) else 0)
        buffer = self.data.take(source, mode="clip") if len(self.data) else np.zeros(len(source), np.uint8)
        if self.separator:
            buffer[ends - 1] = self.separator[0]
        buffer[ends[last] - 1] = ord("\n")
        borders = _borders(ends, extra, row_ends - width - before, before, width)
        return _decoded(buffer, np.append(0, ends)[row_ends - width - before], borders)


def _borders(ends: Ints, extra: Ints, firsts: Ints, before: Ints, width: int) -> Ints:
    """Where the text of each place ends in the bytes: behind a token, or where the row begins."""
    which = (firsts + before)[:, None] + np.arange(width + 1)  # tokens before each place, of all rows
    all_ends = np.append(0, ends)
    borders = all_ends.take(which)
    inside = which > firsts[:, None]
    borders[inside] -= extra.take(which[inside] - 1)
    return borders


def _decoded(buffer: NDArray[np.uint8], begins: Ints, borders: Ints) -> FlatText:
    data = buffer.tobytes()
    if data.isascii():
        return FlatText(data.decode(), begins, borders, np.ones(borders.shape, bool))
    text = data.decode("utf-8", "surrogateescape")
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
    widths = 1 + (codes >= 0x80) + (codes >= 0x800) + (codes >= 0x10000)
    widths[(codes >= 0xDC80) & (codes <= 0xDCFF)] = 1
    offsets = np.zeros(len(codes) + 1, np.int64)
    np.cumsum(widths, out=offsets[1:])
    characters = np.searchsorted(offsets, borders)
    # a walk may go on with half a character, so where a text stops a character must not be begun
    leads = np.where((buffer & 0xC0) != 0x80, np.arange(len(buffer)), -1)
    lead = np.append(-1, np.maximum.accumulate(leads)).take(borders)
    first = buffer.take(np.maximum(lead, 0))
    needed = 1 + (first >= 0xC0).astype(np.int64) + (first >= 0xE0) + (first >= 0xF0)
    whole = (borders - lead >= needed) | (lead < begins[:, None])
    return FlatText(text, np.searchsorted(offsets, begins), characters, whole)
