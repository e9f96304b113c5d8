"""Entry point of `evio`, which handles Ctrl-C before anything else is loaded.

Loading the rest takes half a second. This module imports almost nothing, so that Ctrl-C prints one
line and no traceback even then, or after the work is done.
"""

from __future__ import annotations

import os
import signal
from importlib import import_module
from types import FrameType

from evio_ros.cli.interruption import END_SIGNALS, end_message

__all__ = ["main"]


def main() -> None:
    """Run the `evio` command; until it handles signals itself, they end the process at once."""
    for number in END_SIGNALS:
        # A shell makes background jobs ignore Ctrl-C, which is meant for the foreground one.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end_at_once)
    import_module("evio_ros.cli.main").main()


def _end_at_once(number: int, frame: FrameType | None) -> None:
    # There is nothing to undo: either no work has begun, or all is done.
    os.write(2, f"evio: {end_message(number)}\n".encode())
    os._exit(128 + number)
