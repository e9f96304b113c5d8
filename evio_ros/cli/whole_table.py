"""Tables on the terminal, or where there is none."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

__all__ = ["print_table"]

_UNLIMITED = 1 << 16


def print_table(console: Console, table: Table) -> None:
    """Print a table of numbers and names as wide as it is.

    rich cuts them where a terminal is narrower, and at 80 columns where there is none.
    """
    unlimited = console.options.update(max_width=_UNLIMITED)
    width = max(console.width, console.measure(table, options=unlimited).maximum)
    Console(file=console.file, width=width).print(table)
