"""The command ``ngramgen``: a click group that loads each command only when it is called.

``main`` knows the names and summaries; ``ngramgen/cli/NAME.py`` holds the click command, as ``command``.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

from ngramgen import __version__
from ngramgen.cli.failures import reported

SUMMARIES = {
    "train": "Train an n-gram model or a network on text.",
    "generate": "Continue a prompt.",
    "next": "List the most likely next tokens.",
    "score": "Print the log10 probability of each line.",
    "perplexity": "Measure how well a model predicts a text.",
    "novelty": "Measure how much of a text is copied.",
    "info": "Describe a model.",
    "models": "List the shipped models.",
    "tune": "Fit how an n-gram and a network are mixed.",
    "export": "Write a checkpoint of a network as ONNX files.",
    "convert": "Convert between .ngram and ARPA files.",
}
"""Name and one-line summary of every command, in the order of the help page: it is shown without importing them."""


class LazyGroup(click.Group):
    """A group whose commands are modules, imported when called and not when listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(SUMMARIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in SUMMARIES:
            return None
        command: click.Command = import_module(f"ngramgen.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARIES.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        commands = [CompletionItem(name, help=text) for name, text in SUMMARIES.items() if name.startswith(incomplete)]
        # Not super(): the group's own method imports every command to ask for its summary.
        return commands + click.Command.shell_complete(self, ctx, incomplete)

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        if os.environ.get("NO_COLOR"):  # https://no-color.org: set and not empty
            extra.setdefault("color", False)
        with reported():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with reported():
            return super().invoke(ctx)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100, "show_default": True},
)
@click.version_option(__version__, prog_name="ngramgen", message="%(prog)s %(version)s")
def main() -> None:
    """Train n-gram language models; generate, suggest and score text with them, offline."""
