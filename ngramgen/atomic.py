"""Output files that are whole or not there: written beside their place, synced, and renamed.

>>> with replacing("model.ngram") as file:  # doctest: +SKIP
...     file.write(b"all of it")
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any


class replacing:  # noqa: N801  # reads as a statement: with replacing(path) as file
    """A binary file that takes the place of ``path`` when the block ends well, and leaves no trace when it does not."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def __enter__(self) -> Any:
        folder = self.path.parent
        try:
            handle, name = tempfile.mkstemp(prefix=f".{self.path.name}.", suffix=".tmp", dir=folder)
        except OSError as error:
            error.filename = str(self.path)
            raise
        self._name = name
        self._file = os.fdopen(handle, "wb")
        return self._file

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        try:
            if kind is None:
                self._file.flush()
                os.fsync(self._file.fileno())
            self._file.close()
            if kind is None:
                os.chmod(self._name, _mode_for(self.path))
                os.replace(self._name, self.path)
                _sync_folder(self.path.parent)
        except OSError as problem:
            problem.filename = str(self.path)
            raise
        finally:
            if os.path.exists(self._name):
                os.unlink(self._name)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(self.path)


def _mode_for(path: Path) -> int:
    """The mode of the file that is replaced, or what the umask gives a new one (mkstemp's is private)."""
    if path.exists():
        return path.stat().st_mode & 0o7777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return  # other systems cannot open a folder
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
