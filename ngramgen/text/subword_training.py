"""A byte-level BPE learnt from text, as a tokenizer.json.

>>> text = trained_json([b"low lower lowest\\nlow low\\n"], 264)  # doctest: +SKIP
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngramgen.errors import TokenizerError
from ngramgen.text.tokenizer_json import byte_characters, library
from ngramgen.text.vocabulary import SPECIALS

DEFAULT_SIZE = 8192
SMALLEST = len(SPECIALS) + 256
"""Entries that every vocabulary has: the specials and the bytes."""


def check_size(vocab_size: int) -> None:
    """Raise TokenizerError for a vocabulary that cannot hold the bytes and the specials."""
    if vocab_size < SMALLEST:
        raise TokenizerError(
            f"a bpe vocabulary of {vocab_size} entries is too small: bytes and specials alone take {SMALLEST}"
        )


def spread(blocks: Iterable[bytes], limit: int) -> list[bytes]:
    """Blocks of at most so many bytes in all, but one at least, at equal distances from the first."""
    kept: list[bytes] = []
    size, step = 0, 1
    for i, block in enumerate(blocks):
        if i % step:
            continue
        kept.append(block)
        size += len(block)
        while size > limit and len(kept) > 1:
            kept = kept[::2]
            size, step = sum(map(len, kept)), 2 * step
    return kept


def trained_json(blocks: Sequence[bytes], vocab_size: int) -> str:
    """The tokenizer.json of a byte-level BPE (Sennrich et al. 2016) of at most so many entries for blocks of lines.

    Raises TokenizerError for a size that is too small.
    """
    check_size(vocab_size)
    module = library()
    made = module.Tokenizer(module.models.BPE())
    made.pre_tokenizer = module.pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False)
    made.decoder = module.decoders.ByteLevel()
    trainer = module.trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=list(SPECIALS),
        initial_alphabet=sorted(byte_characters()),
        show_progress=False,
    )
    made.train_from_iterator((block.decode().split("\n")[:-1] for block in blocks), trainer)
    return without_specials_in_text(made.to_str())


def without_specials_in_text(text: str) -> str:
    """A trained tokenizer.json without the merges by which a text could spell <unk>, <s> or </s>.

    The trainer takes a special's id where merges happen to make its name. Ids close up.
    """
    data = json.loads(text)
    model = data["model"]
    known = set(byte_characters())
    merges = []
    for left, right in model["merges"]:
        if left in known and right in known and left + right not in SPECIALS:
            known.add(left + right)
            merges.append([left, right])
    if len(merges) == len(model["merges"]):
        return text
    model["merges"] = merges
    names = [name for name in _by_id(model["vocab"]) if name in known or name in SPECIALS]
    return _with_vocab(data, names)


def renumbered(text: str, counts: NDArray[np.int64]) -> str:
    """An own tokenizer.json whose ids from 3 on fall with these counts (V,) of its ids; of equals the lower is first.

    The merges stay, so that text is cut as before.
    """
    data = json.loads(text)
    names = _by_id(data["model"]["vocab"])
    first = len(SPECIALS)
    order = np.argsort(-counts[first:], kind="stable") + first
    return _with_vocab(data, [*SPECIALS, *(names[i] for i in order.tolist())])


def _by_id(vocab: dict[str, int]) -> list[str]:
    return sorted(vocab, key=vocab.__getitem__)


def _with_vocab(data: dict[str, Any], names: Iterable[str]) -> str:
    data["model"]["vocab"] = {name: i for i, name in enumerate(names)}
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
