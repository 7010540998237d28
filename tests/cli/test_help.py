"""Every command explains itself, and its explanations are true."""

from __future__ import annotations

import shlex
from dataclasses import fields

import click
import pytest

from ngramgen import cli
from ngramgen.ngram.smoothing import METHODS
from ngramgen.sampling.constraints import Constraints
from ngramgen.sampling.options import SamplingOptions
from ngramgen.text import sentences, tokenizers
from ngramgen.text.cleaning import DEFAULT_STEPS, Cleaner


def command_of(name: str) -> click.Command:
    command = cli.main.get_command(click.Context(cli.main), name)
    assert command is not None
    return command


def option_help(name: str, option: str) -> str:
    return next(p.help or "" for p in command_of(name).params if isinstance(p, click.Option) and option in p.opts)


@pytest.mark.parametrize("name", list(cli.SUMMARIES))
def test_every_option_has_help(name: str) -> None:
    """No command and no option goes without a sentence of help."""
    command = command_of(name)
    assert command.help
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, option.name
            assert option.help.endswith("."), option.name


@pytest.mark.parametrize("name", list(cli.SUMMARIES))
def test_every_example_parses(name: str) -> None:
    """Every command's help ends in examples, and each is a command line that the command accepts."""
    lines = [line.strip() for line in (command_of(name).help or "").split("Example")[1].strip().splitlines()[1:]]
    assert lines
    for line in lines:
        words = shlex.split(line.rpartition("|")[2])
        assert words[:2] == ["ngramgen", name]
        command_of(name).make_context(name, words[2:])


def test_sampling_defaults() -> None:
    """generate has an option for every field of SamplingOptions and Constraints, with its default."""
    parsed = command_of("generate").make_context("generate", []).params
    for options in (SamplingOptions(), Constraints()):
        defaults = {field.name: getattr(options, field.name) for field in fields(options)}
        assert {name: parsed.get(name) for name in defaults} == defaults


def test_listed_names() -> None:
    """The help of train names every smoothing method, tokenizer, sentence splitter and cleaning step."""
    for method in METHODS:
        assert method in option_help("train", "--smoothing")
    for kind in tokenizers.KINDS:
        assert kind in option_help("train", "--tokenizer")
    for splitter in sentences.METHODS:
        assert splitter in option_help("train", "--sentences")
    named = option_help("train", "--clean").partition(": ")[2].partition(". ")[0].replace("=N", "=3").split(", ")
    assert set(DEFAULT_STEPS) < set(Cleaner(named).steps)
