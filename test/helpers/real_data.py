"""Where the real scans are that some tests use: $S4TOKEN_DATA, else ../shared/data beside the checkout."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("S4TOKEN_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")


def real(*parts: str) -> Path:
    """Return the path of a real file or folder, or skip the test where it is absent."""
    path = ROOT.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"no real data at {path}; set S4TOKEN_DATA to their folder")
    return path
