"""Percentiles of delays."""

from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.clock import Clock

from evio_ros.ros.stamps import nanoseconds_of

__all__ = ["DelayStatistics"]

_KEPT = 1000


class DelayStatistics:
    """Percentiles of the newest 1000 delays.

    Args:
        name: what is delayed, as values of a report begin.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._ring = np.zeros(_KEPT)
        self._count = 0

    def note(self, delay_s: float) -> None:
        """Take one delay."""
        self._ring[self._count % _KEPT] = delay_s
        self._count += 1

    def note_age(self, stamp: Time, clock: Clock) -> None:
        """Take the time since a stamp."""
        self.note(1e-9 * (clock.now().nanoseconds - nanoseconds_of(stamp)))

    def values(self) -> dict[str, object]:
        """Median and 99th percentile in ms, as values of a report; none before the first."""
        if not self._count:
            return {}
        p50, p99 = 1e3 * np.percentile(self._ring[: self._count], (50, 99))
        return {f"{self._name}_p50_ms": round(p50, 2), f"{self._name}_p99_ms": round(p99, 2)}
