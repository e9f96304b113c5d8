"""Remarks on a recording, printed beside a command's results."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from evio_ros.sources.readers.recording import Recording

__all__ = ["print_remarks"]


def print_remarks(source: Recording) -> None:
    """Print how a recording was read and what was left out on the error stream, a line each."""
    from evio_ros.sources.source_remarks import remarks_of

    for remark in remarks_of(source):
        typer.echo(f"{source.path}: {remark}", err=True)
