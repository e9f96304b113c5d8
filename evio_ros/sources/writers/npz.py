"""Writing NPZ files; the format is described in `evio_ros.sources.readers.npz`."""

from __future__ import annotations

import io
import shutil
import tempfile
import zipfile
from contextlib import ExitStack
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from evio_ros.atomic_file import atomic_path
from evio_ros.errors import SourceError
from evio_ros.events import EventBatch
from evio_ros.sources.raw_columns import Triggers
from evio_ros.sources.writers.event_writer import EventWriter

__all__ = ["NpzWriter"]

COLUMNS = {"t": "<i8", "x": "<u2", "y": "<u2", "p": "|u1"}
_TRIGGER_COLUMNS = {"trigger_t": "<i8", "trigger_edge": "|u1", "trigger_channel": "|u1"}


class NpzWriter(EventWriter):
    """Writes an NPZ file; arrays begin with their length, so columns are first kept in files."""

    format_name = "NPZ"
    keeps_triggers: ClassVar[bool] = True

    def _open(self, stack: ExitStack) -> None:
        self._partial = stack.enter_context(atomic_path(self.path))
        self._events = 0
        self._triggers: list[Triggers] = []
        try:
            # Creating it now shows at once whether it can be written.
            self._target = stack.enter_context(open(self._partial, "wb"))  # noqa: SIM115
        except OSError as error:
            raise SourceError(self.path, f"cannot be written: {error.strerror}") from None
        self._columns = {
            name: stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
            for name in COLUMNS
        }

    def _write(self, batch: EventBatch) -> None:
        values: dict[str, NDArray[Any]]
        values = {"t": batch.t, "x": batch.x, "y": batch.y, "p": batch.polarity}
        try:
            for name, dtype in COLUMNS.items():
                self._columns[name].write(values[name].astype(dtype).tobytes())
        except OSError as error:
            raise SourceError(self.path, f"cannot be written: {error.strerror}") from None
        self._events += len(batch)

    def append_triggers(self, triggers: Triggers) -> None:
        """Keep external triggers in memory until the end; they are few."""
        self._triggers.append(triggers)

    def _trigger_arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays of the external triggers; empty if there are none."""
        found = Triggers.concatenate(self._triggers)
        if not len(found):
            return {}
        values: tuple[NDArray[Any], ...] = (found.t, found.edge, found.channel)
        return {
            name: column.astype(dtype)
            for (name, dtype), column in zip(_TRIGGER_COLUMNS.items(), values, strict=True)
        }

    def _finish(self) -> None:
        try:
            with zipfile.ZipFile(self._target, "w", zipfile.ZIP_STORED) as archive:
                small = {
                    "width": np.array(self.size.width),
                    "height": np.array(self.size.height),
                    **self._trigger_arrays(),
                }
                for name, value in small.items():
                    buffer = io.BytesIO()
                    np.save(buffer, value)
                    archive.writestr(f"{name}.npy", buffer.getvalue())
                for name, dtype in COLUMNS.items():
                    header = {"descr": dtype, "fortran_order": False, "shape": (self._events,)}
                    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                        np.lib.format.write_array_header_1_0(member, header)
                        self._columns[name].seek(0)
                        shutil.copyfileobj(self._columns[name], member, 1 << 20)
            self._target.flush()
        except OSError as error:
            raise SourceError(self.path, f"cannot be written: {error.strerror}") from None
