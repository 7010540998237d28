r"""Records: the texts in a field of JSON Lines, CSV and TSV, each with the number of its line.

>>> list(record_texts([b'{"text": "one"}\n\n{"text": "two"}\n'], "a.jsonl", ".jsonl", "text"))
[(1, 'one'), (3, 'two')]
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator

from ngramgen.errors import CorpusError

RECORD_SUFFIXES = (".jsonl", ".ndjson", ".csv", ".tsv")

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_JSON_NAMES = {"NoneType": "null", "bool": "a boolean", "list": "an array", "dict": "an object"}
_SHOWN_FIELDS = 20
_LARGEST_FIELD = 2**31 - 1  # the most a C long holds everywhere


def record_texts(blocks: Iterable[bytes], name: str, suffix: str, field: str) -> Iterator[tuple[int, str]]:
    """Line number and text of each record, for blocks of whole lines of valid UTF-8 and a suffix of RECORD_SUFFIXES.

    Blank lines are no records. A record of several lines has the number of its first. Raises CorpusError naming the
    file and the line where a record breaks its format, lacks the field, or holds something else than a string in it.
    """
    # split, not splitlines: only LF parts lines
    lines = (line for block in blocks for line in block.decode().split("\n")[:-1])
    if suffix in _DELIMITERS:
        return _table_texts((line + "\n" for line in lines), name, field, _DELIMITERS[suffix])
    return _json_texts(lines, name, field)


def _json_texts(lines: Iterable[str], name: str, field: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(lines, start=1):
        if not line or line.isspace():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise CorpusError(f"{name}, line {number}, column {error.colno} is not JSON: {error.msg}.") from None
        except (ValueError, RecursionError) as error:  # a number too long, brackets too deep
            raise CorpusError(f"{name}, line {number} is not JSON that can be read: {error}.") from None
        if not isinstance(record, dict):
            raise CorpusError(f"{name}, line {number} is not a JSON object with a field {field!r}.")
        if field not in record:
            raise _missing_field(name, number, field, list(record))
        text = record[field]
        if not isinstance(text, str):
            found = _JSON_NAMES.get(type(text).__name__, "a number")
            raise CorpusError(f"{name}, line {number}: field {field!r} must be a string, not {found}.")
        yield number, text


def _table_texts(lines: Iterable[str], name: str, field: str, delimiter: str) -> Iterator[tuple[int, str]]:
    # The default limit of 128 KiB a field is below many a document, and can be set only for the whole process.
    csv.field_size_limit(max(csv.field_size_limit(), _LARGEST_FIELD))
    # strict: else a quotation mark left open would quietly swallow the rest of the file
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    header: list[str] = []
    column = 0
    number = 1
    try:
        for row in rows:
            if row and not header:
                header = row
                if field not in header:
                    raise _missing_field(name, number, field, header)
                column = header.index(field)
            elif row:
                if column >= len(row):
                    raise _missing_field(name, number, field, header[: len(row)])
                yield number, row[column]
            number = rows.line_num + 1
    except csv.Error as error:
        raise CorpusError(f"{name}: the record that starts on line {number} breaks the CSV format: {error}.") from None


def _missing_field(name: str, number: int, field: str, present: list[str]) -> CorpusError:
    shown = ", ".join(map(repr, present[:_SHOWN_FIELDS])) + (", ..." if len(present) > _SHOWN_FIELDS else "")
    return CorpusError(f"{name}, line {number} has no field {field!r}; its fields are {shown or 'none'}.")
