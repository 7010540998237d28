"""JSON, lines and files on their way out."""

from __future__ import annotations

import io
import json
import math
import os
import time
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngramgen.cli.output import check_output, json_text, progress_bar, whole_file, write_lines

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def with_nulls(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [with_nulls(item) for item in value]
    return {key: with_nulls(item) for key, item in value.items()} if isinstance(value, dict) else value


@given(VALUES)
def test_json_is_json(value: Any) -> None:
    """Every value comes back from its JSON text, on one line, infinities and NaN as null."""
    text = json_text(value)
    assert "\n" not in text
    assert json.loads(text, parse_constant=refuse) == with_nulls(value)


def test_lines_are_flushed_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that come slowly are passed on at once, lines that come fast together."""
    clock = iter([10.0, 10.1, 10.15, 10.5])

    class Stream(io.BytesIO):
        flushes = 0

        def flush(self) -> None:
            self.flushes += 1

    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    stream = Stream()
    write_lines(["a", "é", "c", "d"], stream)
    assert stream.getvalue() == "a\né\nc\nd\n".encode()
    assert stream.flushes == 3  # the first, the one after the pause, and the end


def test_whole_file_or_nothing(tmp_path: Path) -> None:
    """An error inside the block leaves the old file and nothing else."""
    path = tmp_path / "a.txt"
    path.write_text("old")

    def interrupted() -> None:
        with whole_file(path) as file:
            file.write(b"new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        interrupted()
    assert path.read_text() == "old"
    with whole_file(path) as file:
        file.write(b"new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_check_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can be written passes, with the working folder for a bare name; the rest is named with its reason."""
    check_output(tmp_path / "a.txt")
    monkeypatch.chdir(tmp_path)
    check_output(Path("a.txt"))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(click.ClickException, match=r"no.a\.txt cannot be written, for there is no folder no; make it"):
        check_output(Path("no/a.txt"))
    monkeypatch.setattr(os, "access", lambda *args: False)
    with pytest.raises(click.ClickException, match=r"a\.txt cannot be written; choose another place"):
        check_output(Path("a.txt"))


def test_no_bar_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Where stderr is no terminal there is no bar, not even its label."""
    with progress_bar(10, "Reading") as advance:
        assert advance is None
    assert capsys.readouterr() == ("", "")
