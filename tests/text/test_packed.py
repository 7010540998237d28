"""Packed corpora read like plain ones, and a damaged file is never taken for a whole one."""

from __future__ import annotations

import bz2
import gzip
import importlib.util
import io
import lzma
import sys

import pytest

from ngramgen.errors import CorpusError, MissingDependencyError
from ngramgen.text.corpus import corpus_bytes, read_blocks
from ngramgen.text.packed import split_suffixes

TEXT = "".join(f"line {i} é\n" for i in range(5000)).encode()
ZSTD = importlib.util.find_spec("zstandard") or (sys.version_info >= (3, 14))
needs_zstd = pytest.mark.skipif(not ZSTD, reason="needs Python 3.14 or the zstandard package")
PACKINGS = [".gz", ".bz2", ".xz", pytest.param(".zst", marks=needs_zstd)]


def pack(data: bytes, packing: str) -> bytes:
    if packing == ".zst":
        try:
            from compression import zstd
        except ImportError:
            import zstandard as zstd
        return zstd.compress(data)
    return {".gz": gzip, ".bz2": bz2, ".xz": lzma}[packing].compress(data)


def test_suffixes():
    """Format and packing are told by the last two suffixes, in any case of letters."""
    assert split_suffixes("dir.gz/a") == ("", "")
    assert split_suffixes("a.txt") == (".txt", "")
    assert split_suffixes("b.c.CSV.Zst") == (".csv", ".zst")
    assert split_suffixes("a.gz") == ("", ".gz")


@pytest.mark.parametrize("packing", PACKINGS)
class TestPacked:
    def test_reads_like_plain(self, tmp_path, packing):
        """The unpacked bytes come back for any block size, and progress adds up to the packed size."""
        path = tmp_path / f"a.txt{packing.upper()}"
        path.write_bytes(pack(TEXT, packing))
        for size in (1 << 20, 1000):
            steps: list[int] = []
            assert b"".join(read_blocks([path], block_size=size, progress=steps.append)) == TEXT
            assert sum(steps) == corpus_bytes([path]) == path.stat().st_size

    def test_members_are_one_file(self, tmp_path, packing):
        """Members one after another are read as one file, even where a line spans them."""
        path = tmp_path / f"a{packing}"
        path.write_bytes(pack(b"a\nb", packing) + pack(b"", packing) + pack(b"c\n", packing))
        assert b"".join(read_blocks([path])) == b"a\nbc\n"

    def test_records(self, tmp_path, packing):
        """The suffix before the packing tells the format."""
        path = tmp_path / f"a.jsonl{packing}"
        path.write_bytes(pack(b'{"text": "a"}\n', packing))
        assert b"".join(read_blocks([path])) == b"a\n"

    def test_cut_short(self, tmp_path, packing):
        """A file that ends too early is refused by name, wherever it ends."""
        path = tmp_path / f"short.txt{packing}"
        whole = pack(TEXT, packing)
        for length in {0, 1, 5, len(whole) // 2, len(whole) - 5, len(whole) - 1}:
            path.write_bytes(whole[:length])
            with pytest.raises(CorpusError, match=r"short\.txt.* is damaged or cut short"):
                list(read_blocks([path]))

    def test_damaged(self, tmp_path, packing):
        """A file of another kind, or with a damaged inside, is refused by name."""
        path = tmp_path / f"bad{packing}"
        whole = bytearray(pack(TEXT, packing))
        whole[2:6] = b"\xff\xff\xff\xff"
        for data in (b"plain text\n", bytes(whole)):
            path.write_bytes(data)
            with pytest.raises(CorpusError, match=r"bad.* is damaged"):
                list(read_blocks([path]))


def test_a_changed_byte_fails_the_checksum(tmp_path):
    """gzip's checksum is verified."""
    path = tmp_path / "a.gz"
    whole = bytearray(gzip.compress(TEXT, compresslevel=0))
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)
    with pytest.raises(CorpusError, match="CRC"):
        list(read_blocks([path], errors="replace"))


def test_zstd_that_is_not_installed(tmp_path, monkeypatch):
    """Without a zstd module the error gives the command that installs one."""
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    monkeypatch.setitem(sys.modules, "zstandard", None)
    path = tmp_path / "a.zst"
    path.write_bytes(b"(\xb5/\xfd")
    with pytest.raises(MissingDependencyError, match="pip install zstandard"):
        list(read_blocks([path]))


def test_errors_of_progress_are_not_the_file_s(tmp_path):
    """What the progress function raises is passed on as it is."""
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(TEXT))

    def broken(count: int) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        list(read_blocks([path], progress=broken))


def test_streams_are_not_unpacked():
    """A stream is read as it is: who opens a file decides what comes out of it."""
    unpacked = gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(TEXT)))
    assert b"".join(read_blocks([unpacked])) == TEXT
