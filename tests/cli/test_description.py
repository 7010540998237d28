"""A model's description in words."""

from __future__ import annotations

import pytest

from ngramgen.cli.description import description_rows, order_rows, size_text

ORDERS = [
    {"kept": 4, "total": 5, "discounts": [0.123456789, 1, 1.5], "fallback": False},
    {"kept": 7, "total": 7, "discounts": [0.5, 1, 1.5], "fallback": True},
    {"kept": 9, "total": 9, "discounts": [0, 0, 0], "fallback": False},
    {"kept": 2, "total": 2},
]


def test_order_rows() -> None:
    """Orders are printed as lmplz does, six digits a discount; where nothing is discounted there are none."""
    assert order_rows({"orders": ORDERS}) == [
        "1 4/5 D1=0.123457 D2=1 D3+=1.5",
        "2 7 D1=0.5 D2=1 D3+=1.5 (fallback)",
        "3 9",
        "4 2",
    ]
    assert order_rows({}) == []


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (2_450_000, "2.5 MB"),
        (3.2e9, "3.2 GB"),
        (5e15, "5000.0 TB"),
    ],
)
def test_size_text(size: float, text: str) -> None:
    """Sizes are in the largest unit that leaves a number above 1."""
    assert size_text(size) == text


def test_description_rows() -> None:
    """All that a description holds is told, what we do not know too, each order in a row of its own."""
    description = {
        "order": 3,
        "ngrams": [4, 7, 9],  # told by the orders
        "smoothing": {"name": "lidstone", "amount": 0.01},
        "cleaning": [],
        "normalised": False,
        "orders": ORDERS[:1],
        "corpus": {"bytes": 75_000, "lines": 1200, "tokens": 15_000},
        "file_bytes": 12,
        "licence": {"code": "Apache-2.0", "text": ["CC0", "CC BY"]},
    }
    assert description_rows(description) == [
        ("order", "3"),
        ("smoothing", "lidstone:0.01"),
        ("cleaning", "none"),
        ("normalised", "no"),
        ("1-grams", "4/5 D1=0.123457 D2=1 D3+=1.5"),
        ("corpus", "1,200 lines, 15,000 tokens, 75.0 kB"),
        ("file bytes", "12 bytes"),
        ("licence", "code Apache-2.0, text CC0, CC BY"),
    ]
