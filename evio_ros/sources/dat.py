"""Prophesee DAT files: a text header and records of eight bytes.

Source: Prophesee Metavision documentation, "DAT file format". A record is two little-endian uint32:
time in µs, then x in bits 0 to 13, y in bits 14 to 27, polarity in bits 28 to 31.
"""

from __future__ import annotations

import os
from functools import cached_property
from typing import BinaryIO

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.errors import SourceError
from evio_ros.events import SensorSize
from evio_ros.sources.event_file import REORDER_WINDOW_US, EventFile
from evio_ros.sources.prophesee_header import PropheseeHeader, read_header
from evio_ros.sources.time_order import RawColumns

__all__ = ["DatFile"]

RECORD_BYTES = 8
EVENT_TYPES = (0, 12)
OLDEST_VERSION = 2
PIECE_EVENTS = 1 << 17
INDEX_ENTRIES = 4096


@njit(cache=True, nogil=True)
def _decode(records, t, x, y, polarity, newest):  # type: ignore[no-untyped-def]
    """Split records into columns; times are unwrapped towards the one before."""
    half, whole = 1 << 31, 1 << 32
    for i in range(len(t)):
        time = (newest & ~(whole - 1)) | np.int64(records[2 * i])
        if time < newest - half:
            time += whole
        elif time > newest + half and time >= whole:
            time -= whole
        newest = time
        t[i] = time
        word = records[2 * i + 1]
        x[i] = word & 0x3FFF
        y[i] = (word >> 14) & 0x3FFF
        polarity[i] = (word >> 28) != 0
    return newest


class DatFile(EventFile):
    """A recording in a DAT file, read piece by piece.

    It is read, not mapped: a mapped file that shrinks under the reader kills the process.

    Args:
        path: name of the file, for messages.
        file: the file, open for reading; closed with the source.
        size: geometry; None for the header's, or where it has none, a guess.

    Raises:
        SourceError: where the file is no DAT file of events or holds no event.
    """

    format_name = "Prophesee DAT"
    _next: int
    _newest: int

    def __init__(self, path: str, file: BinaryIO, size: SensorSize | None = None) -> None:
        self.header = read_header(file, path)
        super().__init__(path, file, size or self.header.size)

    @classmethod
    def recognises(cls, header: PropheseeHeader, start: bytes) -> bool:
        """Whether the bytes after a header say that this is a DAT file of events."""
        if header.event_format is not None or header.length == 0 or len(start) < 2:
            return False
        return start[0] in EVENT_TYPES and start[1] == RECORD_BYTES

    @property
    def event_count(self) -> int:
        """Number of records in the file."""
        return self._records

    def _prepare(self) -> None:
        offset = self.header.length
        version = self.header.fields.get("version", str(OLDEST_VERSION))
        if version.isdigit() and int(version) < OLDEST_VERSION:
            raise SourceError(self.path, f"DAT version {version} is not supported", 0)
        start = self._read_at(offset, 2)
        if len(start) == 2 and (start[0] not in EVENT_TYPES or start[1] != RECORD_BYTES):
            reason = f"event type {start[0]} of {start[1]} bytes is not a contrast event of 8 bytes"
            raise SourceError(self.path, reason, offset)
        self._data_offset = offset + 2
        data_bytes = os.fstat(self._file.fileno()).st_size - self._data_offset
        self._records = max(data_bytes, 0) // RECORD_BYTES
        if not self._records:
            raise SourceError(self.path, "has a header but no events", offset)
        self.statistics.truncated_bytes = data_bytes % RECORD_BYTES
        self._go_to(None)

    @cached_property
    def start_us(self) -> int:
        """Sensor time of the first event in µs."""
        return int(self._raw_times(np.zeros(1, np.int64))[0])

    @cached_property
    def end_us(self) -> int:
        """Sensor time just after the last event in µs."""
        records, times = self._sparse_index
        last = self._decode_records(int(records[-1]), int(times[-1]))
        return int(last.t.max()) + 1

    def _read_piece(self) -> RawColumns | None:
        if self._next >= self._records:
            return None
        columns = self._decode_records(self._next, self._newest)
        self._next += len(columns)
        self._newest = int(columns.t[-1])
        return columns

    def _go_to(self, t_us: int | None) -> None:
        self._next = 0
        self._newest = 0
        if t_us is not None:
            # Events may be out of order by the window in which they are put right.
            records, times = self._sparse_index
            before = int(np.searchsorted(times, t_us - REORDER_WINDOW_US)) - 1
            if before >= 0:
                self._next, self._newest = int(records[before]), int(times[before])

    def _decode_records(self, first: int, newest: int) -> RawColumns:
        count = min(PIECE_EVENTS, self._records - first)
        offset = self._data_offset + first * RECORD_BYTES
        data = self._read_at(offset, count * RECORD_BYTES)
        if len(data) < count * RECORD_BYTES:
            raise SourceError(self.path, "has shrunk while it was read", offset + len(data))
        columns = RawColumns(
            np.empty(count, np.int64),
            np.empty(count, np.uint16),
            np.empty(count, np.uint16),
            np.empty(count, np.bool_),
        )
        words = np.frombuffer(data, "<u4")
        _decode(words, columns.t, columns.x, columns.y, columns.polarity, newest)
        return columns

    @cached_property
    def _sparse_index(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Some records, spread evenly, the last piece's first one among them, and their times."""
        last_piece = max(self._records - PIECE_EVENTS, 0)
        records = np.unique(np.linspace(0, last_piece, INDEX_ENTRIES).astype(np.int64))
        times = np.unwrap(self._raw_times(records), period=1 << 32)
        return records, times.astype(np.int64)

    def _raw_times(self, records: NDArray[np.int64]) -> NDArray[np.int64]:
        offsets = self._data_offset + records * RECORD_BYTES
        times = [int.from_bytes(self._read_at(int(offset), 4), "little") for offset in offsets]
        return np.array(times, np.int64)
