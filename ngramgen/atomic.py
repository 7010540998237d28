"""Output files that are whole or not there: written beside their place, synced, and renamed.

>>> with replacing("model.ngram") as file:  # doctest: +SKIP
...     file.write(b"all of it")
"""

from __future__ import annotations

import errno
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

_UNSYNCED = (errno.EACCES, errno.EINVAL, errno.ENOTSUP)


class replacing:  # noqa: N801  # reads as a statement: with replacing(path) as file
    """A binary file that takes the place of ``path`` when the block ends well, and leaves no trace when it does not.

    A link stays a link, and a file that was there keeps its permissions. Raises OSError, which carries ``path``, also
    for what is no file: a folder, a pipe, a device.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def __enter__(self) -> Any:
        try:
            self._target = Path(os.path.realpath(self.path))
            mode = _mode_of(self._target)
            # a short name: that of the target may be as long as names can be
            self._name = self._target.with_name(f".{self._target.name[:32]}.{secrets.token_hex(8)}.tmp")
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
            handle = os.open(self._name, flags, 0o666 if mode is None else 0o600)
            self._file = os.fdopen(handle, "wb")
            if mode is not None:
                with suppress(PermissionError):  # some file systems have none to give
                    os.chmod(self._name, mode)
        except OSError as error:
            raise self._named(error) from None
        return self._file

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        try:
            if kind is None:
                self._file.flush()
                os.fsync(self._file.fileno())
                self._file.close()
                os.replace(self._name, self._target)
                _sync_folder(self._target.parent)
        except OSError as problem:
            raise self._named(problem) from None
        finally:
            with suppress(OSError):  # what could not be written is flushed once more
                self._file.close()
            with suppress(OSError):  # after a rename it is not there
                self._name.unlink()
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(self.path)

    def _named(self, error: OSError) -> OSError:
        """The same error with the name that the caller knows."""
        return OSError(error.errno, error.strerror, str(self.path))


def _mode_of(path: Path) -> int | None:
    """The permissions of the file that is replaced; None for a new one."""
    try:
        found = path.stat().st_mode
    except FileNotFoundError:
        return None
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not path.is_file():
        raise OSError(errno.EINVAL, "a pipe or a device cannot be replaced by a file")
    return found & 0o7777


def _sync_folder(folder: Path) -> None:
    """Make the rename last, where the system and the folder's permissions allow it."""
    if os.name != "posix":
        return  # other systems cannot open a folder
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return  # a folder may be written to without being readable
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _UNSYNCED:
            raise
    finally:
        os.close(handle)
