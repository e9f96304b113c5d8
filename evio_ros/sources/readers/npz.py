"""NPZ files: numpy arrays t (int64 µs), x, y (uint16), p (uint8), and width and height.

An NPZ file is a zip archive of NPY files. They are read piece by piece where they lie, so they must
be stored without compression, as numpy.savez does; what numpy.savez_compressed wrote is first
unpacked into temporary files.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from contextlib import ExitStack
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from evio_ros.errors import EventError, SourceError
from evio_ros.events import SensorSize
from evio_ros.sources.raw_columns import RawColumns
from evio_ros.sources.readers.column_recording import ColumnRecording, raw_columns
from evio_ros.sources.readers.event_file import open_regular_file
from evio_ros.sources.readers.file_start import FileStart

__all__ = ["NpzFile"]

NAMES = {
    "t": ("t", "ts", "timestamp", "timestamps"),
    "x": ("x", "xs"),
    "y": ("y", "ys"),
    "p": ("p", "ps", "pol", "polarity"),
}
LOCAL_HEADER_BYTES = 30
LARGEST_NPY_HEADER = 10_000


class NpzColumn:
    """One array in the archive, read by ranges."""

    def __init__(self, file: BinaryIO, offset: int, available: int, path: str, name: str) -> None:
        self._file, self._path, self.name = file, path, name
        try:
            file.seek(offset)
            version = np.lib.format.read_magic(file)
            read_header = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            shape, _, self._dtype = read_header(file, max_header_size=LARGEST_NPY_HEADER)  # type: ignore[call-arg]
        except Exception as error:  # the parser lets through whatever it meets
            reason = f"array {name} has no valid NPY header: {_line(error)}"
            raise SourceError(path, reason, offset) from None
        self._offset = file.tell()
        if self._dtype.kind not in "iufb":
            raise SourceError(path, f"array {name} is of {self._dtype}, not of numbers", offset)
        self.shape = shape
        needed = self._dtype.itemsize * int(np.prod(shape, dtype=object))
        if needed > offset + available - self._offset:
            raise SourceError(path, f"array {name} is cut off or not {shape} long", offset)

    def read(self, first: int, count: int) -> NDArray[np.generic]:
        """Elements from number `first` on, as a copy."""
        item = self._dtype.itemsize
        offset = self._offset + first * item
        data = os.pread(self._file.fileno(), count * item, offset)
        if len(data) < count * item:
            raise SourceError(self._path, "has shrunk while it was read", offset + len(data))
        return np.frombuffer(data, self._dtype)


class NpzFile(ColumnRecording):
    """A recording in an NPZ file.

    Args:
        path: name of the file.
        size: geometry; None for the file's, or where it has none, a guess.
    """

    format_name = "NPZ"

    def __init__(self, path: str, size: SensorSize | None = None) -> None:
        self._stack = ExitStack()
        super().__init__(path, size)

    @classmethod
    def recognises(cls, start: FileStart) -> bool:
        """Whether the file is a zip archive that begins with an NPY file."""
        return start.data[:4] == b"PK\x03\x04" and b".npy" in start.data[:300]

    @property
    def event_count(self) -> int:
        """Number of events in the file."""
        return int(self._columns["t"].shape[0])

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._stack.close()

    def _prepare(self) -> SensorSize | None:
        self._file = self._stack.enter_context(open_regular_file(self.path))
        try:
            archive = self._stack.enter_context(zipfile.ZipFile(self._file))
        except Exception as error:  # the parser lets through whatever it meets
            raise SourceError(self.path, f"is no zip archive: {_line(error)}", 0) from None
        members = {name.removesuffix(".npy"): name for name in archive.namelist()}
        self._columns = {
            key: self._column(archive, key, names, members) for key, names in NAMES.items()
        }
        lengths = {key: column.shape for key, column in self._columns.items()}
        if any(len(shape) != 1 for shape in lengths.values()) or len(set(lengths.values())) > 1:
            raise SourceError(self.path, f"arrays differ in length or are not flat: {lengths}")
        if not self.event_count:
            raise SourceError(self.path, "holds no events")
        return self._declared_size(archive, members)

    def _read_range(self, first: int, count: int) -> RawColumns:
        return raw_columns(*(self._columns[key].read(first, count) for key in ("t", "x", "y", "p")))

    def _column(
        self, archive: zipfile.ZipFile, key: str, names: tuple[str, ...], members: dict[str, str]
    ) -> NpzColumn:
        for name in names:
            if name in members:
                return self._open(archive, members[name])
        present = ", ".join(sorted(members)[:12])
        raise SourceError(self.path, f"has no array {' or '.join(names)}; there are {present}")

    def _open(self, archive: zipfile.ZipFile, member: str) -> NpzColumn:
        info = archive.getinfo(member)
        if info.compress_type != zipfile.ZIP_STORED:
            unpacked = self._unpacked(archive, info)
            return NpzColumn(unpacked, 0, info.file_size, self.path, member)
        header = b""
        if 0 <= info.header_offset < 1 << 62:
            header = os.pread(self._file.fileno(), LOCAL_HEADER_BYTES, info.header_offset)
        if len(header) < LOCAL_HEADER_BYTES or header[:4] != b"PK\x03\x04":
            raise SourceError(self.path, f"{member} has no header", info.header_offset)
        name_bytes, extra_bytes = np.frombuffer(header[26:30], "<u2").tolist()
        offset = info.header_offset + LOCAL_HEADER_BYTES + name_bytes + extra_bytes
        return NpzColumn(self._file, offset, info.file_size, self.path, member)

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
            reason = f"{info.filename} cannot be unpacked: {_line(error)}"
            raise SourceError(self.path, reason, info.header_offset) from None
        return target

    def _declared_size(
        self, archive: zipfile.ZipFile, members: dict[str, str]
    ) -> SensorSize | None:
        if not {"width", "height"} <= members.keys():
            return None
        width, height = (self._open(archive, members[name]) for name in ("width", "height"))
        if width.shape != () or height.shape != ():
            raise SourceError(self.path, "width and height are not single numbers")
        try:
            return SensorSize(int(width.read(0, 1)[0]), int(height.read(0, 1)[0]))
        except (EventError, OverflowError, ValueError) as error:
            raise SourceError(self.path, f"the geometry is impossible: {error}") from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
