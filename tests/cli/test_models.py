"""`ngramgen models`."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable

from click.testing import Result

from tests.shipping import FACTS, Ship

Invoke = Callable[..., Result]
FILES = {"model.ngram": bytes(1_250_000)}
PARTS = {"bits_per_byte": {"never": 1.755, "always": 1.5, "only": 1.6}, "summary": "Says much."}


def test_table(invoke: Invoke, ship: Ship) -> None:
    """For people there is an aligned row for each model, the default first and told to be it."""
    ship(a={"model.ngram": b""}, english=FILES | {"model.json": json.dumps(FACTS | PARTS).encode()})
    result = invoke("models")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        "name                MB  languages  licence  bits per byte                         summary\n"
        "english (default)  1.2  en, fr     CC0-1.0  n-gram 1.75, network 1.60, both 1.50  Says much.\n"
        "a                  0.0  en, fr     CC0-1.0  n-gram 2.00                           Says little.\n"
    )


def test_json(invoke: Invoke, ship: Ship) -> None:
    """--json is a list of objects with all that the manifest tells, and where the model lies."""
    models = ship(english={"model.ngram": b"gram"})
    result = invoke("models", "--json")
    assert (result.exit_code, result.stderr, result.stdout.count("\n")) == (0, "", 1)
    file = {"bytes": 4, "sha256": hashlib.sha256(b"gram").hexdigest()}
    own = {"name": "english", "is_default": True, "path": str(models / "english"), "bytes": 4}
    assert json.loads(result.stdout) == [FACTS | own | {"files": {"model.ngram": file}}]


def test_none(invoke: Invoke, ship: Ship) -> None:
    """Where no model is shipped that is said, and the list is empty."""
    ship()
    result = invoke("models")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "No model is shipped with this installation.\n"
    assert invoke("models", "--json").stdout == "[]\n"


def test_verify(invoke: Invoke, ship: Ship) -> None:
    """--verify says that all is whole, or names the first file that is not and fails."""
    models = ship(english=FILES | {"config.json": b"{}"}, other=FILES)
    result = invoke("models", "--verify")
    assert (result.exit_code, result.stderr) == (0, "All 3 files are as they were shipped.\n")
    assert result.stdout == invoke("models").stdout
    (models / "other/model.ngram").write_bytes(bytes(1_249_999) + b"\1")
    (models / "english/config.json").write_bytes(b"[]")
    result = invoke("models", "--verify")
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert result.stderr.startswith(f"Error: {models / 'english/config.json'} is damaged: ")


def test_it_is_light() -> None:
    """It imports neither numpy nor onnxruntime."""
    code = (
        "import sys, atexit\n"
        "atexit.register(lambda: print('HEAVY', sorted({'numpy', 'onnxruntime', 'msgpack'} & set(sys.modules))))\n"
        "from ngramgen.cli import main\n"
        "main(['models', '--verify', '--json'], 'ngramgen')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("HEAVY []\n")
