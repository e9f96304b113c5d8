"""What all recordings share, whatever their format: geometry, order of time, seeking."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import islice
from types import TracebackType
from typing import Self

import numpy as np

from evio_ros.events import EventBatch, SensorSize
from evio_ros.sources.base import SourceStatistics
from evio_ros.sources.time_order import RawColumns, TimeOrder

__all__ = ["REORDER_WINDOW_US", "Recording"]

REORDER_WINDOW_US = 10_000
STANDARD_SIZES = (
    SensorSize(128, 128),
    SensorSize(240, 180),
    SensorSize(304, 240),
    SensorSize(346, 260),
    SensorSize(320, 320),
    SensorSize(640, 480),
    SensorSize(1280, 720),
)
SAMPLED_PIECES = 16
MOST_STRAY = 32
"""Events outside the header's geometry, in the first piece, below which it is believed."""


class Recording(ABC):
    """A recording; implements `evio_ros.sources.base.SeekableSource`.

    A format's class reads raw columns piece by piece and finds a time; all the rest is here.

    Args:
        path: name of the recording, for messages.
        size: geometry that the caller knows; None for what the recording says or lets guess.

    Attributes:
        path: the recording.
        size: geometry of the sensor.
        size_is_declared: False where the geometry was guessed from the events.
        remarks: what was found at opening that a user should know, one sentence each.
        statistics: what was read and dropped since the recording was opened.
    """

    format_name: str
    is_live = False

    def __init__(self, path: str, size: SensorSize | None) -> None:
        self.path = path
        self.statistics = SourceStatistics()
        self.remarks: list[str] = []
        self._skip_before_us: int | None = None
        try:
            declared = self._prepare()
            self.size_is_declared = True
            self.size = size or self._plausible_size(declared)
            # What was sampled for the geometry is read, and counted, again.
            self.statistics.invalid = self.statistics.lost_packets = 0
        except BaseException:
            self.close()
            raise
        self._order = TimeOrder(self.size, REORDER_WINDOW_US, self.statistics)

    @abstractmethod
    def _prepare(self) -> SensorSize | None:
        """Check the recording, go to its first event; returns the geometry that it names."""

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

    @abstractmethod
    def close(self) -> None:
        """Release the recording; may be called twice."""

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

    def _plausible_size(self, declared: SensorSize | None) -> SensorSize:
        """The declared geometry, or a guess where there is none or the events contradict it."""
        if declared is not None:
            share = self._share_outside(declared)
            if not share:
                return declared
        self.size_is_declared = False
        guessed = self._guess_size()
        if declared is None:
            self.remarks.append(
                f"the header names no geometry; {guessed} is guessed from the events"
            )
        else:
            self.remarks.append(
                f"the header's geometry {declared} leaves out {share:.0%} of the first events; "
                f"{guessed} is guessed from the events"
            )
        return guessed

    def _share_outside(self, size: SensorSize) -> float:
        """Share of the first events outside a geometry; 0 where they may be a few stray ones."""
        first = next(self.raw_pieces(), None)
        self._go_to(None)
        if first is None:
            return 0.0
        outside = int(np.count_nonzero((first.x >= size.width) | (first.y >= size.height)))
        return outside / len(first) if outside > max(MOST_STRAY, 0.01 * len(first)) else 0.0

    def _guess_size(self) -> SensorSize:
        """The smallest usual sensor that holds the events at the recording's beginning."""
        width = height = 1
        for columns in islice(self.raw_pieces(), SAMPLED_PIECES):
            width = max(width, int(columns.x.max()) + 1)
            height = max(height, int(columns.y.max()) + 1)
        self._go_to(None)
        for size in STANDARD_SIZES:
            if width <= size.width and height <= size.height:
                return size
        return SensorSize(width, height)
