"""`evio compile`: compile all kernels in advance."""

from __future__ import annotations

import sys
import time

import typer

__all__ = ["compile_all"]


def compile_all() -> None:
    """Compile all kernels before their first use, and simulate the built-in recording.

    Without this, each kernel is compiled when it is first needed. Compiled kernels are cached
    beside the installed modules, or in the user's cache if these are not writable.
    """
    from evio_ros.cli.progress import counter_line
    from evio_ros.kernels import compile_kernels

    started_s = time.monotonic()
    with counter_line("compiling kernels") as advance:
        compiled = compile_kernels(advance)
    seconds = time.monotonic() - started_s
    typer.echo(f"{compiled} functions compiled in {seconds:.0f} s", file=sys.stderr)
