"""Base of recordings that consist of records of fixed length, with times that may wrap."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from evio_ros.errors import SourceError
from evio_ros.sources.codecs.wrapped_time import AGREEING_TIMES, middle_time, unwrap
from evio_ros.sources.raw_columns import RawColumns
from evio_ros.sources.readers.event_file import EventFile
from evio_ros.sources.readers.recording import REORDER_WINDOW_US
from evio_ros.sources.time_order import is_continuous

__all__ = ["RecordFile"]

_PIECE_RECORDS = 1 << 16
_INDEX_PIECES = 16
"""Number of pieces between entries of the time index."""
_LONGEST_STEP_US = 10_000_000
"""Records with a longer step, or a negative one, are checked for text of another header."""


class RecordFile(EventFile):
    """A recording of records of fixed length, read piece by piece.

    A format's class sets `_data_offset` in `_prepare`, calls `_count_records` and decodes records.
    A seek starts from a sparse index of times, which is made while the file is read; beyond what
    has been read, it decodes the records.

    Attributes:
        record_bytes: length of a record.
    """

    record_bytes: ClassVar[int]
    _wrap_us: int
    """Period of the format's times in µs."""
    _data_offset: int = 0
    _next: int = 0
    _newest: int = 0

    @abstractmethod
    def _decode(self, records: NDArray[np.uint8]) -> RawColumns:
        """The events of records, uint8 (n, record_bytes), with their times as stored."""

    def _count_records(self) -> None:
        """Count the records after `_data_offset`, and go to the first one."""
        data_bytes = self._data_end(self._data_offset) - self._data_offset
        self._records = data_bytes // self.record_bytes
        self.statistics.truncated_bytes = data_bytes % self.record_bytes
        if not self._records:
            raise SourceError(self.path, "has a header but no events", self._data_offset)
        self._events_at = self._data_offset
        self._index: list[tuple[int, int]] = []
        self._go_to(None)

    def _read_piece(self) -> RawColumns | None:
        if self._next >= self._records:
            return None
        columns, self._next, self._newest = self._read_records(self._next, self._newest)
        return columns

    def _go_to(self, t_us: int | None) -> None:
        self._next, self._newest = 0, 0
        if t_us is None:
            return
        wanted = t_us - REORDER_WINDOW_US
        first, newest = self._index[-1] if self._index else (0, 0)
        while first < self._records and newest < wanted:
            _, first, newest = self._read_records(first, newest)
        for first, newest in reversed(self._index):
            if newest < wanted:
                self._next, self._newest = first, newest
                return

    def _read_records(self, first: int, newest: int) -> tuple[RawColumns, int, int]:
        """Events from a record on, the number of the next record, and the time reached in µs."""
        if first == len(self._index) * _INDEX_PIECES * _PIECE_RECORDS:
            self._index.append((first, newest))
        count = min(_PIECE_RECORDS, self._records - first)
        offset = self._data_offset + first * self.record_bytes
        data = np.frombuffer(self._read_at(offset, count * self.record_bytes), np.uint8)
        columns = self._decode(data.reshape(count, self.record_bytes))
        if not is_continuous(columns.t, _LONGEST_STEP_US):
            self._refuse_second_recording(offset, data.tobytes())
        if not first and len(columns):
            newest = middle_time(columns.t[:AGREEING_TIMES])
        return columns, first + count, int(unwrap(columns.t, newest, self._wrap_us))
