"""What travels with ngramgen: its models, which ``models/manifest.json`` lists, and the sample text.

They lie beside the package in a clone, and inside of it in an installed wheel.

>>> sorted(shipped_models())  # doctest: +SKIP
['chinese', 'english', 'shakespeare', 'stories']
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ngramgen.errors import ModelFormatError, ModelNotFoundError, NgramgenError

MANIFEST = "manifest.json"
FORMAT = 1

_PACKAGE = Path(__file__).resolve().parent
_MEND = "reinstall ngramgen with pip"


@dataclass(frozen=True)
class ShippedFile:
    """How long a file is, and the SHA-256 of its bytes in hexadecimal digits."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class ShippedModel:
    """What the manifest tells of a model."""

    name: str
    summary: str
    languages: tuple[str, ...]  # as "en"
    licence: str
    bits_per_byte: Mapping[str, float]  # by part, as `load` calls them: those of "never", "only", "always" there are
    measured_on: str  # the text that they were measured on
    files: Mapping[str, ShippedFile]  # by name
    path: Path
    is_default: bool

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files.values())

    def verify(self) -> None:
        """Read all files. Raises ModelNotFoundError for one that is missing, ModelFormatError for a damaged one."""
        for name, expected in self.files.items():
            path = self.path / name
            try:
                with path.open("rb") as file:
                    found = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise ModelNotFoundError(f"{path} cannot be read: {error.strerror}; {_MEND}") from None
            if found != expected.sha256:
                raise ModelFormatError(f"{path} is damaged: it is not the file that was shipped; {_MEND}")


def shipped_models() -> dict[str, ShippedModel]:
    """All shipped models by name, the default first.

    Raises ModelNotFoundError for a manifest that is missing, ModelFormatError for a damaged one.
    """
    path = shipped_file(MANIFEST)
    try:
        values = json.loads(path.read_bytes())
        if values["format"] != FORMAT:
            raise ModelFormatError(f"{path} is of another version; {_MEND}")
        default, told = values["default"], values["models"]
        names = sorted(told, key=lambda name: (name != default, name))
        return {name: _model(name, told[name], path.parent, name == default) for name in names}
    except ModelFormatError:
        raise
    except OSError as error:
        raise ModelFormatError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise ModelFormatError(f"{path} is damaged; {_MEND}") from None


def shipped_folder(name: str | None = None) -> Path:
    """The folder of a shipped model, of the default one without a name.

    Raises ModelNotFoundError for a name that is not known and for a model that lacks a file, and what
    `shipped_models` raises.
    """
    models = shipped_models()
    found = models.get(name) if name is not None else next((one for one in models.values() if one.is_default), None)
    if found is None:
        raise ModelNotFoundError(_unknown(name, models))
    for file in found.files:
        if not (found.path / file).is_file():
            raise ModelNotFoundError(f"{found.path / file} of the shipped model {found.name} is missing; {_MEND}")
    return found.path


def model_path(name: str | os.PathLike[str] | None) -> Path:
    """The file or folder of that name, else the folder of the shipped model of that name; None is the default one.

    Raises ModelNotFoundError, ModelFormatError for a damaged manifest.
    """
    if name is None:
        return shipped_folder()
    path = Path(name)
    try:
        return path if path.exists() else shipped_folder(str(name))
    except NgramgenError:
        raise
    except OSError as error:
        raise ModelNotFoundError(f"the model {path} cannot be read: {error.strerror}") from None


def _unknown(name: str | None, models: Mapping[str, ShippedModel]) -> str:
    if name is None:
        return (
            "no default model is shipped with this installation: name one, or train it first, "
            "as in: ngramgen train TEXTFILE -o model.ngram"
        )
    shipped = f", or the name of a shipped model: {', '.join(models)}" if models else ""
    return f"there is no model {name!r}: give the path of a .ngram or ARPA file, or the folder of a network{shipped}"


def _model(name: str, values: dict[str, Any], models: Path, is_default: bool) -> ShippedModel:
    return ShippedModel(
        name=name,
        summary=str(values["summary"]),
        languages=tuple(map(str, values["languages"])),
        licence=str(values["licence"]),
        bits_per_byte={part: float(number) for part, number in values["bits_per_byte"].items()},
        measured_on=str(values["measured_on"]),
        files={file: ShippedFile(int(told["bytes"]), str(told["sha256"])) for file, told in values["files"].items()},
        path=models / name,
        is_default=is_default,
    )


def shipped_file(name: str) -> Path:
    """The path of a file under ``models/``.

    >>> shipped_file("sample/fables.txt").name
    'fables.txt'

    Raises ModelNotFoundError where this installation does not have the file.
    """
    for root in (_PACKAGE, _PACKAGE.parent):
        path = root / "models" / name
        if path.is_file():
            return path
    raise ModelNotFoundError(f"{name} is not part of this installation of ngramgen; {_MEND}")


def sample_text() -> Path:
    """The path of a small CC0 English text, one fable a line, to try things on.

    >>> sample_text().name
    'fables.txt'
    """
    return shipped_file("sample/fables.txt")
