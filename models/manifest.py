"""Write models/manifest.json, and the list of what a wheel takes from models/ in pyproject.toml.

    python models/manifest.py

A model is a folder beside this file with a model.json, which its training writes: an object with what FACTS names.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

from ngramgen.atomic import replacing
from ngramgen.shipped import FORMAT, MANIFEST

ROOT = Path(__file__).resolve().parent.parent
DEFAULT = "english"
FACTS = ("summary", "languages", "licence", "bits_per_byte", "measured_on")
FILES = (
    "README.md",
    "config.json",
    "generation.json",
    "hybrid.json",
    "model.ngram",
    "model_int8.onnx",
    "tokenizer.json",
    "training.json",
)
"""The files that a shipped model may have; what else lies in its folder stays there."""
OTHERS = (f"models/{MANIFEST}", "models/sample/fables.txt")

_TABLE = re.compile(r"(?<=^\[tool\.hatch\.build\.targets\.wheel\.force-include\]\n)[^\[]*(?=\n\[)", re.MULTILINE)


def main() -> None:
    manifest = manifest_of(ROOT / "models")
    project = ROOT / "pyproject.toml"
    write(ROOT / "models" / MANIFEST, text_of(manifest))
    write(project, with_included(project.read_text(encoding="utf-8"), manifest))
    for name, model in manifest["models"].items():
        size = sum(file["bytes"] for file in model["files"].values())
        print(f"{name}: {len(model['files'])} files, {size / 1e6:.1f} MB")


def manifest_of(models: Path) -> dict[str, Any]:
    """What the manifest says of the models in a folder. Exits with a sentence where one lacks a fact."""
    found = {path.parent.name: described(path) for path in sorted(models.glob("*/model.json"))}
    return {"format": FORMAT, "default": DEFAULT, "models": found}


def described(path: Path) -> dict[str, Any]:
    """The facts of a model.json and the files beside it."""
    told = json.loads(path.read_text(encoding="utf-8"))
    missing = [fact for fact in FACTS if fact not in told]
    if missing:
        sys.exit(f"{path} does not tell: {', '.join(missing)}")
    files = {name: hashed(path.with_name(name)) for name in FILES if path.with_name(name).is_file()}
    return {fact: told[fact] for fact in FACTS} | {"files": files}


def hashed(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def text_of(manifest: dict[str, Any]) -> str:
    return json.dumps(manifest, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def with_included(project: str, manifest: dict[str, Any]) -> str:
    """The text of pyproject.toml with these models' files in its table force-include."""
    files = (f"models/{name}/{file}" for name, model in manifest["models"].items() for file in model["files"])
    lines = [f'"{file}" = "ngramgen/{file}"\n' for file in sorted([*OTHERS, *files])]
    changed, count = _TABLE.subn("".join(lines), project)
    if count != 1:
        sys.exit("pyproject.toml has no table tool.hatch.build.targets.wheel.force-include")
    return changed


def write(path: Path, text: str) -> None:
    with replacing(path) as file:
        file.write(text.encode())


if __name__ == "__main__":
    main()
