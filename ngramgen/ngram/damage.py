"""Stray errors in a mapped model, put down to its file where that is damaged.

Opening a model does not read it, so a wrong id or offset shows only when a look-up follows it: as an IndexError, say.
Then, and only then, all of the file is checked; a file that is whole has not caused the error, which is ours.

>>> with blaming(None):
...     [][0]
Traceback (most recent call last):
IndexError: list index out of range
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from ngramgen.errors import CorpusError

Item = TypeVar("Item")

_STRAY = (LookupError, ValueError, ArithmeticError, MemoryError)


@contextmanager
def blaming(check: Callable[[], None] | None) -> Iterator[None]:
    """Before a stray error leaves the block, call ``check``, which raises ModelFormatError for a damaged file."""
    try:
        yield
    except CorpusError:  # knows its file
        raise
    except _STRAY:
        if check is not None:
            check()
        raise


def blaming_items(check: Callable[[], None] | None, items: Iterable[Item]) -> Iterator[Item]:
    """The same for what happens while items are made."""
    with blaming(check):
        yield from items
