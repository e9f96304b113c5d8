"""NPY files, numpy's own: an array of records, or a matrix with a row for each event.

The fields of records may have any of the usual names, as expelliarmus, Metavision, tonic and faery
write them; a matrix's columns are told by their values. Arrays of Python objects are pickled, and
reading them can run whatever code is in the file: they are refused.
"""

from __future__ import annotations

import os
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from evio_ros.errors import EventError, SourceError
from evio_ros.events import SensorSize
from evio_ros.sources.readers.event_file import open_regular_file
from evio_ros.sources.readers.event_table import EventTable, matrix_table, record_table
from evio_ros.sources.readers.file_start import FileStart
from evio_ros.sources.readers.table_recording import TableRecording, one_line
from evio_ros.sources.time_unit import TimeUnit

__all__ = ["NpyArray", "NpyFile", "array_table"]

_NPY_SIGNATURE = b"\x93NUMPY"
_LARGEST_NPY_HEADER = 10_000
_MOST_RUNS = 64
_PICKLED = "is of Python objects, which are pickled and never read, since that can run any code"


class NpyArray:
    """An array in a file, read by ranges of its rows or columns.

    Args:
        file: the file.
        offset: where the NPY header begins.
        available: bytes from there on that belong to the array.
        path: name of the file, for messages.
        name: of the array, for messages.

    Raises:
        SourceError: where the header is broken, the array is longer than `available`, or its
            elements are neither numbers, records nor texts.
    """

    def __init__(self, file: BinaryIO, offset: int, available: int, path: str, name: str) -> None:
        self._file, self._path, self.name = file, path, name
        try:
            file.seek(offset)
            version = np.lib.format.read_magic(file)
            read_header = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            shape, is_fortran, dtype = read_header(file, max_header_size=_LARGEST_NPY_HEADER)  # type: ignore[call-arg]
        except Exception as error:  # the parser lets through whatever it meets
            reason = f"array {name} has no valid NPY header: {one_line(error)}"
            raise SourceError(path, reason, offset) from None
        self.shape: tuple[int, ...] = shape
        self.dtype: np.dtype = dtype
        self._offset = file.tell()
        # In the file the last axis runs fastest, or the first one of Fortran's arrays.
        self._is_turned = bool(is_fortran) and len(shape) == 2
        if dtype.hasobject:
            raise SourceError(path, f"array {name} {_PICKLED}", offset)
        if dtype.kind not in "iufbmMVUS" or any(side < 0 for side in shape):
            raise SourceError(path, f"array {name} of {shape} and {dtype} cannot be read", offset)
        needed = dtype.itemsize * int(np.prod(shape, dtype=object))
        if needed > offset + available - self._offset:
            raise SourceError(path, f"array {name} is cut off or not {shape} long", offset)

    def __getitem__(self, part: Any) -> NDArray[Any]:
        """Rows `[a:b]`, columns `[:, a:b]` or everything `[()]`, as a copy."""
        if part == ():
            count = int(np.prod(self.shape, dtype=object))
            return self._read(0, count).reshape(self.shape, order="F" if self._is_turned else "C")
        if len(self.shape) == 1:
            first, last, _ = part.indices(self.shape[0])
            return self._read(first, max(last - first, 0))
        axis = 1 if isinstance(part, tuple) else 0
        first, last, _ = (part[1] if axis else part).indices(self.shape[axis])
        slow, fast = self.shape[::-1] if self._is_turned else self.shape
        if axis == (1 if self._is_turned else 0):
            block = self._read(first * fast, (last - first) * fast).reshape(-1, fast)
        elif slow > _MOST_RUNS:
            raise EventError(f"{self.name} of {self.shape} cannot be read by columns")
        else:
            block = np.stack([self._read(k * fast + first, last - first) for k in range(slow)])
        return block.T if self._is_turned else block

    def _read(self, first: int, count: int) -> NDArray[Any]:
        """Elements from number `first` on, in the file's order."""
        item = self.dtype.itemsize
        offset = self._offset + first * item
        data = os.pread(self._file.fileno(), count * item, offset)
        if len(data) < count * item:
            raise SourceError(self._path, "has shrunk while it was read", offset + len(data))
        return np.frombuffer(data, self.dtype)


def array_table(array: NpyArray) -> EventTable | None:
    """The events that one array holds: records, or a matrix; None where it can be neither.

    Raises:
        EventError: where it is of records that cannot be read.
    """
    return record_table(array) if array.dtype.names else matrix_table(array)


class NpyFile(TableRecording):
    """A recording in an NPY file; such a file names no geometry.

    Args:
        path: name of the file.
        size: geometry; None for a guess.
        time_unit: what times are; None for what the file says, or a guess.
    """

    format_name = "NPY"
    keeps = "events"
    loses = "all other fields"

    def __init__(
        self, path: str, size: SensorSize | None = None, time_unit: TimeUnit | None = None
    ) -> None:
        self._file = open_regular_file(path)
        super().__init__(path, size, time_unit)

    @classmethod
    def recognises(cls, start: FileStart) -> bool:
        """Whether the file begins as NPY files do."""
        return start.data.startswith(_NPY_SIGNATURE)

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._file.close()

    def _prepare(self) -> SensorSize | None:
        length = os.fstat(self._file.fileno()).st_size
        array = NpyArray(self._file, 0, length, self.path, "in it")
        try:
            table = array_table(array)
        except EventError as error:
            raise SourceError(self.path, str(error)) from None
        if table is None:
            reason = f"holds an array {array.shape} of {array.dtype}, which is no table of events"
            raise SourceError(self.path, reason)
        self._set_table(table)
        return None
