"""Whether every id, code and offset inside a mapped model leads where it should: what opening it does not read.

Takes a pass over all arrays, a million entries at a time, so it is done on demand (`ngramgen info --verify`) and where
a look-up has failed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.errors import ModelFormatError
from ngramgen.model import EOS
from ngramgen.ngram.lookup import Ids, find
from ngramgen.ngram.table import GramOrder, NgramTable
from ngramgen.text.splitting import Spans, padded
from ngramgen.text.vocabulary import SPECIALS, Vocabulary, token_keys

_CHUNK = 1 << 20
_LARGEST = 2.0**32  # counts are below 2**31


class Checker:
    """Turns a condition that does not hold into the one error that names file and section."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path

    def __call__(self, section: str, holds: bool, problem: str) -> None:
        if not holds:
            raise ModelFormatError(f"{self.path}: section {section!r} {problem}; the file is damaged")


def check_contents(table: NgramTable, vocabulary: Vocabulary | None, check: Checker) -> None:
    """Read all of a model whose sections have the right sizes and types; None for a tokenizer without vocabulary.

    Raises ModelFormatError, naming a section.
    """
    if vocabulary is not None:
        _check_vocabulary(vocabulary, check)
    unigrams = table.unigrams
    right = bool(((unigrams >= 0) & (unigrams <= 1)).all() and (unigrams[EOS:] > 0).any())
    check("unigrams", right, "has numbers that are no probabilities")
    _check_numbers("unigram_contexts", table.unigram_contexts, check)
    if table.order == 1:
        check(
            "unigram_contexts",
            bool((table.unigram_contexts[:, 0] == 1).all()),
            "has contexts that lack their successors",
        )
    suffixes: Ids = np.zeros(0, np.int64)
    for k, order in enumerate(table.orders, start=2):
        _check_numbers(f"values.{k}", order.values, check)
        _check_numbers(f"contexts.{k}", order.contexts, check)
        _check_children(order, k, check)
        suffixes = _check_grams(table, k, suffixes, check)
        if table.reading == "interpolate":
            _check_mixture(table, k, check)


def _check_vocabulary(vocabulary: Vocabulary, check: Checker) -> None:
    offsets = vocabulary.offsets.astype(np.int64)
    first = len(SPECIALS)
    lengths = np.diff(offsets)
    right = not offsets[: first + 1].any() and bool((lengths[first:] > 0).all())
    check("vocabulary.offsets", right, "does not ascend")
    slots, keys = vocabulary.index.slots, vocabulary.index.keys
    check("vocabulary.slots", int(slots.max()) <= keys.size and not slots.all(), "leads out of the vocabulary")
    check(
        "vocabulary.slots",
        bool((vocabulary.index.find(keys) == np.arange(keys.size)).all()),
        "does not find all tokens",
    )
    data = padded(vocabulary.data.tobytes())
    spans = Spans(data, offsets[first:-1], lengths[first:], np.zeros(0, np.int64))
    check("vocabulary.keys", np.array_equal(token_keys(spans), keys), "are not those of the tokens")


def _check_numbers(section: str, numbers: NDArray[np.float32], check: Checker) -> None:
    right = bool(((numbers >= 0) & (numbers <= _LARGEST)).all())  # False for NaN
    check(section, right, "has numbers that no model has")


def _check_children(order: GramOrder, k: int, check: Checker) -> None:
    check(f"children.{k}", _ascends(order.children), "does not ascend")
    before = 0
    for begin, shifts in _chunks(order.shifts):
        places = np.arange(begin, begin + len(shifts)) + shifts
        right = before <= int(places.min()) and int(places.max()) <= order.size and _ascends(places)
        check(f"shifts.{k}", right, "leads out of the grams")
        before = int(places[-1])


def _check_grams(table: NgramTable, k: int, suffixes: Ids, check: Checker) -> Ids:
    """Each gram is found where it is, and its ending too: of each the gram one word shorter, (N,), as ``suffixes``."""
    order = table.orders[k - 2]
    children = order.children.astype(np.int64)
    result = np.empty(order.size, np.int64)
    for begin, packed in _chunks(order.packed):
        grams = np.arange(begin, begin + len(packed))
        contexts = children.searchsorted(grams, "right") - 1
        scrambled = order.words_of(packed)
        endings = table.scramble.inverse(scrambled)  # of bigrams: their last words
        right = int(scrambled.max()) < 1 << table.word_bits and int(endings.max()) < table.vocab_size
        right = right and int(order.value_codes_of(packed).max()) < len(order.values)
        right = right and int(order.context_codes_of(packed).max()) < len(order.contexts)
        check(f"packed.{k}", right, "has grams that cannot be")
        _, found, _ = find(order, table.word_bits, contexts, scrambled)
        check(f"packed.{k}", np.array_equal(found, grams), "has grams that are not found")
        if k > 2:
            _, endings, _ = find(table.orders[k - 3], table.word_bits, suffixes.take(contexts), scrambled)
            check(f"packed.{k}", len(endings) == len(grams), "has grams without their endings")
        result[begin : begin + len(grams)] = endings
    return result


def _check_mixture(table: NgramTable, k: int, check: Checker) -> None:
    """A context that leaves some probability to its successors has some, and a scale for their values."""
    sizes = np.diff(table.orders[k - 2].children.astype(np.int64))
    if k == 2:
        section, pairs = "unigram_contexts", table.unigram_contexts
    else:
        lower = table.orders[k - 3]
        section, pairs = f"packed.{k - 1}", lower.contexts.take(lower.context_codes_of(lower.packed), axis=0)
    right = (pairs[:, 0] == 1) | ((pairs[:, 0] < 1) & (pairs[:, 1] > 0) & (sizes > 0))
    check(section, bool(right.all()), "has contexts that lack their successors")


def _ascends(array: NDArray[Any]) -> bool:
    return bool((array[1:] >= array[:-1]).all())


def _chunks(array: NDArray[Any]) -> Iterator[tuple[int, NDArray[Any]]]:
    for begin in range(0, len(array), _CHUNK):
        yield begin, array[begin : begin + _CHUNK]
