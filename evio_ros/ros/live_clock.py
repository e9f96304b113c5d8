"""From a live camera's clock to ROS time, followed slowly: 50 ppm make 0.18 s an hour."""

from __future__ import annotations

from collections import deque

import numpy as np

__all__ = ["LiveClock"]

_LEAST_SPACING_NS = 50e6
_LARGEST_SPACING_NS = 1e9
"""Receipts are this far apart once the camera has run for a while."""
_KEPT = 32
"""Receipts that the line is laid through; no few of them move it, the newest or the first."""
_LARGEST_DRIFT = 0.02
"""Clocks of cameras are off by 1e-4 at most; twice what one could still call a clock."""
_FEWEST = 3
_LARGEST_SLEW_NS = 500_000_000
"""What is farther off is no drift but a wrong time, or another clock."""
_ANOTHER_CLOCK = 10
"""Receipts in a row, each farther off than that, which make the others count no more."""


class LiveClock:
    """ROS time minus sensor time, as a line through the receipts of the last seconds.

    The line is the one of Theil and Sen (P. K. Sen, "Estimates of the regression coefficient based
    on Kendall's tau", 1968): the median slope between receipts, and the median of what is left.
    Up to 29 % of receipts may be of any time. Between windows the offset changes by at most half
    the time that has passed, so stamps never go back.

    Args:
        sensor_us, received_ns: sensor time, and the ROS time at which it is now.
    """

    def __init__(self, sensor_us: int, received_ns: int) -> None:
        self._origin_us = sensor_us
        self._first_ns = received_ns - 1000 * sensor_us
        # Sensor time since the origin and offset since the first one, both in ns.
        self._receipts: deque[tuple[float, float]] = deque([(0.0, 0.0)], _KEPT)
        self._spacing_ns = _LEAST_SPACING_NS
        self._strange = 0
        self._drift, self._intercept_ns = 0.0, 0.0
        self._slewed_ns, self._slewed_at_ns = 0.0, 0.0

    def note(self, sensor_us: int, received_ns: int) -> None:
        """Note that events up to a sensor time have just come; too many receipts are passed over.

        Args:
            sensor_us: sensor time up to which there are events.
            received_ns: ROS time.
        """
        time_ns = 1000.0 * (sensor_us - self._origin_us)
        if abs(time_ns - self._receipts[-1][0]) < self._spacing_ns:
            return
        if len(self._receipts) == _KEPT and self._spacing_ns < _LARGEST_SPACING_NS:
            # The longer it runs, the less a second in which the computer was busy counts.
            self._receipts = deque(list(self._receipts)[1::2], _KEPT)
            self._spacing_ns *= 2
        offset_ns = float(received_ns - 1000 * sensor_us - self._first_ns)
        is_strange = abs(offset_ns - self._slewed_ns) > _LARGEST_SLEW_NS
        self._strange = self._strange + 1 if is_strange else 0
        self._receipts.append((time_ns, offset_ns))
        if self._strange == _ANOTHER_CLOCK:
            self._receipts = deque(list(self._receipts)[-_ANOTHER_CLOCK:], _KEPT)
            self._spacing_ns, self._strange = _LEAST_SPACING_NS, 0
        if len(self._receipts) >= _FEWEST:
            self._lay_line()

    def offset_ns(self, sensor_us: int) -> int:
        """ROS time minus sensor time at a sensor time; asked for in order of time."""
        time_ns = 1000.0 * (sensor_us - self._origin_us)
        wanted_ns = self._intercept_ns + self._drift * time_ns
        change_ns = wanted_ns - self._slewed_ns
        if abs(change_ns) < _LARGEST_SLEW_NS:
            most_ns = 0.5 * abs(time_ns - self._slewed_at_ns)
            change_ns = min(max(change_ns, -most_ns), most_ns)
        self._slewed_ns += change_ns
        self._slewed_at_ns = time_ns
        return self._first_ns + round(self._slewed_ns)

    def _lay_line(self) -> None:
        times, offsets = np.array(self._receipts).T
        first, second = np.triu_indices(len(times), 1)
        spans = times[second] - times[first]
        apart = spans != 0
        slopes = (offsets[second] - offsets[first])[apart] / spans[apart]
        slopes = slopes[np.abs(slopes) <= _LARGEST_DRIFT]
        self._drift = float(np.median(slopes)) if len(slopes) else 0.0
        self._intercept_ns = float(np.median(offsets - self._drift * times))
