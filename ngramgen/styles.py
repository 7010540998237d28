"""Styles: a shipped model with a prompt and options that bring out what it does best.

>>> STYLES["play"].model, STYLES["play"].shown("ROMEO: / Good morrow. // JULIET: / Go!")
('shakespeare', 'ROMEO:\\nGood morrow.\\n\\nJULIET:\\nGo!')
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ngramgen.errors import ModelNotFoundError, OptionError
from ngramgen.shipped import shipped_folder, shipped_models

ANY = "字"
"""Stands for any Chinese character in a style's form."""
_HAN = "[\u3400-\u4dbf\u4e00-\u9fff]"


@dataclass(frozen=True)
class Style:
    """How to ask a shipped model for texts of one kind, and how to show them.

    Attributes:
        name: What the command line calls it.
        summary: What it gives, in a few words.
        model: The shipped model's name.
        prompt: What a text begins with where the user gives nothing.
        options: Of `SamplingOptions` and `Constraints`; those of the user come first.
        line_break: What the model writes, and what is shown for it; of two that begin at one place the first counts.
        form: The whole text, `ANY` for each character that is free; "" where it is free altogether.
    """

    name: str
    summary: str
    model: str
    prompt: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    line_break: tuple[tuple[str, str], ...] = ()
    form: str = ""

    def folder(self) -> Path:
        """Where its model lies. Raises ModelNotFoundError where that is not shipped, and what `shipped_folder` does."""
        if self.model not in shipped_models():
            raise ModelNotFoundError(
                f"the style {self.name} needs the model {self.model}, which this installation lacks; "
                "ngramgen models lists those that there are"
            )
        return shipped_folder(self.model)

    def asked(self, prompt: str = "") -> tuple[str, dict[str, Any]]:
        """The prompt as the model writes it, the style's own for none, and the options to continue it with.

        Raises OptionError for a prompt that the form has no room for.
        """
        text = prompt or self.prompt
        for written, shown in self.line_break:
            text = text.replace(shown, written)
        if not self.form:
            return text, dict(self.options)
        text = "".join(text.split())
        if len(text) >= len(self.form) or not re.fullmatch(_pattern(self.form[: len(text)]), text):
            raise OptionError(
                f"{prompt!r} is no beginning of a {self.name}: it is {self.form}, {ANY} any Chinese character"
            )
        return text, {**self.options, "regex": _pattern(self.form[len(text) :])}

    def shown(self, text: str) -> str:
        """A whole text as it is shown."""
        return "".join(self.stream([text]))

    def stream(self, pieces: Iterable[str]) -> Iterator[str]:
        """The pieces of a text as they are shown; white space at its end is not."""
        shown, held = dict(self.line_break), ""
        breaks = re.compile("|".join(map(re.escape, shown)) or r"(?!)")
        for piece in pieces:
            text = held + piece
            free = len(text) - self._held(text)
            yield breaks.sub(lambda found: shown[found[0]], text[:free])
            held = text[free:]
        yield breaks.sub(lambda found: shown[found[0]], held + " ").rstrip()

    def _held(self, text: str) -> int:
        """How many of the last characters may become, or be left out as, something else."""
        longest = max((len(written) for written, _ in self.line_break), default=0)
        sizes = range(min(longest, len(text)), 0, -1)
        return next((n for n in sizes if any(written.startswith(text[-n:]) for written, _ in self.line_break)), 0)


def _pattern(form: str) -> str:
    return re.sub(f"{ANY}+", lambda run: f"{_HAN}{{{len(run[0])}}}", form)


def _poem(name: str, summary: str, characters: int) -> Style:
    """Four lines of so many characters."""
    couplet = f"{ANY * characters}，{ANY * characters}。"
    return Style(
        name, summary, "chinese", options={"max_new_tokens": 120}, line_break=(("。", "。\n"),), form=couplet * 2
    )


_PROSE = {"min_new_tokens": 60, "max_new_tokens": 160, "end_sentence": True}

STYLES = {
    style.name: style
    for style in (
        Style("story", "a tale for children", "english", "Once upon a time", _PROSE),
        Style("novel", "a paragraph of a novel", "english", options=_PROSE),
        Style(
            "play",
            "speeches of a play by Shakespeare",
            "shakespeare",
            options={"min_new_tokens": 60, "max_new_tokens": 160, "end_sentence": True},
            line_break=((" // ", "\n\n"), (" / ", "\n")),
        ),
        _poem("poem", "a Chinese poem of four lines of five characters", 5),
        _poem("poem-7", "a Chinese poem of four lines of seven characters", 7),
    )
}
"""All styles by name."""

NOT_SHIPPED = {"news": "no model here can write it honestly; docs/models.md says why"}
"""Names of styles that people ask for, and why there is none."""
