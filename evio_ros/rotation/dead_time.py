"""Times for which a sensor's events are missing: absence of data is not absence of motion.

Packets get lost. Some sources report that, and windows carry the missing spans; others do not. Then
dead time is found by the silence of the whole sensor: pixels are independent of one another, so
with noise and moving edges somewhere in the view, the sensor is hardly ever silent. For Poisson
events, an interval of twenty mean intervals occurs by chance once in e^20 events.
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
"""Minimum length of dead time, absolute and in mean intervals between events: the whole sensor is
silent for longer only if events are missing."""
_SILENCES, _LONGEST_USUAL_US = 3.0, 1_000
"""Dead time is also longer than the first value times the usual longest silence of a slice, because
some sensors are read out in bursts. The second value bounds this usual silence. Set by hand."""
_LONGEST_STEP_US = _SILENCES * _LONGEST_USUAL_US
"""Largest usable step between time stamps: with a larger one, data would seem to be missing."""
LONGEST_SILENCE_US = 200_000
"""Maximum length of dead time: a longer silence may also be a scene at rest. Set by hand."""
_WEIGHT = 0.1
"""Weight of a new slice in the mean interval: ten slices count, so a single burst does not."""
_SHORT_US = 100
_STRIDE = 64
"""Silences up to the first value are not distinguished, because three times as much is not dead
time yet. As many events as the second value are skipped at once if they lie within it; examining
each event would cost a tenth of all tracking."""
_FEWEST_EVENTS = 3
"""Minimum number of events for an update of the averages: a few noise events say nothing about
silences."""


def why_too_coarse(t: NDArray[np.int64]) -> Rejection | None:
    """Why events cannot be tracked because their time stamps are too coarse; None if they can.

    Args:
        t: times in µs, in order.
    """
    step_us = time_step_us(t)
    if step_us <= _LONGEST_STEP_US:
        return None
    return Rejection(Reason.COARSE_TIMES, 1e-3 * step_us, 1e-3 * _LONGEST_STEP_US)


def shortest_silence_us(t: NDArray[np.int64]) -> float:
    """Minimum length in µs of a silence that can be dead time, given the step of the time stamps.

    Args:
        t: times in µs, in order.
    """
    return max(float(SHORTEST_SILENCE_US), _SILENCES * time_step_us(t))


class DeadTime:
    """Determines, slice by slice, for which share of the time there is data."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Reset, as if no slice had been seen."""
        self._last_us: int | None = None
        # Averages over the past; 0 while unknown.
        self._interval_us = self._silence_us = 0.0
        # Since the last update of the averages.
        self._since_us = 0.0
        self._since_events = self._since_silence_us = 0
        self._dead_us = 0

    def mark(self, part: EventWindow) -> EventWindow:
        """Set the live share of the next slice.

        A silence counts as dead time from the slice on in which it becomes long enough. Spans that
        the source reports as missing are dead time however short they are.

        Args:
            part: the slice; slices must be consecutive.

        Returns:
            The slice with `live` set to the share of its time for which there is data.
        """
        begin_us = part.start_us if self._last_us is None else self._last_us
        times_us = part.start_us, part.end_us
        limit_us = self._limit_us(part.share)
        longest_us, dead_us = _silences(part.events.t, begin_us, times_us, limit_us)
        if len(part.events):
            self._last_us = int(part.events.t[-1])
        missing_us = part.missing_us
        if missing_us:
            # A silence after a gap does not include the time before it.
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
        """Minimum length in µs of dead time, if only a share of the events was taken."""
        if not self._interval_us:
            return math.inf
        interval_us = self._interval_us / share
        return max(
            float(SHORTEST_SILENCE_US), SILENT_INTERVALS * interval_us, _SILENCES * self._silence_us
        )

    def _learn(self, part: EventWindow, longest_us: int) -> None:
        """Update the averages by a slice's intervals, scaled to those of all events.

        Dead time is included: when a scene comes to rest, the averages must follow. Lengths are
        averaged, not rates, so that a burst of events does not turn its surroundings into silences.
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
        before_us: time of the last event before the slice.
        times_us: start and end of the slice.
        limit_us: minimum length of dead time.

    Returns:
        The longest silence since the last event before the slice, at least `_SHORT_US`, and the
        dead time within the slice, both in µs.
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
