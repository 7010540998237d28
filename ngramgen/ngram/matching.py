"""Which n-gram a probability comes from: for each word of a text the longest one in the table that ends there."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.model import BOS
from ngramgen.ngram.lookup import find
from ngramgen.ngram.table import NgramTable

Ids = NDArray[np.int64]


def matched_orders(table: NgramTable, words: Ids) -> Ids:
    """The length of the longest n-gram of the table that ends in each word (T,) int64 of one sentence: (T,), 1 or more.

    ``words`` begin with ``<s>``, which counts as the first word of an n-gram.

    >>> import numpy as np, ngramgen
    >>> model = ngramgen.train(["a rose is a rose"], order=3, tokenizer="whitespace").model
    >>> matched_orders(model.table, np.array([1, *model.tokenizer.encode("a rose a rose")])).tolist()
    [1, 2, 3, 1, 2]
    """
    orders = np.ones(len(words), np.int64)
    scrambled = table.scramble.forward(words)
    ends, grams = np.arange(len(words)), words  # the grams of one length that are there, and where they end
    for length, order in enumerate(table.orders, start=2):
        follows = ends + 1 < len(words)
        ends, contexts = ends[follows] + 1, grams[follows]
        hits, grams, _ = find(order, table.word_bits, contexts, scrambled.take(ends))
        ends = ends.take(hits)
        orders[ends] = length
    return orders


def sources(table: NgramTable, prompt: NDArray[np.integer[Any]], new: NDArray[np.integer[Any]]) -> list[str]:
    """What the probability of each new token (N,) after the prompt (T,) comes from, as in "3-gram".

    >>> import ngramgen
    >>> model = ngramgen.train(["a rose is a rose"], order=3, tokenizer="whitespace").model
    >>> sources(model.table, model.tokenizer.encode("a rose"), model.tokenizer.encode("is rose"))
    ['3-gram', '1-gram']
    """
    words = np.concatenate([[BOS], prompt, new]).astype(np.int64)
    return [f"{order}-gram" for order in matched_orders(table, words)[1 + len(prompt) :].tolist()]
