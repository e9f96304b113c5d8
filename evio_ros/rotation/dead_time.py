"""Times for which a sensor's events are missing: absence of data is no absence of motion.

Packets get lost on the way. Where a source says so, windows carry the spans that are missing; not
every source does. Pixels are independent of one another: with noise, and edges that move somewhere,
all of them together are hardly ever silent. If events are Poisson, twenty mean intervals pass
without one by chance once in e^20 events.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.events import EventWindow
from evio_ros.explanation import Reason, Rejection
from evio_ros.time_stamps import time_step_us

__all__ = [
    "LONGEST_SILENCE_US",
    "SHORTEST_SILENCE_US",
    "SILENT_INTERVALS",
    "DeadTime",
    "shortest_silence_us",
    "why_too_coarse",
]

SHORTEST_SILENCE_US = 500
SILENT_INTERVALS = 20
"""The whole sensor is silent for longer than this, and than so many mean intervals between events,
only where events are missing."""
_SILENCES, _LONGEST_USUAL_US = 3.0, 1_000
"""Nor are they where it is no longer than so many times the usual longest silence of a slice, which
counts as this long at most: some sensors are read out in bursts. Set by hand."""
_LONGEST_STEP_US = _SILENCES * _LONGEST_USUAL_US
"""Between time stamps that come more seldom than this, data would be taken to be missing."""
LONGEST_SILENCE_US = 200_000
"""What is silent for longer may as well be still. Set by hand."""
_WEIGHT = 0.1
"""Weight of a new slice in the mean interval: ten slices count, and a single burst does not."""
_SHORT_US = 100
_STRIDE = 64
"""Silences up to this are alike: thrice as long are none yet. So many events that lie within it are
passed over at once, or looking at each would cost a tenth of all that tracking costs."""
_FEWEST_EVENTS = 3
"""An interval is learned from so many events at least: stray ones tell nothing of a silence."""


def why_too_coarse(t: NDArray[np.int64]) -> Rejection | None:
    """Why events at some times can't be tracked, as their stamps come too seldom; None if they can.

    Args:
        t: times in µs, in order.
    """
    step_us = time_step_us(t)
    if step_us <= _LONGEST_STEP_US:
        return None
    return Rejection(Reason.COARSE_TIMES, 1e-3 * step_us, 1e-3 * _LONGEST_STEP_US)


def shortest_silence_us(t: NDArray[np.int64]) -> float:
    """Silences of a sensor that are shorter are no missing data: the step of its stamps makes them.

    Args:
        t: times in µs, in order.
    """
    return max(float(SHORTEST_SILENCE_US), _SILENCES * time_step_us(t))


class DeadTime:
    """Tells for one slice after another for how much of it there is data."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget all slices."""
        self._last_us: int | None = None
        # Means over the past; 0 while nothing is known.
        self._interval_us = self._silence_us = 0.0
        # Since an interval was learned last.
        self._since_us = 0.0
        self._since_events = self._since_silence_us = 0
        self._dead_us = 0

    def mark(self, part: EventWindow) -> EventWindow:
        """The next slice with its live share; slices follow one another.

        A silence is told once it is long enough, and counts as dead from that slice on; what the
        slice says is missing is dead however long it is.
        """
        begin_us = part.start_us if self._last_us is None else self._last_us
        times_us = part.start_us, part.end_us
        limit_us = self._limit_us(part.share)
        longest_us, dead_us = _silences(part.events.t, begin_us, times_us, limit_us)
        if len(part.events):
            self._last_us = int(part.events.t[-1])
        missing_us = part.missing_us
        if missing_us:
            # What lies before a gap is no part of the silence after it.
            gap_end_us = min(part.missing[-1].stop, part.end_us)
            self._last_us = max(begin_us if self._last_us is None else self._last_us, gap_end_us)
        else:
            self._learn(part, longest_us)
        is_silent = 2 * (dead_us - missing_us) > part.length_us
        self._dead_us = self._dead_us + part.length_us if is_silent else 0
        if self._dead_us > LONGEST_SILENCE_US:
            dead_us = 0
        dead_us = max(dead_us, missing_us)
        return replace(part, live=1.0 - dead_us / part.length_us) if dead_us else part

    def _limit_us(self, share: float) -> float:
        """Length beyond which a silence is dead time, where a share of the events was taken."""
        if not self._interval_us:
            return math.inf
        interval_us = self._interval_us / share
        return max(
            float(SHORTEST_SILENCE_US), SILENT_INTERVALS * interval_us, _SILENCES * self._silence_us
        )

    def _learn(self, part: EventWindow, longest_us: int) -> None:
        """Take in how far apart a slice's events are, had all of them been taken.

        Dead time counts: where a scene has become still, what is usual must change. Lengths are
        averaged, not rates, so that a burst of events makes no silences of what surrounds it.
        """
        self._since_us += part.length_us * part.share
        self._since_events += len(part.events)
        self._since_silence_us = max(self._since_silence_us, longest_us)
        if self._since_events < _FEWEST_EVENTS:
            return
        weight = _WEIGHT if self._interval_us else 1.0
        silence_us = min(self._since_silence_us, _LONGEST_USUAL_US)
        self._interval_us += weight * (self._since_us / self._since_events - self._interval_us)
        self._silence_us += weight * (silence_us - self._silence_us)
        self._since_us = 0.0
        self._since_events = self._since_silence_us = 0


@njit(cache=True, nogil=True)
def _silences(t, before_us, times_us, limit_us):
    """Silences between a slice's events.

    Args:
        t: times of the events.
        before_us: time of the last event before them.
        times_us: start and end of the slice.
        limit_us: length beyond which a silence is dead time.

    Returns:
        The longest silence, `_SHORT_US` at least, from the last event before the slice on, and the
        slice's dead time.
    """
    start_us, end_us = times_us
    longest_us, dead_us, last_us = _SHORT_US, 0, before_us
    i = 0
    while i <= t.size:
        if i + _STRIDE < t.size and t[i + _STRIDE] - last_us <= _SHORT_US:
            i += _STRIDE
            last_us = t[i]
        now_us = t[i] if i < t.size else end_us
        silence_us = now_us - last_us
        longest_us = max(longest_us, silence_us)
        if silence_us > limit_us:
            dead_us += now_us - max(last_us, start_us)
        last_us = now_us
        i += 1
    return longest_us, dead_us
