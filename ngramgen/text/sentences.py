r"""Sentence splitting: blocks of lines in, blocks with one sentence a line out.

>>> list(split_sentences([b"One. Two.\n"], "line"))
[b'One. Two.\n']
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from typing import Any

from ngramgen.errors import MissingDependencyError, OptionError

METHODS = ("line", "punkt")
"""``line``: every line is a sentence. ``punkt``: every line is a paragraph, split by NLTK's Punkt."""


def split_sentences(blocks: Iterable[bytes], method: str, language: str = "english") -> Iterator[bytes]:
    r"""Blocks of whole lines, one sentence a line, for ``method`` ``"line"``, ``"punkt"`` or ``"punkt:german"``.

    >>> list(split_sentences([b"Mr. Fox ran. He hid.\n"], "punkt"))  # doctest: +SKIP
    [b'Mr. Fox ran.\nHe hid.\n']

    Punkt is the unsupervised splitter of Kiss and Strunk (2006); a language in ``method`` goes before ``language``.
    Lines without a sentence stay, as empty lines. Raises OptionError for another method, and MissingDependencyError
    where NLTK or its data is not installed.
    """
    name, _, suffix = method.partition(":")
    if name not in METHODS or (name == "line" and suffix) or method.endswith(":"):
        raise OptionError(f"{method!r} is no way to split sentences; choose line, punkt or punkt:LANGUAGE.")
    if name == "line":
        return iter(blocks)
    tokenizer = _punkt(suffix or language)
    return (_split(block, tokenizer) for block in blocks)


def _punkt(language: str) -> Any:
    try:
        punkt = importlib.import_module("nltk.tokenize.punkt").PunktTokenizer
    except (ImportError, AttributeError):  # AttributeError: an NLTK older than its safe punkt_tab data
        raise MissingDependencyError("Punkt sentences need NLTK 3.9 or later: pip install 'ngramgen[nltk]'.") from None
    try:
        return punkt(language)
    except ValueError:
        raise OptionError(f"{language!r} is not the name of a Punkt language, such as english or german.") from None
    except LookupError:
        raise MissingDependencyError(
            f"NLTK has no Punkt data for {language!r} here; run python -m nltk.downloader punkt_tab, "
            f"or set NLTK_DATA to the folder that has it."
        ) from None


def _split(block: bytes, tokenizer: Any) -> bytes:
    sentences: list[str] = []
    for line in block.decode().split("\n")[:-1]:
        sentences += [stripped for part in tokenizer.tokenize(line) if (stripped := part.strip())] or [""]
    return "".join(sentence + "\n" for sentence in sentences).encode()
