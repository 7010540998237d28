"""The models that come along, used as a newcomer uses them: no argument but a prompt, no network, nowhere to write."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ngramgen.shipped import shipped_models
from ngramgen.styles import STYLES

MODELS = shipped_models()
BROKEN = "\ufffd"


def run(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command with a home that does not exist, in a folder that cannot be written."""
    folder.chmod(0o555)
    found = {**os.environ, "HOME": str(folder / "none"), "LC_ALL": "C.UTF-8", **environment}
    command = [sys.executable, "-m", "ngramgen", *arguments]
    return subprocess.run(command, cwd=folder, env=found, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("neural", [None, "never"])
def test_a_prompt_is_enough(tmp_path: Path, neural: str | None) -> None:
    """A prompt alone is continued by the default model, with the network or without, and nothing is said beside."""
    if neural is None:
        pytest.importorskip("onnxruntime")
    options = [] if neural is None else ["--neural", neural]
    done = run("generate", "Once upon a time", "--seed", "1", *options, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Once upon a time")
    assert len(done.stdout) > 40


def test_without_the_extra(tmp_path: Path) -> None:
    """Without ONNX Runtime and tokenizers the n-gram answers, and one line tells what would be better."""
    blocker = "import sys; sys.modules['onnxruntime'] = sys.modules['tokenizers'] = None; "
    code = blocker + "from ngramgen.cli import main; main(['generate', 'Once upon a time', '--seed', '1', '-n', '2'])"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert done.stdout.count("Once upon a time") == 2
    assert done.stderr.count("pip install 'ngramgen[neural]'") == 1
    assert len(done.stderr.splitlines()) == 1


def test_chinese_goes_on_in_its_script(tmp_path: Path) -> None:
    """A prompt in simplified characters is continued without traditional ones, and the other way round, mostly."""
    traditional, simplified = set("無來時爲見長風雲開國東馬門問聞鳥魚龍"), set("无来时为见长风云开国东马门问闻鸟鱼龙")
    for prompt, own, other in (("无边落木", simplified, traditional), ("無邊落木", traditional, simplified)):
        done = run("generate", prompt, "-m", "chinese", "-n", "20", "--seed", "1", folder=tmp_path)
        assert done.returncode == 0
        right, wrong = (sum(character in script for character in done.stdout) for script in (own, other))
        assert wrong < right / 5


@pytest.mark.parametrize("style", STYLES)
def test_styles(style: str, tmp_path: Path) -> None:
    """Every style writes something, without a broken character, and poems in their form."""
    done = run("generate", "--style", style, "--seed", "3", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert BROKEN not in done.stdout
    lines = done.stdout.strip().splitlines()
    if style.startswith("poem"):
        size = 7 if style == "poem-7" else 5
        halves = [half for line in lines for half in line.rstrip("。").split("，")]
        assert [len(half) for half in halves] == [size] * 4
    else:
        assert len(done.stdout) > 20


@pytest.mark.parametrize("name", MODELS)
def test_texts_at_the_default_settings(name: str, tmp_path: Path) -> None:
    """Twelve texts hold no broken character and no run of words four times over, and end of themselves, mostly."""
    done = run("generate", "-m", name, "-n", "12", "--seed", "7", "--json", folder=tmp_path)
    assert done.returncode == 0
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(records) == 12
    for record in records:
        assert BROKEN not in record["text"]
        tokens = record["tokens"]
        for size in range(1, 9):
            for i in range(len(tokens) - 4 * size):
                assert len({tuple(tokens[i + j * size : i + (j + 1) * size]) for j in range(4)}) > 1 or size == 1
    ended = sum(record["text"].rstrip()[-1:] in tuple(".!?\"'”’)。！？」』…") for record in records)
    assert ended >= 6
