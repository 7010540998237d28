"""An n-gram model as the sections of a .ngram file, and back."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.errors import ModelFormatError, ModelNotFoundError, TokenizerError
from ngramgen.ngram import file
from ngramgen.ngram.contents import Checker, check_contents
from ngramgen.ngram.copies import LONGEST, SHORTEST, WORDS, CopyFilter
from ngramgen.ngram.file import Arrays
from ngramgen.ngram.model import NgramModel
from ngramgen.ngram.table import GramOrder, NgramTable
from ngramgen.text.cleaning import Cleaner
from ngramgen.text.subword import KIND, SubwordTokenizer
from ngramgen.text.tokenizers import KINDS, PYTHON, Tokenizer
from ngramgen.text.vocabulary import SPECIALS, HashIndex, Vocabulary

_PARTS = ("packed", "children", "shifts", "values", "contexts")
_META = {
    "kind": str,
    "order": int,
    "tokenizer": str,
    "cleaning": list,
    "reading": str,
    "normalised": bool,
    "word_bits": int,
    "value_bits": list,
    "context_bits": list,
    "about": dict,
}
_OPTIONAL = {"copy_filter": int, "special_ids": list}
"""``copy_filter`` comes with the section ``copies``, in a model that knows the runs of its training text;
``special_ids`` with the section ``tokenizer``, in one of the tokenizer bpe."""
_JSON = "tokenizer"
"""The section with the tokenizer.json of bpe, in place of those of the vocabulary."""


def save_ngram(
    path: str | os.PathLike[str],
    model: NgramModel,
    cleaning: tuple[str, ...],
    about: dict[str, Any],
    compress: bool = False,
) -> None:
    """Write a model with the cleaning of its text and what is to be told of its making. Raises OSError."""
    table, tokenizer = model.table, model.tokenizer
    if not isinstance(tokenizer, Tokenizer | SubwordTokenizer):
        raise TokenizerError(
            f"{path}: a tokenizer of type {type(tokenizer).__name__} cannot be written to a .ngram file"
        )
    meta = {
        "kind": "ngram",
        "order": table.order,
        "tokenizer": tokenizer.kind,
        "cleaning": list(cleaning),
        "reading": table.reading,
        "normalised": table.normalised,
        "word_bits": table.word_bits,
        "value_bits": [order.value_bits for order in table.orders],
        "context_bits": [order.context_bits for order in table.orders],
        "about": about,
    }
    if model.copies is not None:
        meta["copy_filter"] = model.copies.length
    if isinstance(tokenizer, SubwordTokenizer):
        meta["special_ids"] = tokenizer.special_ids
    arrays = _tokenizer_arrays(tokenizer) | {"unigrams": table.unigrams, "unigram_contexts": table.unigram_contexts}
    for k, order in enumerate(table.orders, start=2):
        arrays |= {f"{part}.{k}": getattr(order, part) for part in _PARTS}
    if model.copies is not None:
        arrays["copies"] = model.copies.bits
    file.write(path, meta, arrays, compress)


def _tokenizer_arrays(tokenizer: Tokenizer | SubwordTokenizer) -> Arrays:
    if isinstance(tokenizer, SubwordTokenizer):
        return {_JSON: np.frombuffer(tokenizer.json.encode(), np.uint8)}
    vocabulary = tokenizer.vocabulary
    return {
        "vocabulary.data": vocabulary.data,
        "vocabulary.offsets": vocabulary.offsets.astype(np.uint32 if vocabulary.data.size < 1 << 32 else np.uint64),
        "vocabulary.keys": vocabulary.index.keys,
        "vocabulary.slots": vocabulary.index.slots,
    }


def load_ngram(
    path: str | os.PathLike[str], verify: bool = False
) -> tuple[NgramModel, tuple[str, ...], dict[str, Any]]:
    """A mapped model, its cleaning, and what was told of its making.

    Raises ModelNotFoundError, and ModelFormatError for a damaged file; with ``verify`` all its bytes are checked.
    """
    meta, arrays = file.read(path, verify, always=(_JSON,))
    kinds = _META | {key: kind for key, kind in _OPTIONAL.items() if key in meta}
    wrong = next((key for key, kind in kinds.items() if type(meta.get(key)) is not kind), None)
    if wrong is not None or set(meta) != set(kinds) or meta["kind"] != "ngram":
        raise ModelFormatError(f"{path}: the header's {wrong or 'keys'} are not those of an n-gram model of version 1")
    orders = meta["order"] - 1
    if not 0 <= orders <= len(arrays):
        raise ModelFormatError(f"{path}: the sections are not those of a model of order {meta['order']}")
    is_bpe = meta["tokenizer"] == KIND
    expected = {_JSON} if is_bpe else {f"vocabulary.{part}" for part in ("data", "offsets", "keys", "slots")}
    expected |= {"unigrams", "unigram_contexts"} | {f"{part}.{k}" for part in _PARTS for k in range(2, orders + 2)}
    expected |= {"copies"} if "copy_filter" in meta else set()
    if set(arrays) != expected:
        raise ModelFormatError(f"{path}: the sections are not those of a model of order {meta['order']}")
    if is_bpe != ("special_ids" in meta) or (is_bpe and "copy_filter" in meta):
        raise ModelFormatError(f"{path}: the header's keys are not those of a model with the tokenizer {KIND}")
    if not is_bpe and meta["tokenizer"] not in KINDS and not meta["tokenizer"].startswith(("nltk:", PYTHON)):
        raise ModelFormatError(f"{path}: the tokenizer {meta['tokenizer'][:40]!r} is not known to this ngramgen")
    cleaning = _cleaning(path, meta["cleaning"])
    check = Checker(path)
    tokenizer: Tokenizer | SubwordTokenizer
    if is_bpe:
        tokenizer = _subword(meta["special_ids"], arrays[_JSON], check)
    else:
        tokenizer = Tokenizer(meta["tokenizer"], _vocabulary(arrays, check))
    table, size = _table(meta, arrays, check), tokenizer.vocab_size
    check("unigrams", size == table.vocab_size, f"has {table.vocab_size} words, the vocabulary {size}")
    copies = _copies(meta["copy_filter"], arrays["copies"], check) if "copy_filter" in meta else None
    model = NgramModel(table, tokenizer, copies)
    if verify:
        _check_model(model, check)
    return model, cleaning, meta["about"]


def check_ngram(path: str | os.PathLike[str], model: NgramModel) -> None:
    """Read all that a model was mapped from. Raises ModelFormatError, naming file and section, where it is damaged."""
    with suppress(ModelNotFoundError):  # the name may be gone, or another's by now; the map is still here
        file.read(path, verify=True)
    _check_model(model, Checker(path))


def _check_model(model: NgramModel, check: Checker) -> None:
    check_contents(model.table, model.tokenizer.vocabulary if isinstance(model.tokenizer, Tokenizer) else None, check)


def _cleaning(path: str | os.PathLike[str], steps: list[Any]) -> tuple[str, ...]:
    try:
        return Cleaner(steps).steps
    except (ValueError, AttributeError):  # OptionError, or no string
        raise ModelFormatError(f"{path}: a step of the text's cleaning is not known to this ngramgen") from None


def _vocabulary(arrays: Arrays, check: Checker) -> Vocabulary:
    data, offsets = arrays["vocabulary.data"], arrays["vocabulary.offsets"]
    keys, slots = arrays["vocabulary.keys"], arrays["vocabulary.slots"]
    check("vocabulary.data", data.dtype == np.uint8 and data.ndim == 1, "is not a row of bytes")
    check("vocabulary.offsets", offsets.dtype in (np.uint32, np.uint64) and offsets.ndim == 1, "has the wrong type")
    check("vocabulary.offsets", len(offsets) >= 4 and int(offsets[-1]) <= data.size, "leads out of the tokens")
    check(
        "vocabulary.keys", keys.dtype == np.uint64 and keys.shape == (len(offsets) - 4,), "has the wrong size or type"
    )
    size = slots.size
    right = slots.dtype == np.uint32 and slots.ndim == 1 and size > len(keys) and size & (size - 1) == 0
    check("vocabulary.slots", right, "has the wrong size or type")
    return Vocabulary(data, offsets, HashIndex(slots, keys))


def _subword(special_ids: list[Any], data: NDArray[Any], check: Checker) -> SubwordTokenizer:
    check(_JSON, data.dtype == np.uint8 and data.ndim == 1, "has the wrong type")
    right = len(special_ids) == len(SPECIALS) and all(type(i) is int for i in special_ids)
    check(_JSON, right, "comes with a list of special ids of the wrong form")
    unk, bos, eos = special_ids
    try:
        text = data.tobytes().decode()
        return SubwordTokenizer.from_json(text, "its text", unk_id=unk, bos_id=bos, eos_id=eos, reads_lines=False)
    except (TokenizerError, UnicodeDecodeError) as error:
        raise ModelFormatError(f"{check.path}: section {_JSON!r}: {str(error)[:200]}; the file is damaged") from None


def _copies(length: int, bits: NDArray[Any], check: Checker) -> CopyFilter:
    """Any bits may be there: a look-up follows none of them."""
    check("copies", SHORTEST <= length <= LONGEST, f"is of runs of {length} tokens")
    right = bits.dtype == np.uint64 and bits.ndim == 2 and bits.shape[1] == WORDS and 0 < len(bits) < 1 << 32
    check("copies", right, "has the wrong size or type")
    return CopyFilter(length, bits)


def _table(meta: dict[str, Any], arrays: Arrays, check: Checker) -> NgramTable:
    unigrams, pairs = arrays["unigrams"], arrays["unigram_contexts"]
    check("unigrams", unigrams.dtype == np.float32 and unigrams.ndim == 1 and len(unigrams) >= 3, "has the wrong type")
    check(
        "unigram_contexts",
        pairs.dtype == np.float32 and pairs.shape == (len(unigrams), 2),
        "has the wrong size or type",
    )
    check("unigrams", meta["reading"] in ("interpolate", "uniform", "backoff"), f"is read as {meta['reading']!r}")
    word_bits = meta["word_bits"]
    check("unigrams", 1 <= word_bits <= 31 and len(unigrams) <= 1 << word_bits, f"does not fit {word_bits} bits a word")
    bits = meta["value_bits"], meta["context_bits"]
    count = meta["order"] - 1
    right = all(len(some) == count and all(type(b) is int and 0 <= b <= 64 for b in some) for some in bits)
    check("unigrams", right, "comes with a list of bits of the wrong form")
    orders: list[GramOrder] = []
    lower = len(unigrams)
    for k, value_bits, context_bits in zip(range(2, count + 2), *bits, strict=True):
        parts = {part: arrays[f"{part}.{k}"] for part in _PARTS}
        order = GramOrder(**parts, value_bits=value_bits, context_bits=context_bits)
        _check_order(order, k, lower, word_bits, check)
        orders.append(order)
        lower = order.size
    return NgramTable(unigrams, pairs, tuple(orders), word_bits, meta["reading"], meta["normalised"])


def _check_order(order: GramOrder, k: int, lower: int, word_bits: int, check: Checker) -> None:
    packed, children, shifts = order.packed, order.children, order.shifts
    wide = word_bits + order.value_bits + order.context_bits
    right = packed.dtype in (np.uint32, np.uint64) and packed.ndim == 1 and wide <= 8 * packed.itemsize
    check(f"packed.{k}", right, "has the wrong type")
    right = children.dtype in (np.uint32, np.uint64) and children.shape == (lower + 1,)
    check(f"children.{k}", right, "has the wrong size or type")
    check(f"children.{k}", int(children[0]) == 0 and int(children[-1]) == order.size, "does not span the grams")
    check(f"shifts.{k}", shifts.dtype.kind == "i" and shifts.shape == (order.size + 1,), "has the wrong size or type")
    check(f"values.{k}", order.values.dtype == np.float32 and order.values.ndim == 1, "has the wrong type")
    pairs = order.contexts
    check(f"contexts.{k}", pairs.dtype == np.float32 and pairs.ndim == 2 and pairs.shape[1] == 2, "has the wrong type")
