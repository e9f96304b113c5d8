"""Ctrl-C and SIGTERM during a run of `evio`: an exception that unwinds unfinished work."""

from __future__ import annotations

import math
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

__all__ = ["END_SIGNALS", "end_message", "unwinding"]

END_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SAME_REQUEST_S = 1.0
"""Signals within this time count as one request: the clean-up continues."""
_REPEAT_S = 0.01
"""A signal whose exception was lost is sent again after this time."""


def end_message(number: int) -> str:
    """The message of a program that a signal ends."""
    return "interrupted" if number == signal.SIGINT else "terminated"


@contextmanager
def unwinding() -> Iterator[None]:
    """Make signals raise SystemExit with 128 plus their number, so that unfinished work is undone.

    If such an exception is lost, as in a callback of the compiler, it is raised again. From then
    on, errors of finalisers are not shown: objects whose construction was interrupted may raise
    them.
    """
    last_s, lost = -math.inf, signal.SIGINT

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal last_s, lost
        if number == signal.SIGALRM:
            number = lost
        elif time.monotonic() - last_s < _SAME_REQUEST_S:
            return
        last_s, lost = time.monotonic(), signal.Signals(number)
        raise SystemExit(128 + number)

    def raise_again(unraisable: UnraisableHookArgs) -> None:
        if issubclass(unraisable.exc_type, SystemExit):
            signal.setitimer(signal.ITIMER_REAL, _REPEAT_S)
        elif last_s == -math.inf:
            hook(unraisable)

    hook = sys.unraisablehook
    numbers = [each for each in END_SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]
    before = {number: signal.getsignal(number) for number in (*numbers, signal.SIGALRM)}
    try:
        sys.unraisablehook = raise_again
        for number in before:
            signal.signal(number, end)
        yield
    except BaseException:
        # Finalisers of interrupted objects may raise anything.
        if last_s == -math.inf:
            raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        for number, handler in before.items():
            signal.signal(number, handler)
        if last_s == -math.inf:
            sys.unraisablehook = hook
    if last_s > -math.inf:
        raise SystemExit(128 + lost)
