"""Events of a region that belong to no rotor yet, of as many of the latest slices as are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.events import EventBatch, EventWindow, SensorSize
from evio_ros.rotation.acquisition.regions import Region
from evio_ros.rotation.acquisition.work_units import Work
from evio_ros.rotation.tracking.disc_map import FREE

__all__ = ["RegionEvents", "SearchWindow"]

_MARGIN_PX = 10.0
"""Border about a region's cells whose events are looked at too: blade tips make so few events that
their cells may not be active."""
_MOST_EVENTS = 2_000_000
"""Of more events only every second, third ... one is looked at, so that they take 26 MB at most."""
_EVENTS_A_UNIT = 400_000
"""So many events are picked from in one work unit, which takes a millisecond."""


@dataclass(frozen=True, slots=True)
class SearchWindow:
    """Events in which rotors are looked for.

    Attributes:
        start_us, end_us: time span.
        events: those of a region that belong to no rotor yet.
        slices: times in µs of the slices that lie within it as a whole.
        live: share of each slice for which there is data.
        shares: share of each slice's events that was taken.
    """

    start_us: int
    end_us: int
    events: EventBatch
    slices: tuple[range, ...]
    live: tuple[float, ...]
    shares: tuple[float, ...]

    @property
    def span_us(self) -> int:
        """Length."""
        return self.end_us - self.start_us


class RegionEvents:
    """Picks a region's events out of slices, the latest first and no more than asked for.

    Args:
        size: geometry of the sensor.
        slices: consecutive slices, at least one.
        codes: int32 (height, width) of `PixelTable`; the region's part of it is copied.
        region: where; its bounding box with a margin counts.

    Attributes:
        start_us, end_us: time span of all slices.
    """

    def __init__(
        self,
        size: SensorSize,
        slices: Sequence[EventWindow],
        codes: NDArray[np.int32],
        region: Region,
    ) -> None:
        self._size = size
        self.start_us, self.end_us = slices[0].start_us, slices[-1].end_us
        self._times_us = tuple(range(part.start_us, part.end_us) for part in slices)
        self._live = tuple(part.live for part in slices)
        self._shares = tuple(part.share for part in slices)
        self._not_seen = list(slices)
        points = region.cell_centers()
        low = np.maximum(points.min(axis=0) - _MARGIN_PX, 0.0).astype(np.int64)
        high = (points.max(axis=0) + _MARGIN_PX).astype(np.int64)
        (x0, y0), (x1, y1) = low.tolist(), high.tolist()
        self._box = (x0, y0, x1, y1)
        self._codes = codes[y0 : y1 + 1, x0 : x1 + 1].copy()
        self._picked: list[tuple[int, EventBatch]] = []
        self._stride = 0

    @property
    def span_us(self) -> int:
        """Length of all slices."""
        return self.end_us - self.start_us

    def last(self, span_us: int) -> Work[SearchWindow]:
        """The last `span_us` of the events, or all where there are no more."""
        start_us = max(self.end_us - span_us, self.start_us)
        looked_at = 0
        while self._not_seen and start_us < self._not_seen[-1].end_us:
            part = self._not_seen.pop()
            self._picked.append((part.end_us, self.of_slice(part)))
            looked_at += len(part.events)
            if looked_at > _EVENTS_A_UNIT:
                looked_at = 0
                yield
        parts = [events for end_us, events in reversed(self._picked) if end_us > start_us]
        events = EventBatch.concatenate(self._size, parts).between(start_us, self.end_us)
        whole = tuple(times for times in self._times_us if times.start >= start_us)
        first = len(self._times_us) - len(whole)
        return SearchWindow(
            start_us, self.end_us, events, whole, self._live[first:], self._shares[first:]
        )

    def last_slices(self, span_us: int) -> Work[SearchWindow]:
        """The latest slices, as many as together are no longer than `span_us`; at least one."""
        begin_us = self.end_us - span_us
        starts = (times.start for times in self._times_us if times.start >= begin_us)
        return self.last(self.end_us - next(starts, self._times_us[-1].start))

    def of_slice(self, part: EventWindow) -> EventBatch:
        """The region's events of one slice, any slice."""
        events = part.events
        places = _free_in_box(events.x, events.y, self._codes, self._box)
        if not self._stride:
            self._stride = max(-(-len(places) * len(self._times_us) // _MOST_EVENTS), 1)
        return _events_at(events, places[:: self._stride])


@njit(cache=True, nogil=True)
def _free_in_box(x, y, codes, box):
    """Indices of events at free pixels of a box, whose codes are given."""
    places = np.empty(x.size, np.int64)
    inside = 0
    x0, y0 = np.int32(box[0]), np.int32(box[1])
    width, height = np.uint32(box[2] - box[0]), np.uint32(box[3] - box[1])
    # Without a branch: where the box begins and ends can't be foretold from event to event.
    for i in range(x.size):
        places[inside] = i
        # What lies before the box wraps round to a large number.
        is_column = np.uint32(np.int32(x[i]) - x0) <= width
        inside += int(is_column & (np.uint32(np.int32(y[i]) - y0) <= height))
    free = 0
    for place in places[:inside]:
        if codes[y[place] - y0, x[place] - x0] == FREE:
            places[free] = place
            free += 1
    return places[:free]


def _events_at(events: EventBatch, places: NDArray[np.int64]) -> EventBatch:
    """Copy of the events at some indices."""
    return EventBatch.trusted(
        events.size, events.t[places], events.x[places], events.y[places], events.polarity[places]
    )
