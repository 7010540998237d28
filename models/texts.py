"""The texts that the shipped models are trained on, as lines: what is taken from which file of the data, and how.

Every function takes the folder of the data, as its README describes it, and gives lines without their line breaks.
"""

from __future__ import annotations

import gzip
import re
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

NOVELS = "fiction/train.txt.gz"
STORIES = (
    "stories/african_storybook_en.txt",
    "stories/fairytaleqa_stories.txt",
    "stories/pratham_books_en.txt",
    "tinystories/train.txt",
)
PLAYS = "tinyshakespeare/input.txt"
NLTK = "nltk_data/corpora"
BY_LINES = ("blake", "milton", "whitman")  # poems, whose line breaks are the poet's
SPEECHES_A_LINE = 12
TWICE = "r_and_j"  # which PLAYS has, too
SHORTEST_PRINTED, SHORTEST_BEFORE_CAPITAL, LONGEST_PRINTED = 40, 55, 90
"""Characters of a printed line of prose; of one before a line that begins with a capital, as a verse may, more."""
SENTENCE_ENDS = tuple(".!?…:\"'”’)]_*")
_QUOTES = str.maketrans("`´", "‘’")  # as some of the novels have them
LEFT_OUT = ("shakespeare",)  # plays that the corpus shakespeare has in a better form


def english(data: Path) -> Iterator[str]:
    """Novels, stories, plays, and the classics and speeches of NLTK."""
    yield from novels(data)
    yield from stories(data)
    yield from plays(data)
    yield from classics(data)
    yield from speeches(data)


def novels(data: Path) -> Iterator[str]:
    """A paragraph a line, as far as can be told where a book has its printed lines."""
    with gzip.open(data / NOVELS, "rt", encoding="utf-8") as file:
        yield from unwrapped(line.translate(_QUOTES) for line in without_empty(file))


def stories(data: Path) -> Iterator[str]:
    """A paragraph a line; where a story ends is not told."""
    for name in STORIES:
        yield from unwrapped(without_empty((data / name).read_text(encoding="utf-8").splitlines()))


def plays(data: Path) -> Iterator[str]:
    """The speaker's name on a line, what is said below it, and an empty line behind each speech."""
    for line in (data / PLAYS).read_text(encoding="utf-8").splitlines():
        yield line.strip()
    with zipfile.ZipFile(data / NLTK / "shakespeare.zip") as archive:
        for name in sorted(name for name in archive.namelist() if name.endswith(".xml") and TWICE not in name):
            yield ""
            yield from _speeches_of_a_play(archive.read(name))


def scenes(data: Path) -> Iterator[str]:
    """Some speeches that follow each other on a line: ``/`` stands for a line's end, ``//`` for a speech's."""
    speeches = [" / ".join(lines) for is_text, lines in groupby(plays(data), bool) if is_text]
    for begin in range(0, len(speeches), SPEECHES_A_LINE):
        yield " // ".join(speeches[begin : begin + SPEECHES_A_LINE])


def classics(data: Path) -> Iterator[str]:
    """NLTK's gutenberg: paragraphs as one line each, poems line by line."""
    for name, text in _texts(data, "gutenberg"):
        if not name.startswith(LEFT_OUT):
            yield from without_empty(text.splitlines() if name.startswith(BY_LINES) else paragraphs(text))


def speeches(data: Path) -> Iterator[str]:
    """Addresses of the presidents of the United States, a paragraph a line."""
    for corpus in ("inaugural", "state_union"):
        for _, text in _texts(data, corpus):
            yield from paragraphs(text)


def paragraphs(text: str) -> Iterator[str]:
    """What stands between empty lines, each as one line.

    >>> list(paragraphs("It was\\na dark night.\\n\\n\\nIt rained."))
    ['It was a dark night.', 'It rained.']
    """
    joined = (" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", text.replace("\r\n", "\n")))
    return (paragraph for paragraph in joined if paragraph)


def unwrapped(lines: Iterable[str]) -> Iterator[str]:
    """Printed lines of prose joined where one ends inside of a sentence; verses and headings are left.

    >>> list(unwrapped(["It was a dark and stormy night; the rain fell in torrents,", "except at times.", "THE END"]))
    ['It was a dark and stormy night; the rain fell in torrents, except at times.', 'THE END']
    """
    paragraph = last = ""
    for line in lines:
        is_inside = len(last) >= SHORTEST_PRINTED and not last.endswith(SENTENCE_ENDS)
        if is_inside and (line[0].islower() or SHORTEST_BEFORE_CAPITAL <= len(last) <= LONGEST_PRINTED):
            paragraph = f"{paragraph} {line}"
        else:
            if paragraph:
                yield paragraph
            paragraph = line
        last = line
    if paragraph:
        yield paragraph


def without_empty(lines: Iterable[str]) -> Iterator[str]:
    """Lines that say something; marks of where a text ends do not."""
    stripped = (line.strip() for line in lines)
    return (line for line in stripped if line and line != "<|endoftext|>")


def _texts(data: Path, corpus: str) -> Iterator[tuple[str, str]]:
    """Name and text of each file of one of NLTK's corpora."""
    with zipfile.ZipFile(data / NLTK / f"{corpus}.zip") as archive:
        for path in sorted(path for path in archive.namelist() if path.endswith(".txt")):
            raw = archive.read(path)
            try:
                text = raw.decode("utf-8")
            except UnicodeDecodeError:
                text = raw.decode("latin-1")
            yield Path(path).name, text


def _speeches_of_a_play(document: bytes) -> Iterator[str]:
    for speech in ElementTree.fromstring(document).iter("SPEECH"):
        speakers = [" ".join("".join(one.itertext()).split()) for one in speech.findall("SPEAKER")]
        lines = [" ".join(_said(one).split()) for one in speech.findall("LINE")]
        if all(speakers) and any(lines):
            yield f"{' and '.join(speakers)}:"
            yield from filter(None, lines)
            yield ""


def _said(line: ElementTree.Element) -> str:
    """A line without the stage directions in it."""
    return "".join([line.text or "", *(part.tail or "" for part in line)])
