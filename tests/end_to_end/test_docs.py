"""Every command and every piece of Python in the documentation runs, and says what the page shows.

A block begins in an empty folder that holds a copy of models/sample/fables.txt, or, where its first line says
"continued" (```sh continued), in the folder and with the Python names that the block before it left. "needs=NAME" skips
where the module NAME is missing. A ```text block right behind one shows its output: a line "..." stands for any lines,
the seconds that something took may differ, and of numbers with more than six decimals only six count.

After a change that is meant, ``python tests/end_to_end/test_docs.py`` puts the new output in the places of the old.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted((ROOT / "docs").glob("**/*.md")), ROOT / "README.md"]
SAMPLE = "models/sample/fables.txt"
SCRIPTS = Path(sys.executable).parent

_FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SECONDS = re.compile(r"\bin \d+\.\d s\b")
_SCORING = re.compile(r'("ms_per_token":) [0-9.e-]+')
_LONG_NUMBER = re.compile(r"-?\d+\.\d{7,}")


@dataclass(frozen=True)
class Block:
    """A piece of code in a page, and the output that the page shows for it."""

    page: Path
    line: int
    language: str
    words: tuple[str, ...]  # what follows the language: "continued", "needs=NAME"
    code: str
    output: str | None
    output_at: int = 0  # where the output begins in the page

    @property
    def place(self) -> str:
        return f"{self.page.name}, line {self.line}"


def blocks_of(page: Path) -> list[Block]:
    """The sh and python blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = list(_FENCE.finditer(text))
    blocks = []
    for i, match in enumerate(found):
        language, *words = match[1].split() or [""]
        if language not in ("sh", "python"):
            continue
        shown, at = None, 0
        if i + 1 < len(found) and found[i + 1][1] == "text" and not text[match.end() : found[i + 1].start()].strip():
            shown, at = found[i + 1][2], found[i + 1].start(2)
        line = text.count("\n", 0, match.start()) + 1
        blocks.append(Block(page, line, language, tuple(words), match[2], shown, at))
    return blocks


def chains_of(page: Path) -> list[list[Block]]:
    """Blocks that share a folder, in order."""
    if page.name == "README.md":
        # Its commands follow the one that makes an environment, installs and trains fables.ngram.
        chain = [b for b in blocks_of(page) if b.language == "python" or b.code.startswith("ngramgen ")]
        train = f"ngramgen train {SAMPLE} -o fables.ngram"
        return [[Block(page, 1, "sh", (), train, None), *chain]] if chain else []
    chains: list[list[Block]] = []
    for block in blocks_of(page):
        if "continued" in block.words:
            chains[-1].append(block)
        else:
            chains.append([block])
    return chains


CHAINS = [chain for page in PAGES if page.exists() for chain in chains_of(page)]


def run_shell(code: str, folder: Path) -> str:
    """What the commands write, on either stream."""
    environment = os.environ | {"PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
    command = ["bash", "-e", "-u", "-o", "pipefail", "-c", code]
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60
    )
    output = done.stdout.decode()
    assert done.returncode == 0, f"exit status {done.returncode} and:\n{output}"
    return output


def run_python(code: str, names: dict[str, object]) -> str:
    """What the code prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, names)
    return printed.getvalue()


def lacks(block: Block) -> str | None:
    """A module that a block needs and that is not installed."""
    needed = (word.removeprefix("needs=") for word in block.words if word.startswith("needs="))
    return next((module for module in needed if importlib.util.find_spec(module) is None), None)


def run(block: Block, folder: Path, names: dict[str, object]) -> str:
    """What a block writes or prints, in the current folder."""
    return run_shell(block.code, folder) if block.language == "sh" else run_python(block.code, names)


def begin(folder: Path) -> dict[str, object]:
    """Put into a folder what a reader has, and give the names with which Python begins."""
    (folder / SAMPLE).parent.mkdir(parents=True)
    shutil.copy(ROOT / SAMPLE, folder / SAMPLE)
    return {"__name__": "__main__"}


def is_shown(output: str, shown: str) -> bool:
    """Whether the output is what a page shows, in which a line "..." stands for any lines."""
    pattern = "".join(
        "(?:.*\n)*" if line.strip() == "..." else re.escape(line.rstrip()) + "\n" for line in comparable(shown)
    )
    return re.fullmatch(pattern, "".join(line.rstrip() + "\n" for line in comparable(output))) is not None


def comparable(text: str) -> list[str]:
    """The lines without what differs from one run or machine to the next."""
    text = _LONG_NUMBER.sub(lambda number: f"{float(number[0]):.6f}", text)
    return _SCORING.sub(r"\1 0.0", _SECONDS.sub("in 0.0 s", text)).splitlines()


@pytest.mark.parametrize("chain", CHAINS, ids=[f"{chain[0].page.stem}-{chain[0].line}" for chain in CHAINS])
def test_page_is_true(chain: list[Block], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks run one after the other, succeed, and give the output that the page shows."""
    if any(block.language == "sh" for block in chain):
        if shutil.which("bash") is None:
            pytest.skip("needs bash")
        if shutil.which("ngramgen", path=str(SCRIPTS)) is None:
            pytest.skip(f"needs the command ngramgen in {SCRIPTS}: pip install -e .")
    monkeypatch.chdir(tmp_path)
    names = begin(tmp_path)
    for block in chain:
        if lacking := lacks(block):
            pytest.skip(f"{block.place} needs the module {lacking}")
        output = run(block, tmp_path, names)
        if block.output is not None:
            assert is_shown(output, block.output), f"{block.place} shows something else than:\n{output}"


def test_pages_are_there() -> None:
    """The documentation has the pages that the project promises, and each has something to run or to read."""
    pages = {page.name: page for page in PAGES if page.exists()}
    to_run = (
        "arpa",
        "command-line",
        "copying",
        "hybrid",
        "pipeline",
        "python",
        "sampling",
        "smoothing",
        "text",
        "training",
    )
    for name in ("architecture", "file-format", *to_run):
        assert f"{name}.md" in pages
    for name in to_run:
        assert blocks_of(pages[f"{name}.md"]), f"docs/{name}.md shows nothing that runs"


def test_links_lead_somewhere() -> None:
    """Every relative link of a page names a file that is there."""
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_comparison_sees_a_difference() -> None:
    """A page that shows another number is found out; elided lines and seconds are not held against it."""
    assert is_shown("a\nb\nc in 1.2 s.\n", "a\n...\nc in 0.3 s.\n")
    assert is_shown("0.12345678901\n", "0.12345678902\n")
    assert not is_shown("0.12345\n", "0.12346\n")
    assert not is_shown("a\nb\nd\n", "a\n...\nc\n")
    assert not is_shown("a\nb\n", "a\n")


def refresh(page: Path) -> None:
    """Put the output of today in the places of what a page shows and is no longer so."""
    text = page.read_text(encoding="utf-8")
    new: list[tuple[Block, str]] = []
    for chain in chains_of(page):
        with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
            names = begin(Path(name))
            for block in itertools.takewhile(lambda block: lacks(block) is None, chain):
                output = "".join(line.rstrip() + "\n" for line in run(block, Path(name), names).splitlines())
                if block.output is not None and not is_shown(output, block.output):
                    new.append((block, output))
    for block, output in sorted(new, key=lambda pair: -pair[0].output_at):
        text = text[: block.output_at] + output + text[block.output_at + len(block.output or "") :]
        print(f"{block.place}: new output")
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    for each in PAGES:
        refresh(each)
