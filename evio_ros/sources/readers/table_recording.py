"""What recordings share whose events lie in arrays: HDF5 files and numpy's."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from evio_ros.errors import SourceError
from evio_ros.sources.readers.column_recording import ColumnRecording, raw_columns
from evio_ros.sources.readers.event_table import EventTable
from evio_ros.sources.time_order import RawColumns

__all__ = ["TableRecording", "one_line"]

EXPONENTS = {"s": 6, "ms": 3, "us": 0, "ns": -3}


class TableRecording(ColumnRecording):
    """A recording whose events are a table; the format's class finds the table."""

    _table: EventTable
    _exponent: int = 0
    _offset_us: int = 0
    array_errors: ClassVar[str] = "cannot be read"

    @property
    def event_count(self) -> int:
        """Number of events in the file."""
        return self._table.event_count

    def _set_table(self, table: EventTable, unit: str | None = None) -> None:
        """Take the events from a table.

        Args:
            table: the events.
            unit: unit of time that the file names elsewhere than in the table.
        """
        if not table.event_count:
            raise SourceError(self.path, "holds no events")
        self._table = table
        if table.reason:
            self.remarks.append(table.reason)
        unit = unit or table.unit
        if unit is None:
            first = self._columns(0, min(table.event_count, 1))[0]
            unit = "s" if first.dtype.kind == "f" else "us"
        self._exponent = EXPONENTS[unit]

    def _read_range(self, first: int, count: int) -> RawColumns:
        t, x, y, polarity = self._columns(first, count)
        return raw_columns(self._microseconds(t), x, y, polarity)

    def _columns(self, first: int, count: int) -> tuple[NDArray[Any], ...]:
        try:
            return self._table.read(slice(first, first + count))
        except SourceError:
            raise
        except Exception as error:  # libraries let through whatever they meet
            reason = f"events {first} to {first + count} cannot be read: {one_line(error)}"
            raise SourceError(self.path, reason) from None

    def _microseconds(self, t: NDArray[Any]) -> NDArray[np.int64]:
        if t.dtype.kind == "f":
            t = np.rint(np.nan_to_num(t.astype(np.float64)) * 10.0**self._exponent)
        elif self._exponent < 0:
            t = t.astype(np.int64) // 10**-self._exponent
        elif self._exponent > 0:
            t = t.astype(np.int64) * 10**self._exponent
        return t.astype(np.int64) + self._offset_us


def one_line(error: Exception) -> str:
    """A library's message without its line breaks."""
    return " ".join(str(error).split()) or type(error).__name__
