"""What a generated text must be: its beginning and end, the words in it, its length, its form.

>>> Constraints(contains="king", max_words=5).refusal_of("the old king slept")
>>> Constraints(contains="king", max_words=5).refusal_of("the kingdom slept")
'it does not contain "king"'
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from typing import TYPE_CHECKING, Any

from ngramgen.errors import OptionError
from ngramgen.sampling.checks import refusal
from ngramgen.sampling.edges import occurrences, sentence_ends, touches
from ngramgen.sampling.patterns import compile_pattern
from ngramgen.sampling.templates import fits, parse

if TYPE_CHECKING:
    from ngramgen.sampling.patterns import Automaton
    from ngramgen.sampling.templates import Piece

_LEAST = {"min_words": 0, "min_chars": 0, "max_words": 1, "max_chars": 1, "sentences": 1}
_MOST = 2**31 - 1


@dataclass(frozen=True)
class Constraints:
    """What a generated text must be; white space at its ends does not count. OptionError names a value out of range.

    Attributes:
        starts_with: Whole words that it begins with.
        ends_with: Whole words that it ends with.
        contains: Texts that stand in it as whole words. One string or a list is taken too.
        in_order: Whether they stand in this order, none overlapping another.
        min_words, max_words: How many words it has: runs of what is no white space.
        min_chars, max_chars: How many characters.
        sentences: How many sentences, the last one ended.
        regex: A regular expression that all of it matches: that of `re`, without look-around and back-references.
        choices: The texts of which it is one.
        template: A text with holes, see `ngramgen.sampling.templates.parse`.
    """

    starts_with: str = ""
    ends_with: str = ""
    contains: tuple[str, ...] = ()
    in_order: bool = False
    min_words: int = 0
    max_words: int | None = None
    min_chars: int = 0
    max_chars: int | None = None
    sentences: int | None = None
    regex: str | None = None
    choices: tuple[str, ...] = ()
    template: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.in_order, bool):
            raise refusal("in_order", self.in_order, "True or False")
        for name in ("starts_with", "ends_with"):
            self._set(name, _text(name, getattr(self, name)).strip())
        for name in ("contains", "choices"):
            self._set(name, _texts(name, getattr(self, name)))
        if not self.in_order:  # in order, a text that is named twice is meant twice
            self._set("contains", tuple(dict.fromkeys(self.contains)))
        for name in ("regex", "template"):
            if getattr(self, name) is not None:
                _text(name, getattr(self, name))
        for name, least in _LEAST.items():
            self._set(name, _count(name, getattr(self, name), least))
        for unit in ("words", "chars"):
            low, high = getattr(self, f"min_{unit}"), getattr(self, f"max_{unit}")
            if high is not None and low > high:
                raise OptionError(f"min_{unit} is {low}, more than max_{unit}, which is {high}; lower it")
        self._check_form()

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)  # frozen: the only moment at which a value may be cast

    def _check_form(self) -> None:
        forms = [name for name in ("regex", "choices", "template") if getattr(self, name) not in (None, ())]
        if len(forms) > 1:
            raise OptionError(f"{forms[0]} and {forms[1]} both give the form of the whole text; leave one of them out")
        beside = [name for name in ("starts_with", "ends_with", "contains") if getattr(self, name)]
        if self.template is not None:
            parse(self.template)
            if beside:
                raise OptionError(f"{beside[0]} does not go with a template; put the text into the template")
        if self._automaton is not None and self._automaton.is_empty:
            raise OptionError(f'the regex "{self.regex}" matches no text at all; change it')

    @property
    def is_empty(self) -> bool:
        """Whether any text will do."""
        return self == Constraints(in_order=self.in_order)

    @cached_property
    def pieces(self) -> list[Piece]:
        """The pieces of the template; none where there is no template."""
        return [] if self.template is None else parse(self.template)

    @cached_property
    def _automaton(self) -> Automaton | None:
        # not `re`, which takes for ever to find that some patterns do not match
        return None if self.regex is None else compile_pattern(self.regex)

    def refusal_of(self, text: str) -> str | None:
        """Why a text will not do, as the rest of a sentence; None where it will."""
        text = text.strip()
        return self._edge_refusal(text) or self._length_refusal(text) or self._form_refusal(text) or self._missing(text)

    def _edge_refusal(self, text: str) -> str | None:
        first, last = self.starts_with, self.ends_with
        if first and not (text.startswith(first) and not touches(text, len(first))):
            return f'it does not start with "{first}"'
        if last and not (text.endswith(last) and not touches(text, len(text) - len(last))):
            return f'it does not end with "{last}"'
        return None

    def _length_refusal(self, text: str) -> str | None:
        for unit, count in (("words", len(text.split())), ("chars", len(text))):
            low, high = getattr(self, f"min_{unit}"), getattr(self, f"max_{unit}")
            if count < low:
                return f"it has fewer {unit} than {low}"
            if high is not None and count > high:
                return f"it has more {unit} than {high}"
        if self.sentences is not None:
            ends = sentence_ends(text)
            if len(ends) != self.sentences or ends[-1] != len(text):
                return f"it is not {self.sentences} whole sentences"
        return None

    def _form_refusal(self, text: str) -> str | None:
        if self.choices and text not in self.choices:
            return "it is none of the choices"
        if self.template is not None and not fits(self.pieces, text):
            return "it does not fit the template"
        if self._automaton is not None and not self._automaton.matches(text):
            return "it does not match the regex"
        return None

    def _missing(self, text: str) -> str | None:
        begin = 0
        for part in self.contains:
            place = next(occurrences(text, part, begin), None)
            if place is None:
                behind = " behind the ones before it" if begin else ""
                return f'it does not contain "{part}"{behind}'
            begin = place + len(part) if self.in_order else 0
        return None


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or "\n" in value:
        raise refusal(name, value, "a text of one line")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise refusal(name, value, "a text without halves of characters") from None
    return value


def _texts(name: str, value: Any) -> tuple[str, ...]:
    listed = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, Iterable) else (value,)
    texts = tuple(_text(name, text).strip() for text in listed)
    if not all(texts):
        raise OptionError(f"{name} holds an empty text; leave it out")
    return texts


def _count(name: str, value: Any, least: int) -> int | None:
    if value is None and least:
        return None
    if isinstance(value, bool) or not isinstance(value, Integral) or not least <= int(value) <= _MOST:
        raise refusal(name, value, f"an integer from {least} to {_MOST}" + (", or None" if least else ""))
    return int(value)
