"""When states are published, and the sensor's time at that moment."""

from __future__ import annotations

from dataclasses import dataclass

from evio_ros.parameters import Parameters, parameter

__all__ = ["PublishingParameters", "SensorNow"]

_OLDEST_S = 5.0
"""An older stamp is of another clock: that of a recording or of another machine."""
_LAST_STAMP_NS = 2_000_000_000 * 10**9
"""In the year 2033; the seconds of message stamps overflow five years later."""


@dataclass(frozen=True)
class PublishingParameters(Parameters):
    """When states are published."""

    publish_rate_hz: float = parameter(
        0.0,
        unit="Hz",
        minimum=0.0,
        maximum=1000.0,
        read_only=True,
        doc="Rate at which states are published, predicted to the time of publishing; 0.0 "
        "publishes the states of each window when it arrives.",
    )


class SensorNow:
    """Computes the sensor's time between windows.

    A window's stamp is the ROS time of its end, so the time since the stamp is its latency. If the
    stamp is of another clock, the window is assumed to have ended when it arrived. If it is outside
    the range of message stamps, or close to its end, the time of arrival replaces it.

    Attributes:
        unusable: number of stamps that are not of the clock in use.
    """

    def __init__(self) -> None:
        self.unusable = 0
        self._end_us = self._stamp_ns = 0
        self._ended_s = 0.0

    def note(self, end_us: int, stamp_ns: int, now_ns: int, now_s: float) -> bool:
        """Note the newest window.

        Args:
            end_us: its end, sensor time in µs.
            stamp_ns: ROS time of its end.
            now_ns: ROS time now.
            now_s: time now by a monotonic clock.

        Returns:
            Whether the stamp is of the clock of `now_ns`.
        """
        age_s = 1e-9 * (now_ns - stamp_ns)
        is_usable = 0.0 <= age_s <= _OLDEST_S
        if not is_usable:
            self.unusable += 1
            age_s = 0.0
        if not 0 <= stamp_ns < _LAST_STAMP_NS:
            stamp_ns = now_ns
        self._end_us, self._stamp_ns, self._ended_s = end_us, stamp_ns, now_s - age_s
        return is_usable

    def at(self, now_s: float) -> tuple[int, int]:
        """Sensor time in µs and the matching stamp in ns at a time of the monotonic clock."""
        since_us = max(round(1e6 * (now_s - self._ended_s)), 0)
        return self._end_us + since_us, self._stamp_ns + 1000 * since_us

    @property
    def offset_ns(self) -> int:
        """ROS time minus sensor time of the newest window."""
        return self._stamp_ns - 1000 * self._end_us
