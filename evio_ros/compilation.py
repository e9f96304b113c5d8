"""Observing and interrupting numba's compilation, which takes minutes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from numba.core import event

__all__ = ["interrupt_compilation", "report_compilation"]


class _Counter(event.Listener):
    """Counts compiled functions, including those of numba itself."""

    def __init__(self, report: Callable[[int], None]) -> None:
        self._report = report
        self._compiled = 0

    def on_start(self, event: event.Event) -> None:
        """Ignore the start of a compilation."""

    def on_end(self, event: event.Event) -> None:
        """Count a compiled function."""
        self._compiled += 1
        self._report(self._compiled)


class _Interrupter(event.Listener):
    """Raises in a thread that is about to compile a function or to load it from the cache."""

    def on_start(self, event: event.Event) -> None:
        """Raise before numba takes its lock, which would otherwise stay locked."""
        raise KeyboardInterrupt

    def on_end(self, event: event.Event) -> None:
        """Let a compilation that started earlier finish."""


@contextmanager
def interrupt_compilation() -> Iterator[None]:
    """Raise KeyboardInterrupt in any thread that next compiles or loads a kernel.

    Only the main thread can be interrupted by a signal, and an exception inside numba would leave
    its lock held.
    """
    with event.install_listener("numba:compiler_lock", _Interrupter()):
        yield


@contextmanager
def report_compilation(report: Callable[[int], None]) -> Iterator[None]:
    """Call `report` with the number of functions compiled so far in any thread, after each one.

    Functions loaded from numba's cache are not counted.
    """
    with event.install_listener("numba:compile", _Counter(report)):
        yield
