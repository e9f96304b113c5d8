"""Messages with a record for each event, decoded from their bytes.

dvs_msgs, prophesee_event_msgs, dv_ros_msgs and dv_ros2_msgs have the same EventArray: a header, the
geometry, and events with x, y, a time of two parts and a polarity. A library that makes an object
of every event reads a million of them per second; decoding them as an array of records is far
faster.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from evio_ros.errors import EventError
from evio_ros.events import SensorSize
from evio_ros.sources.base import SourceStatistics
from evio_ros.sources.raw_columns import RawColumns, Triggers

__all__ = ["DvsMessageDecoder", "parse_cdr", "parse_ros1"]

_ROS1_EVENT_BYTES = 13
_CDR_HEADER_BYTES = 4
CDR_FIRST_BYTES, CDR_EVENT_BYTES = 13, 16
"""Size of the first event, which is aligned to four bytes, and of each further one, in bytes."""
_FIELDS = ("x", "y", "sec", "nsec", "on")


@dataclass(frozen=True, slots=True)
class _DvsMessage:
    """One message.

    Attributes:
        seq: sequence number of the header; None if it has none.
        width, height: geometry in pixels.
        time_us: sensor time of the newest event in µs; that of the header if there are no events.
        columns: the events.
        events: bytes of the events.
    """

    seq: int | None
    width: int
    height: int
    time_us: int
    columns: RawColumns
    events: bytes


def parse_ros1(raw: bytes) -> _DvsMessage:
    """Parse a message in the serialisation of ROS 1: packed, little-endian.

    Raises:
        EventError: if it is truncated.
    """
    try:
        seq, sec, nsec, name = struct.unpack_from("<IIII", raw, 0)
        height, width, count = struct.unpack_from("<III", raw, 16 + name)
    except struct.error:
        raise EventError(f"a message of {len(raw)} bytes is truncated") from None
    kind = np.dtype(
        {
            "names": _FIELDS,
            "formats": ["<u2", "<u2", "<u4", "<u4", "u1"],
            "offsets": [0, 2, 4, 8, 12],
            "itemsize": _ROS1_EVENT_BYTES,
        }
    )
    first = 28 + name
    if first + count * _ROS1_EVENT_BYTES > len(raw):
        raise EventError(f"a message of {count} events is truncated")
    records = np.frombuffer(raw, kind, count, first) if count else np.empty(0, kind)
    return _message(seq, width, height, sec, nsec, [records], raw)


def parse_cdr(raw: bytes) -> _DvsMessage:
    """Parse a message in the serialisation of ROS 2: aligned, of either byte order.

    Raises:
        EventError: if it is truncated or not plain CDR.
    """
    if len(raw) < _CDR_HEADER_BYTES or raw[0] or raw[1] > 1:
        raise EventError(f"a message begins with {raw[:4].hex(' ')}, which is not plain CDR")
    order = "<" if raw[1] else ">"
    body = raw[_CDR_HEADER_BYTES:]
    try:
        sec, nsec, name = struct.unpack_from(f"{order}iII", body, 0)
        place = 12 + name + -name % 4
        height, width, count = struct.unpack_from(f"{order}III", body, place)
    except struct.error:
        raise EventError(f"a message of {len(raw)} bytes is truncated") from None
    first = place + 12
    if count and first + CDR_FIRST_BYTES + (count - 1) * CDR_EVENT_BYTES > len(body):
        raise EventError(f"a message of {count} events is truncated")
    formats = [f"{order}{code}" for code in ("u2", "u2", "i4", "u4", "u1")]
    head = np.dtype({"names": _FIELDS, "formats": formats, "offsets": [0, 2, 4, 8, 12]})
    # Each further event begins a byte after the previous one, and its time two bytes after the
    # pixel.
    rest = np.dtype(
        {
            "names": _FIELDS,
            "formats": formats,
            "offsets": [1, 3, 7, 11, 15],
            "itemsize": CDR_EVENT_BYTES,
        }
    )
    parts = []
    if count:
        parts.append(np.frombuffer(body, head, 1, first))
    if count > 1:
        parts.append(np.frombuffer(body, rest, count - 1, first + CDR_FIRST_BYTES))
    return _message(None, width, height, sec, nsec, parts, raw)


def _message(
    seq: int | None, width: int, height: int, sec: int, nsec: int, parts: list, raw: bytes
) -> _DvsMessage:
    pieces = [
        RawColumns(
            part["sec"].astype(np.int64) * 1_000_000 + part["nsec"].astype(np.int64) // 1000,
            part["x"].astype(np.uint16),
            part["y"].astype(np.uint16),
            part["on"] != 0,
        )
        for part in parts
    ]
    columns = RawColumns.concatenate(pieces) if pieces else RawColumns.empty(0)
    time_us = int(columns.t.max()) if len(columns) else sec * 1_000_000 + nsec // 1000
    return _DvsMessage(seq, width, height, time_us, columns, raw)


class DvsMessageDecoder:
    """Decodes the messages of one publisher, in their order.

    Args:
        statistics: counts lost messages.

    Attributes:
        size: geometry of the messages; None before the first that has one.
        time_us: sensor time of the last message's newest event in µs; -1 before the first message.
        triggers: always empty, since such messages contain no external triggers.
    """

    triggers = Triggers.empty()

    def __init__(self, statistics: SourceStatistics) -> None:
        self.statistics = statistics
        self.size: SensorSize | None = None
        self.time_us = -1
        self._next_seq: int | None = None

    def decode(self, message: _DvsMessage) -> RawColumns:
        """Decode the next message.

        Returns:
            Its events: unchecked, in the message's order.

        Raises:
            EventError: if the geometry changes.
        """
        self.skip(message)
        return message.columns

    def skip(self, message: _DvsMessage) -> None:
        """Update the state without decoding events."""
        expected = self._next_seq
        if message.seq is not None:
            self._next_seq = message.seq + 1
            if expected is not None:
                self.statistics.lost_packets += max(message.seq - expected, 0)
        self._check_size(message)
        self.time_us = message.time_us

    def _check_size(self, message: _DvsMessage) -> None:
        """Refuse a change of geometry; 0, as in empty messages, means the same as before."""
        if message.width == message.height == 0:
            return
        size = SensorSize(message.width, message.height)
        if self.size is not None and size != self.size:
            raise EventError(f"the geometry changes from {self.size} to {size}")
        self.size = size
