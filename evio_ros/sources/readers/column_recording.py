"""What recordings share whose events lie in columns that can be read from any event on."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evio_ros.errors import SourceError
from evio_ros.sources.polarity import polarity as on_events
from evio_ros.sources.readers.recording import REORDER_WINDOW_US, Recording
from evio_ros.sources.time_order import RawColumns

__all__ = ["ColumnRecording", "raw_columns"]

PIECE_EVENTS = 1 << 16
OUTSIDE = (1 << 16) - 1
"""Stands for a coordinate that uint16 cannot hold; it is outside any usual geometry."""


def raw_columns(
    t: NDArray[Any],
    x: NDArray[Any],
    y: NDArray[Any],
    polarity: NDArray[Any],
) -> RawColumns:
    """Columns of any numeric type as raw columns.

    Args:
        t: integers are µs, floating point numbers are seconds.
        x, y: pixel; what uint16 cannot hold is marked so that it is counted as outside.
        polarity: any convention that `evio_ros.sources.polarity.polarity` knows.
    """
    if np.issubdtype(t.dtype, np.floating):
        t = np.rint(t * 1e6)
    return RawColumns(t.astype(np.int64), _coordinates(x), _coordinates(y), on_events(polarity))


def _coordinates(values: NDArray[Any]) -> NDArray[np.uint16]:
    if values.dtype == np.uint16:
        return np.ascontiguousarray(values)
    return np.where((values >= 0) & (values < OUTSIDE), values, OUTSIDE).astype(np.uint16)


class ColumnRecording(Recording):
    """A recording that gives any range of events, and so finds a time by bisection."""

    _next: int = 0

    @property
    @abstractmethod
    def event_count(self) -> int:
        """Number of events in the recording."""

    @abstractmethod
    def _read_range(self, first: int, count: int) -> RawColumns:
        """`count` events from number `first` on."""

    @cached_property
    def start_us(self) -> int:
        """Sensor time of the first event in µs."""
        if not self.event_count:
            raise SourceError(self.path, "holds no events")
        return int(self._read_range(0, 1).t[0])

    @cached_property
    def end_us(self) -> int:
        """Sensor time just after the last event in µs."""
        first = max(self.event_count - PIECE_EVENTS, 0)
        return int(self._read_range(first, self.event_count - first).t.max()) + 1

    def _read_piece(self) -> RawColumns | None:
        count = min(PIECE_EVENTS, self.event_count - self._next)
        if count <= 0:
            return None
        columns = self._read_range(self._next, count)
        self._next += count
        return columns

    def _go_to(self, t_us: int | None) -> None:
        """Bisection on times that may be out of order by the window in which that is put right."""
        low, high = 0, self.event_count if t_us is not None else 0
        while low < high:
            middle = (low + high) // 2
            if self._read_range(middle, 1).t[0] < t_us - REORDER_WINDOW_US:  # type: ignore[operator]
                low = middle + 1
            else:
                high = middle
        # An event that is out of order may have misled the last steps.
        self._next = max(low - 1, 0)
