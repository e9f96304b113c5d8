"""Writing HDF5 files; the layout is described in `evio_ros.sources.readers.hdf5`."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from evio_ros.atomic_file import atomic_path
from evio_ros.errors import SourceError
from evio_ros.events import EventBatch
from evio_ros.sources.optional_library import optional_library
from evio_ros.sources.raw_columns import Triggers
from evio_ros.sources.writers.event_writer import EventWriter

__all__ = ["DsecWriter", "Hdf5Writer"]

_CHUNK_EVENTS = 1 << 16
_EVENT_BYTES = 13
_SLACK_BYTES = 1 << 21
"""Reserve for chunks that are not full and for the file's metadata; released at the end."""
TRIGGER = np.dtype([("p", "<i2"), ("t", "<i8"), ("id", "<i2")])
_COLUMNS = {"t": "<i8", "x": "<u2", "y": "<u2", "p": "|u1"}
_LARGEST_TIME_US = (1 << 32) - 1


class Hdf5Writer(EventWriter):
    """Writes an HDF5 file: group `events`, datasets t, x, y, p, attributes width and height.

    External triggers are records (p, t, id) in a dataset `EXT_TRIGGER/events`, as in Metavision's
    files.
    """

    format_name = "HDF5"
    columns: ClassVar[dict[str, str]] = _COLUMNS
    keeps_triggers: ClassVar[bool] = True

    def _open(self, stack: ExitStack) -> None:
        h5py = optional_library("h5py", "h5py", self.path)
        partial = stack.enter_context(atomic_path(self.path))
        try:
            self._hdf5: Any = h5py.File(partial, "w")
            stack.callback(self._hdf5.close)
            self._descriptor = os.open(partial, os.O_WRONLY)
            stack.callback(os.close, self._descriptor)
            self._reserve(0)
            self._triggers: list[Triggers] = []
            group = self._hdf5.create_group("events")
            group.attrs.update(width=self.size.width, height=self.size.height, t_unit="us")
            self._columns = {
                name: group.create_dataset(
                    name, (0,), dtype, maxshape=(None,), chunks=(_CHUNK_EVENTS,)
                )
                for name, dtype in self.columns.items()
            }
        except (OSError, RuntimeError) as error:
            self._fail(error)

    def _write(self, batch: EventBatch) -> None:
        values = {"t": self._times(batch), "x": batch.x, "y": batch.y, "p": batch.polarity}
        try:
            self._reserve(len(self._columns["t"]) + len(batch))
            for name, column in self._columns.items():
                first = len(column)
                column.resize((first + len(batch),))
                column[first:] = values[name]
        except (OSError, RuntimeError) as error:
            self._fail(error)

    def _times(self, batch: EventBatch) -> NDArray[np.int64]:
        """Times as they are written."""
        return batch.t

    def append_triggers(self, triggers: Triggers) -> None:
        """Keep external triggers in memory until the end; they are few."""
        self._triggers.append(triggers)

    def _finish(self) -> None:
        found = Triggers.concatenate(self._triggers)
        try:
            if len(found):
                records = np.empty(len(found), TRIGGER)
                records["p"], records["t"], records["id"] = found.edge, found.t, found.channel
                self._hdf5.create_dataset("EXT_TRIGGER/events", data=records)
            self._hdf5.close()
        except (OSError, RuntimeError) as error:
            self._fail(error)

    def _reserve(self, events: int) -> None:
        """Reserve disk space, because the HDF5 library crashes the process if there is none."""
        os.posix_fallocate(self._descriptor, 0, events * _EVENT_BYTES + _SLACK_BYTES)


class DsecWriter(Hdf5Writer):
    """Writes an HDF5 file in the layout of the data set DSEC, with an index of milliseconds.

    Times are counted from t_offset, the first event's; ms_to_idx[k] is the number of the first
    event at or after k ms. Source: the description of DSEC, "Data Format".

    Raises:
        SourceError: if the recording is longer than 32 bits of µs, 71 minutes.
    """

    format_name = "HDF5 of DSEC"
    keeps_triggers: ClassVar[bool] = False
    columns: ClassVar[dict[str, str]] = {**_COLUMNS, "t": "<u4"}

    def _open(self, stack: ExitStack) -> None:
        super()._open(stack)
        self._offset_us: int | None = None
        self._milliseconds: list[NDArray[np.uint64]] = []
        self._indexed_ms = self._written = 0

    def _times(self, batch: EventBatch) -> NDArray[np.int64]:
        if self._offset_us is None:
            self._offset_us = int(batch.t[0])
        times = batch.t - self._offset_us
        if times[-1] > _LARGEST_TIME_US:
            reason = (
                f"{self.format_name} supports times up to {_LARGEST_TIME_US} us, not {times[-1]}"
            )
            raise SourceError(self.path, reason)
        reached_ms = int(times[-1]) // 1000 + 1
        starts = np.arange(self._indexed_ms, reached_ms) * 1000
        places = self._written + np.searchsorted(times, starts)
        self._milliseconds.append(places.astype(np.uint64))
        self._indexed_ms, self._written = reached_ms, self._written + len(batch)
        return times

    def _finish(self) -> None:
        try:
            index = np.concatenate(self._milliseconds or [np.zeros(0, np.uint64)])
            self._hdf5.create_dataset("ms_to_idx", data=index)
            self._hdf5.create_dataset("t_offset", data=np.int64(self._offset_us or 0))
        except (OSError, RuntimeError) as error:
            self._fail(error)
        super()._finish()
