r"""Writing a table as an ARPA file, the text format of KenLM, SRILM and others, with the digits that lmplz prints.

An ARPA line is ``log10 p(w|h) TAB h w TAB log10 gamma(hw)``; p is the whole probability, so interpolation is worked out
here. Probability and gamma 0 are written as -inf, as lmplz does. Words are parted by spaces, so a token's leading space
is written as U+2581, as SentencePiece does: ``" the"`` becomes ``"▁the"``, and ``" "`` becomes ``"▁"``.

>>> import io
>>> from ngramgen.ngram.counting import corpus_from_sentences, count
>>> from ngramgen.ngram.estimation import estimate
>>> table = estimate(count(corpus_from_sentences([[3, 4, 3]]), vocab_size=5, order=2), kept_vocab=5).table
>>> file = io.BytesIO()
>>> write_arpa(file, table, Vocabulary.from_tokens([b"a", b"b"]))
>>> file.getvalue().splitlines()[-4]
b'-0.42596874\ta b'
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ngramgen.errors import ArpaError, ModelFormatError
from ngramgen.model import BOS
from ngramgen.ngram.arpa_numbers import WIDTH, format_numbers
from ngramgen.ngram.lookup import find
from ngramgen.ngram.table import NgramTable
from ngramgen.text.splitting import Bytes, Offsets
from ngramgen.text.vocabulary import SPECIALS, Vocabulary

Floats = NDArray[np.float64]

SPACE_SIGN = "▁".encode()
"""What is written for the space at the beginning of a token."""

_BLOCK = 1 << 14  # lines made at a time
_TAB, _SPACE, _NEWLINE = b"\t \n"


def write_arpa(file: BinaryIO, table: NgramTable, vocabulary: Vocabulary) -> None:
    r"""Write the model to a file opened in binary mode.

    >>> write_arpa(open("model.arpa", "wb"), table, vocabulary)  # doctest: +SKIP

    Raises ArpaError, before anything is written, for a token that cannot stand in an ARPA file (with a space elsewhere
    than at its beginning, a tab, line break or NUL; not UTF-8; empty; or spelt like a special) and for Lidstone's
    rule, whose uniform remainder a backoff cannot express.
    """
    if table.reading == "uniform" and table.orders:
        raise ArpaError(
            "an ARPA file cannot hold a lidstone or laplace model of order 2 or more, because unseen words share a "
            "uniform remainder there; train with another smoothing, such as modified-kneser-ney"
        )
    words = _printable_words(vocabulary)
    header = "".join(f"ngram {k}={size}\n" for k, size in enumerate(table.sizes, start=1))
    file.write(f"\\data\\\n{header}".encode())
    for k, blocks in enumerate(_all_grams(table), start=1):
        file.write(f"\n\\{k}-grams:\n".encode())
        for grams in blocks:
            file.write(_lines(words, grams).data)
    file.write(b"\n\\end\\\n")


@dataclass(frozen=True)
class _Grams:
    """Some grams of one order, N of them."""

    rows: NDArray[np.int32]  # (N, k) words
    suffixes: NDArray[np.int64]  # (N,) the gram without its first word, in the lower order
    probabilities: Floats  # (N,)
    gammas: Floats | None  # (N,), None in the highest order

    def part(self, begin: int, end: int) -> _Grams:
        some = slice(begin, end)
        gammas = None if self.gammas is None else self.gammas[some]
        return _Grams(self.rows[some], self.suffixes[some], self.probabilities[some], gammas)


def _all_grams(table: NgramTable) -> Iterator[Iterator[_Grams]]:
    """For each order the blocks of its grams. Each order's blocks must be used up before the next are asked for."""
    size = table.vocab_size
    gammas = table.unigram_contexts[:, 0].astype(np.float64)
    lower = _Grams(
        np.arange(size, dtype=np.int32)[:, None],
        np.zeros(size, np.int64),
        table.unigrams.astype(np.float64),
        gammas if table.orders else None,
    )
    pairs = table.unigram_contexts
    yield (lower.part(begin, begin + _BLOCK) for begin in range(0, size, _BLOCK))
    for k in range(2, table.order + 1):
        order = table.orders[k - 2]
        if k == table.order:
            yield _blocks(table, k, lower, pairs)
            return
        done: list[_Grams] = []
        yield _kept(_blocks(table, k, lower, pairs), done)
        codes = order.context_codes_of(order.packed)
        pairs = order.contexts.take(codes, axis=0)
        lower = _Grams(
            np.concatenate([grams.rows for grams in done]) if done else np.zeros((0, k), np.int32),
            np.concatenate([grams.suffixes for grams in done]) if done else np.zeros(0, np.int64),
            np.concatenate([grams.probabilities for grams in done]) if done else np.zeros(0),
            None,
        )


def _kept(blocks: Iterator[_Grams], into: list[_Grams]) -> Iterator[_Grams]:
    for block in blocks:
        into.append(block)
        yield block


def _blocks(table: NgramTable, k: int, lower: _Grams, pairs: NDArray[np.float32]) -> Iterator[_Grams]:
    """The grams of order ``k``, given those of the order below and their pairs (gamma, scale)."""
    order = table.orders[k - 2]
    children = order.children.astype(np.int64)
    for begin in range(0, order.size, _BLOCK):
        end = min(begin + _BLOCK, order.size)
        contexts = _contexts_of(children, begin, end)
        packed = order.packed[begin:end]
        scrambled = order.words_of(packed)
        words = table.scramble.inverse(scrambled)
        suffixes = words
        if k > 2:
            at, suffixes, _ = find(table.orders[k - 3], table.word_bits, lower.suffixes.take(contexts), scrambled)
            if len(at) < len(contexts):
                raise ModelFormatError(f"the table has grams of order {k} whose suffix it lacks; train it anew")
        gamma, scale = pairs.take(contexts, axis=0).astype(np.float64).T
        probabilities = order.values.take(order.value_codes_of(packed)) * scale
        if table.reading == "interpolate":
            probabilities += gamma * lower.probabilities.take(suffixes)
        gammas = None
        if k < table.order:
            gammas = order.contexts[:, 0].take(order.context_codes_of(packed)).astype(np.float64)
        rows = np.empty((end - begin, k), np.int32)
        rows[:, :-1] = lower.rows.take(contexts, axis=0)
        rows[:, -1] = words
        yield _Grams(rows, suffixes, probabilities, gammas)


def _contexts_of(children: Offsets, begin: int, end: int) -> Offsets:
    """The context of each of the grams ``begin`` to ``end`` - 1."""
    first, last = np.searchsorted(children, [begin, end - 1], side="right") - 1
    borders = np.clip(children[first : last + 2], begin, end)
    return np.repeat(np.arange(first, last + 1), np.diff(borders))


@dataclass(frozen=True)
class _Words:
    """The spelling of every word, each with one byte behind it."""

    pool: Bytes
    starts: Offsets
    lengths: Offsets  # that byte included


def _lines(words: _Words, grams: _Grams) -> Bytes:
    """The lines of a block: its pieces are laid out one after the other and copied by one look-up."""
    log_probabilities = np.minimum(_logarithms(grams.probabilities), 0)  # rounding may lift a probability above 1
    if grams.rows.shape[1] == 1:
        log_probabilities[grams.rows[:, 0] == BOS] = 0  # as lmplz writes it; nobody reads it
    numbers = [(log_probabilities, _TAB)]
    if grams.gammas is not None:
        numbers.append((_logarithms(grams.gammas), _NEWLINE))
    size, order = grams.rows.shape
    pools = [words.pool]
    starts = np.empty((size, order + len(numbers)), np.int64)
    lengths = np.empty_like(starts)
    starts[:, 1 : order + 1] = words.starts.take(grams.rows)
    lengths[:, 1 : order + 1] = words.lengths.take(grams.rows)
    begin = len(words.pool)
    for column, (values, end) in zip((0, order + 1), numbers, strict=False):
        digits, lengths[:, column] = format_numbers(values)
        lengths[:, column] += 1
        pools.append(np.concatenate([digits, np.full((size, 1), end, np.uint8)], axis=1).ravel())
        starts[:, column] = begin + (WIDTH + 1) * np.arange(1, size + 1) - lengths[:, column]
        begin += len(pools[-1])
    ends = np.cumsum(lengths).reshape(lengths.shape)
    source = np.repeat((starts - ends + lengths).ravel(), lengths.ravel())
    source += np.arange(len(source))
    text: Bytes = np.concatenate(pools).take(source)
    text[ends[:, order] - 1] = _NEWLINE if grams.gammas is None else _TAB
    return text


def _logarithms(values: Floats) -> NDArray[np.float32]:
    with np.errstate(divide="ignore"):
        return np.log10(values).astype(np.float32)


def _printable_words(vocabulary: Vocabulary) -> _Words:
    """How each word is spelt in the file. Raises ArpaError for the first that cannot be."""
    offsets = vocabulary.offsets.astype(np.int64)
    data = vocabulary.data[: int(offsets[-1])]
    begins, ends = offsets[len(SPECIALS) : -1], offsets[len(SPECIALS) + 1 :]
    _refuse_empty(begins, ends)
    owner = np.repeat(np.arange(len(begins)), ends - begins)
    spaces = np.zeros(len(data), bool)
    spaces[begins] = data.take(begins) == _SPACE
    breaks = np.isin(data, np.frombuffer(b"\t \n\r\0", np.uint8)) & ~spaces
    raw = data.tobytes()
    if breaks.any():
        first = int(owner[int(np.argmax(breaks))])
        token = raw[begins[first] : ends[first]]
        raise ArpaError(_refusal(token, "holds white space or a NUL, which part words there"))
    _refuse_foreign_bytes(raw, begins, ends)
    escaped = bool(spaces.any())
    for token in (*(name.encode() for name in SPECIALS), b"<UNK>"):
        if _contains(raw, token, begins, ends, whole=True):
            raise ArpaError(_refusal(token, "is the name of a special there"))
    if escaped and _contains(raw, SPACE_SIGN, begins, ends, whole=False):
        raise ArpaError(_refusal(SPACE_SIGN, "is how the space before a token is written there"))
    tokens = [raw[s:e] for s, e in zip(begins.tolist(), ends.tolist(), strict=True)]
    if escaped:
        tokens = [SPACE_SIGN + token[1:] if token[:1] == b" " else token for token in tokens]
    spelt = [name.encode() for name in SPECIALS] + tokens
    lengths = np.fromiter(map(len, spelt), np.int64, len(spelt)) + 1
    pool = np.frombuffer(b" ".join(spelt) + b" ", np.uint8)
    return _Words(pool, np.cumsum(lengths) - lengths, lengths)


def _refusal(token: bytes, why: str) -> str:
    shown = token.decode("utf-8", "backslashreplace")
    return f"the token {shown!r} cannot stand in an ARPA file: it {why}; train with the tokenizer 'whitespace' instead"


def _refuse_empty(begins: Offsets, ends: Offsets) -> None:
    if not (ends > begins).all():
        raise ArpaError(_refusal(b"", "would not be seen"))


def _refuse_foreign_bytes(raw: bytes, begins: Offsets, ends: Offsets) -> None:
    """Raise for a token that is not UTF-8; all is well if the whole is and no token begins inside a character."""
    first_bytes = np.frombuffer(raw, np.uint8).take(begins)
    try:
        raw.decode()
        inside = np.flatnonzero((first_bytes & 0xC0) == 0x80)
        if not len(inside):
            return
    except UnicodeDecodeError:
        pass
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        try:
            raw[begin:end].decode()
        except UnicodeDecodeError:
            raise ArpaError(_refusal(raw[begin:end], "is not UTF-8 by itself")) from None


def _contains(raw: bytes, part: bytes, begins: Offsets, ends: Offsets, *, whole: bool) -> bool:
    """Whether a token has this part, or is it."""
    at = raw.find(part)
    while at >= 0:
        token = int(np.searchsorted(begins, at, side="right")) - 1
        inside = at + len(part) <= ends[token]
        if inside and (not whole or (begins[token] == at and ends[token] == at + len(part))):
            return True
        at = raw.find(part, at + 1)
    return False
