"""Base of recordings whose events are in named numpy arrays: NPZ files, folders of NPY files."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from contextlib import ExitStack

import numpy as np

from evio_ros.errors import EventError, SourceError
from evio_ros.events import SensorSize
from evio_ros.sources.readers.column_layout import is_pixel_pair, role_of, unit_named
from evio_ros.sources.readers.event_table import EventTable, column_table, unnamed_table
from evio_ros.sources.readers.named_geometry import geometry_of, is_geometry_name
from evio_ros.sources.readers.npy import NpyArray, array_table
from evio_ros.sources.readers.table_recording import TableRecording
from evio_ros.sources.time_unit import TimeUnit

__all__ = ["NamedArrays"]

_TRIGGER_COLUMNS = {"trigger_t", "trigger_edge", "trigger_channel"}
_MOST_TRIGGERS = 1 << 24
_LARGEST_GEOMETRY = 4
_MOST_SHOWN = 12


class NamedArrays(TableRecording):
    """A recording in named arrays; the format's class opens them.

    Args:
        path: name of the file or folder.
        size: geometry; None for the arrays', or a guess if there is none.
        time_unit: unit of the times; None for the arrays', or a guess.
    """

    def __init__(
        self, path: str, size: SensorSize | None = None, time_unit: TimeUnit | None = None
    ) -> None:
        self._stack = ExitStack()
        super().__init__(path, size, time_unit)

    def close(self) -> None:
        """Close open files; can be called repeatedly."""
        self._stack.close()

    @abstractmethod
    def _open(self, member: str) -> NpyArray:
        """Open one of the arrays.

        Raises:
            SourceError: if it is invalid or not numeric.
        """

    def _take(self, members: Mapping[str, str]) -> SensorSize | None:
        """Find events, triggers and geometry among arrays, by their names; returns the geometry."""
        try:
            self._set_table(self._find_events(members), self._unit_in(members))
        except EventError as error:
            raise SourceError(self.path, str(error)) from None
        if members.keys() >= _TRIGGER_COLUMNS:
            self._read_triggers(members)
        return self._declared_size(members)

    def _read_triggers(self, members: Mapping[str, str]) -> None:
        """Read external triggers as stored by our own files."""
        arrays = [self._open(members[name]) for name in sorted(_TRIGGER_COLUMNS)]
        if all(len(array.shape) == 1 and array.dtype.kind in "iu" for array in arrays):
            channel, edge, t = (array[:_MOST_TRIGGERS] for array in arrays)
            self._store_triggers(t, edge, channel)

    def _find_events(self, members: Mapping[str, str]) -> EventTable:
        """The columns, or the first array of records or matrix that can be events.

        Raises:
            EventError, SourceError: if there are none, or they are invalid.
        """
        columns = [
            name
            for name in members
            if (role_of(name) or is_pixel_pair(name)) and not is_geometry_name(name)
        ]
        table: EventTable | None = None
        if len(columns) > 2:
            table = column_table({name: self._open(members[name]) for name in columns})
        if table is not None:
            return table
        refused: list[SourceError | EventError] = []
        for name in sorted(members, key=lambda name: "event" not in name.lower()):
            if is_geometry_name(name) or name in columns:
                continue
            try:
                table = array_table(self._open(members[name]))
            except (SourceError, EventError) as error:
                refused.append(error)
                continue
            if table is not None:
                return table
        if refused:
            raise refused[0]
        arrays = {name: self._open(member) for name, member in members.items()}
        table = unnamed_table(arrays)
        if table is not None:
            return table
        present = ", ".join(sorted(members)[:_MOST_SHOWN])
        raise SourceError(
            self.path, f"has no arrays t, x, y, p and no table of them; it has {present}"
        )

    def _unit_in(self, members: Mapping[str, str]) -> TimeUnit | None:
        """The unit of time in a text t_unit, as stored by our own files."""
        if "t_unit" not in members:
            return None
        array = self._open(members["t_unit"])
        if array.shape != () or array.dtype.kind not in "US":
            return None
        return unit_named(str(array[()].ravel()[0]))

    def _declared_size(self, members: Mapping[str, str]) -> SensorSize | None:
        values = {}
        for name in filter(is_geometry_name, members):
            array = self._open(members[name])
            if int(np.prod(array.shape, dtype=object)) <= _LARGEST_GEOMETRY:
                values[name] = array[()]
        try:
            return geometry_of(values)
        except (EventError, OverflowError, ValueError) as error:
            raise SourceError(self.path, f"the geometry is impossible: {error}") from None
