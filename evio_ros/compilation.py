"""Telling what numba compiles, which takes long, and ending that before it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from numba.core import event

__all__ = ["compilation_interrupted", "compilation_told"]


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


class _Interrupter(event.Listener):
    """Raises where a thread is about to compile a function, or to load it from the cache."""

    def on_start(self, event: event.Event) -> None:
        """Raise before numba takes its lock, which would stay locked otherwise."""
        raise KeyboardInterrupt

    def on_end(self, event: event.Event) -> None:
        """What has begun before is completed."""


@contextmanager
def compilation_interrupted() -> Iterator[None]:
    """Have the next kernel that any thread compiles or loads raise KeyboardInterrupt there.

    Threads, unlike the main thread, cannot be interrupted by a signal; and numba's lock does not
    survive an exception at any place.
    """
    with event.install_listener("numba:compiler_lock", _Interrupter()):
        yield


@contextmanager
def compilation_told(tell: Callable[[int], None]) -> Iterator[None]:
    """Have `tell` called with the number of functions compiled so far, in any thread.

    What comes from numba's cache is not told.
    """
    with event.install_listener("numba:compile", _Counter(tell)):
        yield
