"""NPY files, numpy's own format: an array of records, or a matrix with a row for each event.

The fields of records may have any of the usual names, as written by expelliarmus, Metavision, tonic
and faery; the columns of a matrix are identified by their values. Arrays of Python objects are
pickled, and reading them can run any code in the file: they are refused.
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
_PICKLED = "has Python objects, which are pickled and never read, because that can run any code"


class NpyArray:
    """An array in a file, read by ranges of its rows or columns.

    Args:
        file: the file.
        offset: start of the NPY header, in bytes.
        available: number of bytes from there on that belong to the array.
        path: name of the file, for messages.
        name: name of the array, for messages.

    Raises:
        SourceError: if the header is invalid, the array is longer than `available`, or its
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
        except Exception as error:  # the parser may raise anything
            reason = f"array {name} has no valid NPY header: {one_line(error)}"
            raise SourceError(path, reason, offset) from None
        self.shape: tuple[int, ...] = shape
        self.dtype: np.dtype = dtype
        self._offset = file.tell()
        # The last axis is contiguous in the file, or the first one of Fortran arrays.
        self._is_turned = bool(is_fortran) and len(shape) == 2
        if dtype.hasobject:
            raise SourceError(path, f"array {name} {_PICKLED}", offset)
        if dtype.kind not in "iufbmMVUS" or any(side < 0 for side in shape):
            raise SourceError(
                path, f"array {name} of shape {shape} and type {dtype} cannot be read", offset
            )
        needed = dtype.itemsize * int(np.prod(shape, dtype=object))
        if needed > offset + available - self._offset:
            raise SourceError(path, f"array {name} is truncated or not {shape} long", offset)

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
            raise EventError(f"{self.name} of shape {self.shape} cannot be read by columns")
        else:
            block = np.stack([self._read(k * fast + first, last - first) for k in range(slow)])
        return block.T if self._is_turned else block

    def _read(self, first: int, count: int) -> NDArray[Any]:
        """Elements from number `first` on, in the file's order."""
        item = self.dtype.itemsize
        offset = self._offset + first * item
        data = os.pread(self._file.fileno(), count * item, offset)
        if len(data) < count * item:
            raise SourceError(self._path, "has shrunk while being read", offset + len(data))
        return np.frombuffer(data, self.dtype)


def array_table(array: NpyArray) -> EventTable | None:
    """The events in one array, which is records or a matrix; None if it is neither.

    Raises:
        EventError: if it has records that cannot be read.
    """
    return record_table(array) if array.dtype.names else matrix_table(array)


class NpyFile(TableRecording):
    """A recording in an NPY file; the files do not give a geometry.

    Args:
        path: name of the file.
        size: geometry; None for a guess.
        time_unit: unit of the times; None for the file's, or a guess.

    Raises:
        SourceError: if the file is invalid, or its array is not a table of events.
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
        """Close the file; can be called repeatedly."""
        self._file.close()

    def _prepare(self) -> SensorSize | None:
        length = os.fstat(self._file.fileno()).st_size
        array = NpyArray(self._file, 0, length, self.path, "in it")
        try:
            table = array_table(array)
        except EventError as error:
            raise SourceError(self.path, str(error)) from None
        if table is None:
            reason = (
                f"has an array of shape {array.shape} and type {array.dtype}, which is not a "
                "table of events"
            )
            raise SourceError(self.path, reason)
        self._set_table(table)
        return None
