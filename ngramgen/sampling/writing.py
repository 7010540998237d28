"""The ways to write a text in the tokens of a model."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from ngramgen.errors import ConstraintError
from ngramgen.sampling.edges import holds, touches
from ngramgen.sampling.goals import Behind, Follow, Goal, Way
from ngramgen.sampling.templates import quoted
from ngramgen.sampling.wordings import ways_to_write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ngramgen.model import Tokenizer
    from ngramgen.sampling.spelling import Spelling
    from ngramgen.sampling.templates import Fixed, Hole

    Ids = tuple[int, ...]

MOST_WAYS = 12
"""Tokens that hold a word, as "king," does in text split by white space: the first ones, which are frequent."""
_MOST_BEGINNINGS = 4096
UNKNOWN = "use words that were in its training text, in the same capital or small letters"


class Writer:
    """Finds the ways to write texts in the tokens of a model."""

    def __init__(self, tokenizer: Tokenizer, spelling: Spelling) -> None:
        self.tokenizer, self.spelling = tokenizer, spelling

    def spellings(self, text: str) -> list[Ids]:
        """The tokens that are the text, with a space before it and without."""
        return [way for way in ways_to_write(self.tokenizer, text) if self.spelling.text(way).strip() == text.strip()]

    def needed(self, text: str) -> list[Ids]:
        """The same, or ConstraintError where there are none."""
        ways = self.spellings(text)
        if not ways:
            raise self.refusal(text)
        return ways

    def refusal(self, text: str) -> ConstraintError:
        """The error for a text that has no tokens."""
        others = [self.spelling.text(way).strip() for way in ways_to_write(self.tokenizer, text)]
        if others and text.strip() not in others:
            return ConstraintError(f"The model writes {quoted(text)} as {quoted(others[-1])}; ask for it in that form.")
        return ConstraintError(f"The model cannot write {quoted(text)}; {UNKNOWN}.")

    def beginnings(self, text: str) -> list[Ids]:
        """All tokens with which a text may begin that begins with this one."""
        ways = self.needed(text)
        longer = [(*way[:-1], i) for way in ways for i in islice(self._longer(way[-1]), _MOST_BEGINNINGS)]
        return list(dict.fromkeys([*ways, *longer]))

    def endings(self, text: str) -> list[Ids]:
        """The tokens with which a text may end that ends with this one, but for rare ones."""
        ways = self.needed(text)
        longer = [(i, *way[1:]) for way in ways for i in islice(self._longer(way[0], before=True), MOST_WAYS)]
        return list(dict.fromkeys([*ways, *longer]))

    def keyword(self, text: str) -> Goal:
        """The goal to contain a text; where no text between spaces is it, tokens that hold it do."""
        ways = self.spellings(text)
        if len(text.split()) == 1:
            whole = self.spelling.tokens_with(text, whole=True)
            holding = (i for i in whole if holds(self.spelling.text((i,)), text))
            ways += [(i,) for i in islice(holding, MOST_WAYS)]
        else:
            ways += [(*way[:-1], i) for way in ways for i in islice(self._longer(way[-1]), MOST_WAYS // 2)]
            ways += [(i, *way[1:]) for way in ways for i in islice(self._longer(way[0], before=True), MOST_WAYS // 2)]
            ways = ways[: 2 * MOST_WAYS]
        if not ways:
            self.needed(text)
        return Goal(text, tuple(map(Way, dict.fromkeys(ways))), keyword=True)

    def _longer(self, index: int, *, before: bool = False) -> Iterator[int]:
        """The tokens that are a token and more behind it, or before it, that do not make another word of it."""
        text = self.spelling.text((index,))
        if not text.strip() or "\N{REPLACEMENT CHARACTER}" in text:  # a half of a character
            return
        for other in self.spelling.tokens_with(text, whole=True):
            longer = self.spelling.text((other,))
            place = len(longer) - len(text) if before else len(text)
            there = longer.endswith(text) if before else longer.startswith(text)
            if there and len(longer) > len(text) and not touches(longer, place):
                yield other

    def fixed(self, text: str, piece: Fixed, window: Hole | None, after: Hole | None) -> Iterator[Way]:
        """The ways of a fixed text of a template between two holes, or one and the border."""
        glued_before, glued_behind = window is not None and not piece.before, after is not None and not piece.behind
        if self.spelling.separator and (glued_before or glued_behind):
            yield self._between(text, glued_before, glued_behind)
            return
        if window is None:
            found = self.spellings(text)
        else:
            found = self._inside(text if self.spelling.separator or glued_before else f" {text}")
        if after is None:
            yield from map(Way, found)
        elif glued_behind:
            yield from (Way(ids, behind=Behind(Follow.GLUED)) for ids in found)
        else:
            spaces = self._inside(" ") if self.spelling.spaces_stand_alone else []
            yield from (Way(ids + space, behind=Behind(Follow.GLUED)) for ids in found for space in spaces)
            if not spaces or not after.least:
                yield from (Way(ids, behind=Behind(Follow.SPACE)) for ids in found)

    def _inside(self, text: str) -> list[Ids]:
        """The tokens that are just this text behind other text, if there are such."""
        encode = getattr(self.tokenizer, "encode_inside", self.tokenizer.encode)
        ids = tuple(int(i) for i in encode(text))
        return [ids] if ids and self.spelling.text(ids) == text else []

    def _between(self, text: str, glued_before: bool, glued_behind: bool) -> Way:
        """With a space before every token: a mark that touches a hole is a part of the hole's last or first token."""
        chunks = text.split(" ")
        tail = chunks.pop(0) if glued_before else ""
        if glued_behind and not chunks:
            raise ConstraintError(
                f"The model puts a space before every word, so that {quoted(text)} cannot join two holes of the "
                "template; put a space before it or behind it."
            )
        lead = chunks.pop() if glued_behind else ""
        for mark, place in ((tail, "before"), (lead, "behind")):
            if mark and not self._is_glued(mark, at_end=place == "before"):
                raise ConstraintError(
                    f"The model writes {quoted(mark)} with a space {place} it; put a space there in the template, too."
                )
        ids = self.needed(" ".join(chunks))[0] if chunks else ()
        return Way(ids, tail=tail, behind=Behind(Follow.GLUED if lead else Follow.SPACE, lead))

    def _is_glued(self, mark: str, *, at_end: bool) -> bool:
        """Whether some token has the mark at its end, or its beginning, and more."""
        texts = (self.spelling.text((i,)) for i in self.spelling.tokens_with(mark))
        return any(len(t) > len(mark) and (t.endswith(mark) if at_end else t.startswith(mark)) for t in texts)
