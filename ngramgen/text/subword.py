"""Subword tokens: a byte-level BPE trained here, or any other tokenizer.json, which the library `tokenizers` runs.

>>> tokenizer = SubwordTokenizer.train([b"low lower lowest\\nlow low\\n"], vocab_size=264)
>>> [tokenizer.token(i) for i in tokenizer.encode("low lower")]
['low', ' lowe', 'r']
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.errors import TokenizerError
from ngramgen.model import BOS, EOS, UNK
from ngramgen.text.bpe import BytePairEncoder
from ngramgen.text.splitting import pieces
from ngramgen.text.subword_training import DEFAULT_SIZE, check_size, renumbered, spread, trained_json
from ngramgen.text.tokenizer_json import (
    NEWLINE,
    is_own,
    library,
    library_tokenizer,
    parsed,
    refused,
    special_ids,
    token_texts,
)
from ngramgen.text.tokenizers import UNKNOWN_SIGN
from ngramgen.text.vocabulary import SPECIALS

Ints = NDArray[np.int64]

KIND = "bpe"
_SAMPLE = 1 << 25  # bytes from which a vocabulary is learnt; more of them make it no better
_TOGETHER = 256  # lines in a call
_RUNNING = 1 << 18  # bytes of running text in a call


@dataclass(frozen=True, eq=False)
class SubwordTokenizer:
    """A tokenizer.json with ids 0, 1 and 2 for ``<unk>``, ``<s>`` and ``</s>``, whatever ids it has for them.

    >>> tokenizer = SubwordTokenizer.train([b"low lower lowest\\nlow low\\n"], vocab_size=264)
    >>> tokenizer.decode(tokenizer.encode("slow\\nflower"))
    'slow\\nflower'

    Our own (`ngramgen.text.tokenizer_json.is_own`) reads lines: a newline in a text is ``</s>``. With ``reads_lines``
    a foreign one reads running text, in which newlines are tokens like any other, so that no ``</s>`` stands behind a
    line. Without it a text is one sentence, as it is to the other tokenizers: a newline counts as a space.

    Made by `from_json`, `from_file` and `train`. Text that spells a special token is text. Our own runs without the
    library; a foreign one that refuses a text raises TokenizerError.
    """

    json: str = field(repr=False)  # the tokenizer.json
    source: str  # where it came from, for errors
    foreign_ids: Ints | None = field(repr=False)  # (V,): those of the tokenizer.json, -1 for none; None: they are ours
    reads_lines: bool
    _own: BytePairEncoder | None = field(repr=False)  # None for a foreign one
    _library: Any = field(repr=False)  # None for our own, as is the next
    _parsed: Any = field(repr=False)

    @classmethod
    def from_json(
        cls,
        text: str,
        source: str,
        *,
        unk_id: int | None = None,
        bos_id: int | None = None,
        eos_id: int | None = None,
        reads_lines: bool = True,
    ) -> SubwordTokenizer:
        """The tokenizer of a tokenizer.json's text; ``source`` names it in errors.

        ``unk_id``, ``bos_id`` and ``eos_id`` are a foreign tokenizer's ids of the unknown token, the beginning and
        the end; -1 says that there is none, None takes tokens with the usual names. Raises TokenizerError for what is
        no tokenizer.json, MissingDependencyError for a foreign one without the library.
        """
        data = parsed(text, source)
        if is_own(data):
            with refused(f"{source} is no tokenizer.json"):
                own = BytePairEncoder.from_model(data["model"])
            return cls(text, source, None, reads_lines, own, None, None)
        made = library_tokenizer(text, source)
        known = set(made.get_vocab().values())
        specials = special_ids(data, unk_id, bos_id, eos_id)
        for name, found in zip(SPECIALS, specials, strict=True):
            if found != -1 and found not in known:
                raise TokenizerError(f"{source} has no token {found}, which is said to be its {name}")
        foreign = np.array([*specials, *sorted(known.difference(specials))], np.int64)
        return cls(text, source, foreign, reads_lines, None, made, data)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], **ids: int | None) -> SubwordTokenizer:
        """The tokenizer of a file, with the arguments of `from_json`. Raises TokenizerError, which names the file."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise TokenizerError(f"{path} is no tokenizer.json: it is not UTF-8") from None
        except OSError as error:
            raise TokenizerError(f"the tokenizer {path} cannot be read: {error.strerror}") from None
        return cls.from_json(text, str(path), **ids)  # type: ignore[arg-type]

    @classmethod
    def train(cls, blocks: Iterable[bytes], vocab_size: int = DEFAULT_SIZE) -> SubwordTokenizer:
        """A byte-level BPE (Sennrich et al. 2016) of at most so many entries, learnt from blocks of whole lines.

        Of much text an even sample is taken. The more often an entry comes in it, the lower its id. The same text
        gives the same tokenizer. Raises TokenizerError for a size that is too small, MissingDependencyError.
        """
        sample = spread(blocks, _SAMPLE)
        first = cls.from_json(trained_json(sample, vocab_size), "the trained tokenizer")
        counts = np.zeros(first.vocab_size, np.int64)
        for block in sample:
            counts += np.bincount(first.encode_block(block)[0], minlength=len(counts))
        return cls.from_json(renumbered(first.json, counts), first.source)

    @property
    def kind(self) -> str:
        return KIND

    @property
    def vocab_size(self) -> int:
        if self._own is not None:
            return len(self._own.vocab)
        assert self.foreign_ids is not None
        return len(self.foreign_ids)

    @property
    def joins_with_space(self) -> bool:
        """Whether `decode` puts a space between tokens: never."""
        return False

    @property
    def leads_with_space(self) -> bool:
        """Whether a word's token holds the space before it."""
        return True

    @property
    def ends_lines(self) -> bool:
        """Whether ``</s>`` stands behind each line of a block; else tokens of the line itself are its newline."""
        return self.foreign_ids is None or not self.reads_lines

    @property
    def has_unknown(self) -> bool:
        """Whether a text can give ``<unk>``."""
        return self.foreign_ids is not None and int(self.foreign_ids[UNK]) != -1

    @property
    def special_ids(self) -> list[int]:
        """The ids of <unk>, <s> and </s> in the tokenizer.json, -1 for none."""
        return [UNK, BOS, EOS] if self.foreign_ids is None else [int(i) for i in self.foreign_ids[: len(SPECIALS)]]

    def encode(self, text: str) -> NDArray[np.int32]:
        """Ids of a text, (T,) int32, without <s> and without </s> behind it."""
        if not self.reads_lines:
            text = text.replace("\n", " ")
        ids = self._ours(self._encoded(text))
        if self.foreign_ids is None:
            ids[ids == self._newline] = EOS
        return ids.astype(np.int32)

    def encode_inside(self, text: str) -> NDArray[np.int32]:
        """Ids of text as it stands behind other text of its line, where no space is put before it, (T,) int32."""
        ids = self.encode(text)
        if self.foreign_ids is None or not text:
            return ids
        inside = text if self.reads_lines else text.replace("\n", " ")
        for before in ("\n", "\0"):  # the first grows together with no letter, but maybe with another newline
            head, both = (self._ours(self._encoded(part)) for part in (before, before + inside))
            if np.array_equal(both[: len(head)], head):
                return both[len(head) :].astype(np.int32)
        return ids

    def encode_block(self, block: bytes) -> tuple[Ints, Ints]:
        """Ids of the tokens of a block of whole lines, (T,), and before which token each line ends, (L,).

        The tokens of newlines are left out; where not `ends_lines` they are there, each at the end of the line that
        it begins behind.
        """
        if self._own is not None:
            rows = [self._own.encode(piece.decode()) for piece in pieces(block, _RUNNING)]
            ids = np.concatenate([np.zeros(0, np.int64), *rows])
            is_end = ids == self._newline
            line_ends = np.flatnonzero(is_end)
            return ids[~is_end], line_ends - np.arange(len(line_ends))
        return self._encoded_lines(block) if self.ends_lines else self._encoded_running(block)

    def _encoded_lines(self, block: bytes) -> tuple[Ints, Ints]:
        lines = block.split(b"\n")[:-1]
        rows = [np.zeros(0, np.int64)]
        for begin in range(0, len(lines), _TOGETHER):
            some = [line.decode() for line in lines[begin : begin + _TOGETHER]]
            with refused(f"{self.source} refuses a text"):
                found = self._library.encode_batch_fast(some, add_special_tokens=False)
            rows += [np.array(encoding.ids, np.int64) for encoding in found]
        return self._ours(np.concatenate(rows)), np.cumsum([len(row) for row in rows[1:]], dtype=np.int64)

    def _encoded_running(self, block: bytes) -> tuple[Ints, Ints]:
        """As one text, since tokens may hold several newlines and what stands beside them."""
        rows, line_ends, before = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], 0
        for piece in pieces(block, _RUNNING):
            text = piece.decode()
            encoding = self._library_encoding(text)
            rows.append(np.array(encoding.ids, np.int64))
            begins = np.array([begin for begin, _ in encoding.offsets], np.int64)
            newlines = np.flatnonzero(np.frombuffer(text.encode("utf-32-le"), "<u4") == ord("\n"))
            line_ends.append(before + np.searchsorted(np.maximum.accumulate(begins), newlines, side="right"))
            before += len(begins)
        return self._ours(np.concatenate(rows)), np.concatenate(line_ends)

    def _encoded(self, text: str) -> Ints:
        text = text.encode("utf-8", "replace").decode()
        if self._own is not None:
            return self._own.encode(text)
        return np.array(self._library_encoding(text).ids, np.int64)

    def _library_encoding(self, text: str) -> Any:
        with refused(f"{self.source} refuses the text {text[:40]!r}"):
            return self._library.encode(text, add_special_tokens=False)

    def _ours(self, ids: Ints) -> Ints:
        return ids if self.foreign_ids is None else self._own_ids.take(ids)

    @cached_property
    def _own_ids(self) -> Ints:
        assert self.foreign_ids is not None
        known = self.foreign_ids >= 0
        own = np.full(int(self.foreign_ids.max()) + 1, UNK, np.int64)
        own[self.foreign_ids[known]] = np.flatnonzero(known)
        return own

    @cached_property
    def _newline(self) -> int:
        assert self._own is not None
        return self._own.vocab[NEWLINE]

    def decode(self, ids: NDArray[np.integer[Any]]) -> str:
        """The text of ids; <unk> gives U+FFFD, as do bytes that are not UTF-8, and <s> nothing.

        </s> is a newline where a newline is </s>, and nothing elsewhere.
        """
        return b"".join(map(self._texts.__getitem__, np.asarray(ids).tolist())).decode("utf-8", "replace")

    def decode_many(self, rows: Sequence[NDArray[np.integer[Any]]]) -> list[str]:
        """`decode` of many rows of ids."""
        return [self.decode(row) for row in rows]

    def token_bytes(self) -> tuple[NDArray[np.uint8], NDArray[np.uint64]]:
        """The bytes of all tokens, one after the other, and where each begins, (V + 1,); specials have none."""
        return self._token_bytes

    def token(self, index: int) -> str:
        """The text of one id as it is shown to a person: specials by their names."""
        if index < len(SPECIALS):
            return SPECIALS[index]
        shown = self._texts[index].decode("utf-8", "replace")
        if shown or self.foreign_ids is None:
            return shown
        return str(self._library.id_to_token(int(self.foreign_ids[index])))

    @cached_property
    def _token_bytes(self) -> tuple[NDArray[np.uint8], NDArray[np.uint64]]:
        if self._own is not None:
            texts = self._own.token_texts()[len(SPECIALS) :]
        else:
            assert self.foreign_ids is not None
            texts = token_texts(self._parsed, self._library, self.foreign_ids[len(SPECIALS) :].tolist())
        offsets = np.zeros(len(SPECIALS) + len(texts) + 1, np.uint64)
        np.cumsum([len(text) for text in texts], out=offsets[len(SPECIALS) + 1 :], dtype=np.uint64)
        return np.frombuffer(b"".join(texts), np.uint8), offsets

    @cached_property
    def _texts(self) -> list[bytes]:
        data, offsets = self.token_bytes()
        joined, places = data.tobytes(), offsets.tolist()
        texts = [joined[begin:end] for begin, end in pairwise(places)]
        texts[UNK], texts[BOS] = UNKNOWN_SIGN.encode(), b""
        texts[EOS] = b"\n" if self.reads_lines and self.foreign_ids is None else b""
        return texts


def is_subword(name: str) -> bool:
    """Whether a tokenizer's name is ``bpe``, ``bpe:N`` or ``bpe:FILE``."""
    return name == KIND or name.startswith(f"{KIND}:")


def subword_source(name: str) -> int | SubwordTokenizer:
    """The size of the vocabulary that ``bpe`` or ``bpe:N`` asks for, or the tokenizer of ``bpe:FILE``.

    >>> subword_source("bpe:4096")
    4096

    Raises TokenizerError, and MissingDependencyError where the library is needed and missing.
    """
    given = name.removeprefix(KIND).removeprefix(":")
    if name == KIND:
        library()
        return DEFAULT_SIZE
    if given.isascii() and given.isdigit() and len(given) < 10:
        check_size(int(given))
        library()
        return int(given)
    if not given:
        raise TokenizerError("bpe: lacks a number of entries or the name of a tokenizer.json; give bpe:N or bpe:FILE")
    return SubwordTokenizer.from_file(given)
