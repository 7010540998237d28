"""A byte-level BPE in plain Python, which gives the ids that the library `tokenizers` gives, and on one core as fast.

>>> vocab = {character: byte for character, byte in byte_characters().items()} | {"lo": 256, "Ġlo": 257}
>>> bpe = BytePairEncoder(vocab, [("l", "o"), ("Ġ", "lo")])
>>> bpe.encode("lo low").tolist(), bpe.token_texts()[256:]
([256, 257, 119], [b'lo', b' lo'])
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush
from itertools import accumulate, chain, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.text.tokenizer_json import byte_characters

_KEPT = 1 << 16  # words whose ids are remembered: about 10 MB of them
_LONGEST = 256  # characters of a word that is; a longer one is seldom met again

_WORD = re.compile(r"'(?:[stmd]|re|ve|ll)| ?[A-Za-z]+| ?[0-9]+| ?[^\t-\r A-Za-z0-9]+|[\t-\r ]+(?![^\t-\r ])|[\t-\r ]+")
_SPACES = frozenset([0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000])
_LIKE = {"L": "a", "N": "0"}


class BytePairEncoder:
    """The merges of a byte-level BPE (Sennrich et al. 2016, Radford et al. 2019).

    ``vocab`` maps tokens, written in the characters of `byte_characters`, to ids from 0 on; each of the 256 is among
    them. ``merges`` are pairs of tokens, the first to be merged first. Raises ValueError for a merge that makes no
    token. Threads may share it.
    """

    def __init__(self, vocab: dict[str, int], merges: Iterable[Sequence[str]]) -> None:
        self.vocab = vocab
        ranks = {(left, right): rank for rank, (left, right) in enumerate(merges)}
        for left, right in ranks:
            if not (left and right and left + right in vocab):
                raise ValueError(f"the merge of {left!r} and {right!r} makes no token")
        self._word_ids = _WordIds(vocab, ranks)

    @classmethod
    def from_model(cls, model: dict[str, Any]) -> BytePairEncoder:
        """That of ``model`` in a tokenizer.json; its merges are pairs or, as once, two tokens with a space between."""
        merges = (merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"])
        return cls(model["vocab"], merges)

    def encode(self, text: str) -> NDArray[np.int64]:
        """Ids of a text without lone surrogates, (T,) int64. What spells a special token is text."""
        return np.fromiter(chain.from_iterable(map(self._word_ids.__getitem__, words(text))), np.int64)

    def token_texts(self) -> list[bytes]:
        """The bytes of all tokens by their ids; a special has those of its name."""
        tokens = sorted(self.vocab, key=self.vocab.__getitem__)
        data = bytes(map(byte_characters().__getitem__, "".join(tokens)))
        ends = accumulate(map(len, tokens), initial=0)
        return [data[begin:end] for begin, end in pairwise(ends)]


def words(text: str) -> list[str]:
    """The words within which tokens are merged; joined, they are the text (the pattern of Radford et al. 2019).

    >>> words("it's  1 été!")
    ['it', "'s", ' ', ' 1', ' été', '!']

    Letters, digits and white space are what Python's version of Unicode has for them. Where a character is newer than
    that, other programs may cut beside it in another way; no text is lost for that.
    """
    if text.isascii():
        return _WORD.findall(text)
    found, begin = [], 0
    for like in _WORD.findall(text.translate(_CLASSES)):
        found.append(text[begin : begin + len(like)])
        begin += len(like)
    return found


class _Classes(dict[int, str]):
    """For each code point met so far an ASCII character that the pattern treats alike."""

    def __missing__(self, code: int) -> str:
        if code < 0x80:
            like = chr(code)
        elif code in _SPACES:
            like = "\t"
        else:
            like = _LIKE.get(unicodedata.category(chr(code))[0], "!")
        self[code] = like
        return like


_CLASSES = _Classes()


class _WordIds(dict[str, tuple[int, ...]]):
    """The ids of the words met of late."""

    def __init__(self, vocab: dict[str, int], ranks: dict[tuple[str, str], int]) -> None:
        self._vocab, self._ranks = vocab, ranks
        self._characters = {byte: character for character, byte in byte_characters().items()}

    def __missing__(self, word: str) -> tuple[int, ...]:
        symbols = map(self._characters.__getitem__, word.encode())
        ids = tuple(map(self._vocab.__getitem__, merged(list(symbols), self._ranks)))
        if len(word) <= _LONGEST:
            if len(self) >= _KEPT:
                self.clear()
            self[word] = ids
        return ids


def merged(symbols: list[str], ranks: dict[tuple[str, str], int]) -> list[str]:
    """The symbols of a word after all merges: of neighbours those of lowest rank first, of equals the leftmost.

    >>> merged(list("lower"), {("l", "o"): 0, ("e", "r"): 1, ("lo", "w"): 2})
    ['low', 'er']

    ``symbols`` is used up. Takes time n log n for n symbols.
    """
    rank_of = ranks.get
    count = len(symbols)
    queue = [(rank, i) for i, pair in enumerate(pairwise(symbols)) if (rank := rank_of(pair)) is not None]
    heapify(queue)
    before, behind = list(range(-1, count - 1)), list(range(1, count + 1))
    while queue:
        rank, i = heappop(queue)
        j = behind[i]
        if j == count or rank_of((symbols[i], symbols[j])) != rank:  # one of the two was merged meanwhile
            continue
        symbols[i] += symbols[j]
        symbols[j] = ""
        h, k = before[i], behind[j]
        behind[i] = k
        if h >= 0 and (rank := rank_of((symbols[h], symbols[i]))) is not None:
            heappush(queue, (rank, h))
        if k < count:
            before[k] = i
            if (rank := rank_of((symbols[i], symbols[k]))) is not None:
                heappush(queue, (rank, i))
    return list(filter(None, symbols))
