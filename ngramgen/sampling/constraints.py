"""What a generated text must be: its beginning and end, the words in it, its length, its form.

>>> Constraints(contains=("king",), max_words=5).refusal_of("the old king slept")
>>> Constraints(contains=("king",), max_words=5).refusal_of("the kingdom slept")
'it does not contain "king"'
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from ngramgen.errors import OptionError
from ngramgen.sampling.templates import parse, pattern

_CLOSERS = "\"')\\]\u201d\u2019\u00bb"
_WIDE_CLOSERS = "\u300d\u300f\u201d\u2019"
SENTENCE_END = re.compile(f"(?:[.!?\u2026]+[{_CLOSERS}]*(?=\\s|$)|[\u3002\uff01\uff1f]+[{_WIDE_CLOSERS}]*)")
"""The signs that end a sentence, with quotation marks and brackets that close behind them."""

_UNSPACED = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)


def is_word_character(character: str) -> bool:
    """Whether a character makes one word with another beside it: a letter or digit of a script that has spaces.

    >>> is_word_character("a"), is_word_character("王")
    (True, False)
    """
    return character.isalnum() and not _UNSPACED.match(character)


@lru_cache(maxsize=1024)
def whole(text: str) -> re.Pattern[str]:
    """Where text stands as whole words: no letter or digit touches a letter or digit at its ends."""
    before = r"(?<![^\W_])" if is_word_character(text[0]) else ""
    behind = r"(?![^\W_])" if is_word_character(text[-1]) else ""
    return re.compile(before + re.escape(text) + behind)


@dataclass(frozen=True)
class Constraints:
    """What a generated text must be; white space at its ends does not count. OptionError names a value out of range.

    Attributes:
        starts_with: How it begins.
        ends_with: How it ends.
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
        for name in ("starts_with", "ends_with"):
            object.__setattr__(self, name, _text(name, getattr(self, name)).strip())
        for name in ("contains", "choices"):
            object.__setattr__(self, name, _texts(name, getattr(self, name)))
        for name in ("regex", "template"):
            if getattr(self, name) is not None:
                _text(name, getattr(self, name))
        for name, least in (("min_words", 0), ("min_chars", 0), ("max_words", 1), ("max_chars", 1), ("sentences", 1)):
            value = getattr(self, name)
            if value is None and least:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise OptionError(f"{name} must be an integer of {least} or more, not {value!r}")
        for unit in ("words", "chars"):
            low, high = getattr(self, f"min_{unit}"), getattr(self, f"max_{unit}")
            if high is not None and low > high:
                raise OptionError(f"min_{unit} is {low}, more than max_{unit}, which is {high}")
        if not isinstance(self.in_order, bool):
            raise OptionError(f"in_order must be True or False, not {self.in_order!r}")
        self._check_form()

    def _check_form(self) -> None:
        forms = [name for name in ("regex", "choices", "template") if getattr(self, name)]
        if len(forms) > 1:
            raise OptionError(f"{forms[0]} and {forms[1]} both give the form of the whole text; leave one of them out")
        if self.template is not None:
            parse(self.template)
            beside = [name for name in ("starts_with", "ends_with", "contains") if getattr(self, name)]
            if beside:
                raise OptionError(f"{beside[0]} does not go with a template; put the text into the template")
        if self.regex is not None:
            try:
                re.compile(self.regex)
            except re.error as error:
                raise OptionError(f"regex {self.regex!r} is no regular expression: {error}") from None

    @property
    def is_empty(self) -> bool:
        """Whether any text will do."""
        return self == Constraints(in_order=self.in_order)

    @property
    def measures_length(self) -> bool:
        """Whether words, characters or sentences are counted."""
        return bool(self.min_words or self.min_chars or self.max_words or self.max_chars or self.sentences)

    @cached_property
    def _form(self) -> re.Pattern[str] | None:
        if self.template is not None:
            return re.compile(pattern(parse(self.template)), re.DOTALL)
        return None if self.regex is None else re.compile(self.regex, re.DOTALL)

    def refusal_of(self, text: str) -> str | None:
        """Why a text will not do, as the rest of a sentence; None where it will."""
        text = text.strip()
        words, ends = len(text.split()), [found.end() for found in SENTENCE_END.finditer(text)]
        if not text.startswith(self.starts_with):
            return f'it does not start with "{self.starts_with}"'
        if not text.endswith(self.ends_with):
            return f'it does not end with "{self.ends_with}"'
        if self.choices and text not in self.choices:
            return "it is none of the choices"
        for unit, count in (("words", words), ("chars", len(text))):
            if count < getattr(self, f"min_{unit}"):
                return f"it has fewer {unit} than {getattr(self, f'min_{unit}')}"
            if getattr(self, f"max_{unit}") is not None and count > getattr(self, f"max_{unit}"):
                return f"it has more {unit} than {getattr(self, f'max_{unit}')}"
        if self.sentences is not None and (len(ends) != self.sentences or ends[-1] != len(text)):
            return f"it is not {self.sentences} whole sentences"
        if self._form is not None and not self._form.fullmatch(text):
            return "it does not match the " + ("regex" if self.template is None else "template")
        return self._missing(text)

    def _missing(self, text: str) -> str | None:
        begin = 0
        for part in self.contains:
            found = whole(part).search(text, begin)
            if found is None:
                behind = " behind the ones before it" if begin else ""
                return f'it does not contain "{part}"{behind}'
            begin = found.end() if self.in_order else 0
        return None


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or "\n" in value:
        raise OptionError(f"{name} must be a text of one line, not {value!r}")
    return value


def _texts(name: str, value: Any) -> tuple[str, ...]:
    listed = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, Iterable) else (value,)
    texts = tuple(dict.fromkeys(_text(name, text).strip() for text in listed))
    if not all(texts):
        raise OptionError(f"{name} holds an empty text; leave it out")
    return texts
