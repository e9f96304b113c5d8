"""Counting messages that were published but never came."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["LostMessages"]


class LostMessages:
    """Counts messages that a subscription has lost, by the middleware's sequence numbers.

    A reliable subscription too loses the oldest messages if more wait than its depth. Nothing is
    counted if the middleware does not number messages, as before Jazzy, or if more than one node
    publishes, as their numbers cannot be told apart.

    Args:
        publishers: the number of publishers; asked only if a number is skipped.

    Attributes:
        count: number of messages lost.
    """

    def __init__(self, publishers: Callable[[], int]) -> None:
        self.count = 0
        self._publishers = publishers
        self._last: int | None = None
        self._reported = 0

    def note(self, info: Mapping[str, Any]) -> None:
        """Note a message that came.

        Args:
            info: what rclpy passes to a callback with two arguments.
        """
        last, self._last = self._last, info.get("publication_sequence_number")
        if last is None or self._last is None:
            return
        lost = self._last - last - 1
        # Smaller numbers are those of a publisher that was started again.
        if lost > 0 and self._publishers() <= 1:
            self.count += lost

    def unreported(self) -> int:
        """Number of messages lost since this was called last."""
        new, self._reported = self.count - self._reported, self.count
        return new
