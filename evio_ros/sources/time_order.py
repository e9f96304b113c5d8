"""Putting raw events in order of time and dropping those that no sensor can have sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.events import EventBatch, SensorSize
from evio_ros.sources.base import SourceStatistics

__all__ = ["RawColumns", "TimeOrder"]


@dataclass(frozen=True, slots=True)
class RawColumns:
    """Events as a file holds them: unchecked and in the file's order.

    Attributes:
        t: int64 (n,) unwrapped sensor time in µs.
        x, y: uint16 (n,) pixel.
        polarity: bool (n,), True for ON.
    """

    t: NDArray[np.int64]
    x: NDArray[np.uint16]
    y: NDArray[np.uint16]
    polarity: NDArray[np.bool_]

    @classmethod
    def empty(cls, count: int) -> Self:
        """Columns of `count` events whose values are not set."""
        return cls(
            np.empty(count, np.int64),
            np.empty(count, np.uint16),
            np.empty(count, np.uint16),
            np.empty(count, np.bool_),
        )

    @classmethod
    def concatenate(cls, parts: Sequence[RawColumns]) -> Self:
        """The events of all parts, one part after the other."""
        return cls(
            np.concatenate([part.t for part in parts]),
            np.concatenate([part.x for part in parts]),
            np.concatenate([part.y for part in parts]),
            np.concatenate([part.polarity for part in parts]),
        )

    def __len__(self) -> int:
        return len(self.t)

    def select(self, which: NDArray[np.bool_] | NDArray[np.int64] | slice) -> RawColumns:
        """The events that an index, a mask or a slice picks."""
        return RawColumns(self.t[which], self.x[which], self.y[which], self.polarity[which])


@njit(cache=True, nogil=True)
def _is_plain(t, x, y, width, height, newest):
    """Whether all events are inside the geometry and in order; loops that use vector registers."""
    if t.size and t[0] < newest:
        return False
    backwards = False
    for i in range(1, t.size):
        backwards |= t[i] < t[i - 1]
    largest_x, largest_y = np.uint16(0), np.uint16(0)
    for i in range(x.size):
        largest_x = max(largest_x, x[i])
    for i in range(y.size):
        largest_y = max(largest_y, y[i])
    return not backwards and largest_x < width and largest_y < height


@njit(cache=True, nogil=True)
def _inspect(t, x, y, width, height, newest, floor, window_us):
    """Counts of events to put in order, too late and outside; the newest time; whether sorted."""
    reordered, late, outside = 0, 0, 0
    for i in range(t.size):
        if x[i] >= width or y[i] >= height:
            outside += 1
        elif t[i] >= newest:
            newest = t[i]
        elif t[i] < floor or t[i] < newest - window_us:
            late += 1
        else:
            reordered += 1
    return reordered, late, outside, newest


@njit(cache=True, nogil=True)
def _usable(t, x, y, width, height, newest, floor, window_us):
    """Mask of the events that `_inspect` does not drop."""
    usable = np.zeros(t.size, np.bool_)
    for i in range(t.size):
        if x[i] >= width or y[i] >= height:
            continue
        if t[i] >= newest:
            newest = t[i]
        elif t[i] < floor or t[i] < newest - window_us:
            continue
        usable[i] = True
    return usable


class TimeOrder:
    """Sorts events that are at most `window_us` behind the newest; costs one scan where none is.

    One piece of events is held back, so that the next one can still be sorted into it.

    Args:
        size: geometry; events outside are dropped and counted.
        window_us: events farther behind the newest are dropped and counted.
        statistics: where events, reordered, late and outside are counted.
    """

    def __init__(self, size: SensorSize, window_us: int, statistics: SourceStatistics) -> None:
        self._size = size
        self._window_us = window_us
        self._statistics = statistics
        self.restart()

    def restart(self) -> None:
        """Forget what is held back and what has been given, as after a seek."""
        self._held: RawColumns | None = None
        self._newest = np.iinfo(np.int64).min
        self._given = np.iinfo(np.int64).min

    def push(self, columns: RawColumns) -> Iterator[EventBatch]:
        """Add events in the file's order; yields those that nothing can come before any more."""
        usable = self._usable(columns)
        if not len(usable):
            return
        held, self._held = self._held, usable
        if held is None:
            return
        if usable.t[0] < held.t[-1]:
            cut = int(np.searchsorted(held.t, usable.t[0], side="right"))
            merged = RawColumns.concatenate((held.select(slice(cut, None)), usable))
            self._held = merged.select(np.argsort(merged.t, kind="stable"))
            held = held.select(slice(0, cut))
        yield from self._give(held)

    def flush(self) -> Iterator[EventBatch]:
        """Yield what is held back, at the end of the file."""
        held, self._held = self._held, None
        if held is not None:
            yield from self._give(held)

    def _usable(self, columns: RawColumns) -> RawColumns:
        """The events that can be used, sorted."""
        width, height = self._size.width, self._size.height
        if _is_plain(columns.t, columns.x, columns.y, width, height, self._newest):
            if len(columns):
                self._newest = int(columns.t[-1])
            return columns
        limits = (
            width,
            height,
            self._newest,
            self._given,
            self._window_us,
        )
        reordered, late, outside, newest = _inspect(columns.t, columns.x, columns.y, *limits)
        if late or outside:
            columns = columns.select(_usable(columns.t, columns.x, columns.y, *limits))
        if reordered:
            columns = columns.select(np.argsort(columns.t, kind="stable"))
        self._newest = newest
        self._statistics.reordered += reordered
        self._statistics.late += late
        self._statistics.outside += outside
        return columns

    def _give(self, columns: RawColumns) -> Iterator[EventBatch]:
        if not len(columns):
            return
        self._given = columns.t[-1]
        self._statistics.events += len(columns)
        yield EventBatch.trusted(self._size, columns.t, columns.x, columns.y, columns.polarity)
