"""Corpus readers give whole lines of valid UTF-8, whatever the bytes and wherever the blocks end."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngramgen.errors import CorpusError, NgramgenError, OptionError
from ngramgen.text.corpus import corpus_bytes, read_blocks


def read(*sources, **options) -> bytes:
    return b"".join(read_blocks(sources, **options))


def read_bytes(data: bytes, **options) -> bytes:
    return read(io.BytesIO(data), **options)


def written(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def oracle(data: bytes) -> bytes:
    """What errors='replace' must give, from the whole corpus at once."""
    text = data.removeprefix(b"\xef\xbb\xbf").decode(errors="replace").replace("\r\n", "\n")
    return (text if not text or text.endswith("\n") else text + "\n").encode()


NASTY = st.lists(
    st.sampled_from(
        [b"a", b" ", b"\n", b"\r", b"\r\n", b"\0", b"\xef\xbb\xbf", b"\xe4\xb8\xad", b"\xe4", b"\xed\xa0\x80"]
    )
    | st.binary(max_size=3)
).map(b"".join)
WIDE_BOMS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")


class TestLines:
    @given(NASTY.filter(lambda data: not data.startswith(WIDE_BOMS)), st.integers(1, 40))
    def test_blocks_do_not_matter(self, data, block_size):
        """Any bytes in blocks of any size give what decoding them at once gives."""
        assert read_bytes(data, errors="replace", block_size=block_size) == oracle(data)

    @given(NASTY, st.integers(1, 40))
    def test_strict_is_valid_or_refused(self, data, block_size):
        """Strict reading gives the same text as Python's strict decoder, or CorpusError where that fails."""
        try:
            expected = data.decode()
        except UnicodeDecodeError:
            with pytest.raises(CorpusError):
                read_bytes(data, block_size=block_size)
        else:
            assert read_bytes(data, block_size=block_size) == oracle(expected.encode())

    @given(st.lists(st.text("ab\n", max_size=5)), st.integers(1, 10))
    def test_every_block_is_whole_lines(self, texts, block_size):
        """No block is empty or ends inside a line, from files and lists of sentences alike."""
        for source in (io.BytesIO("".join(texts).encode()), texts):
            for block in read_blocks([source], block_size=block_size):
                assert block.endswith(b"\n")

    @pytest.mark.parametrize(
        ("data", "expected"),
        [
            (b"", b""),
            (b"\n", b"\n"),
            (b"a", b"a\n"),
            (b"a\n\n\nb\n", b"a\n\n\nb\n"),
            (b"\xef\xbb\xbfa\n\xef\xbb\xbfb", b"a\n\xef\xbb\xbfb\n"),
            (b"\xef\xbb\xbf", b""),
            (b"a\r\nb\r\n", b"a\nb\n"),
            (b"a\rb\r", b"a\rb\r\n"),
            (b"a\0b\n", b"a\0b\n"),
        ],
    )
    def test_table_of_the_module(self, data, expected):
        """Each row of the module's table holds."""
        assert read_bytes(data) == expected
        assert read_bytes(data, block_size=1) == expected

    def test_only_lf_parts_lines(self):
        """VT, FF, NEL and the Unicode separators are characters of the line, in records too."""
        text = "a\vb\fc\x85d\u2028e\u2029f"
        assert read_bytes(text.encode()) == f"{text}\n".encode()
        assert read([text]) == f"{text}\n".encode()
        record = json.dumps({"text": text}, ensure_ascii=False) + "\n"
        assert read_bytes(record.encode() * 2, field="text") == f"{text}\n{text}\n".encode()

    def test_a_file_boundary_is_a_line_break(self):
        """Two files without a last line break do not run into each other."""
        assert read(io.BytesIO(b"a"), io.BytesIO(b"b"), ["c"]) == b"a\nb\nc\n"

    def test_long_lines_take_linear_time(self):
        """Four times as long a line takes about four times as long, in small blocks."""

        def seconds(length: int) -> float:
            start = time.perf_counter()
            assert len(read_bytes(b"x" * length, block_size=1 << 12)) == length + 1
            return time.perf_counter() - start

        seconds(1 << 20)
        # Quadratic would be 1024 times as long for 32 times the length; much of that is left for a busy machine.
        assert min(seconds(1 << 25) for _ in range(3)) < 256 * max(seconds(1 << 20) for _ in range(3))

    def test_a_plain_block_is_about_the_size_asked_for(self):
        """Blocks stay near block_size, so that memory does too."""
        line = b"word " * 10 + b"\n"
        for source in (io.BytesIO(line * 2000), [(line * 2000).decode()], [line.decode()] * 2000):
            sizes = [len(block) for block in read_blocks([source], block_size=1000)]
            assert max(sizes) < 2000 + len(line)
            assert sum(sizes) == 2000 * len(line)


class TestInvalid:
    def test_names_file_line_and_offset(self, tmp_path):
        """The error says where the first invalid byte stands, over blocks and after a byte order mark."""
        path = written(tmp_path, "bad.txt", b"\xef\xbb\xbfone\r\ntwo\n" + b"x" * 100 + b"\n\nab\xff\n")
        for size in (1, 16, 1 << 20):
            # Lines: one, two, 100 x, empty, and "ab\xff" is the fifth.
            with pytest.raises(CorpusError, match=r"bad\.txt, line 5: byte 0xff at offset 2"):
                read(path, block_size=size)

    def test_offset_counts_bytes(self):
        """The offset in the line is of bytes, not of characters."""
        # "é" is two bytes, so the bad one is at offset 2.
        with pytest.raises(CorpusError, match="line 1: byte 0xe4 at offset 2"):
            read_bytes("é".encode() + b"\xe4\n")

    @pytest.mark.parametrize("data", [b"\xed\xa0\x80", b"\xed\xa0\xbd\xed\xb8\x80", b"\xc0\x80", b"\xf5\x80\x80\x80"])
    def test_what_is_no_utf8(self, data):
        """Surrogates, CESU-8 pairs, overlong forms and numbers beyond Unicode are refused or replaced."""
        with pytest.raises(CorpusError, match="not UTF-8"):
            read_bytes(data)
        assert set(read_bytes(data, errors="replace").decode()) == {"\ufffd", "\n"}

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32", "utf-32-be"])
    @pytest.mark.parametrize("errors", ["strict", "replace"])
    def test_other_unicode_encodings(self, encoding, errors):
        """A UTF-16 or UTF-32 byte order mark gives advice to convert the file."""
        data = "\ufeffabc".encode(encoding) if encoding.endswith("be") else "abc".encode(encoding)
        with pytest.raises(CorpusError, match="UTF-16 or UTF-32; convert it"):
            read_bytes(data, errors=errors, block_size=1)

    def test_good_lines_come_before_the_error(self):
        """Blocks before the damaged one are given."""
        blocks = read_blocks([io.BytesIO(b"fine\nfine\nbad\xff\n")], block_size=5)
        assert next(blocks) == b"fine\n"

    def test_lone_surrogates_in_sentences(self):
        """A str with a lone surrogate is refused by its number, or becomes U+FFFD."""
        with pytest.raises(CorpusError, match=r"item 2: character 1 .*U\+D800"):
            read(["fine", "a\ud800"])
        assert read(["a\ud800"], errors="replace") == "a\ufffd\n".encode()


class TestSources:
    def test_paths_streams_and_sentences(self, tmp_path):
        """str and Path, binary files, text files and generators are sources alike."""
        path = written(tmp_path, "A.TXT", b"from a file\n")
        assert read(path) == read(str(path)) == b"from a file\n"
        with path.open("rb") as binary, path.open() as text:
            assert read(binary, text) == b"from a file\n" * 2
            assert not binary.closed
        assert read((f"sentence {i}" for i in range(2)), []) == b"sentence 0\nsentence 1\n"
        assert read(["two\r\nlines\n", "", "\n"]) == b"two\nlines\n\n\n"

    def test_a_lone_path_is_one_source(self, tmp_path):
        """A path given without a list is not taken for a list of letters."""
        path = written(tmp_path, "a.txt", b"a\n")
        assert list(read_blocks(str(path))) == list(read_blocks(path)) == [b"a\n"]
        assert corpus_bytes(str(path)) == 2

    def test_standard_input(self, monkeypatch):
        """A dash is standard input: plain text, or JSON Lines where a field is named."""
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\nb")))
        assert read("-") == b"a\nb\n"
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"body": "a\\nb"}')))
        assert read("-", field="body") == b"a\nb\n"
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff")))
        with pytest.raises(CorpusError, match="standard input, line 1"):
            read("-")

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
    def test_a_named_pipe(self, tmp_path):
        """A pipe, such as a shell's <(command), is read though it has no size."""
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        writer = threading.Thread(target=pipe.write_bytes, args=(b"a\nb",))
        writer.start()
        assert corpus_bytes([pipe]) is None
        assert read(pipe) == b"a\nb\n"
        writer.join()

    def test_missing_file_and_folder(self, tmp_path):
        """A path that is not there, or is a folder, is refused before anything is read."""
        good = written(tmp_path, "a.txt", b"a\n")
        with pytest.raises(CorpusError, match=r"no file .*b\.txt"):
            read_blocks([good, tmp_path / "b.txt"])
        with pytest.raises(CorpusError, match="is a folder"):
            read_blocks([good, tmp_path])
        with pytest.raises(CorpusError, match="cannot be read"):
            read_blocks(["a\0b"])

    def test_a_failing_device_is_named(self):
        """An error of the system while reading names the stream."""

        class Broken(io.BytesIO):
            name = "tape"

            def read(self, size=-1):
                raise OSError(5, "Input/output error")

        with pytest.raises(CorpusError, match="tape cannot be read: Input/output error"):
            read(Broken())

    @pytest.mark.parametrize("source", [3, b"bytes", [b"bytes"], ["a", None]])
    def test_what_is_no_source(self, source):
        """Anything else is refused with the name of its type."""
        with pytest.raises(OptionError, match=r"int|bytes|NoneType"):
            read(source)

    def test_options(self, tmp_path):
        """Options out of range are refused at the call, and a field that nothing could have too."""
        with pytest.raises(OptionError, match="errors"):
            read_blocks([], errors="ignore")
        with pytest.raises(OptionError, match="block_size"):
            read_blocks([], block_size=0)
        with pytest.raises(OptionError, match=r"field='body' needs .*\.jsonl"):
            read_blocks([written(tmp_path, "a.txt", b"a\n")], field="body")

    def test_every_error_is_ours_and_a_value_error(self):
        """A caller may catch NgramgenError or ValueError."""
        for kind in (NgramgenError, ValueError):
            with pytest.raises(kind):
                read_blocks(["no such file"])


class TestProgress:
    def test_adds_up_to_the_size(self, tmp_path):
        """Progress adds up to corpus_bytes, and comes before the last block."""
        paths = [written(tmp_path, f"{i}.txt", b"line\n" * 1000 * i) for i in range(3)]
        steps: list[int] = []
        assert sum(map(len, read_blocks(paths, block_size=512, progress=steps.append))) == 15000
        assert sum(steps) == corpus_bytes(paths) == 15000
        assert max(steps) == 512

    def test_sentences_count_as_utf8(self):
        """A list of sentences has no known size and counts the bytes it gives."""
        steps: list[int] = []
        read(["é", "b"], progress=steps.append)
        assert sum(steps) == 5
        assert corpus_bytes([["é"]]) is None
        assert corpus_bytes([io.BytesIO(b"a")]) is None
        assert corpus_bytes(["-"]) is None
        assert corpus_bytes([]) == 0


@pytest.mark.slow
def test_plain_text_is_fast(tmp_path):
    """Plain ASCII is read at a gigabyte a second; half is asked for, as the machine may be busy."""
    path = written(tmp_path, "a.txt", b"the quick brown fox jumps over the lazy dog\n" * 5_000_000)
    start = time.perf_counter()
    size = sum(map(len, read_blocks([path])))
    assert size / (time.perf_counter() - start) > 0.5e9


def test_a_real_corpus_comes_back_whole(shared_data):
    """A clean corpus is the same bytes after reading."""
    path = shared_data / "fiction" / "test.txt"
    assert read(path, block_size=1 << 16) == path.read_bytes()
