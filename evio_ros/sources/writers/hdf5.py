"""Writing HDF5 files; the layout is described in `evio_ros.sources.readers.hdf5`."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Any, NoReturn

from evio_ros.atomic_file import atomic_path
from evio_ros.errors import SourceError
from evio_ros.events import EventBatch
from evio_ros.sources.optional_library import optional_library
from evio_ros.sources.writers.event_writer import EventWriter

__all__ = ["Hdf5Writer"]

CHUNK_EVENTS = 1 << 16
EVENT_BYTES = 13
SLACK_BYTES = 1 << 21
"""Room for chunks that are not full and for the file's own book-keeping; given back at the end."""
COLUMNS = {"t": "<i8", "x": "<u2", "y": "<u2", "p": "|u1"}


class Hdf5Writer(EventWriter):
    """Writes an HDF5 file: group `events`, datasets t, x, y, p, attributes width and height."""

    format_name = "HDF5"

    def _open(self, stack: ExitStack) -> None:
        h5py = optional_library("h5py", "h5py", self.path)
        partial = stack.enter_context(atomic_path(self.path))
        try:
            self._hdf5: Any = h5py.File(partial, "w")
            stack.callback(self._hdf5.close)
            self._descriptor = os.open(partial, os.O_WRONLY)
            stack.callback(os.close, self._descriptor)
            self._reserve(0)
            group = self._hdf5.create_group("events")
            group.attrs.update(width=self.size.width, height=self.size.height, t_unit="us")
            self._columns = {
                name: group.create_dataset(
                    name, (0,), dtype, maxshape=(None,), chunks=(CHUNK_EVENTS,)
                )
                for name, dtype in COLUMNS.items()
            }
        except (OSError, RuntimeError) as error:
            self._fail(error)

    def _write(self, batch: EventBatch) -> None:
        values = {"t": batch.t, "x": batch.x, "y": batch.y, "p": batch.polarity}
        try:
            self._reserve(len(self._columns["t"]) + len(batch))
            for name, column in self._columns.items():
                first = len(column)
                column.resize((first + len(batch),))
                column[first:] = values[name]
        except (OSError, RuntimeError) as error:
            self._fail(error)

    def _finish(self) -> None:
        try:
            self._hdf5.close()
        except (OSError, RuntimeError) as error:
            self._fail(error)

    def _reserve(self, events: int) -> None:
        """Take room on the disk; the HDF5 library crashes the process where it finds none."""
        os.posix_fallocate(self._descriptor, 0, events * EVENT_BYTES + SLACK_BYTES)

    def _fail(self, error: Exception) -> NoReturn:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise SourceError(self.path, f"cannot be written: {reason}") from None
