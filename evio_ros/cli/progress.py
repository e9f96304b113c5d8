"""Showing progress on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["progress_bar"]


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
