"""Statistics of a recording: rates, polarity, hot pixels and gaps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.event_filter import find_hot_pixels
from evio_ros.events import EventBatch, SensorSize
from evio_ros.time_stamps import time_step_us

__all__ = ["RecordingStatistics"]

_BIN_US = 10_000
_LONGEST_GAP_US = 100_000
_HOT_FACTOR = 50.0
_LEAST_HOT_SHARE = 1e-5
_FINE_STEP_US = 100.0
"""Maximum spacing of time stamps that is fine enough for everything that turns."""
_EVENTS_A_STAMP = 2
"""With fewer events per time stamp on average, events are rare rather than time stamps coarse."""
_MOST_PIXELS = 1 << 25


@njit(cache=True, nogil=True)
def _count(x, y, t, pixels, bins, start_us, bin_us):
    for i in range(x.size):
        if pixels.size:
            pixels[y[i], x[i]] += 1
        bins[(t[i] - start_us) // bin_us] += 1


@dataclass(frozen=True, slots=True)
class Gap:
    """A time without any event, from one event to the next, in µs."""

    start_us: int
    length_us: int


class RecordingStatistics:
    """Collects batches; takes 800 bytes of memory for each second of a recording.

    Args:
        size: geometry of the sensor.

    Attributes:
        events, on: numbers of all and of ON events.
        start_us, end_us: sensor time of the first event and just after the last, in µs.
        pixels: int64 (height, width), number of events of each pixel; (0, 0) if there are more
            pixels than any sensor has, as for coordinates in fixed point.
        gaps: times of more than 100 ms without any event.
    """

    def __init__(self, size: SensorSize) -> None:
        self.events = self.on = 0
        self.start_us = self.end_us = 0
        shape = (size.height, size.width) if size.pixels <= _MOST_PIXELS else (0, 0)
        self.pixels = np.zeros(shape, np.int64)
        self.gaps: list[Gap] = []
        self._step_us = math.inf
        self._bins = np.zeros(0, np.int64)

    def add(self, batch: EventBatch) -> None:
        """Add the next batch."""
        if not len(batch):
            return
        if not self.events:
            self.start_us = int(batch.t[0])
            self.end_us = self.start_us + 1
        self._note_gaps(batch)
        if self._step_us > _FINE_STEP_US:
            self._note_step(batch)
        self.events += len(batch)
        self.on += int(np.count_nonzero(batch.polarity))
        self.end_us = int(batch.t[-1]) + 1
        needed = (self.end_us - 1 - self.start_us) // _BIN_US + 1
        if needed > len(self._bins):
            grown = np.zeros(max(needed, 2 * len(self._bins)), np.int64)
            grown[: len(self._bins)] = self._bins
            self._bins = grown
        _count(batch.x, batch.y, batch.t, self.pixels, self._bins, self.start_us, _BIN_US)

    @property
    def coarse_step_us(self) -> float:
        """Spacing of time stamps in µs if above 100 µs, as in converted video; else 0."""
        return self._step_us if _FINE_STEP_US < self._step_us < math.inf else 0.0

    @property
    def duration_us(self) -> int:
        """Time from the first event to just after the last, in µs."""
        return self.end_us - self.start_us

    def rates_hz(self) -> NDArray[np.float64]:
        """Event rate in bins of 10 ms, float64 (n,), per second; the last may be shorter."""
        starts_us = np.arange(0, self.duration_us, _BIN_US)
        lengths_us = np.minimum(self.duration_us - starts_us, _BIN_US)
        return self._bins[: len(starts_us)] / (lengths_us * 1e-6)

    def hot_pixels(self) -> list[tuple[int, int, int]]:
        """(x, y, events) of pixels with far more events than any neighbour, the hottest first."""
        lonely = find_hot_pixels(self.pixels, _HOT_FACTOR)
        y, x = np.nonzero(lonely & (self.pixels > _LEAST_HOT_SHARE * self.events))
        order = np.argsort(self.pixels[y, x])[::-1]
        return [(int(x[i]), int(y[i]), int(self.pixels[y[i], x[i]])) for i in order]

    def _note_step(self, batch: EventBatch) -> None:
        stamps = 1 + np.count_nonzero(np.diff(batch.t))
        is_shared = len(batch) > _EVENTS_A_STAMP * stamps
        step_us = time_step_us(batch.t) if is_shared else 1.0
        self._step_us = min(self._step_us, step_us or math.inf)

    def _note_gaps(self, batch: EventBatch) -> None:
        times = np.concatenate(((self.end_us - 1,), batch.t))
        steps = np.diff(times)
        for index in np.flatnonzero(steps > _LONGEST_GAP_US):
            self.gaps.append(Gap(int(times[index]), int(steps[index])))
