"""Small recordings from the field, in a folder beside the project."""

from __future__ import annotations

from pathlib import Path

import pytest

FIELD_CASES = Path(__file__).resolve().parents[2] / "shared" / "field_cases"


def field_case(name: str) -> str:
    """The path of a recording; skips the test if it is missing."""
    path = FIELD_CASES / name
    if not path.exists():
        pytest.skip(f"no {name} in {FIELD_CASES}")
    return str(path)
