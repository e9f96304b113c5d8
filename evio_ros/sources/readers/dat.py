"""Prophesee DAT files: a text header and the records of `evio_ros.sources.codecs.dat`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from evio_ros.errors import SourceError
from evio_ros.events import SensorSize
from evio_ros.sources.codecs.dat import (
    EVENT_TYPES,
    OLD_WORD_BITS,
    RECORD_BYTES,
    WRAP_US,
    decode_records,
    from_old_layout,
)
from evio_ros.sources.codecs.wrapped_time import unwrap
from evio_ros.sources.raw_columns import RawColumns
from evio_ros.sources.readers.event_file import EventFile
from evio_ros.sources.readers.file_start import FileStart
from evio_ros.sources.readers.prophesee_header import read_header
from evio_ros.sources.readers.recording import REORDER_WINDOW_US

__all__ = ["DatFile"]

_NEW_LAYOUT_VERSION = 2
_PIECE_EVENTS = 1 << 16
_MOST_INVALID = 0.1
_FEWEST_ZEROS = 64
_INDEX_ENTRIES = 512


class DatFile(EventFile):
    """A recording in a DAT file, read piece by piece.

    Args:
        path: name of the file.
        size: geometry; None for the header's, or a guess if it has none.

    Raises:
        SourceError: if the file is not a DAT file with events.
    """

    format_name = "Prophesee DAT"
    keeps = "events, geometry"
    loses = "date and other header lines"
    _next: int
    _newest: int

    @classmethod
    def recognises(cls, start: FileStart) -> bool:
        """Whether a file is DAT with events; one without data is left to the reader."""
        header = start.header
        if header is None or header.event_format is not None:
            return False
        data = start.data[header.length :]
        return not data or (data[0] in EVENT_TYPES and data[1:2] == bytes((RECORD_BYTES,)))

    @property
    def event_count(self) -> int:
        """Number of records in the file."""
        return self._records

    def _prepare(self) -> SensorSize | None:
        self.header = read_header(self._file, self.path)
        offset = self.header.length
        if self._file_bytes() < offset + 2 + RECORD_BYTES:
            raise SourceError(self.path, "has a header but no events", offset)
        kind, length = self._read_at(offset, 2)
        if kind not in EVENT_TYPES or length != RECORD_BYTES:
            reason = f"events of type {kind} with {length} bytes are not contrast events of 8 bytes"
            raise SourceError(self.path, reason, offset)
        self._data_offset = offset + 2
        data_bytes = self._data_end(self._data_offset) - self._data_offset
        if self.remarks and data_bytes % RECORD_BYTES == RECORD_BYTES - 1:
            # The highest byte of most OFF events is zero, just as bytes left by a crash.
            data_bytes += 1
        self._records = data_bytes // RECORD_BYTES
        self.statistics.truncated_bytes = data_bytes % RECORD_BYTES
        self._has_old_layout = self._is_old()
        self._epoch_us = self.header.epoch_us(WRAP_US, self.path)
        self._first_us = self._epoch_us + int(self._raw_times(np.zeros(1, np.int64))[0])
        self._go_to(None)
        self._check_first_piece()
        return self.header.size

    def _is_old(self) -> bool:
        """Whether records are from before version 2, by the header or, if it has none, by the
        records.

        Words of the old layout are short; those of the new one are only if y is below 16.
        """
        version = self.header.fields.get("version", "")
        if version.isdecimal():
            return int(version) < _NEW_LAYOUT_VERSION
        count = min(_PIECE_EVENTS, self._records)
        words = np.frombuffer(self._read_at(self._data_offset, count * RECORD_BYTES), "<u4")
        is_old = bool((words[1::2] >> OLD_WORD_BITS == 0).all())
        if is_old:
            self.remarks.append(
                "the header has no version; the records are read as those of before version 2"
            )
        return is_old

    def _check_first_piece(self) -> None:
        columns, invalid, _ = self._decode_records(0, self._first_us)
        records = len(columns) + invalid
        reason = ""
        if invalid > _MOST_INVALID * records:
            reason = f"{invalid} of the first {records} records have a polarity other than 0 or 1"
        elif records >= _FEWEST_ZEROS and not any(
            column.any() for column in (columns.t, columns.x, columns.y, columns.polarity)
        ):
            reason = f"the first {records} records are all zero"
        if reason:
            raise SourceError(self.path, f"is not {self.format_name}: {reason}", self._data_offset)

    def _choose_epoch(self) -> None:
        """Count wraps of time from the first event that is not left from an earlier run."""
        first_us, dropped = self._first_accepted()
        if first_us is not None and dropped:
            self._first_us -= (first_us - self._epoch_us) // WRAP_US * WRAP_US
            self._go_to(None)

    def _sampled_times(self) -> NDArray[np.int64]:
        return self._sparse_index[1]

    def _last_pieces(self) -> Iterator[RawColumns]:
        records, times = self._sparse_index
        columns, _, _ = self._decode_records(int(records[-1]), int(times[-1]))
        yield columns

    def _read_piece(self) -> RawColumns | None:
        if self._next >= self._records:
            return None
        columns, invalid, self._newest = self._decode_records(self._next, self._newest)
        self._next += len(columns) + invalid
        self.statistics.invalid += invalid
        return columns

    def _go_to(self, t_us: int | None) -> None:
        self._next = 0
        self._newest = self._first_us
        if t_us is not None:
            # Events may be out of order within the sorting window.
            records, times = self._sparse_index
            before = int(np.searchsorted(times, t_us - REORDER_WINDOW_US)) - 1
            if before >= 0:
                self._next, self._newest = int(records[before]), int(times[before])

    def _decode_records(self, first: int, newest: int) -> tuple[RawColumns, int, int]:
        """Events from a record on, the number of invalid ones left out, and the time reached."""
        count = min(_PIECE_EVENTS, self._records - first)
        offset = self._data_offset + first * RECORD_BYTES
        data = self._read_at(offset, count * RECORD_BYTES)
        words = np.frombuffer(data, "<u4")
        if self._has_old_layout:
            words = from_old_layout(words)
        columns, invalid, reached_us = decode_records(words, newest)
        if invalid:
            self._refuse_second_recording(offset, bytes(data))
        return columns, invalid, reached_us

    @cached_property
    def _sparse_index(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Evenly spread records, including the first one of the last piece, and their times."""
        last_piece = max(self._records - _PIECE_EVENTS, 0)
        records = np.unique(np.linspace(0, last_piece, _INDEX_ENTRIES).astype(np.int64))
        times = self._raw_times(records)
        unwrap(times, self._first_us, WRAP_US)
        return records, times

    def _raw_times(self, records: NDArray[np.int64]) -> NDArray[np.int64]:
        offsets = self._data_offset + records * RECORD_BYTES
        times = [int.from_bytes(self._read_at(int(offset), 4), "little") for offset in offsets]
        return np.array(times, np.int64)
