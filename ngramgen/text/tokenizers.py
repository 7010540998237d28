"""Tokenizers: how text becomes ids and ids become text again.

>>> tokenizer = Tokenizer("word", Vocabulary.from_tokens([b" a", b" rose", b" is"]))
>>> tokenizer.encode("a rose is red").tolist()
[3, 4, 5, 0]
>>> tokenizer.decode(np.array([3, 4]))
' a rose'
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.errors import MissingDependencyError, TokenizerError
from ngramgen.model import BOS, EOS, UNK
from ngramgen.text.splitting import Spans, split_bytes, split_characters, split_strings, split_whitespace, split_words
from ngramgen.text.vocabulary import SPECIALS, Vocabulary

Splitter = Callable[[bytes], Spans]
Function = Callable[[str], list[str]]
"""Cuts a line into words that join to it again, as `jieba.lcut` does."""

KINDS = ("word", "whitespace", "char", "byte", "nltk:NAME")
PYTHON = "python:"
"""Before the name of the function of Python that cuts the text; no file holds it and no name is ever imported."""
UNKNOWN_SIGN = "\N{REPLACEMENT CHARACTER}"

_STANDS_ALONE = "\u4e00"  # no space is put before an ideograph, and it joins with nothing

_SPLITTERS: dict[str, Splitter] = {
    "word": split_words,
    "whitespace": split_whitespace,
    "char": split_characters,
    "byte": split_bytes,
}


@dataclass(frozen=True)
class Tokenizer:
    """A way of splitting and a vocabulary. ``kind`` is one of `KINDS`; splitting by another raises TokenizerError.

    With a ``function`` it is that function's, and ``kind`` is `kind_of` it; without, such a kind can but decode.
    """

    kind: str
    vocabulary: Vocabulary
    function: Function | None = None

    @cached_property
    def split(self) -> Splitter:
        """The splitter of blocks of whole lines."""
        return splitter(self.function or self.kind)

    @property
    def vocab_size(self) -> int:
        return len(self.vocabulary)

    @property
    def joins_with_space(self) -> bool:
        """Whether `decode` puts a space between tokens: the tokenizer has taken it away."""
        return self.kind == "whitespace" or self.kind.startswith("nltk:")

    @property
    def leads_with_space(self) -> bool:
        """Whether a word's token holds the space before it, also where a line begins."""
        return self.kind == "word"

    @property
    def reads_lines(self) -> bool:
        """Whether the earlier lines of a text are read too: a line is a sentence, so never."""
        return False

    @property
    def ends_lines(self) -> bool:
        """Whether </s> stands behind each line of a block: always."""
        return True

    @property
    def _separator(self) -> bytes:
        return b" " if self.joins_with_space else b""

    def encode(self, text: str) -> NDArray[np.int32]:
        """Ids of one sentence, (T,) int32, without <s> and </s>; a newline counts as a space."""
        if not text:
            return np.zeros(0, np.int32)
        return self.encode_block(_line(text))[0].astype(np.int32)

    def encode_inside(self, text: str) -> NDArray[np.int32]:
        """Ids of text as it stands behind other text of its line, where no space is put before it, (T,) int32."""
        if not self.leads_with_space or not text:
            return self.encode(text)
        return self.encode(_STANDS_ALONE + text)[1:]

    def encode_block(self, block: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Ids of the tokens of a block of whole lines, (T,), and before which token each line ends, (L,)."""
        spans = self.split(block)
        return self.vocabulary.find(spans), spans.line_ends

    def decode(self, ids: NDArray[np.integer[Any]]) -> str:
        """The text of ids; <s> and </s> give nothing, <unk> gives U+FFFD, as do bytes that are not UTF-8."""
        shown = np.asarray(ids).tolist()
        if BOS in shown or EOS in shown:
            shown = [i for i in shown if i not in (BOS, EOS)]
        return self._separator.join(map(self._texts.__getitem__, shown)).decode("utf-8", "replace")

    def decode_many(self, rows: Sequence[NDArray[np.integer[Any]]]) -> list[str]:
        """`decode` of many rows of ids at once."""
        ids = np.concatenate([np.zeros(0, np.int64), *rows])
        if not len(ids) or int(ids.min()) < len(SPECIALS):
            return [self.decode(row) for row in rows]
        filled = [row for row in rows if len(row)]
        text = self.vocabulary.join(filled, ids, self._separator)
        if text.count(b"\n") > len(filled):  # a token of the bytes is a newline
            return [self.decode(row) for row in rows]
        texts = iter(text.decode("utf-8", "replace").split("\n"))
        return [next(texts) if len(row) else "" for row in rows]

    def token_bytes(self) -> tuple[NDArray[np.uint8], NDArray[np.unsignedinteger[Any]]]:
        """The bytes of all tokens, one after the other, and where each begins, (V + 1,); specials have none."""
        return self.vocabulary.data, self.vocabulary.offsets

    def token(self, index: int) -> str:
        """The text of one id as it is shown to a person: specials by their names."""
        if index < len(SPECIALS):
            return SPECIALS[index]
        return self.vocabulary.token(index).decode("utf-8", "replace")

    @cached_property
    def _texts(self) -> dict[int, bytes]:
        return _TokenTexts(self.vocabulary)


class _TokenTexts(dict[int, bytes]):
    """The bytes of the tokens met so far; <unk> has a sign of its own."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self[UNK] = UNKNOWN_SIGN.encode()

    def __missing__(self, index: int) -> bytes:
        self[index] = found = self._vocabulary.token(index)
        return found


def _line(text: str) -> bytes:
    return text.replace("\n", " ").encode("utf-8", "replace") + b"\n"


def splitter(kind: str | Function) -> Splitter:
    """The function that splits blocks for a kind of tokenizer, or by a function that cuts a line.

    Raises TokenizerError, MissingDependencyError.
    """
    if not isinstance(kind, str):
        return partial(_split_by, kind)
    if kind in _SPLITTERS:
        return _SPLITTERS[kind]
    if kind.startswith("nltk:"):
        return _nltk_splitter(kind.removeprefix("nltk:"))
    if kind.startswith(PYTHON):
        name = kind.removeprefix(PYTHON)
        raise TokenizerError(
            f"words are cut by the Python function {name}, which no file holds; pass it: load(PATH, tokenizer=FUNCTION)"
        )
    if kind == "bpe" or kind.startswith("bpe:"):
        raise TokenizerError(f"the tokenizer {kind} does not cut text into words; the others are {', '.join(KINDS)}")
    raise TokenizerError(
        f"there is no tokenizer {kind!r}; the kinds are {', '.join(KINDS)}, and bpe, bpe:N or bpe:FILE"
    )


def fixed_vocabulary(kind: str) -> Vocabulary | None:
    """The vocabulary of a tokenizer that does not learn it from the corpus: the 256 bytes."""
    return Vocabulary.from_tokens([bytes([b]) for b in range(256)]) if kind == "byte" else None


def kind_of(function: Function) -> str:
    """The kind of a tokenizer that is a function: where it was made and its name, for people to read.

    >>> import textwrap
    >>> kind_of(textwrap.wrap)
    'python:textwrap:wrap'
    """
    module = getattr(function, "__module__", "builtins")
    return f"{PYTHON}{module}:{getattr(function, '__name__', type(function).__name__)}"


def _split_by(function: Function, block: bytes) -> Spans:
    return split_strings([_function_tokens(function, line) for line in block.decode().split("\n")[:-1]])


def _function_tokens(function: Function, line: str) -> list[str]:
    tokens = function(line) if line else []
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens) or "".join(tokens) != line:
        raise TokenizerError(
            f"the tokenizer {kind_of(function)} must cut a line into a list of strings that join to it again, white "
            f"space too, which it does not do with {line[:40]!r}"
        )
    return tokens


def _nltk_splitter(name: str) -> Splitter:
    """Any tokenizer class or function of ``nltk.tokenize`` that needs no further argument."""
    try:
        import nltk.tokenize
        from nltk.tokenize.api import TokenizerI
    except ImportError:
        raise MissingDependencyError(
            f"the tokenizer nltk:{name} needs nltk; install it with pip install 'ngramgen[nltk]'"
        ) from None
    found = getattr(nltk.tokenize, name, None)

    def split(block: bytes) -> Spans:
        return split_strings([_nltk_tokens(tokenize, line, name) for line in block.decode().split("\n")[:-1]])

    try:
        # a model file names the tokenizer, so not everything that lies in the module may be called
        if not (name.endswith("_tokenize") or (isinstance(found, type) and issubclass(found, TokenizerI))):
            raise TypeError
        tokenize = found().tokenize if isinstance(found, type) else found
        split(b"a b\n")
    except LookupError as error:
        raise _missing_data(name, error) from None
    except TypeError:
        raise TokenizerError(
            f"nltk.tokenize has no tokenizer {name!r} that works without arguments; "
            "try nltk:TreebankWordTokenizer or nltk:TweetTokenizer"
        ) from None
    return split


def _nltk_tokens(tokenize: Any, line: str, name: str) -> list[str]:
    try:
        tokens = tokenize(line)
    except LookupError as error:
        raise _missing_data(name, error) from None
    except ValueError as error:
        raise TokenizerError(f"nltk:{name} refuses the line {line[:40]!r}: {error}") from None
    if not isinstance(tokens, list):  # a detokenizer's string, spans
        raise TypeError
    return tokens


def _missing_data(name: str, error: LookupError) -> MissingDependencyError:
    found = re.search(r"nltk\.download\('([\w-]+)'\)", str(error))
    data = found[1] if found else "punkt_tab"
    return MissingDependencyError(
        f"nltk:{name} needs data that is not there; get it with python -m nltk.downloader {data}"
    )


def bordered(tokenizer: Any, block: bytes) -> NDArray[np.int64]:
    """`with_borders` of a block of whole lines, with ``</s>`` behind each where the tokenizer has it so."""
    ids, line_ends = tokenizer.encode_block(block)
    return with_borders(ids, line_ends, with_ends=tokenizer.ends_lines)


def with_borders(ids: NDArray[np.int64], line_ends: NDArray[np.int64], *, with_ends: bool = True) -> NDArray[np.int64]:
    """Sentences with <s> before and </s> behind each, one after the other, (T + 2 L,) int64.

    With ``with_ends`` False no </s> stands behind them, (T + L,).
    """
    lines = len(line_ends)
    if not with_ends:
        return np.insert(ids, np.append(0, line_ends)[:lines], BOS)
    result = np.empty(len(ids) + 2 * lines, np.int64)
    ends = line_ends + 2 * np.arange(1, lines + 1) - 1
    inner = np.ones(len(result), bool)
    begins = np.empty(lines, np.int64)
    begins[:1] = 0
    begins[1:] = ends[:-1] + 1
    inner[begins] = False
    inner[ends] = False
    result[inner] = ids
    result[begins] = BOS
    result[ends] = EOS
    return result
