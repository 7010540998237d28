"""The option ``--style``: a shipped model with a prompt and options that bring out what it does best."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from ngramgen.cli.choice import ModelChoice
from ngramgen.errors import OptionError
from ngramgen.styles import NOT_SHIPPED, STYLES, Style


class _StyleType(click.Choice):  # type: ignore[type-arg]  # no type takes arguments in click 8.1
    """A name of a style, as the `Style`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value in NOT_SHIPPED:
            self.fail(f"there is no style {value}: {NOT_SHIPPED[value]}", param, ctx)
        return STYLES[super().convert(value, param, ctx)]


style_option = click.option(
    "--style",
    type=_StyleType(list(STYLES)),
    help="Write " + ", ".join(f"{style.summary} ({name})" for name, style in STYLES.items()) + "; PROMPT begins it.",
)
"""``--style`` as ``style: Style | None``."""


def with_model(choice: ModelChoice, style: Style) -> ModelChoice:
    """The choice of a style's model. Raises OptionError beside another model, and what `Style.folder` raises."""
    if choice.model is not None:
        raise OptionError(f"--style {style.name} brings the model {style.model}: leave out either --style or -m")
    return replace(choice, model=str(style.folder()))
