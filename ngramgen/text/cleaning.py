"""Cleaning: named steps that a corpus goes through before it is tokenised.

>>> Cleaner(["control", "whitespace", "lowercase"]).text("The  CAT\\tsat\\x00 ")
'the cat sat'

===================  ==================================================================================
step                 what it does
===================  ==================================================================================
``nfc``              Unicode's composed form, NFC
``control``          drops control characters (category Cc) but LF and tab, and U+FEFF
``whitespace``       a run of white space, Unicode's included, becomes a space; none at the ends of lines
``lowercase``        lower case, as ``str.lower``
``min-length=N``     drops lines of fewer than N characters
``max-length=N``     drops lines of more than N characters
``deduplicate``      drops lines that were there before; empty lines stay
===================  ==================================================================================

The first four change characters, and hold for prompts and queries too; the others choose lines of a corpus.
Steps run in the order given, and cleaning what is clean already changes nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from typing import TypeAlias

import numpy as np

from ngramgen.errors import OptionError

CleaningStep: TypeAlias = Callable[[bytes], bytes]
"""From UTF-8 to UTF-8, the same object where nothing changes. Bytes, since most steps search them ten times as fast."""

DEFAULT_STEPS = ("nfc", "control", "whitespace")
"""What suits raw text of any language."""

# UTF-8 synchronises itself: no pattern of whole characters can match across two of them. Each pattern of more than one
# byte begins with a literal, which the regular expression engine then looks for at the speed of memchr.
_ASCII_CONTROLS = bytes([*range(0x09), *range(0x0B, 0x20), 0x7F])
_LATIN_CONTROLS = re.compile(rb"\xc2[\x80-\x9f]")
_BYTE_ORDER_MARK = "\ufeff".encode()
_ASCII_SPACES = bytes.maketrans(b"\t\v\f\r\x1c\x1d\x1e\x1f", b" " * 8)
_OTHER_SPACES = [  # with the ASCII ones, LF and space: all that str.isspace knows
    re.compile(rb"\xc2[\x85\xa0]"),
    re.compile(rb"\xe1\x9a\x80"),
    re.compile(rb"\xe2\x80[\x80-\x8a\xa8\xa9\xaf]"),
    re.compile(rb"\xe2\x81\x9f"),
    re.compile(rb"\xe3\x80\x80"),
]
_SPACE, _LF = b" \n"
_SURROGATES = "surrogatepass"  # a str can hold lone surrogates; cleaning lets them pass
_DIGEST_BYTES = 16


class Cleaner:
    """A sequence of cleaning steps, equal to another with the same ``steps``.

    >>> Cleaner(["nfc", "min-length=05"]).steps
    ('nfc', 'min-length=5')

    Raises OptionError for a step that is unknown or lacks its number.
    """

    def __init__(self, steps: Iterable[str] = ()) -> None:
        if isinstance(steps, str):
            raise OptionError(f"Cleaning steps are a list of names, such as [{steps!r}], not a str.")
        self.steps: tuple[str, ...] = tuple(_canonical(step) for step in steps)
        """The steps as strings, ready to be written to a model file: ``Cleaner(cleaner.steps) == cleaner``."""
        self._plan = _plan(self.steps)
        self._characters = [_CHARACTER_STEPS[name] for name in self._plan if name in _CHARACTER_STEPS]

    def __eq__(self, other: object) -> bool:
        return self.steps == other.steps if isinstance(other, Cleaner) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.steps)

    def __repr__(self) -> str:
        return f"Cleaner({list(self.steps)})"

    def text(self, text: str) -> str:
        """The text after the steps that change characters, for prompts and queries.

        >>> Cleaner(["lowercase", "min-length=10"]).text("Hello")
        'hello'
        """
        return self.lines_block(text.encode(errors=_SURROGATES)).decode(errors=_SURROGATES)

    def lines_block(self, block: bytes) -> bytes:
        r"""A block of UTF-8 lines after the steps that change characters: as many lines as before.

        >>> Cleaner(["whitespace"]).lines_block(b" a  b \n\n")
        b'a b\n\n'
        """
        return _apply(self._characters, block)

    def blocks(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        r"""A corpus, in blocks of whole UTF-8 lines, after all steps; blocks left empty are not given.

        >>> list(Cleaner(["lowercase", "deduplicate"]).blocks([b"One\nTwo\n", b"one\n"]))
        [b'one\ntwo\n']
        """
        if not self.steps:
            return iter(blocks)
        steps = [_step(name) for name in self._plan]
        return (cleaned for block in blocks if (cleaned := _apply(steps, block)))


def _canonical(step: str) -> str:
    name, sign, number = step.partition("=")
    if name in _LENGTH_STEPS:
        if not (number.isascii() and number.isdigit()):
            raise OptionError(f"Cleaning step {step!r} needs a whole number of characters: {name}=N.")
        return f"{name}={int(number)}"
    if sign or (name != "deduplicate" and name not in _CHARACTER_STEPS):
        known = [*_CHARACTER_STEPS, *(f"{length}=N" for length in _LENGTH_STEPS), "deduplicate"]
        raise OptionError(f"There is no cleaning step {step!r}; there are {', '.join(known)}.")
    return name


def _plan(steps: tuple[str, ...]) -> list[str]:
    """The steps with those repeated whose work a later step can undo, so that cleaning twice is cleaning once."""
    plan: list[str] = []
    for step in steps:
        before = set(plan)
        if step == "control" and plan and plan[-1] == "nfc":
            plan.pop()  # it is repeated below, with the same result
        plan.append(step)
        # Without a control character between them, two spaces meet, and so do a letter and its accent.
        if step == "control" and "whitespace" in before:
            plan.append("whitespace")
        # Lower case of U+0130 is i and a dot, which can stand in the wrong order before other marks.
        if step in ("control", "lowercase") and "nfc" in before:
            plan.append("nfc")
    return plan


def _apply(steps: list[CleaningStep], block: bytes) -> bytes:
    for step in steps:
        block = step(block)
    return block


def _step(step: str) -> CleaningStep:
    name, _, number = step.partition("=")
    if name in _LENGTH_STEPS:
        return _LENGTH_STEPS[name](int(number))
    return _deduplicate() if name == "deduplicate" else _CHARACTER_STEPS[name]


def _nfc(block: bytes) -> bytes:
    if block.isascii():
        return block
    text = block.decode(errors=_SURROGATES)
    if unicodedata.is_normalized("NFC", text):
        return block
    return unicodedata.normalize("NFC", text).encode(errors=_SURROGATES)


def _control(block: bytes) -> bytes:
    cleaned = block.translate(None, _ASCII_CONTROLS)
    if not block.isascii():
        cleaned = _LATIN_CONTROLS.sub(b"", cleaned).replace(_BYTE_ORDER_MARK, b"")
    return block if len(cleaned) == len(block) else cleaned


def _whitespace(block: bytes) -> bytes:
    cleaned = block.translate(_ASCII_SPACES)
    if not block.isascii():
        for spaces in _OTHER_SPACES:
            cleaned = spaces.sub(b" ", cleaned)
    data = np.frombuffer(cleaned, np.uint8)
    # First the spaces that follow a space or the start of a line, which leaves one a run, then that before its end.
    space = data == _SPACE
    drop = space.copy()
    drop[1:] &= space[:-1] | (data[:-1] == _LF)
    if drop.any():
        data = data[~drop]
    drop = data == _SPACE
    drop[:-1] &= data[1:] == _LF
    if drop.any():
        data = data[~drop]
    if len(data) < len(cleaned):
        return data.tobytes()
    return block if cleaned == block else cleaned


def _lowercase(block: bytes) -> bytes:
    lowered = block.lower() if block.isascii() else block.decode(errors=_SURROGATES).lower().encode(errors=_SURROGATES)
    return block if lowered == block else lowered


def _select(block: bytes, keep: Callable[[bytes], bool]) -> bytes:
    lines = block.split(b"\n")[:-1]
    kept = [line for line in lines if keep(line)]
    return block if len(kept) == len(lines) else b"".join([line + b"\n" for line in kept])


def _characters(line: bytes) -> int:
    return len(line) if line.isascii() else len(line.decode(errors=_SURROGATES))


def _min_length(length: int) -> CleaningStep:
    return lambda block: _select(block, lambda line: _characters(line) >= length)


def _max_length(length: int) -> CleaningStep:
    return lambda block: _select(block, lambda line: _characters(line) <= length)


def _deduplicate() -> CleaningStep:
    seen: set[bytes] = set()  # digests: a fixed few bytes a line, however long the lines

    def is_new(line: bytes) -> bool:
        if not line:
            return True
        digest = blake2b(line, digest_size=_DIGEST_BYTES).digest()
        if digest in seen:
            return False
        seen.add(digest)
        return True

    return lambda block: _select(block, is_new)


_CHARACTER_STEPS: dict[str, CleaningStep] = {
    "nfc": _nfc,
    "control": _control,
    "whitespace": _whitespace,
    "lowercase": _lowercase,
}
_LENGTH_STEPS: dict[str, Callable[[int], CleaningStep]] = {"min-length": _min_length, "max-length": _max_length}
