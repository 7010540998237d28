"""Texts in sampling options as the ids that stand for them.

>>> ways_to_write(tokenizer, "king")    # doctest: +SKIP
[(731,), (12,)]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ngramgen.errors import OptionError
from ngramgen.model import UNK

if TYPE_CHECKING:
    from ngramgen.model import IntArray, Tokenizer


def ways_to_write(tokenizer: Tokenizer, text: str) -> list[tuple[int, ...]]:
    """The sequences of ids in which text can stand in a line: with a space before it and without, each once.

    Spaces around the text do not count, unless they are all of it. A way that holds ``<unk>`` is none, nor is one that
    has lost a newline, as it does where lines are sentences. The list is empty where the model cannot say the text.

    >>> ways_to_write(tokenizer, "new york")    # doctest: +SKIP
    [(96, 1204), (7, 1204)]
    """
    inside: Callable[[str], IntArray] = getattr(tokenizer, "encode_inside", tokenizer.encode)
    core = text.strip(" ")
    ways = []
    for written in [f" {core}", core] if core else [text]:
        ids = inside(written)
        says_it = len(ids) and UNK not in ids and ("\n" not in core or "\n" in tokenizer.decode(ids))
        if says_it:
            ways.append(tuple(int(i) for i in ids))
    return list(dict.fromkeys(ways))


def single_tokens(tokenizer: Tokenizer, text: str) -> list[int]:
    """The ids of the tokens that are text, with a space before it or without. Raises OptionError where there is none.

    >>> single_tokens(tokenizer, "king")    # doctest: +SKIP
    [731, 12]
    """
    ways = ways_to_write(tokenizer, text)
    ids = [way[0] for way in ways if len(way) == 1]
    if not ids:
        why = f"takes at least {min(map(len, ways))} tokens" if ways else "is not in the model's vocabulary"
        raise OptionError(f"logit_bias holds {text!r}, which {why}; a bias needs a text that is one token.")
    return ids


def biased_ids(tokenizer: Tokenizer | None, biases: Mapping[int | str, float]) -> dict[int, float]:
    """What is added to each id, where texts stand for all single tokens that are they; several for one id add up.

    >>> biased_ids(None, {7: -1.5})
    {7: -1.5}
    """
    sums: dict[int, float] = {}
    for key, bias in biases.items():
        ids = [key] if isinstance(key, int) else single_tokens(needed(tokenizer, "logit_bias"), key)
        for index in ids:
            sums[index] = sums.get(index, 0.0) + bias
    return sums


def needed(tokenizer: Tokenizer | None, name: str) -> Tokenizer:
    """The tokenizer, or OptionError: the option of that name holds texts, which mean nothing without one."""
    if tokenizer is None:
        raise OptionError(f"{name} holds texts: give the model's tokenizer to build_filters.")
    return tokenizer
