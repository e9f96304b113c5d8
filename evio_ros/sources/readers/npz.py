"""NPZ files: numpy arrays t, x, y, p of any usual names, records or a matrix, and the geometry.

An NPZ file is a zip archive of NPY files. They are read piece by piece where they lie, so they must
be stored without compression, as numpy.savez does; what numpy.savez_compressed wrote is first
unpacked into temporary files. EVIMO2's files hold events_t, events_xy and events_p.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from contextlib import ExitStack
from typing import BinaryIO

import numpy as np

from evio_ros.errors import EventError, SourceError
from evio_ros.events import SensorSize
from evio_ros.sources.readers.column_layout import is_pixel_pair, role_of, unit_named
from evio_ros.sources.readers.event_file import open_regular_file
from evio_ros.sources.readers.event_table import EventTable, column_table, unnamed_table
from evio_ros.sources.readers.file_start import FileStart
from evio_ros.sources.readers.named_geometry import geometry_of, is_geometry_name
from evio_ros.sources.readers.npy import NpyArray, array_table
from evio_ros.sources.readers.table_recording import TableRecording, one_line
from evio_ros.sources.time_unit import TimeUnit

__all__ = ["NpzFile"]

_LOCAL_HEADER_BYTES = 30
_MOST_MEMBERS = 256
_TRIGGER_COLUMNS = {"trigger_t", "trigger_edge", "trigger_channel"}
_MOST_TRIGGERS = 1 << 24
_LARGEST_GEOMETRY = 4


class NpzFile(TableRecording):
    """A recording in an NPZ file.

    Args:
        path: name of the file.
        size: geometry; None for the file's, or where it has none, a guess.
        time_unit: what times are; None for what the file says, or a guess.
    """

    format_name = "NPZ"
    keeps = "events, geometry, external triggers of our own files"
    loses = "all other arrays; pickled ones are never read"

    def __init__(
        self, path: str, size: SensorSize | None = None, time_unit: TimeUnit | None = None
    ) -> None:
        self._stack = ExitStack()
        super().__init__(path, size, time_unit)

    @classmethod
    def recognises(cls, start: FileStart) -> bool:
        """Whether the file is a zip archive that begins with an NPY file."""
        return start.data[:4] == b"PK\x03\x04" and b".npy" in start.data[:300]

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._stack.close()

    def _prepare(self) -> SensorSize | None:
        self._file = self._stack.enter_context(open_regular_file(self.path))
        try:
            archive = self._stack.enter_context(zipfile.ZipFile(self._file))
        except zipfile.BadZipFile:
            reason = "has no directory at its end: it is cut off, or still being written; "
            reason += "copy or write it once more"
            raise SourceError(self.path, reason, os.fstat(self._file.fileno()).st_size) from None
        except Exception as error:  # the parser lets through whatever it meets
            raise SourceError(self.path, f"is no zip archive: {one_line(error)}", 0) from None
        members = {name.removesuffix(".npy"): name for name in archive.namelist()[:_MOST_MEMBERS]}
        try:
            self._set_table(self._find_events(archive, members), self._unit_in(archive, members))
        except EventError as error:
            raise SourceError(self.path, str(error)) from None
        if members.keys() >= _TRIGGER_COLUMNS:
            self._read_triggers(archive, members)
        return self._declared_size(archive, members)

    def _read_triggers(self, archive: zipfile.ZipFile, members: dict[str, str]) -> None:
        """Read external triggers, as our own files have them."""
        arrays = [self._open(archive, members[name]) for name in sorted(_TRIGGER_COLUMNS)]
        if all(len(array.shape) == 1 and array.dtype.kind in "iu" for array in arrays):
            channel, edge, t = (array[:_MOST_TRIGGERS] for array in arrays)
            self._store_triggers(t, edge, channel)

    def _find_events(self, archive: zipfile.ZipFile, members: dict[str, str]) -> EventTable:
        """The columns, or the first array of records or matrix that can be events.

        Raises:
            EventError, SourceError: where there are none, or they are broken.
        """
        columns = [
            name
            for name in members
            if (role_of(name) or is_pixel_pair(name)) and not is_geometry_name(name)
        ]
        table: EventTable | None = None
        if len(columns) > 2:
            table = column_table({name: self._open(archive, members[name]) for name in columns})
        if table is not None:
            return table
        refused: list[SourceError | EventError] = []
        for name in sorted(members, key=lambda name: "event" not in name.lower()):
            if is_geometry_name(name) or name in columns:
                continue
            try:
                table = array_table(self._open(archive, members[name]))
            except (SourceError, EventError) as error:
                refused.append(error)
                continue
            if table is not None:
                return table
        if refused:
            raise refused[0]
        arrays = {name: self._open(archive, member) for name, member in members.items()}
        table = unnamed_table(arrays)
        if table is not None:
            return table
        present = ", ".join(sorted(members)[:12])
        raise SourceError(
            self.path, f"has no arrays t, x, y, p and no table of them; it has {present}"
        )

    def _unit_in(self, archive: zipfile.ZipFile, members: dict[str, str]) -> TimeUnit | None:
        """The unit of time that a text t_unit names, as our own files have it."""
        if "t_unit" not in members:
            return None
        array = self._open(archive, members["t_unit"])
        if array.shape != () or array.dtype.kind not in "US":
            return None
        return unit_named(str(array[()].ravel()[0]))

    def _open(self, archive: zipfile.ZipFile, member: str) -> NpyArray:
        info = archive.getinfo(member)
        if info.compress_type != zipfile.ZIP_STORED:
            unpacked = self._unpacked(archive, info)
            return NpyArray(unpacked, 0, info.file_size, self.path, member)
        header = b""
        if 0 <= info.header_offset < 1 << 62:
            header = os.pread(self._file.fileno(), _LOCAL_HEADER_BYTES, info.header_offset)
        if len(header) < _LOCAL_HEADER_BYTES or header[:4] != b"PK\x03\x04":
            raise SourceError(self.path, f"{member} has no header", info.header_offset)
        name_bytes, extra_bytes = np.frombuffer(header[26:30], "<u2").tolist()
        offset = info.header_offset + _LOCAL_HEADER_BYTES + name_bytes + extra_bytes
        return NpyArray(self._file, offset, info.file_size, self.path, member)

    def _unpacked(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> BinaryIO:
        """The member in a temporary file, which has the size that the archive declares at most."""
        free = shutil.disk_usage(tempfile.gettempdir()).free
        if info.file_size > free // 2:
            reason = f"{info.filename} would unpack to {info.file_size} bytes, {free} are free"
            raise SourceError(self.path, reason, info.header_offset)
        target = self._stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        try:
            # ZipFile stops at the declared size and checks the sum of what it gave.
            with archive.open(info) as source:
                shutil.copyfileobj(source, target, 1 << 20)
            target.flush()
        except Exception as error:  # the library lets through whatever it meets
            reason = f"{info.filename} cannot be unpacked: {one_line(error)}"
            raise SourceError(self.path, reason, info.header_offset) from None
        return target

    def _declared_size(
        self, archive: zipfile.ZipFile, members: dict[str, str]
    ) -> SensorSize | None:
        values = {}
        for name in filter(is_geometry_name, members):
            array = self._open(archive, members[name])
            if int(np.prod(array.shape, dtype=object)) <= _LARGEST_GEOMETRY:
                values[name] = array[()]
        try:
            return geometry_of(values)
        except (EventError, OverflowError, ValueError) as error:
            raise SourceError(self.path, f"the geometry is impossible: {error}") from None
