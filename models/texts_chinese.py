"""The Chinese texts: classical prose, Tang poems and Song lyrics, and what of them no model is trained on.

About 5 % are kept aside, half of it to fit how models are combined (``valid``) and half to measure (``test``):

- of the Tang poems four stretches of 720, which are whole authors but for those at their ends, since the collection is
  ordered by author; poems that share half of their verses with one of them are not trained on either;
- of the anthology Guwen Guanzhi every twentieth piece;
- the last two books of the Analects and the last of Mencius;
- the lyrics of Yan Shu and of Wang Yisun.

A text in traditional characters is given a second time in simplified ones, for readers of either; one in simplified
characters once, since the way back is not certain.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

POEMS = "chinese/quan_tangshi.txt.gz"
PROSE = "chinese/classical_prose.txt"
ANTHOLOGY = "chinese/guwenguanzhi.json"
LYRICS = "chinese/songci300.json"

POEMS_ASIDE = {"valid": ((9_000, 9_720), (37_000, 37_720)), "test": ((23_000, 23_720), (51_000, 51_720))}
"""Lines of the file, from 0."""
PIECES_ASIDE = {"valid": 0, "test": 20}
"""The first piece of the anthology, from 0, and then every fortieth."""
BOOKS_ASIDE = {"valid": (484, 512), "test": (1_138, 1_202)}
"""Lines of the prose, from 0: the books Zizhang and Yao Yue of the Analects, the last book of Mencius."""
PROSE_LINES = 1_257
"""Where the anthology begins in the prose, which is taken from its own file."""
LYRICISTS_ASIDE = {"valid": "晏殊", "test": "王沂孙"}

_NOTE = re.compile("（[^（）]*）")
_MARKED = re.compile(r"[][{}〖〗□/=+|0-9A-Za-z()（）\ue000-\uf8ff-]")  # notes of editors, characters that are lost
_VERSE = re.compile("[^，。？！；：、]+")
_QUOTES = str.maketrans("「」『』", "“”‘’")


@dataclass
class Parts:
    """Lines to train on, to fit on and to measure on."""

    train: list[str] = field(default_factory=list)
    valid: list[str] = field(default_factory=list)
    test: list[str] = field(default_factory=list)

    def add(self, part: str, lines: Iterable[str]) -> None:
        getattr(self, part).extend(lines)


def chinese(data: Path) -> Parts:
    """All texts as they are in the data."""
    parts = Parts()
    _add_poems(data, parts)
    _add_anthology(data, parts)
    _add_prose(data, parts)
    _add_lyrics(data, parts)
    return parts


def in_both_scripts(lines: Iterable[str]) -> Iterator[str]:
    """All lines, and behind them those that are another in simplified characters. Needs the package opencc.

    Not one behind the other: a network would learn to copy, and what it is measured on would be half given away.
    """
    lines, simplified = list(lines), _simplifier()
    yield from lines
    yield from (other for line in lines if (other := simplified(line)) != line)


def in_turns(lines: Iterable[str], stretch: int = 20) -> Iterator[str]:
    """Stretches of lines in traditional characters and in simplified ones in turn, each line once: in both scripts the
    second would be half given away, to whatever learns from the text that it reads. Needs the package opencc."""
    simplified = _simplifier()
    for number, line in enumerate(lines):
        yield simplified(line) if number // stretch % 2 else line


def _simplifier() -> Callable[[str], str]:
    from opencc import OpenCC

    convert = OpenCC("t2s").convert
    return lambda line: convert(line).translate(_QUOTES)


def _add_poems(data: Path, parts: Parts) -> None:
    with gzip.open(data / POEMS, "rt", encoding="utf-8") as file:
        poems = [_NOTE.sub("", line.strip()) for line in file]
    aside = {
        place: part for part, ranges in POEMS_ASIDE.items() for begin, end in ranges for place in range(begin, end)
    }
    secret = {verse for place in aside for verse in _VERSE.findall(poems[place])}
    for place, poem in enumerate(poems):
        verses = _VERSE.findall(poem)
        if len(verses) < 2 or _MARKED.search(poem):
            continue
        if place in aside:
            parts.add(aside[place], [poem])
        elif 2 * sum(verse in secret for verse in verses) < len(verses):
            parts.add("train", [poem])


def _add_anthology(data: Path, parts: Parts) -> None:
    volumes = json.loads((data / ANTHOLOGY).read_text(encoding="utf-8"))["content"]
    pieces = [piece for volume in volumes for piece in volume["content"]]
    for number, piece in enumerate(pieces):
        part = next((part for part, first in PIECES_ASIDE.items() if number % 40 == first), "train")
        parts.add(part, filter(None, map(str.strip, piece["paragraphs"])))


def _add_prose(data: Path, parts: Parts) -> None:
    lines = (data / PROSE).read_text(encoding="utf-8").split("\n")[:PROSE_LINES]
    for number, line in enumerate(lines):
        part = next((part for part, (begin, end) in BOOKS_ASIDE.items() if begin <= number < end), "train")
        parts.add(part, filter(None, [line.strip()]))


def _add_lyrics(data: Path, parts: Parts) -> None:
    for lyric in json.loads((data / LYRICS).read_text(encoding="utf-8")):
        part = next((part for part, author in LYRICISTS_ASIDE.items() if lyric["author"] == author), "train")
        parts.add(part, ["".join(lyric["paragraphs"])])
