"""Work that the library does a unit at a time, done at once."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

Result = TypeVar("Result")


def result_of(work: Generator[None, None, Result]) -> Result:
    """Do all units, one after the other."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: Result = end.value
            return result
