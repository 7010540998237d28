"""Fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public text, beside the repository or where NGRAMGEN_TEST_DATA says."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("NGRAMGEN_TEST_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"needs the shared test data: there is no folder {folder} (set NGRAMGEN_TEST_DATA)")
    return folder
