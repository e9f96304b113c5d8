"""Waiting until what was published is confirmed, before its publishers go away."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from rclpy.duration import Duration
from rclpy.publisher import Publisher

__all__ = ["unconfirmed_topics"]

_POLL_S = 0.01


def unconfirmed_topics(
    publishers: Iterable[Publisher], until_s: float, give_up: Callable[[], bool] = lambda: False
) -> list[str]:
    """Wait for reliable subscribers to confirm all messages; the topics where some have not.

    Best-effort subscribers confirm nothing and are not waited for.

    Args:
        publishers: of messages.
        until_s: time of the end of the wait, by `time.monotonic`.
        give_up: asked now and then; True ends the wait at once.
    """
    waiting = [each for each in publishers if not _is_confirmed(each)]
    while waiting and time.monotonic() < until_s and not give_up():
        # rclpy would keep the interpreter to itself for as long as it waits itself.
        time.sleep(_POLL_S)
        waiting = [each for each in waiting if not _is_confirmed(each)]
    return sorted({each.topic_name for each in waiting})


def _is_confirmed(publisher: Publisher) -> bool:
    """Whether all is confirmed, as far as the middleware knows."""
    try:
        return publisher.wait_for_all_acked(Duration())
    except RuntimeError:
        return True  # it is destroyed, all is shut down, or this middleware cannot tell
