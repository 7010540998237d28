"""Models that are shipped for the time of a test, and the program that writes the manifest."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
Ship = Callable[..., Path]

FACTS: dict[str, Any] = {
    "summary": "Says little.",
    "languages": ["en", "fr"],
    "licence": "CC0-1.0",
    "bits_per_byte": {"never": 2.0},
    "measured_on": "two lines",
}


def manifest_program() -> Any:
    """models/manifest.py as a module."""
    spec = importlib.util.spec_from_file_location("manifest", ROOT / "models/manifest.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_models(models: Path, sources: Mapping[str, Path | dict[str, bytes]]) -> None:
    """Each model, a folder or files by name, with FACTS for facts, and the manifest of all."""
    models.mkdir(parents=True)
    for name, source in sources.items():
        files = source if isinstance(source, dict) else {file.name: file.read_bytes() for file in source.iterdir()}
        (models / name).mkdir()
        for file, data in ({"model.json": json.dumps(FACTS).encode()} | files).items():
            (models / name / file).write_bytes(data)
    program = manifest_program()
    (models / "manifest.json").write_text(program.text_of(program.manifest_of(models)), encoding="utf-8")
