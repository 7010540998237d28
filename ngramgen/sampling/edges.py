"""Where words and sentences begin and end in a text, in scripts with spaces between words and in scripts without.

>>> list(occurrences("the kingdom of the king", "king")), sentence_ends("Who? I, he said. Yes.")
([19], [4, 16, 21])
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

UNSPACED = "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Ranges, as in a set of a regular expression, of the characters of scripts that put no space between words."""

SEPARATING = rf"[\W_{UNSPACED}]"
"""The regular expression of a character that makes no word with another one; it takes combining marks for such too."""

_UNSPACED = re.compile(f"[{UNSPACED}]")
_CLOSERS = "\"')\\]\u201d\u2019\u00bb"
_OPENERS = "\"'(\\[\u201c\u2018\u00ab"
_WIDE_CLOSERS = "\u300d\u300f\u201d\u2019"
SENTENCE_MARKS = re.compile(f"[.!?\u2026]+[{_CLOSERS}]*|(?P<wide>[\u3002\uff01\uff1f]+[{_WIDE_CLOSERS}]*)")
"""The marks that end a sentence, with quotation marks and brackets that close behind them."""
_GAP = re.compile(rf"\s+[{_OPENERS}]*")
_LAST_CLOSERS = _CLOSERS + _WIDE_CLOSERS + "\u201c\u00ab\uff09\u300b"
LAST_CHARACTERS = "].!?\u2026\u3002\uff01\uff1f" + _LAST_CLOSERS
"""All characters that a sentence may end with: its marks and what closes behind them."""
_LAST = re.compile(f"([\\w'\u2019]*)([.!?\u2026\u3002\uff01\uff1f]+)[{_LAST_CLOSERS}]*$")
_LONGEST_END = 60  # characters that are looked at for the last word
_ABBREVIATIONS = re.compile(
    "Mr|Mrs|Ms|Messrs|Mme|Mlle|Dr|St|Prof|Rev|Hon|Capt|Col|Gen|Lieut|Lt|Sgt|Maj|Gov|Sen|Rep|Jr|Sr|vs|viz|cf"
)
_CLOSED_BY = {  # a mark that opens a quotation: those that close it
    '"': '"\u201d',
    "\u201c": "\u201d",
    "\u201e": "\u201c\u201d",
    "\u2018": "\u2019",
    "\u00ab": "\u00bb",
    "\u00bb": "\u00ab",
    "\u300c": "\u300d",
    "\u300e": "\u300f",
}
_QUOTATION_MARK = re.compile('["\u201c\u201d\u201e\u2018\u00ab\u00bb\u300c-\u300f]|\u2019(?!\\w)')  # no apostrophe
_GLUED = re.compile('(?<=[\\w.,;:!?\u2026])"')  # opens nothing


@lru_cache(maxsize=4096)
def is_word_character(character: str) -> bool:
    """Whether a character makes one word with another beside it: a letter, digit or mark of a script with spaces.

    >>> is_word_character("a"), is_word_character("王")
    (True, False)
    """
    inside = character.isalnum() or unicodedata.category(character).startswith("M")
    return inside and not _UNSPACED.match(character)


def touches(text: str, place: int) -> bool:
    """Whether a word goes on over a place of a text.

    >>> touches("an old king", 3), touches("an old king", 4)
    (False, True)
    """
    return 0 < place < len(text) and is_word_character(text[place - 1]) and is_word_character(text[place])


def occurrences(text: str, part: str, begin: int = 0) -> Iterator[int]:
    """Where a part stands in a text as whole words: the places where it begins, from one on, overlaps too.

    >>> list(occurrences("a man, a plan", "a"))
    [0, 7]
    """
    place = text.find(part, begin)
    while place >= 0:
        if not touches(text, place) and not touches(text, place + len(part)):
            yield place
        place = text.find(part, place + 1)


def holds(text: str, part: str) -> bool:
    """Whether a part stands in a text as whole words.

    >>> holds("the old king's son", "king"), holds("the viking", "king")
    (True, False)
    """
    return next(occurrences(text, part), None) is not None


def sentence_ends(text: str) -> list[int]:
    """Where sentences end: behind . ! ? … before white space and no small letter, and behind their wide forms.

    >>> sentence_ends('"Come in!" said the fox. He paid 3.50 ... or so.')
    [24, 48]
    """
    return [found.end() for found in SENTENCE_MARKS.finditer(text) if is_sentence_end(text, found)]


def is_sentence_end(text: str, marks: re.Match[str]) -> bool:
    """Whether a sentence ends with some marks, which `SENTENCE_MARKS` has found."""
    end = marks.end()
    if marks["wide"] is not None or not text[end:].strip():
        return True
    decides = deciding(text, end)
    return decides >= 0 and not text[decides : decides + 1].islower()


def deciding(text: str, end: int) -> int:
    """The place of the letter behind marks whose case tells whether a sentence ended; -1 where no space follows them.

    >>> deciding('"No." "And', 5)
    7
    """
    gap = _GAP.match(text, end)
    return -1 if gap is None else gap.end()


def stands_at_end(text: str) -> bool:
    """Whether a text may be left as it stands: its last sentence is ended, and no quotation is open.

    A dot behind an abbreviation, or behind a word of one letter, which may be an initial, ends nothing.

    >>> stands_at_end('"Come in!" said the fox.'), stands_at_end("He asked Mr."), stands_at_end('"Come in!')
    (True, False, False)
    """
    paragraph = text.rstrip().rpartition("\n")[2]
    last = _LAST.search(paragraph[-_LONGEST_END:])
    if last is None:
        return False
    word = last[1].strip("'\u2019")
    if last[2] == "." and (len(word) == 1 or _ABBREVIATIONS.fullmatch(word)):
        return False
    return not _is_quoting(paragraph)


def _is_quoting(paragraph: str) -> bool:
    """Whether a quotation is open at the end of a paragraph; those inside of another do not count."""
    closed_by = ""
    for mark in _QUOTATION_MARK.findall(_GLUED.sub("\u201d", paragraph)):
        if not closed_by:
            closed_by = _CLOSED_BY.get(mark, "")
        elif mark in closed_by:
            closed_by = ""
    return bool(closed_by)
