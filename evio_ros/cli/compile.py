"""`evio compile`: all kernels at once, so that nothing else waits for them."""

from __future__ import annotations

import sys
import time

import typer

__all__ = ["compile_all"]


def compile_all() -> None:
    """Compile all kernels ahead of their first use, and simulate the built-in recording.

    Without it, each is compiled when it is first needed. They are kept beside the installed
    modules, or where these may not be written to, in the user's cache.
    """
    from evio_ros.cli.progress import counter_line
    from evio_ros.kernels import compile_kernels

    started_s = time.monotonic()
    with counter_line("compiling kernels") as advance:
        compiled = compile_kernels(advance)
    seconds = time.monotonic() - started_s
    typer.echo(f"{compiled} functions compiled in {seconds:.0f} s", file=sys.stderr)
