"""Showing progress on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["progress_bar", "step_bar"]


@contextmanager
def progress_bar(title: str, length_us: int) -> Iterator[Callable[[int], None]]:
    """Show a bar on the error stream, if that is a terminal.

    Yields:
        A function that takes the microseconds that are done.
    """
    console = Console(file=sys.stderr)
    if not console.is_terminal:
        yield lambda done_us: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(escape(title), total=length_us)
        yield lambda done_us: bar.update(task, completed=done_us)


@contextmanager
def step_bar(title: str, steps: int) -> Iterator[Callable[[int, str], None]]:
    """Show a bar on the error stream, if that is a terminal.

    Yields:
        A function that takes the steps that are done and a few words on them.
    """
    console = Console(file=sys.stderr)
    if not console.is_terminal:
        yield lambda done, words: None
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
