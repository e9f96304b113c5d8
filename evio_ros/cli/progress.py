"""Showing progress on the terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

__all__ = ["counter_line", "progress_bar", "step_bar"]

_LINE_EVERY_S = 5.0
_STEP_LINE_EVERY_S = 30.0


@contextmanager
def progress_bar(title: str, length_us: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on the error stream, if that is a terminal.

    Args:
        title: text before the bar.
        length_us: length of the work, sensor time in µs.

    Yields:
        A function that takes the microseconds done so far.
    """
    console = Console(file=sys.stderr)
    if not console.is_terminal:
        yield lambda done_us: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(escape(title), total=length_us)
        with _compilation_shown(bar, task, escape(title)):
            yield lambda done_us: bar.update(task, completed=done_us, description=escape(title))


@contextmanager
def _compilation_shown(bar: Progress, task: TaskID, title: str) -> Iterator[None]:
    """Show beside the title that kernels are being compiled, which takes long the first time."""
    from evio_ros.compilation import report_compilation

    def tell(compiled: int) -> None:
        bar.update(task, description=f"{title}, compiling kernels for the first time: {compiled}")

    with report_compilation(tell):
        yield


@contextmanager
def counter_line(title: str) -> Iterator[Callable[[int], None]]:
    """Show a count of unknown length on the error stream; as lines if that is not a terminal.

    Args:
        title: what is counted.

    Yields:
        A function that takes the count so far.
    """
    console = Console(file=sys.stderr)
    if console.is_terminal:
        columns = (TextColumn("{task.description}: {task.completed}"), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True) as line:
            task = line.add_task(escape(title), total=None)
            yield lambda done: line.update(task, completed=done)
        return
    shown_s = time.monotonic()

    def show(done: int) -> None:
        nonlocal shown_s
        if time.monotonic() - shown_s > _LINE_EVERY_S:
            shown_s = time.monotonic()
            console.print(f"{title}: {done}")

    yield show


@contextmanager
def step_bar(title: str, steps: int) -> Iterator[Callable[[int, str], None]]:
    """Show a progress bar on the error stream; as occasional lines if that is not a terminal.

    Args:
        title: text before the bar.
        steps: number of steps.

    Yields:
        A function that takes the steps done so far and a short text.
    """
    console = Console(file=sys.stderr)
    if not console.is_terminal:
        yield _step_lines(console, title, steps)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} {task.fields[words]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(escape(title), total=steps, words="")
        yield lambda done, words: bar.update(task, completed=done, words=words)


def _step_lines(console: Console, title: str, steps: int) -> Callable[[int, str], None]:
    shown_s = time.monotonic()

    def show(done: int, words: str) -> None:
        nonlocal shown_s
        if time.monotonic() - shown_s > _STEP_LINE_EVERY_S:
            shown_s = time.monotonic()
            console.print(f"{title}: {done} of {steps} {words}".rstrip())

    return show
