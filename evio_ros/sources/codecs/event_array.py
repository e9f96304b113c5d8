"""Decoding evio_ros/EventArray messages, from ROS or from a bag."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from evio_ros.errors import EventError
from evio_ros.events import SensorSize
from evio_ros.sources.base import SourceStatistics
from evio_ros.sources.raw_columns import RawColumns, Triggers

__all__ = ["EventArray", "EventArrayDecoder"]


class EventArray(Protocol):
    """The fields of evio_ros/EventArray that are read."""

    seq: int
    width: int
    height: int
    time_base: int
    duration: int
    t: Any
    x: Any
    y: Any
    polarity: Any


class EventArrayDecoder:
    """Decodes the messages of one publisher, in their order.

    Args:
        statistics: counts lost messages.

    Attributes:
        size: geometry of the messages; None before the first that has one.
        time_us: sensor time of the last message's end in µs; -1 before the first message.
        triggers: always empty, since these messages contain no external triggers.
    """

    def __init__(self, statistics: SourceStatistics) -> None:
        self.statistics = statistics
        self.size: SensorSize | None = None
        self.time_us = -1
        self.triggers = Triggers.empty()
        self._next_seq: int | None = None

    def decode(self, message: EventArray) -> RawColumns:
        """Decode the next message.

        Returns:
            Its events: with unchecked coordinates, in the message's order.

        Raises:
            EventError: if columns differ in length, a polarity is neither 0 nor 1, or the geometry
                changes.
        """
        self.skip(message)
        t = np.frombuffer(message.t, np.uint32)
        x, y = np.frombuffer(message.x, np.uint16), np.frombuffer(message.y, np.uint16)
        polarity = np.frombuffer(message.polarity, np.uint8)
        if len({len(t), len(x), len(y), len(polarity)}) > 1:
            raise EventError(f"message {message.seq}: columns differ in length")
        if len(polarity) and int(polarity.max()) > 1:
            raise EventError(f"message {message.seq}: polarity {polarity.max()} is not 0 or 1")
        times = np.add(t, message.time_base, dtype=np.int64)
        return RawColumns(times, x, y, polarity.view(np.bool_))

    def skip(self, message: EventArray) -> None:
        """Update the state without decoding events."""
        expected, self._next_seq = self._next_seq, int(message.seq) + 1
        if expected is not None:
            self.statistics.lost_packets += max(int(message.seq) - expected, 0)
        self._check_size(message)
        self.time_us = int(message.time_base) + int(message.duration)

    def _check_size(self, message: EventArray) -> None:
        """Refuse a change of geometry; a geometry of 0 means the same as before."""
        if message.width == message.height == 0:
            return
        size = SensorSize(int(message.width), int(message.height))
        if self.size is not None and size != self.size:
            raise EventError(
                f"message {message.seq}: the geometry changes from {self.size} to {size}"
            )
        self.size = size
