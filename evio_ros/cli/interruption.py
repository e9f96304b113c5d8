"""What Ctrl-C and SIGTERM do to `evio` while it works: an exception undoes what is half done."""

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

__all__ = ["END_SIGNALS", "said_on_end", "unwinding"]

END_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SAME_S = 1.0
"""Signals that follow within this time are the same wish: the clean-up goes on."""
_AGAIN_S = 0.01
"""A signal that was lost is repeated after this time."""


def said_on_end(number: int) -> str:
    """What a program says that a signal ends."""
    return "interrupted" if number == signal.SIGINT else "terminated"


@contextmanager
def unwinding() -> Iterator[None]:
    """Have signals raise SystemExit with 128 and their number, so that what is half done is undone.

    Where such an exception is lost, as in a callback of the compiler, it is raised once more. From
    then on finalisers are not heard: what breaks off while it is made complains when it goes.
    """
    last_s, lost = -math.inf, signal.SIGINT

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal last_s, lost
        if number == signal.SIGALRM:
            number = lost
        elif time.monotonic() - last_s < _SAME_S:
            return
        last_s, lost = time.monotonic(), signal.Signals(number)
        raise SystemExit(128 + number)

    def raise_again(unraisable: UnraisableHookArgs) -> None:
        if issubclass(unraisable.exc_type, SystemExit):
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
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
        # What is broken off may raise whatever it likes.
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
