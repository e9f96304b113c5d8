"""Events of a region that belong to no rotor yet, from the latest slices.

A search needs no more than some hundred thousand events. Of more, an unbiased share is taken: one
event of each block of consecutive ones, chosen by the block's number (stratified sampling). Sensors
are read out in rows, so taking e.g. every third event would prefer some pixels.
"""

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

__all__ = ["RegionEvents", "SearchWindow", "share_of"]

_MARGIN_PX = 10.0
"""Margin around a region's cells whose events are included: blade tips cause so few events that
their cells may not be active."""
_MOST_EVENTS, _MOST_LOOKED_AT = 2_000_000, 8_000_000
"""Maximum numbers of events of the region and of all events examined: of more, one in two, three,
... is taken, so that the cost of a search is bounded. They take 26 MB at most."""
_EVENTS_A_UNIT = 400_000
"""Number of events examined in one work unit, which takes a millisecond."""
_HASH = 0x9E3779B1
"""Knuth's multiplier for hashing, 2^32 over the golden ratio: The Art of Computer Programming 3,
6.4."""


@dataclass(frozen=True, slots=True)
class SearchWindow:
    """Events in which rotors are searched for.

    Attributes:
        start_us, end_us: time span.
        events: those of a region that belong to no rotor yet.
        slices: times in µs of the slices that are entirely within it.
        live: share of each slice with data.
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
    """Collects a region's events from slices, the latest first, as far as requested.

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
        self._not_seen = list(slices)
        points = region.cell_centers()
        low = np.maximum(points.min(axis=0) - _MARGIN_PX, 0.0).astype(np.int64)
        high = (points.max(axis=0) + _MARGIN_PX).astype(np.int64)
        (x0, y0), (x1, y1) = low.tolist(), high.tolist()
        self._box = (x0, y0, x1, y1)
        self._codes = codes[y0 : y1 + 1, x0 : x1 + 1].copy()
        self._picked: list[tuple[int, EventBatch]] = []
        self._stride = self._stride_for(slices)
        self._shares = tuple(self.share_of_slice(part) for part in slices)

    @property
    def span_us(self) -> int:
        """Length of all slices."""
        return self.end_us - self.start_us

    def last(self, span_us: int) -> Work[SearchWindow]:
        """The last `span_us` of the events, or all if there are fewer."""
        start_us = max(self.end_us - span_us, self.start_us)
        looked_at = 0
        while self._not_seen and start_us < self._not_seen[-1].end_us:
            part = self._not_seen.pop()
            self._picked.append((part.end_us, self.of_slice(part)))
            looked_at += len(part.events) // self._stride
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
        """The latest slices, as many as fit in `span_us`; at least one."""
        begin_us = self.end_us - span_us
        starts = (times.start for times in self._times_us if times.start >= begin_us)
        return self.last(self.end_us - next(starts, self._times_us[-1].start))

    def of_slice(self, part: EventWindow) -> EventBatch:
        """The region's events of any slice."""
        events = part.events
        places = _free_in_box(events.x, events.y, self._codes, self._box, self._stride)
        return events.at(places)

    def share_of_slice(self, part: EventWindow) -> float:
        """Share of the region's events that `of_slice` gives."""
        return part.share / self._stride

    def _stride_for(self, slices: Sequence[EventWindow]) -> int:
        """Stride of the selection, from the region's share of events in the fullest slice."""
        events = max((part.events for part in slices), key=len)
        inside = len(_free_in_box(events.x, events.y, self._codes, self._box, 1))
        total = sum(len(part.events) for part in slices)
        taken = total * inside // max(len(events), 1)
        return max(-(-taken // _MOST_EVENTS), -(-total // _MOST_LOOKED_AT), 1)


def share_of(part: EventWindow, stride: int) -> EventWindow:
    """A slice with one of `stride` of its events."""
    if stride == 1:
        return part
    return part.thinned(_places_of_share(len(part.events), stride), 1 / stride)


@njit(cache=True, nogil=True)
def _places_of_share(count, stride):
    """Indices of one in `stride` events."""
    places = np.empty(count // stride + 1, np.int64)
    taken = 0
    for block in range(0, count, stride):
        places[taken] = block + _offset(block, stride)
        taken += int(places[taken] < count)
    return places[:taken]


@njit(cache=True, nogil=True)
def _offset(block, stride):
    """Offset of the selected event in a block, by the number of the block's first event."""
    # The upper half of the product's lower half is the hash.
    return ((block * _HASH & 0xFFFFFFFF) >> 16) * stride >> 16


@njit(cache=True, nogil=True)
def _free_in_box(x, y, codes, box, stride):
    """Indices of events at free pixels of a box; one in `stride` events is examined."""
    places = np.empty(x.size // stride + 1, np.int64)
    inside = 0
    x0, y0 = np.int32(box[0]), np.int32(box[1])
    width, height = np.uint32(box[2] - box[0]), np.uint32(box[3] - box[1])
    # Without a branch, because positions in a box cannot be predicted from event to event.
    for block in range(0, x.size, stride):
        i = block + _offset(block, stride)
        if i >= x.size:
            break
        places[inside] = i
        # Coordinates before the box wrap to large numbers.
        is_column = np.uint32(np.int32(x[i]) - x0) <= width
        inside += int(is_column & (np.uint32(np.int32(y[i]) - y0) <= height))
    free = 0
    for place in places[:inside]:
        if codes[y[place] - y0, x[place] - x0] == FREE:
            places[free] = place
            free += 1
    return places[:free]
