"""Events of a region that belong to no rotor yet, of as many of the latest steps as are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.events import EventBatch, EventWindow, SensorSize
from evio_ros.rotation.acquisition.regions import Region
from evio_ros.rotation.acquisition.work_units import Pieces
from evio_ros.rotation.tracking.disc_map import FREE

__all__ = ["RegionEvents", "SearchWindow"]

MARGIN_PX = 10.0
"""Border about a region's cells whose events are looked at too."""
MOST_EVENTS = 2_000_000
"""Of more events only every second, third ... one is looked at."""
EVENTS_A_PIECE = 400_000
"""So many events are picked from in one piece of work."""


@dataclass(frozen=True, slots=True)
class SearchWindow:
    """Events in which rotors are looked for.

    Attributes:
        start_us, end_us: time span.
        events: those of a region that belong to no rotor yet.
    """

    start_us: int
    end_us: int
    events: EventBatch

    @property
    def span_us(self) -> int:
        """Length."""
        return self.end_us - self.start_us


class RegionEvents:
    """Picks a region's events out of steps, the latest first and no more than asked for.

    Args:
        size: geometry of the sensor.
        steps: consecutive steps, at least one.
        codes: int32 (height, width) of `PixelTable`.
        region: where; its bounding box with a margin counts.

    Attributes:
        start_us, end_us: time span of all steps.
    """

    def __init__(
        self,
        size: SensorSize,
        steps: Sequence[EventWindow],
        codes: NDArray[np.int32],
        region: Region,
    ) -> None:
        self._size = size
        self.start_us, self.end_us = steps[0].start_us, steps[-1].end_us
        self._number_of_steps = len(steps)
        self._not_seen = list(steps)
        self._codes = codes
        points = region.cell_centers()
        low = np.maximum(points.min(axis=0) - MARGIN_PX, 0.0).astype(np.int64)
        high = (points.max(axis=0) + MARGIN_PX).astype(np.int64)
        self._box = (int(low[0]), int(low[1]), int(high[0]), int(high[1]))
        self._picked: list[tuple[int, EventBatch]] = []
        self._stride = 0

    @property
    def span_us(self) -> int:
        """Length of all steps."""
        return self.end_us - self.start_us

    def last(self, span_us: int) -> Pieces[SearchWindow]:
        """The last `span_us` of the events, or all where there are no more."""
        start_us = max(self.end_us - span_us, self.start_us)
        looked_at = 0
        while self._not_seen and start_us < self._not_seen[-1].end_us:
            step = self._not_seen.pop()
            self._picked.append((step.end_us, self.of_step(step)))
            looked_at += len(step.events)
            if looked_at > EVENTS_A_PIECE:
                looked_at = 0
                yield
        parts = [events for end_us, events in reversed(self._picked) if end_us > start_us]
        events = EventBatch.concatenate(self._size, parts)
        return SearchWindow(start_us, self.end_us, events.between(start_us, self.end_us))

    def of_step(self, step: EventWindow) -> EventBatch:
        """The region's events of one step, any step."""
        events = step.events
        places = _free_in_box(events.x, events.y, self._codes, self._box)
        if not self._stride:
            self._stride = max(-(-len(places) * self._number_of_steps // MOST_EVENTS), 1)
        return _events_at(events, places[:: self._stride])


@njit(cache=True, nogil=True)
def _free_in_box(x, y, codes, box):
    """Indices of events at free pixels of a box."""
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
        if codes[y[place], x[place]] == FREE:
            places[free] = place
            free += 1
    return places[:free]


def _events_at(events: EventBatch, places: NDArray[np.int64]) -> EventBatch:
    """Copy of the events at some indices."""
    return EventBatch.trusted(
        events.size, events.t[places], events.x[places], events.y[places], events.polarity[places]
    )
