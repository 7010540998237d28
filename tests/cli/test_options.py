"""The options that commands share: what is typed becomes what Python takes."""

from __future__ import annotations

from typing import Any

import click
import pytest
from click.testing import CliRunner

from ngramgen.cli.options import SectionedCommand, model_option, sampling_options
from ngramgen.defaults import options_of


@click.command(cls=SectionedCommand)
@model_option
@sampling_options
def command(model: str | None, **options: Any) -> None:
    """Print the options."""
    click.echo(repr(options_of(options)))


def parsed(*words: str) -> dict[str, Any]:
    return command.make_context("command", list(words)).params


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--bad-word", "king", "--bad-word", "new york"], "bad_words", ("king", "new york")),
        (["--bad-word-ids", "3", "--bad-word-ids", "4, 5"], "bad_words_ids", ((3,), (4, 5))),
        (["--suppress-token", "3", "--suppress-token", "4"], "suppress_tokens", (3, 4)),
        (["--logit-bias", "king=-2", "--logit-bias", "a=b=1.5"], "logit_bias", (("king", -2.0), ("a=b", 1.5))),
        (["--dry-sequence-breaker", ".", "--dry-sequence-breaker", "!"], "dry_sequence_breakers", (".", "!")),
        (["--dry-sequence-breaker", ""], "dry_sequence_breakers", ()),
        (["--early-stopping", "yes"], "early_stopping", True),
        (["--early-stopping", "no"], "early_stopping", False),
        (["--early-stopping", "never"], "early_stopping", "never"),
        (["--max-time", "1.5"], "max_time", 1.5),
        (["--contains", "king", "--contains", "fox"], "contains", ("king", "fox")),
        (["--choices", "yes, no", "--choices", r"a\, b"], "choices", ("yes", "no", "a, b")),
    ],
)
def test_values_are_those_of_python(words: list[str], name: str, value: Any) -> None:
    """What is written in words reaches the library as the value that it means."""
    options = parsed(*words)
    del options["model"]
    assert options[name] == value
    options_of(options)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--logit-bias", "king"], "'king' is not TEXT=NUMBER"),
        (["--logit-bias", "king=much"], "'king=much' is not TEXT=NUMBER"),
        (["--bad-word-ids", "3,x"], "'3,x' is not ID,ID"),
        (["--early-stopping", "maybe"], "'maybe' is not one of"),
    ],
)
def test_what_cannot_be_read_is_misuse(words: list[str], message: str) -> None:
    """A value that is written wrongly ends with status 2 and shows it."""
    result = CliRunner().invoke(command, words)
    assert result.exit_code == 2
    assert message in result.output


def test_help_has_headings() -> None:
    """The sampling options stand under their headings, each once, behind the command's own."""
    output = CliRunner().invoke(command, ["--help"]).output
    headings = [line[:-1] for line in output.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert headings == ["Options", "Length", "Drawing", "Repetition", "Words", "Form", "Beams"]
    assert (
        output.index("--model") < output.index("Length:") < output.index("--max-new-tokens") < output.index("Drawing:")
    )
    for parameter in command.params:
        assert output.count(f"\n  {', '.join(parameter.opts)} ") == 1
