"""Ending a process on a signal, whatever it is doing.

Python runs signal handlers between two of its own steps. A long compiled kernel is one step, and so
is filling memory: SIGINT and SIGTERM would have to wait for it.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["STARTED_AGAIN", "STARTED_BY", "ended_by_signals", "ignore_signals"]

STARTED_BY = "EVIO_STARTED_BY"
"""Environment variable with the number of a process; when that ends, this one is to end too."""
STARTED_AGAIN = "EVIO_STARTED_AGAIN"
"""Environment variable that is set for a process which takes the place of one that crashed."""

_GRACE_S = 3.0
"""How long an orderly end may take; launch sends SIGTERM after 5 s."""
_ENDING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Within this context, end the process if it has not ended 3 s after SIGINT or SIGTERM.

    It exits with 128 plus the signal's number, as shells have it. The end of the process that
    `STARTED_BY` names counts as SIGTERM: launch leaves its nodes running when it is terminated or
    killed itself. To be entered from the main thread, before handlers are installed that do not go
    on to Python's.
    """
    # Python's handler in C writes the signal's number here at once.
    heard, told = socket.socketpair()
    told.setblocking(False)
    over = threading.Event()
    before = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(heard, over), name="signals", daemon=True).start()
    try:
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(before)
        told.close()


def ignore_signals() -> None:
    """Let the clean-up finish: Ctrl-C comes twice, from the terminal and from launch."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)


def _watch(heard: socket.socket, over: threading.Event) -> None:
    with heard:
        starter = _starter()
        while True:
            ready, _, _ = select.select([heard.fileno(), *starter], [], [])
            if heard.fileno() not in ready:
                os.close(starter.pop())
                os.kill(os.getpid(), signal.SIGTERM)
                continue
            numbers = heard.recv(64)
            if not numbers:
                break
            asked = [number for number in numbers if number in _ENDING]
            if asked and not over.wait(_GRACE_S):
                print(
                    f"{sys.argv[0].rpartition('/')[2]}: did not end within {_GRACE_S:g} s of "
                    f"{signal.Signals(asked[0]).name}; ended in the middle of its work",
                    file=sys.stderr,
                    flush=True,
                )
                os._exit(128 + asked[0])
        for descriptor in starter:
            os.close(descriptor)


def _starter() -> list[int]:
    """A descriptor that becomes readable when the process that started this one ends, or none."""
    number = os.environ.get(STARTED_BY, "")
    if not number.isdecimal() or not hasattr(os, "pidfd_open"):
        return []
    try:
        return [os.pidfd_open(int(number))]
    except ProcessLookupError:
        os.kill(os.getpid(), signal.SIGTERM)
    except OSError:
        pass  # a system without such descriptors: nodes then outlive their launch
    return []
