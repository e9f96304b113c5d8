"""The first moment of `evio`: from then on Ctrl-C ends it in one line.

To load what it needs takes half a second. This module needs next to nothing, so that Ctrl-C prints
no traceback even while the rest is loaded, or after the work is done.
"""

from __future__ import annotations

import os
import signal
from importlib import import_module
from types import FrameType

from evio_ros.cli.interruption import END_SIGNALS, said_on_end

__all__ = ["main"]


def main() -> None:
    """Run the `evio` command; until it takes care of signals itself, they end the process."""
    for number in END_SIGNALS:
        # What a shell starts in the background ignores Ctrl-C, which is meant for others.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end_at_once)
    import_module("evio_ros.cli.main").main()


def _end_at_once(number: int, frame: FrameType | None) -> None:
    # Nothing is half done yet, or all is done.
    os.write(2, f"evio: {said_on_end(number)}\n".encode())
    os._exit(128 + number)
