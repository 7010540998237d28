"""Texts come out of the fields of JSON Lines, CSV and TSV, and a broken record is named by its line."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngramgen.errors import CorpusError
from ngramgen.text.corpus import read_blocks
from ngramgen.text.records import record_texts

TEXTS = st.lists(
    st.text(st.sampled_from("ab é\u2028\n\t,\"'\\{\x85") | st.characters(codec="utf-8", exclude_characters="\r"))
)


@pytest.fixture
def read(tmp_path):
    def read(name: str, data: str | bytes, **options) -> bytes:
        path = tmp_path / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return b"".join(read_blocks([path], **options))

    return read


def lines(texts: list[str]) -> bytes:
    return "".join(text if text.endswith("\n") else text + "\n" for text in texts).encode()


def texts_of(data: str, suffix: str) -> list[str]:
    blocks = [line.encode() + b"\n" for line in data.split("\n")[:-1]]
    return [text for _, text in record_texts(blocks, "file", suffix, "text")]


@given(TEXTS, st.booleans())
def test_json_lines_round_trip(texts, ensure_ascii):
    """Every text that json writes comes back."""
    data = "".join(json.dumps({"id": 1, "text": text}, ensure_ascii=ensure_ascii) + "\n" for text in texts)
    assert texts_of(data, ".jsonl") == texts


@given(TEXTS)
@pytest.mark.parametrize(("suffix", "delimiter"), [(".csv", ","), (".tsv", "\t")])
def test_tables_round_trip(suffix, delimiter, texts):
    """Every text that csv writes comes back, line breaks inside quotation marks too."""
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
    writer.writerows([("id", "text"), *enumerate(texts)])
    assert texts_of(file.getvalue(), suffix) == texts


def test_a_record_of_several_lines(read):
    """Line breaks inside a text part lines, CR LF as well, and the block size does not matter."""
    for size in (1, 1 << 20):
        assert read("a.jsonl", r'{"text": "one\ntwo\r\nthree"}' + "\n", block_size=size) == b"one\ntwo\nthree\n"
        assert read("a.csv", 'text\r\n"one\r\ntwo"\r\nthree\r\n', block_size=size) == b"one\ntwo\nthree\n"


def test_blank_lines_and_empty_texts(read):
    """A blank line is no record, and an empty text is an empty line."""
    assert read("a.ndjson", '\n{"text": ""}\n \n{"text": "a"}') == b"\na\n"
    assert read("a.csv", '\ntext,id\n\n"",1\na,2') == b"\na\n"
    assert read("a.csv", "") == b""
    assert read("a.jsonl", "\n") == b""


def test_named_field_and_byte_order_mark(read):
    """The field may have any name, and a byte order mark does not hide the first."""
    assert read("a.jsonl", '\ufeff{"größe": "a"}', field="größe") == b"a\n"
    assert read("a.csv", "\ufeffbody,text\na,b\n", field="body") == b"a\n"
    assert read("a.tsv", 'text\tid\n"a, b"\t1\n') == b"a, b\n"


def test_a_field_longer_than_csv_s_default_limit(read):
    """Documents of any length are read."""
    assert len(read("a.csv", "text\n" + "x" * 200_000)) == 200_001


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        (
            "a.jsonl",
            '{"text": "a"}\n\n{"body": "b", "id": 2}\n',
            r"a\.jsonl, line 3 has no field 'text'; .* 'body', 'id'\.",
        ),
        ("a.jsonl", "{}", "line 1 has no field 'text'; its fields are none"),
        ("a.jsonl", json.dumps({f"f{i}": i for i in range(99)}), r"'f19', \.\.\.\."),
        ("a.jsonl", '{"text": null}', "line 1: field 'text' must be a string, not null"),
        ("a.jsonl", '{"text": 1.5}', "must be a string, not a number"),
        ("a.jsonl", '{"text": ["a"]}', "must be a string, not an array"),
        ("a.jsonl", '{"text": "a"}\n{"text": \n', "line 2, column 10 is not JSON"),
        ("a.jsonl", '["text"]', "line 1 is not a JSON object"),
        ("a.jsonl", '{"text": ' + "9" * 5000 + "}", "line 1 is not JSON that can be read"),
        ("a.jsonl", "[" * 200_000, "line 1"),
        ("a.jsonl", r'{"text": "\ud800"}', r"line 1: character 0 is a lone surrogate, U\+D800"),
        ("a.jsonl", b'{"text": "a"}\n{"text": "\xff"}', "line 2: byte 0xff at offset 10"),
        ("a.csv", "id,body\n1,a\n", r"a\.csv, line 1 has no field 'text'; its fields are 'id', 'body'"),
        ("a.csv", 'id,text\n1,"a\nb"\n2\n', "line 4 has no field 'text'; its fields are 'id'"),
        ("a.csv", 'text\nfine\n"open\nnever closed\n', "starts on line 3 breaks the CSV format"),
        ("a.csv", "text\na\rb\n", "starts on line 2 breaks the CSV format"),
    ],
)
def test_broken_records(read, name, data, message):
    """A record that breaks its format is refused with file, line and what was found."""
    with pytest.raises(CorpusError, match=message):
        read(name, data)


def test_lone_surrogates_are_replaced(read):
    """An escaped lone surrogate becomes U+FFFD where that is asked for, and a pair is one character."""
    assert read("a.jsonl", r'{"text": "\ud800 \ud83d\ude00"}', errors="replace") == "\ufffd \U0001f600\n".encode()


def test_a_real_table(shared_data):
    """A public data set's table gives a line a record."""
    path = shared_data / "classification" / "banking77" / "test.csv"
    with path.open(newline="", encoding="utf-8") as file:
        expected = [row["text"] for row in csv.DictReader(file)]
    assert b"".join(read_blocks([path])) == lines(expected).replace(b"\r\n", b"\n")
