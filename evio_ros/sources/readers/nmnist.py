"""Files of N-MNIST and N-Caltech101: records of five bytes and nothing else.

Source: G. Orchard et al., "Converting static image datasets to spiking neuromorphic datasets using
saccades", 2015, and its reading scripts. Column and row in a byte each, then one bit of polarity
and 23 bits of time in µs, big-endian. A record with row 240 is not an event: 8192 µs are added to
all times after it. The files are a third of a second long, and so are read as a whole.
"""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from evio_ros.errors import SourceError
from evio_ros.events import SensorSize
from evio_ros.sources.raw_columns import RawColumns
from evio_ros.sources.readers.column_recording import ColumnRecording
from evio_ros.sources.readers.event_file import open_regular_file
from evio_ros.sources.readers.file_start import FileStart

__all__ = ["NmnistFile"]

_RECORD_BYTES = 5
_FEWEST_RECORDS = 16
_LARGEST_FILE_BYTES = 1 << 26
_OVERFLOW_ROW = 240
_OVERFLOW_US = 1 << 13
_LONGEST_STEP_US = 1_000_000
_LEAST_RISING = 0.99
"""Minimum share of time steps that do not go back."""
_MNIST_SIZE = SensorSize(34, 34)


class NmnistFile(ColumnRecording):
    """A recording of these data sets; the files do not give a geometry.

    Args:
        path: name of the file.
        size: geometry; None for 34x34 if all events are inside, or else a guess.

    Raises:
        SourceError: if the file is too large or has no events.
    """

    format_name = "N-MNIST"
    keeps = "events"
    loses = "the label, which is the folder's name"

    def __init__(self, path: str, size: SensorSize | None = None) -> None:
        super().__init__(path, size)

    @classmethod
    def recognises(cls, start: FileStart) -> bool:
        """Whether the file can be such records: their times rise, in plausible steps."""
        whole = len(start.data) // _RECORD_BYTES * _RECORD_BYTES
        if whole < _FEWEST_RECORDS * _RECORD_BYTES:
            return False
        if os.path.getsize(start.path) % _RECORD_BYTES:
            return False
        steps = np.diff(_decode(start.data[:whole]).t)
        if not len(steps) or steps.max() > _LONGEST_STEP_US or not steps.any():
            return False
        return float(np.mean(steps >= 0)) >= _LEAST_RISING

    @property
    def event_count(self) -> int:
        """Number of events in the file."""
        return len(self._events)

    def close(self) -> None:
        """Does nothing, since no file stays open."""

    def _prepare(self) -> SensorSize | None:
        with open_regular_file(self.path) as file:
            data = file.read(_LARGEST_FILE_BYTES + 1)
        if len(data) > _LARGEST_FILE_BYTES:
            raise SourceError(self.path, f"is larger than {_LARGEST_FILE_BYTES} bytes")
        self._events = _decode(data)
        if not len(self._events):
            raise SourceError(self.path, "has no events")
        inside = int(self._events.x.max()) < _MNIST_SIZE.width
        return _MNIST_SIZE if inside and int(self._events.y.max()) < _MNIST_SIZE.height else None

    def _read_range(self, first: int, count: int) -> RawColumns:
        return self._events.select(slice(first, first + count))


def _decode(data: bytes) -> RawColumns:
    records: NDArray[np.uint8] = np.frombuffer(data, np.uint8).reshape(-1, _RECORD_BYTES)
    high, middle, low = (records[:, k].astype(np.int64) for k in (2, 3, 4))
    t = (high & 0x7F) << 16 | middle << 8 | low
    marks = records[:, 1] == _OVERFLOW_ROW
    t += _OVERFLOW_US * np.cumsum(marks)
    events = records[~marks]
    return RawColumns(
        t[~marks],
        events[:, 0].astype(np.uint16),
        events[:, 1].astype(np.uint16),
        events[:, 2] >= 0x80,
    )
