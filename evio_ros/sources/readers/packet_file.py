"""Files of packets with known offsets: read in order, with bisection over time."""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_left
from copy import copy
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from evio_ros.events import SensorSize
from evio_ros.sources.raw_columns import RawColumns, StoredTriggers, Triggers
from evio_ros.sources.readers.event_file import EventFile
from evio_ros.sources.readers.recording import REORDER_WINDOW_US

__all__ = ["PacketFile"]

_LATEST_US = (1 << 63) - 1


class PacketFile(EventFile):
    """A recording whose class lists its packets in `_packets` when it is opened.

    Args:
        path: name of the file.
        size: geometry; None for the file's.
        stream: which of several streams of events to read; None for the first.
    """

    options: ClassVar[tuple[str, ...]] = ("stream",)
    _packets: NDArray[np.int64]
    _next = 0
    """Number of the packet to read next."""
    _stored_triggers: StoredTriggers | None = None

    def __init__(
        self, path: str, size: SensorSize | None = None, stream: str | None = None
    ) -> None:
        self._wanted_stream = stream
        super().__init__(path, size)

    @property
    def _piece_triggers(self) -> Triggers:
        stored = self._stored_triggers
        return Triggers.empty() if stored is None else stored.piece

    @abstractmethod
    def _read_packet(self, number: int) -> RawColumns:
        """The events of a packet."""

    def _read_piece(self) -> RawColumns | None:
        if self._next >= len(self._packets):
            return None
        columns = self._read_packet(self._next)
        self._next += 1
        if self._stored_triggers is not None:
            # Triggers after the last event are read with it.
            is_last = self._next == len(self._packets)
            if is_last or len(columns):
                self._stored_triggers.read_until(None if is_last else int(columns.t.max()))
        return columns

    def _go_to(self, t_us: int | None) -> None:
        """Bisection over packets, by the times of their first events."""
        self._next = 0
        if t_us is not None:
            packets = range(len(self._packets))
            after = bisect_left(packets, t_us - REORDER_WINDOW_US, key=self._first_time)
            self._next = max(after - 1, 0)
        if self._stored_triggers is not None:
            self._stored_triggers = copy(self._stored_triggers)
            times = self._read_packet(self._next - 1).t if self._next else np.empty(0, np.int64)
            self._stored_triggers.go_to(int(times[-1]) if len(times) else None)

    def _first_time(self, number: int) -> int:
        """Time in µs of the first event in a packet or, if it is empty, in those after it."""
        for place in range(number, len(self._packets)):
            columns = self._read_packet(place)
            if len(columns):
                return int(columns.t[0])
        return _LATEST_US
