"""What all recordings in files share: opening, checking, geometry, order of time."""

from __future__ import annotations

import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np

from evio_ros.errors import SourceError
from evio_ros.events import EventBatch, SensorSize
from evio_ros.sources.base import SourceStatistics
from evio_ros.sources.time_order import RawColumns, TimeOrder

__all__ = ["EventFile", "open_regular_file"]

REORDER_WINDOW_US = 10_000
STANDARD_SIZES = (
    SensorSize(304, 240),
    SensorSize(346, 260),
    SensorSize(320, 320),
    SensorSize(640, 480),
    SensorSize(1280, 720),
)


def open_regular_file(path: str) -> BinaryIO:
    """Open a file for reading.

    Raises:
        SourceError: where it is missing, empty, unreadable, a directory, a device or a pipe.
    """
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise SourceError(path, "is a directory, not a recording")
        if not stat.S_ISREG(mode):
            raise SourceError(path, "is not a regular file")
        file = Path(path).open("rb", buffering=0)  # noqa: SIM115 - the caller closes it
    except OSError as error:
        raise SourceError(path, f"cannot be opened: {error.strerror}") from None
    if os.fstat(file.fileno()).st_size == 0:
        file.close()
        raise SourceError(path, "is empty", 0)
    return file


class EventFile(ABC):
    """A recording in one file; implements `evio_ros.sources.base.SeekableSource`.

    A format's class reads raw columns piece by piece and finds a time; all the rest is here.

    Attributes:
        path: the file.
        size: geometry of the sensor.
        size_is_declared: False where the geometry was guessed from the events.
        statistics: what was read and dropped since the file was opened.
    """

    format_name: str
    is_live = False

    def __init__(self, path: str, file: BinaryIO, size: SensorSize | None) -> None:
        self.path = path
        self.statistics = SourceStatistics()
        self._file = file
        self._skip_before_us: int | None = None
        self.size_is_declared = size is not None
        try:
            self._prepare()
            self.size = size or self._guess_size()
        except BaseException:
            self.close()
            raise
        self._order = TimeOrder(self.size, REORDER_WINDOW_US, self.statistics)

    @abstractmethod
    def _prepare(self) -> None:
        """Check the file and set the position to its first event."""

    @abstractmethod
    def _read_piece(self) -> RawColumns | None:
        """Read the next events in the file's order; None at the end."""

    @abstractmethod
    def _go_to(self, t_us: int | None) -> None:
        """Set the position at or somewhat before time `t_us`; None for the first event."""

    @property
    @abstractmethod
    def start_us(self) -> int:
        """Sensor time of the first event in µs."""

    @property
    @abstractmethod
    def end_us(self) -> int:
        """Sensor time just after the last event in µs."""

    def raw_pieces(self) -> Iterator[RawColumns]:
        """Yield all events from the beginning as they are: unchecked, in the file's order."""
        self._go_to(None)
        while (columns := self._read_piece()) is not None:
            if len(columns):
                yield columns

    def batches(self) -> Iterator[EventBatch]:
        """Yield batches from the present position on; see `EventSource.batches`."""
        while (columns := self._read_piece()) is not None:
            yield from self._from_sought_time(self._order.push(columns))
        yield from self._from_sought_time(self._order.flush())

    def seek(self, t_us: int) -> None:
        """Continue with the first event at or after `t_us`; running iterators follow."""
        self._go_to(t_us)
        self._order.restart()
        self._skip_before_us = t_us

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _from_sought_time(self, batches: Iterator[EventBatch]) -> Iterator[EventBatch]:
        for batch in batches:
            if self._skip_before_us is not None:
                first = int(np.searchsorted(batch.t, self._skip_before_us))
                self.statistics.events -= first
                if first == len(batch):
                    continue
                self._skip_before_us = None
                batch = batch.slice(first, len(batch))
            yield batch

    def _guess_size(self) -> SensorSize:
        """The smallest usual sensor that holds the events at the file's beginning."""
        width = height = 1
        for number, columns in enumerate(self.raw_pieces()):
            width = max(width, int(columns.x.max()) + 1)
            height = max(height, int(columns.y.max()) + 1)
            if number == 15:
                break
        self._go_to(None)
        for size in STANDARD_SIZES:
            if width <= size.width and height <= size.height:
                return size
        return SensorSize(width, height)

    def _read_at(self, offset: int, length: int) -> bytes:
        """Bytes at an offset; fewer at the file's end."""
        try:
            return os.pread(self._file.fileno(), length, offset)
        except OSError as error:
            raise SourceError(self.path, f"cannot be read: {error.strerror}", offset) from None
        except ValueError:
            raise SourceError(self.path, "was read after it had been closed") from None
