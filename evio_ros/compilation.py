"""Telling what numba compiles while it does: once on a machine, and then for long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from numba.core import event

__all__ = ["compilation_told"]


class _Counter(event.Listener):
    """Counts compiled functions, those of numba itself among them."""

    def __init__(self, tell: Callable[[int], None]) -> None:
        self._tell = tell
        self._compiled = 0

    def on_start(self, event: event.Event) -> None:
        """Nothing is done yet."""

    def on_end(self, event: event.Event) -> None:
        """One function more is compiled."""
        self._compiled += 1
        self._tell(self._compiled)


@contextmanager
def compilation_told(tell: Callable[[int], None]) -> Iterator[None]:
    """Have `tell` called with the number of functions compiled so far, in whatever thread it is.

    What comes from numba's cache is not told.
    """
    with event.install_listener("numba:compile", _Counter(tell)):
        yield
