"""Sorting raw events by time and dropping impossible ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np
from numba import njit

from evio_ros.events import EventBatch, SensorSize
from evio_ros.sources.base import SourceStatistics
from evio_ros.sources.event_clock import EventClock
from evio_ros.sources.raw_columns import RawColumns

__all__ = ["RawColumns", "TimeOrder", "is_continuous"]


@njit(cache=True, nogil=True)
def _is_plain(t, x, y, width, height, newest, longest_step):
    """Whether all events are inside the geometry, in order and without a jump.

    `longest_step` is a power of two minus one. The loops use vector registers: the bitwise or of
    all steps shows whether one was longer, or negative.
    """
    if t.size == 0:
        return True
    steps = t[0] - newest
    for i in range(1, t.size):
        steps |= t[i] - t[i - 1]
    largest_x, largest_y = np.uint16(0), np.uint16(0)
    for i in range(x.size):
        largest_x = max(largest_x, x[i])
    for i in range(y.size):
        largest_y = max(largest_y, y[i])
    return 0 <= steps <= longest_step and largest_x < width and largest_y < height


@njit(cache=True, nogil=True)
def _inspect(t, newest, floor, window_us, usable):
    """Numbers of events to sort and too late, and the newest time; marks those not too late."""
    reordered, late = 0, 0
    for i in range(t.size):
        usable[i] = True
        if t[i] >= newest:
            newest = t[i]
        elif t[i] < floor or t[i] < newest - window_us:
            late += 1
            usable[i] = False
        else:
            reordered += 1
    return reordered, late, newest


@njit(cache=True, nogil=True)
def is_continuous(t, longest_step):
    """Whether no time is before the previous one, or more than `longest_step` after it."""
    jumps = 0
    for i in range(1, t.size):
        jumps += not 0 <= t[i] - t[i - 1] <= longest_step
    return jumps == 0


class TimeOrder:
    """Sorts events that are at most `window_us` behind the newest; takes a single pass if none is.

    Events whose time contradicts the others are dropped, and times continue if the sensor's clock
    restarts: see `EventClock`. Events are held back for `window_us`, so that later ones can still
    be sorted among them, and the result is the same however the events are split.

    Args:
        size: geometry; events outside are dropped and counted.
        window_us: events farther behind the newest, in µs, are dropped and counted.
        statistics: counts events, and those reordered, late, outliers and outside.
        live: yield all but the newest piece at once; which events are too late then depends on the
            pieces.
    """

    def __init__(
        self,
        size: SensorSize,
        window_us: int,
        statistics: SourceStatistics,
        live: bool = False,
    ) -> None:
        self._size = size
        self._window_us = window_us
        # Longer steps are examined one by one.
        self._longest_step = (1 << (window_us + 1).bit_length() - 1) - 1
        self._statistics = statistics
        self._live = live
        self.restart()

    def restart(self, at_beginning: bool = True) -> None:
        """Discard everything that is held back and forget the past, as for a seek.

        Args:
            at_beginning: whether the next event is the first of all.
        """
        self._clock = EventClock(self._window_us, self._statistics, at_beginning)
        self._held: deque[RawColumns] = deque()
        self._newest = np.iinfo(np.int64).min
        self._given = np.iinfo(np.int64).min

    @property
    def shift_us(self) -> int:
        """Offset added to raw times in µs; not 0 after a restart of the clock."""
        return self._clock.shift_us

    def push(self, columns: RawColumns) -> Iterator[EventBatch]:
        """Add events in the file's order; yields those that no later event can precede."""
        if not len(columns):
            return
        newest = self._clock.newest_us
        size = self._size
        if newest is not None and _is_plain(
            columns.t, columns.x, columns.y, size.width, size.height, newest, self._longest_step
        ):
            columns = self._clock.pass_on(columns)
            if columns.t[0] >= self._newest:
                self._newest = int(columns.t[-1])
                self._held.append(columns)
            else:
                self._hold([columns])
        else:
            self._hold(self._clock.follow(self._inside(columns)))
        yield from self._give_settled()

    def flush(self, ended: bool = True) -> Iterator[EventBatch]:
        """Yield what is held back, at the end of the file.

        Args:
            ended: False if a live source is only silent for a while.
        """
        self._hold(self._clock.finish(ended))
        while self._held:
            yield self._give()

    def _inside(self, columns: RawColumns) -> RawColumns:
        """The events inside the geometry."""
        inside = (columns.x < self._size.width) & (columns.y < self._size.height)
        outside = len(inside) - int(np.count_nonzero(inside))
        self._statistics.outside += outside
        return columns.select(inside) if outside else columns

    def _hold(self, parts: Iterable[RawColumns]) -> None:
        """Sort parts into what is held back."""
        for columns in parts:
            usable = np.empty(len(columns), np.bool_)
            reordered, late, self._newest = _inspect(
                columns.t, self._newest, self._given, self._window_us, usable
            )
            self._statistics.reordered += reordered
            self._statistics.late += late
            if late:
                columns = columns.select(usable)
            if reordered:
                columns = self._merged(columns)
            if len(columns):
                self._held.append(columns)

    def _merged(self, columns: RawColumns) -> RawColumns:
        """Events sorted together with those held back that are not before them."""
        parts = [columns]
        first_us = int(columns.t.min())
        while self._held and self._held[-1].t[-1] > first_us:
            held = self._held.pop()
            cut = int(np.searchsorted(held.t, first_us, side="right"))
            parts.append(held.select(slice(cut, None)))
            if cut:
                self._held.append(held.select(slice(0, cut)))
                break
        together = RawColumns.concatenate(parts[::-1])
        return together.select(np.argsort(together.t, kind="stable"))

    def _give_settled(self) -> Iterator[EventBatch]:
        """Yield the pieces into which no more events can be sorted."""
        while self._held and (
            self._held[0].t[-1] <= self._newest - self._window_us
            or (self._live and len(self._held) > 1)
        ):
            yield self._give()

    def _give(self) -> EventBatch:
        columns = self._held.popleft()
        self._given = int(columns.t[-1])
        self._statistics.events += len(columns)
        return EventBatch.trusted(self._size, columns.t, columns.x, columns.y, columns.polarity)
