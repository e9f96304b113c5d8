"""EventArray messages read straight from their bytes on the wire.

Making Python objects of a message copies its columns twice more, which costs a subscriber as much
as following a rotor does. The bytes are XCDR version 1 (OMG DDSI-RTPS 2.5, clause 10; CORBA CDR):
after four bytes that say how they are coded, each number is aligned to its own size, a string or
sequence begins with its length.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rclpy.serialization import deserialize_message

from evio_ros.errors import EventError
from evio_ros.msg import EventArray
from evio_ros.ros.stamps import nanoseconds_of

__all__ = ["RawEventArray", "read_event_array"]

_HEAD_BYTES = 4
_LITTLE_ENDIAN_CDR = b"\x00\x01"


@dataclass(frozen=True, slots=True)
class RawEventArray:
    """The fields of an EventArray.

    Attributes:
        seq, width, height, time_base, duration: as of the message.
        stamp_ns, frame_id: of its header.
        t: uint32 (n,).
        x, y: uint16 (n,).
        polarity: uint8 (n,).
    """

    seq: int
    width: int
    height: int
    time_base: int
    duration: int
    stamp_ns: int
    frame_id: str
    t: NDArray[np.uint32]
    x: NDArray[np.uint16]
    y: NDArray[np.uint16]
    polarity: NDArray[np.uint8]


def read_event_array(data: bytes) -> RawEventArray:
    """Read a serialised EventArray; its columns are views of the bytes.

    Raises:
        EventError: where the bytes end too early.
    """
    if data[:2] != _LITTLE_ENDIAN_CDR:
        return _converted(deserialize_message(data, EventArray))
    reader = _Reader(data)
    try:
        sec, nanosec = reader.numbers("<iI", 4)
        frame_id = reader.column(np.dtype(np.uint8)).tobytes()[:-1].decode(errors="replace")
        seq, width, height, time_base, duration = reader.numbers("<QIIqI", 8)
        t = reader.column(np.dtype(np.uint32))
        x, y = reader.column(np.dtype(np.uint16)), reader.column(np.dtype(np.uint16))
        polarity = reader.column(np.dtype(np.uint8))
    except (struct.error, ValueError):
        raise EventError(f"a message of {len(data)} bytes ends within its fields") from None
    stamp_ns = 1_000_000_000 * sec + nanosec
    return RawEventArray(
        seq, width, height, time_base, duration, stamp_ns, frame_id, t, x, y, polarity
    )


class _Reader:
    """Reads one field after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = _HEAD_BYTES

    def numbers(self, layout: str, size: int) -> tuple[int, ...]:
        """Numbers that follow on without padding, the first of so many bytes."""
        self._align(size)
        values = struct.unpack_from(layout, self._data, self._place)
        self._place += struct.calcsize(layout)
        return values

    def column(self, dtype: np.dtype) -> NDArray:
        """A sequence of numbers, as a view."""
        (count,) = self.numbers("<I", 4)
        if count:
            self._align(dtype.itemsize)
        column = np.frombuffer(self._data, dtype, count, min(self._place, len(self._data)))
        self._place += column.nbytes
        return column

    def _align(self, size: int) -> None:
        self._place += -(self._place - _HEAD_BYTES) % size


def _converted(message: EventArray) -> RawEventArray:
    """The fields of a message that the middleware has read."""
    return RawEventArray(
        message.seq,
        message.width,
        message.height,
        message.time_base,
        message.duration,
        nanoseconds_of(message.header.stamp),
        message.header.frame_id,
        np.frombuffer(message.t, np.uint32),
        np.frombuffer(message.x, np.uint16),
        np.frombuffer(message.y, np.uint16),
        np.frombuffer(message.polarity, np.uint8),
    )
