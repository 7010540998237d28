"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ngramgen.atomic import replacing

posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions and links")
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture(params=["new", "old"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A path in an otherwise empty folder, where nothing or an old file is."""
    path = tmp_path / "file"
    if request.param == "old":
        path.write_bytes(b"old")
    return path


@pytest.fixture
def untouched(place: Path) -> Iterator[None]:
    """After the test the folder is as it was before."""
    before = {path.name: path.read_bytes() for path in place.parent.iterdir()}
    yield
    assert {path.name: path.read_bytes() for path in place.parent.iterdir()} == before


def failing(*_: object) -> None:
    raise FULL


def test_replaces(place: Path) -> None:
    """The file is there with its new content, and nothing beside it."""
    with replacing(str(place)) as file:
        file.write(b"new")
    assert [path.name for path in place.parent.iterdir()] == ["file"]
    assert place.read_bytes() == b"new"


@pytest.mark.usefixtures("untouched")
def test_not_before_the_end(place: Path) -> None:
    """Until the block ends, a reader sees what was there before; an exception leaves it there and passes."""
    there = place.exists()
    with pytest.raises(KeyboardInterrupt), replacing(place) as file:  # noqa: PT012
        file.write(b"new")
        file.flush()
        assert place.exists() == there
        raise KeyboardInterrupt


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.usefixtures("untouched")
def test_failure_at_the_end(call: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where syncing or renaming fails, all is as before, and the error carries the file's name."""
    monkeypatch.setattr(os, call, failing)
    with pytest.raises(OSError, match="No space left") as caught, replacing(place) as file:
        file.write(b"new")
    assert caught.value.filename == str(place)
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("size", [1, 1_000_000])
def test_full_disk(size: int, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk is full, at once or at the last flush, all is as before, and the error carries the file's name."""
    real = os.open

    def full(name: os.PathLike[str], flags: int, mode: int = 0o777) -> int:
        handle, device = real(name, flags, mode), real("/dev/full", os.O_WRONLY)
        os.dup2(device, handle)
        os.close(device)
        return handle

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(OSError, match="No space left") as caught, replacing(place) as file:
        file.write(bytes(size))
    assert caught.value.filename == str(place)


def test_failure_in_the_block_outlasts_that_of_closing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of the block is the one that is told, even if what it wrote cannot be flushed."""
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "file") as file:  # noqa: PT012
        file.write(b"new")
        os.close(file.fileno())
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_error_of_another_file(tmp_path: Path) -> None:
    """An error in the block that knows its file keeps that name."""
    with pytest.raises(FileNotFoundError) as caught, replacing(tmp_path / "file"):
        (tmp_path / "other").read_bytes()
    assert caught.value.filename == str(tmp_path / "other")


@pytest.mark.parametrize("end", ["os._exit(3)", "os.kill(os.getpid(), 9)"])
def test_killed(end: str, tmp_path: Path) -> None:
    """A process that dies in the block leaves the old file as it was."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    code = f"import os\nfrom ngramgen.atomic import replacing\nwith replacing({str(path)!r}) as f:\n"
    code += f" f.write(b'new')\n f.flush()\n {end}"
    root = Path(__file__).resolve().parent.parent
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode != 0
    assert path.read_bytes() == b"old"


@posix
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_mode_of_a_new_file(mask: int, tmp_path: Path) -> None:
    """A new file has the permissions that the umask leaves."""
    before = os.umask(mask)
    try:
        with replacing(tmp_path / "file") as file:
            file.write(b"new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666 & ~mask


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444, 0o755])
def test_mode_of_an_old_file(mode: int, tmp_path: Path) -> None:
    """A replaced file keeps its permissions, and what is private is never readable to others meanwhile."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(mode)
    with replacing(path) as file:
        file.write(b"new")
        assert [stat.S_IMODE(p.stat().st_mode) for p in tmp_path.iterdir()] == [mode, mode]
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert path.read_bytes() == b"new"


@posix
def test_links(tmp_path: Path) -> None:
    """A link stays a link, and what it leads to is replaced or made, as open() does."""
    (tmp_path / "far").mkdir()
    target, link = tmp_path / "far" / "target", tmp_path / "link"
    link.symlink_to(Path("far") / "target")
    for content in (b"new", b"newer"):
        with replacing(link) as file:
            file.write(content)
        assert link.is_symlink()
        assert target.read_bytes() == content
        assert len(list(tmp_path.rglob("*"))) == 3


@posix
def test_link_in_a_circle(tmp_path: Path) -> None:
    """A link that leads to itself is an OSError with its name."""
    (tmp_path / "link").symlink_to("link")
    with pytest.raises(OSError, match="link") as caught, replacing(tmp_path / "link"):
        pass
    assert caught.value.filename == str(tmp_path / "link")


@pytest.mark.parametrize("name", ["none/file", ".", "file/file", "x" * 300])
def test_no_such_place(name: str, tmp_path: Path) -> None:
    """A place where no file can be is refused before the block, with the name that was given."""
    (tmp_path / "file").write_bytes(b"old")
    path = tmp_path / name
    with pytest.raises(OSError, match=r".") as caught, replacing(path):
        pytest.fail("the block was entered")
    assert caught.value.filename == str(path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@posix
def test_pipe(tmp_path: Path) -> None:
    """A pipe or a device is not replaced."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(OSError, match="pipe or a device"), replacing(path):
        pytest.fail("the block was entered")
    assert path.is_fifo()


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "-f", ". ", "a\nb"])
def test_odd_names(name: str, tmp_path: Path) -> None:
    """A name may be as long as names can be, and of any signs."""
    with replacing(tmp_path / name) as file:
        file.write(b"new")
    assert (tmp_path / name).read_bytes() == b"new"


def test_relative_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name without a folder is in the current one, and stays there if the block leaves it."""
    monkeypatch.chdir(tmp_path)
    with replacing("file") as file:
        os.chdir("/")
        file.write(b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EACCES])
def test_folder_that_cannot_be_synced(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that cannot sync a folder does not make a written file a failure."""
    real = os.fsync

    def picky(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(number, os.strerror(number))
        real(handle)

    monkeypatch.setattr(os, "fsync", picky)
    with replacing(tmp_path / "file") as file:
        file.write(b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
