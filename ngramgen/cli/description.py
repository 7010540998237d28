"""A model's description, which the library gives as plain values, as lines for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def order_rows(description: Mapping[str, Any]) -> list[str]:
    """A line an order: its number, its n-grams (kept/all where some were pruned) and discounts, as lmplz prints them.

    >>> order_rows({"orders": [{"kept": 4, "total": 5, "discounts": [0.5, 1, 1.5]}]})
    ['1 4/5 D1=0.5 D2=1 D3+=1.5']
    """
    return [f"{k} {_order(row)}" for k, row in enumerate(description.get("orders", []), start=1)]


def size_text(size: float) -> str:
    """A number of bytes in the unit that suits it.

    >>> size_text(999), size_text(2_450_000)
    ('999 bytes', '2.5 MB')
    """
    for unit in _UNITS:
        if size < 1000 or unit == _UNITS[-1]:
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"


def description_rows(description: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values of all that is known of a model, those that we have no words for as they are.

    >>> description_rows({"order": 3, "corpus": {"lines": 1200, "tokens": 15000, "bytes": 75000}, "licence": "CC0"})
    [('order', '3'), ('corpus', '1,200 lines, 15,000 tokens, 75.0 kB'), ('licence', 'CC0')]
    """
    rows: list[tuple[str, str]] = []
    for key, value in description.items():
        if key == "orders":
            rows += [(f"{k}-grams", _order(row)) for k, row in enumerate(value, start=1)]
        elif key not in _TOLD_BY_ORDERS:
            rows.append((key.replace("_", " "), _SPEAKERS.get(key, _spoken)(value)))
    return rows


def _order(row: Mapping[str, Any]) -> str:
    text = str(row["kept"]) if row["kept"] == row["total"] else f"{row['kept']}/{row['total']}"
    if any(row.get("discounts", ())):
        text += "".join(f" D{k}={d:g}" for k, d in zip(("1", "2", "3+"), row["discounts"], strict=True))
    return text + (" (fallback)" if row.get("fallback") else "")


def _spoken(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(_spoken, value)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_spoken(item)}" for key, item in value.items()) or "none"
    return str(value)


def _smoothing(value: Any) -> str:
    name, *parameters = value.values()
    return ":".join([str(name), *(f"{parameter:g}" for parameter in parameters)])


def _corpus(value: Any) -> str:
    if isinstance(value, dict) and "lines" not in value:  # a network's
        return _spoken(value)
    return f"{value['lines']:,} lines, {value['tokens']:,} tokens, {size_text(value['bytes'])}"


_TOLD_BY_ORDERS = ("ngrams",)
_SPEAKERS: dict[str, Callable[[Any], str]] = {"file_bytes": size_text, "smoothing": _smoothing, "corpus": _corpus}
