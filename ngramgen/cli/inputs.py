"""Text on its way in: from an argument or from standard input, always UTF-8."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, cast

import click

STDIN = "-"


def argument_text(name: str, value: str) -> str:
    """The text of an argument, or all of standard input without its last line break where the argument is ``-``.

    Raises click.BadParameter for bytes that are not UTF-8, CorpusError for such bytes on standard input.
    """
    if value == STDIN:
        from ngramgen.text.corpus import read_blocks

        return b"".join(read_blocks([STDIN])).removesuffix(b"\n").decode()
    try:
        value.encode()
    except UnicodeEncodeError:  # Python keeps foreign bytes of the command line as lone surrogates
        raise click.BadParameter("it is not UTF-8 text.", param_hint=name) from None
    return value


def corpus_sources(files: Sequence[str]) -> list[Any]:
    """The arguments as the library takes a corpus: paths, and ``"-"`` for standard input.

    >>> corpus_sources(["-"])
    ['-']
    """
    return [file if file == STDIN else Path(file) for file in files]


def arriving_blocks(file: str) -> Iterator[bytes]:
    """Blocks of whole lines of a file, or of standard input as soon as its lines come."""
    from ngramgen.text.corpus import read_blocks

    if file == STDIN:
        return read_blocks([cast(BinaryIO, _Arriving())])
    return read_blocks([Path(file)])


class _Arriving:
    """Standard input, read as far as it has come: who asks one line and waits gets its answer."""

    name = "standard input"

    def read(self, size: int) -> bytes:
        return cast(BufferedReader, sys.stdin.buffer).read1(size)
