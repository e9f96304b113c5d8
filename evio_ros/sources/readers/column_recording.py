"""Base of recordings whose events are in columns that can be read from any event on."""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evio_ros.sources.raw_columns import OUTSIDE, RawColumns
from evio_ros.sources.readers.recording import REORDER_WINDOW_US, Recording

__all__ = ["PIECE_EVENTS", "ColumnRecording", "raw_columns"]

PIECE_EVENTS = 1 << 16
_SAMPLES = 64
_SAMPLE_EVENTS = 9


def raw_columns(
    t: NDArray[np.int64],
    x: NDArray[Any],
    y: NDArray[Any],
    polarity: NDArray[np.bool_],
) -> RawColumns:
    """Convert columns of any numeric type to raw columns.

    Args:
        t: int64 (n,) in µs.
        x, y: (n,) pixel; values that uint16 cannot hold are replaced so that they count as outside.
        polarity: bool (n,), True for ON.
    """
    return RawColumns(t, _coordinates(x), _coordinates(y), polarity)


def _coordinates(values: NDArray[Any]) -> NDArray[np.uint16]:
    if values.dtype == np.uint16:
        return np.ascontiguousarray(values)
    return np.where((values >= 0) & (values < OUTSIDE), values, OUTSIDE).astype(np.uint16)


class ColumnRecording(Recording):
    """A recording that can read any range of events, and so finds a time by bisection."""

    _next: int = 0

    @property
    @abstractmethod
    def event_count(self) -> int:
        """Number of events in the recording."""

    @abstractmethod
    def _read_range(self, first: int, count: int) -> RawColumns:
        """Read `count` events from number `first` on."""

    def _sampled_times(self) -> NDArray[np.int64]:
        places = np.linspace(0, max(self.event_count - _SAMPLE_EVENTS, 0), _SAMPLES).astype(
            np.int64
        )
        return np.array([self._time_near(int(place)) for place in places], np.int64)

    def _last_pieces(self) -> Iterator[RawColumns]:
        first = max(self.event_count - PIECE_EVENTS, 0)
        yield self._read_range(first, self.event_count - first)

    def _time_near(self, event: int) -> int:
        """Median time of a few events from one on, because a single time may be wrong."""
        count = min(_SAMPLE_EVENTS, self.event_count - event)
        return int(np.median(self._read_range(event, count).t))

    def _read_piece(self) -> RawColumns | None:
        count = min(PIECE_EVENTS, self.event_count - self._next)
        if count <= 0:
            return None
        columns = self._read_range(self._next, count)
        self._next += count
        return columns

    def _go_to(self, t_us: int | None) -> None:
        """Bisection over times that are ordered except within the sorting window."""
        self._next = 0
        if t_us is not None:
            events = range(self.event_count)
            first = bisect_left(events, t_us - REORDER_WINDOW_US, key=self._time_near)
            # Events that are out of order may have misled the last steps.
            self._next = max(first - _SAMPLE_EVENTS, 0)
