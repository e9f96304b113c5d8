"""Base of recordings whose events are in arrays: HDF5, MATLAB and numpy files."""

from __future__ import annotations

from copy import copy
from typing import Any, ClassVar, NoReturn

import numpy as np
from numpy.typing import NDArray

from evio_ros.errors import SourceError
from evio_ros.events import SensorSize
from evio_ros.sources.polarity import PolarityConvention
from evio_ros.sources.raw_columns import RawColumns, StoredTriggers, Triggers
from evio_ros.sources.readers.column_recording import PIECE_EVENTS, ColumnRecording, raw_columns
from evio_ros.sources.readers.disorder import (
    MOST_SORTED,
    are_nearly_constant,
    are_unsorted,
    sorting_remark,
)
from evio_ros.sources.readers.event_table import EventTable, SortedTable
from evio_ros.sources.readers.recording import LARGEST_SIDE, STANDARD_SIZES
from evio_ros.sources.time_unit import TimeUnit, guess_time_unit, to_microseconds

__all__ = ["TableRecording", "one_line"]

_UNIT_SAMPLE = 1 << 18
"""Number of events from which the unit of time is determined; they are read twice."""
_MOST_NEGATIVE = 0.5
"""Maximum share of rows with a negative coordinate: lens distortion maps leave more than half of
the sensor inside."""
_MOST_FRACTIONAL, _FEWEST_ROWS, _LEAST_SPREAD = 0.5, 64, 16.0
"""If this share of rows has fractions, they were written by calibrated cameras, of at least 128
pixels a side: values within an eighth of that are something else, such as positions or
directions."""


class TableRecording(ColumnRecording):
    """A recording whose events are a table; the format's class finds the table.

    Args:
        path: name of the file.
        size: geometry; None for the file's, or a guess if it has none.
        time_unit: unit of the times; None for the file's, or a guess.
    """

    options: ClassVar[tuple[str, ...]] = ("time_unit",)
    _table: EventTable
    _unit: TimeUnit = "us"
    _named_unit: TimeUnit | None = None
    _offset_us: int = 0
    _stored_triggers: StoredTriggers | None = None
    _pixel: int = 1
    """Size of a pixel in units of the coordinates; more than 1 if they are in fixed point."""

    def __init__(
        self, path: str, size: SensorSize | None = None, time_unit: TimeUnit | None = None
    ) -> None:
        self._wanted_unit = time_unit
        super().__init__(path, size)

    @property
    def event_count(self) -> int:
        """Number of events in the file."""
        return self._table.event_count

    def _set_table(self, table: EventTable, unit: TimeUnit | None = None) -> None:
        """Take the events from a table.

        Args:
            table: the events.
            unit: unit of time given elsewhere in the file.
        """
        if not table.event_count:
            raise SourceError(self.path, "has no events")
        self._table = table
        if table.reason:
            self.remarks.append(table.reason)
        # If times are in two columns, the one of whole seconds gives the other's unit.
        settled = table.unit if table.has_seconds else self._wanted_unit or unit or table.unit
        self._named_unit, self._unit = settled, settled or self._guess_unit()
        self._sort_if_unsorted()
        first, middle = 0, max(table.event_count // 2, 0)
        parts = [self._columns(place, PIECE_EVENTS)[1:] for place in (first, middle)]
        x, y, polarity = (np.concatenate(column) for column in zip(*parts, strict=True))
        self._convention = PolarityConvention(polarity)
        self.details.update(time_unit=self._unit, polarity=self._convention.name)
        if not self._convention.is_known:
            self.remarks.append(self._convention.remark)
        self._check_coordinates(x, y)

    def _sort_if_unsorted(self) -> None:
        """Sort the events if they are unsorted, as some tools write them."""
        if self.event_count > MOST_SORTED or not self._is_unsorted():
            return
        try:
            self._table = SortedTable.of(self._table)
        except Exception as error:  # the libraries may raise anything
            raise SourceError(self.path, f"events cannot be read: {one_line(error)}") from None
        self.remarks.append(sorting_remark(self.event_count))

    def _is_unsorted(self) -> bool:
        """Whether the first events are unsorted; examines all if these are inconclusive."""
        t, *others, polarity = self._columns(0, PIECE_EVENTS)
        if self.event_count > len(t) and are_nearly_constant(polarity):
            try:
                t, *others, polarity = self._columns(0, self.event_count)
            except SourceError:  # reported when that part is read
                return False
        return are_unsorted(to_microseconds(t, self._unit), [polarity, *others])

    def _guess_unit(self) -> TimeUnit:
        pieces = range(0, min(self.event_count, _UNIT_SAMPLE), PIECE_EVENTS)
        parts = [self._columns(first, PIECE_EVENTS)[0] for first in pieces]
        times = np.concatenate(parts)
        unit, reason = guess_time_unit(times)
        usual = "s" if times.dtype.kind == "f" else "us"
        if unit != usual or self._table.reason:
            self.remarks.append(reason)
        return unit

    def _check_coordinates(self, x: NDArray[Any], y: NDArray[Any]) -> None:
        """Accept pixels, also with fractions or in fixed point, and refuse other coordinates."""
        known = np.isfinite(x) & np.isfinite(y)
        if not known.any():
            self._refuse_table("they are not numbers")
        x, y = x[known], y[known]
        negative = float(np.mean((x < 0) | (y < 0)))
        if negative > _MOST_NEGATIVE:
            self._refuse_table(f"{negative:.0%} of them are negative")
        fractional = np.mean(_has_fraction(x) | _has_fraction(y))
        if not fractional:
            self._pixel = _fixed_point_of(x, y)
            if self._pixel > 1:
                self.remarks.append(
                    f"coordinates are in fixed point, with {self._pixel} steps per pixel, and are "
                    "converted to pixels"
                )
            return
        spread = max(_spread(x), _spread(y))
        if fractional > _MOST_FRACTIONAL and len(x) >= _FEWEST_ROWS and spread < _LEAST_SPREAD:
            self._refuse_table(f"they have fractions and spread over {spread:.3g}")
        self.remarks.append("coordinates have fractions, which are truncated")

    def _refuse_table(self, reason: str) -> NoReturn:
        raise SourceError(self.path, f"its x and y are not pixels: {reason}; these are not events")

    @property
    def _piece_triggers(self) -> Triggers:
        stored = self._stored_triggers
        return Triggers.empty() if stored is None else stored.piece

    def _read_piece(self) -> RawColumns | None:
        columns = super()._read_piece()
        if self._stored_triggers is not None and columns is not None:
            # Triggers after the last event are read with it.
            is_last = self._next >= self.event_count
            self._stored_triggers.read_until(None if is_last else int(columns.t.max()))
        return columns

    def _go_to(self, t_us: int | None) -> None:
        super()._go_to(t_us)
        if self._stored_triggers is not None:
            self._stored_triggers = copy(self._stored_triggers)
            self._stored_triggers.go_to(self._time_near(self._next - 1) if self._next else None)

    def _store_triggers(self, t: NDArray[Any], edge: NDArray[Any], channel: NDArray[Any]) -> None:
        """Keep external triggers that are stored beside the events; times in µs."""
        if not len(t) == len(edge) == len(channel):
            self.remarks.append("external triggers are left out: their columns differ in length")
            return
        columns = (t.astype(np.int64), (edge > 0).astype(np.uint8), channel.astype(np.uint8))
        self._stored_triggers = StoredTriggers(Triggers(*columns))

    def _read_range(self, first: int, count: int) -> RawColumns:
        t, x, y, polarity = self._columns(first, count)
        t_us = to_microseconds(t, self._unit)
        if self._offset_us:
            t_us = t_us + self._offset_us
        if self._pixel > 1:
            x, y = x // self._pixel, y // self._pixel
        return raw_columns(t_us, x, y, self._convention.on_events(polarity))

    def _columns(self, first: int, count: int) -> tuple[NDArray[Any], ...]:
        try:
            return self._table.read(slice(first, first + count))
        except SourceError:
            raise
        except Exception as error:  # the libraries may raise anything
            reason = f"events {first} to {first + count} cannot be read: {one_line(error)}"
            raise SourceError(self.path, reason) from None


def _has_fraction(values: NDArray[Any]) -> NDArray[np.bool_]:
    if values.dtype.kind != "f":
        return np.zeros(len(values), np.bool_)
    with np.errstate(invalid="ignore"):
        return np.asarray(values % 1 != 0)


def _spread(values: NDArray[Any]) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.max()) - float(finite.min()) if len(finite) else 0.0


def _fixed_point_of(x: NDArray[Any], y: NDArray[Any]) -> int:
    """The power of two of which whole coordinates beyond all sensors are multiples.

    It is 1 if they are within, or would not fit a usual sensor when divided.
    """
    reach = int(x.max()) + 1, int(y.max()) + 1
    if not LARGEST_SIDE < max(reach) <= 1 << 31:
        return 1
    values = np.concatenate([x, y])
    together = int(np.bitwise_or.reduce(values[values >= 0].astype(np.int64)))
    pixel = together & -together
    fits = any(reach[0] <= pixel * s.width and reach[1] <= pixel * s.height for s in STANDARD_SIZES)
    return pixel if fits else 1


def one_line(error: Exception) -> str:
    """A library's message without line breaks."""
    return " ".join(str(error).split()) or type(error).__name__
