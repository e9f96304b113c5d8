"""Work that is done in pieces, so that what is urgent need not wait for it."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

__all__ = ["Pieces", "all_at_once"]

Result = TypeVar("Result")

Pieces = Generator[None, None, Result]
"""A generator that yields after each piece of work, about a millisecond of one processor core, and
returns the result. It gives the same result whenever the pieces are done."""


def all_at_once(work: Pieces[Result]) -> Result:
    """Do all pieces, one after the other."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: Result = end.value
            return result
