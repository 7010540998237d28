"""What kind of token a place lies behind: what grammar it may expect says something of who predicts better there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ngramgen.model import EOS, UNK
from ngramgen.ngram.evidence import Evidence, numbers_of_contexts

if TYPE_CHECKING:
    from ngramgen.ngram.model import NgramModel
    from ngramgen.ngram.table import NgramTable

SIZE = 8
"""Numbers that are known of a token."""
_LONG = 12
_RARE = 1e-9
_ENDS, _PAUSES = ".!?。！？", ",;:，；：、"
_QUOTES = "\"'”’»」』)"


def token_numbers(token: str) -> list[float]:
    """Whether a token has a space before it, a letter, a capital, marks alone, a sentence's end, a pause; its length.

    >>> token_numbers(" The")
    [1, 1, 1, 0, 0, 0, 3]
    """
    text = token.lstrip(" ")
    mark = text.rstrip(_QUOTES) or text
    return [
        int(token.startswith(" ")),
        int(text[:1].isalpha()),
        int(text[:1].isupper()),
        int(bool(text) and not any(char.isalnum() for char in text)),
        int(mark[-1:] in _ENDS and bool(mark)),
        int(mark[-1:] in _PAUSES and bool(mark)),
        min(len(text), _LONG),
    ]


def numbers_of_tokens(model: NgramModel) -> NDArray[np.float32]:
    """`token_numbers` and the logarithm of the unigram probability of every token, (V, SIZE); 0 for the specials."""
    found = np.zeros((model.vocab_size, SIZE), np.float32)
    rows = [token_numbers(model.tokenizer.token(i)) for i in range(EOS + 1, model.vocab_size)]
    found[EOS + 1 :, :-1] = np.array(rows, np.float32).reshape(-1, SIZE - 1)
    found[:, -1] = np.log(np.maximum(model.table.unigrams, _RARE))
    found[UNK : EOS + 1] = 0
    return found


def evidence_of(model: NgramModel) -> Evidence:
    """What an n-gram and its tokens tell of a place."""
    return Evidence(model.table, numbers_of_tokens(model))


def evidence_size(table: NgramTable) -> int:
    """How many numbers that are."""
    return numbers_of_contexts(table) + SIZE
