"""Where the files that travel with ngramgen lie, in a clone and in an installed wheel alike."""

from __future__ import annotations

from pathlib import Path

from ngramgen.errors import ModelNotFoundError

_PACKAGE = Path(__file__).resolve().parent


def shipped_file(name: str) -> Path:
    """The path of a file under ``models/``: beside the package in a clone, inside it in a wheel.

    >>> shipped_file("sample/fables.txt").name
    'fables.txt'

    Raises ModelNotFoundError where this installation does not have the file.
    """
    for root in (_PACKAGE, _PACKAGE.parent):
        path = root / "models" / name
        if path.is_file():
            return path
    raise ModelNotFoundError(f"{name} is not part of this installation of ngramgen; reinstall it with pip.")


def sample_text() -> Path:
    """The path of a small CC0 English text, one fable a line, to try things on.

    >>> sample_text().name
    'fables.txt'
    """
    return shipped_file("sample/fables.txt")
