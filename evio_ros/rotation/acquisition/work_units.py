"""Work in units of about a millisecond, so that urgent work need not wait for the whole."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

__all__ = ["Work", "result_of"]

Result = TypeVar("Result")

Work = Generator[None, None, Result]
"""A generator that yields after each work unit, about a millisecond of one processor core, and
returns the result. It gives the same result whenever the units are done."""


def result_of(work: Work[Result]) -> Result:
    """Do all units and return the result."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: Result = end.value
            return result
