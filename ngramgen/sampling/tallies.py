"""What stands before each place of some walks: words, characters, sentences, and the texts that are sought."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ngramgen.sampling.edges import SENTENCE_MARKS, deciding, is_word_character

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ngramgen.sampling.spelling import FlatText

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

SPACE, WORD, _UNKNOWN = 1, 2, 4
_KINDS = np.full(0x110000, _UNKNOWN, np.uint8)  # filled in as characters are met


def _kinds(codes: NDArray[np.unsignedinteger]) -> NDArray[np.uint8]:
    """Which characters are white space and which are parts of words."""
    found: NDArray[np.uint8] = _KINDS.take(codes)
    if (found == _UNKNOWN).any():
        for code in np.unique(codes[found == _UNKNOWN]).tolist():
            character = chr(code)
            _KINDS[code] = SPACE * character.isspace() | WORD * is_word_character(character)
        found = _KINDS.take(codes)
    return found


class Sightings(NamedTuple):
    """Where whole words that are sought stand in walks, (R, H + 1) each.

    Attributes:
        done: Whether they stand before a place, if no more of a word comes there.
        early: Whether they stand before the token that ends at a place.
        fresh: Whether they come to their end with that token.
        exact: Whether with its last character.
    """

    done: Bools
    early: Bools
    fresh: Bools
    exact: Bools


@dataclass(frozen=True)
class Tallies:
    """The text of R walks of H tokens, each behind a text of its own; counts are of all of it, (R, H + 1).

    Attributes:
        flat: The texts.
        inside: Whether a word stands right before each row, (R,): the prompt's.
    """

    flat: FlatText
    inside: Bools

    @cached_property
    def codes(self) -> NDArray[np.unsignedinteger]:
        text = self.flat.text
        if text.isascii():
            return np.frombuffer(text.encode(), np.uint8)
        return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")

    @cached_property
    def kinds(self) -> NDArray[np.uint8]:
        """White space (1), part of a word (2) or neither (0): of each character, and of what is behind the last."""
        return np.append(_kinds(self.codes), np.uint8(SPACE))

    @cached_property
    def _visible(self) -> Bools:
        visible: Bools = self.kinds != SPACE
        return visible

    @cached_property
    def _last(self) -> Ints:
        """The last character before each place that is no white space; one before the row where there is none."""
        visible = np.where(self._visible, np.arange(len(self.kinds)), -1)
        last = np.append(-1, np.maximum.accumulate(visible)).take(self.flat.borders)
        found: Ints = np.maximum(last, self.flat.begins[:, None] - 1)
        return found

    @cached_property
    def _first(self) -> Ints:
        """The first character from each one on that is no white space."""
        visible = np.where(self._visible, np.arange(len(self.kinds)), len(self.kinds))
        return np.minimum.accumulate(visible[::-1])[::-1]

    @cached_property
    def words(self) -> Ints:
        """Words."""
        starts = self._visible[:-1].copy()
        starts[1:] &= ~self._visible[:-2]
        sums = np.append(0, np.cumsum(starts))
        counts: Ints = sums.take(self.flat.borders) - sums.take(self.flat.begins)[:, None]
        return counts

    @cached_property
    def chars(self) -> Ints:
        """Characters, without white space at the ends."""
        counts: Ints = np.maximum(self._last + 1 - self._first.take(self.flat.begins)[:, None], 0)
        return counts

    @cached_property
    def reach(self) -> Ints:
        """Characters with the white space at the end, for what comes behind it; 0 where there is nothing else."""
        return np.where(self.chars > 0, self.flat.borders - self._first.take(self.flat.begins)[:, None], 0)

    @cached_property
    def closed(self) -> Bools:
        """Whether the last character is no white space."""
        found: Bools = (self.flat.borders > self.flat.begins[:, None]) & (self._last + 1 == self.flat.borders)
        return found

    @cached_property
    def in_word(self) -> Bools:
        """Whether the last character is one of a word, be it the prompt's."""
        borders, begins = self.flat.borders, self.flat.begins[:, None]
        own = self.kinds.take(np.maximum(borders - 1, 0)) == WORD
        return np.where(borders > begins, own, self.inside[:, None])

    def next_kinds(self, joined: bool) -> NDArray[np.uint8]:
        """The kind of the character behind each place 0, (R,)."""
        borders = self.flat.borders[:, 0]
        if joined:
            return np.where(borders > self.flat.begins, np.uint8(SPACE), self.kinds.take(borders))
        return self.kinds.take(borders)

    def leads(self, text: str, joined: bool) -> Bools:
        """Whether the first token begins with a text and has more, (R,)."""
        begins = self.flat.borders[:, 0] + (self.flat.borders[:, 0] > self.flat.begins) * joined
        longer: Bools = self.flat.borders[:, 1] - begins > len(text)
        begun = np.array([self.flat.text.startswith(text, begin) for begin in begins.tolist()], bool)
        found: Bools = longer & begun
        return found

    @cached_property
    def free_chars(self) -> Ints:
        """Characters from place 0 on, without white space at the ends."""
        begins = self._first.take(self.flat.borders[:, 0])[:, None]
        counts: Ints = np.maximum(self._last + 1 - begins, 0)
        return counts

    def _hits(self, part: str) -> Iterator[tuple[int, int, bool, bool]]:
        """Row, end, and whether a word goes on over the beginning and over the end, of all places of a text."""
        text, kinds = self.flat.text, self.kinds
        place = text.find(part)
        while place >= 0:
            end = place + len(part)
            row = int(np.searchsorted(self.flat.begins, place, side="right")) - 1
            word_before = kinds[place - 1] == WORD if place > self.flat.begins[row] else self.inside[row]
            open_before = bool(word_before and kinds[place] == WORD)
            yield row, end, open_before, bool(kinds[end - 1] == WORD == kinds[end])
            place = text.find(part, place + 1)

    def sightings(self, part: str) -> Sightings:
        """Where a text stands as whole words that did not stand there before the walk."""
        borders = self.flat.borders
        exact, fresh = np.zeros(borders.shape, bool), np.zeros(borders.shape, bool)
        first = np.full(len(borders), len(self.kinds))  # where the first one ends
        for row, end, open_before, open_behind in self._hits(part):
            if open_before or end <= borders[row, 0] or end > borders[row, -1]:
                continue
            place = int(np.searchsorted(borders[row], end))
            if borders[row, place] == end:
                exact[row, place] = fresh[row, place] = True
            elif not open_behind:
                fresh[row, place] = True
            if not open_behind:
                first[row] = min(first[row], end)
        whole = first[:, None] <= borders
        early = np.zeros_like(whole)
        early[:, 1:] = whole[:, :-1]
        return Sightings(whole | exact, early, fresh, exact)

    def ends_with(self, part: str) -> Bools:
        """Whether the text ends with whole words, white space behind them apart."""
        found = np.zeros(self.flat.borders.shape, bool)
        for row, end, open_before, _ in self._hits(part):
            if not open_before:
                found[row] |= self._last[row] + 1 == end
        return found

    def glued(self, mark: str) -> Bools:
        """Whether the text ends with a mark, with more of the last token before it."""
        found = np.zeros(self.flat.borders.shape, bool)
        for row, end, _, _ in self._hits(mark):
            before = end - len(mark) - 1
            if before >= self.flat.borders[row, 0] and self._visible[before]:
                found[row, 1:] |= self.flat.borders[row, 1:] == end
        return found

    @cached_property
    def _marks(self) -> list[tuple[int, int, int, int]]:
        """Marks that end sentences: row, begin, end, and from where on it is known that a sentence ended there."""
        found = []
        rows = zip(self.flat.begins.tolist(), self.flat.borders[:, -1].tolist(), strict=True)
        for row, (begin, end) in enumerate(rows):
            text = self.flat.text[begin:end]
            for marks in SENTENCE_MARKS.finditer(text):
                known = len(text) + self._known_after(text, marks)
                found.append((row, begin + marks.start(), begin + marks.end(), begin + known))
        return found

    @staticmethod
    def _known_after(text: str, marks: re.Match[str]) -> int:
        """How far from the end of a text it is known that a sentence ended; 1 where it is not."""
        wide = marks["wide"] is not None
        decides = len(text) - len(text[marks.end() :].lstrip()) if wide else deciding(text, marks.end())
        if 0 <= decides < len(text) and (wide or not text[decides].islower()):
            return decides + 1 - len(text)
        return 1

    @cached_property
    def sentences(self) -> Ints:
        """Sentences that have ended, one that ends right at the place apart."""
        counts = np.zeros(self.flat.borders.shape, np.int64)
        for row, _, _, known in self._marks:
            counts[row] += self.flat.borders[row] >= known
        return counts

    @cached_property
    def at_end(self) -> Bools:
        """Whether a sentence ends at the place."""
        found = np.zeros(self.flat.borders.shape, bool)
        for row, begin, end, _ in self._marks:
            found[row] |= (self._last[row] >= begin) & (self._last[row] < end)
        return found

    @cached_property
    def free_sentences(self) -> Ints:
        """Sentences from place 0 on that have ended, one that ends right at the place apart."""
        counts = np.zeros(self.flat.borders.shape, np.int64)
        for row, _, end, known in self._marks:
            if end > self.flat.borders[row, 0]:
                counts[row] += self.flat.borders[row] >= known
        return counts
