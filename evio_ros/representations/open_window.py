"""The open window of a representation: checks of its events, and a buffer for them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from evio_ros.errors import EventError
from evio_ros.events import EventBatch, SensorSize

__all__ = ["NEVER_US", "EventBuffer", "OpenWindow"]

NEVER_US = -(1 << 62)
"""A time before any sensor time."""


class OpenWindow:
    """Checks and counts the events of one window, and rejects all others.

    Attributes:
        size: geometry of the sensor.
        event_count: number of admitted events.
        first_us: sensor time of the first admitted event, or the window's start without any.
        last_us: sensor time of the last admitted event, or the window's start without any.
    """

    __slots__ = ("_length_us", "_start_us", "event_count", "first_us", "last_us", "size")

    def __init__(self, size: SensorSize) -> None:
        self.size = size
        self.close()

    def close(self) -> None:
        """Reject all events until the next `begin`."""
        self._start_us = self._length_us = 0
        self.event_count = self.first_us = self.last_us = 0

    def begin(self, start_us: int, length_us: int, not_before_us: int = NEVER_US) -> None:
        """Open [start_us, start_us + length_us).

        Raises:
            EventError: if that is empty or starts before `not_before_us`.
        """
        if length_us < 1:
            raise EventError(f"a window of {length_us} us is empty; the minimum is 1 us")
        if start_us < not_before_us:
            raise EventError(
                f"window at {start_us} us starts before the end of the last one at "
                f"{not_before_us} us"
            )
        self._start_us, self._length_us = start_us, length_us
        self.event_count = 0
        self.first_us = self.last_us = start_us

    def check_open(self) -> None:
        """Raise an EventError if no window is open."""
        if not self._length_us:
            raise EventError("no window has begun")

    @property
    def start_us(self) -> int:
        """First microsecond of the window; raises EventError if none is open."""
        self.check_open()
        return self._start_us

    @property
    def length_us(self) -> int:
        """Length of the window in µs; raises EventError if none is open."""
        self.check_open()
        return self._length_us

    @property
    def end_us(self) -> int:
        """First microsecond after the window; raises EventError if none is open."""
        return self.start_us + self._length_us

    def admit(self, events: EventBatch) -> bool:
        """Check and count events; returns False if there are none.

        Raises:
            EventError: if no window is open, the sensor geometry differs, an event is outside the
                window or goes back in time, or a polarity is neither 0 nor 1.
        """
        end_us = self.end_us
        if events.size != self.size:
            raise EventError(
                f"batch of a {events.size} sensor pushed to a representation of {self.size}"
            )
        if not len(events):
            return False
        first_us, last_us = int(events.t[0]), int(events.t[-1])
        if first_us < self._start_us or last_us >= end_us:
            outside_us = first_us if first_us < self._start_us else last_us
            raise EventError(
                f"event at {outside_us} us is outside the window from {self._start_us} to "
                f"{end_us} us"
            )
        if first_us < self.last_us:
            raise EventError(f"time goes back from {self.last_us} to {first_us} us between batches")
        _check_polarity(events)
        if not self.event_count:
            self.first_us = first_us
        self.last_us = last_us
        self.event_count += len(events)
        return True


def _check_polarity(events: EventBatch) -> None:
    """Reject polarities (bytes viewed as bool) above 1, which would index past a plane."""
    polarity = events.polarity.view(np.uint8)
    if int(polarity.max()) > 1:
        index = int((polarity > 1).argmax())
        raise EventError(f"polarity of event {index} is {polarity[index]}, not 0 or 1")


class EventBuffer:
    """Buffer of the batches of a window, kept by reference."""

    __slots__ = ("_batches",)

    def __init__(self) -> None:
        self._batches: list[EventBatch] = []

    def clear(self) -> None:
        """Release all batches."""
        self._batches.clear()

    def append(self, events: EventBatch) -> None:
        """Add a non-empty batch that follows the last one."""
        self._batches.append(events)

    def between(self, start_us: int, end_us: int) -> Iterator[EventBatch]:
        """The events with start_us <= t < end_us as views, batch by batch."""
        for batch in self._batches:
            if batch.t[0] < end_us and batch.t[-1] >= start_us:
                run = batch.between(start_us, end_us)
                if len(run):
                    yield run

    def __iter__(self) -> Iterator[EventBatch]:
        return iter(self._batches)
