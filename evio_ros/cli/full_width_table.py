"""Tables that are never cut to the terminal's width."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

__all__ = ["print_table"]

_UNLIMITED = 1 << 16


def print_table(console: Console, table: Table) -> None:
    """Print a table of numbers and names at its full width.

    rich cuts tables to the width of the terminal, or to 80 columns if there is none.
    """
    unlimited = console.options.update(max_width=_UNLIMITED)
    width = max(console.width, console.measure(table, options=unlimited).maximum)
    Console(file=console.file, width=width).print(table)
