"""The bytes of a message on the wire, field by field.

Python objects of large messages are slow: the middleware checks each field as it is set and copies
each column. The bytes are XCDR version 1 (OMG DDSI-RTPS 2.5, clause 10; CORBA CDR): after four
bytes that say how they are coded, each number is aligned to its own size, a string or sequence
begins with its length.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header

from evio_ros.errors import EventError

__all__ = ["LITTLE_ENDIAN_CDR", "CdrReader", "header_bytes", "padded", "text_bytes"]

LITTLE_ENDIAN_CDR = b"\x00\x01\x00\x00"
"""What the bytes of a message begin with; what is aligned is counted from its end."""
_LENGTH = struct.Struct("<I")
_STAMP = struct.Struct("<iI")


class CdrReader:
    """Reads one field after the other.

    Args:
        data: a serialised message; in another byte order than this one's the middleware reads it.
        message_type: its type.

    Raises:
        EventError: if the bytes end within the fields, here or as a field is read.
    """

    def __init__(self, data: bytes, message_type: type) -> None:
        if data[:2] != LITTLE_ENDIAN_CDR[:2]:
            data = _little_endian(data, message_type)
        self._body = memoryview(data)[len(LITTLE_ENDIAN_CDR) :]
        self._place, self._end = 0, len(self._body)

    def numbers(self, layout: struct.Struct, alignment: int) -> tuple[Any, ...]:
        """Numbers laid out as in a structure, whose first one is aligned to `alignment` bytes."""
        return layout.unpack_from(self._body, self._take(layout.size, alignment))

    def text(self) -> str:
        """A string."""
        (length,) = self.numbers(_LENGTH, 4)
        place = self._take(length)
        return bytes(self._body[place : place + length - 1]).decode(errors="replace")

    def skip_text(self) -> None:
        """Pass over a string."""
        (length,) = self.numbers(_LENGTH, 4)
        self._take(length)

    def column(self, dtype: np.dtype) -> NDArray:
        """A sequence of numbers, (n,), as a view of the bytes."""
        (count,) = self.numbers(_LENGTH, 4)
        place = self._take(count * dtype.itemsize, dtype.itemsize if count else 1)
        return np.frombuffer(self._body, dtype, count, place)

    def block(self, size: int, alignment: int) -> memoryview:
        """The given number of bytes, unchanged."""
        place = self._take(size, alignment)
        return self._body[place : place + size]

    def header(self) -> tuple[int, int, str]:
        """A header: its stamp's seconds and nanoseconds, as they were sent, and its frame."""
        sec, nanosec = self.numbers(_STAMP, 4)
        return sec, nanosec, self.text()

    def _take(self, size: int, alignment: int = 1) -> int:
        """The place of the next field, past which the one after it begins."""
        place = self._place + -self._place % alignment
        self._place = place + size
        if self._place > self._end:
            raise _too_short(self._end + len(LITTLE_ENDIAN_CDR))
        return place


def padded(data: bytes, size: int) -> bytes:
    """The bytes, padded to a multiple of `size`."""
    return data + bytes(-len(data) % size)


def text_bytes(text: str) -> bytes:
    """The bytes of a string, which must begin at a multiple of four bytes."""
    encoded = text.encode() + b"\0"
    return _LENGTH.pack(len(encoded)) + encoded


def header_bytes(header: Header) -> bytes:
    """The bytes of a header, which must begin at a multiple of four bytes."""
    return _STAMP.pack(header.stamp.sec, header.stamp.nanosec) + text_bytes(header.frame_id)


def _little_endian(data: bytes, message_type: type) -> bytes:
    """The same message as the middleware writes it."""
    try:
        written: bytes = serialize_message(deserialize_message(data, message_type))
    except RuntimeError:  # what the middleware says of bytes that are no such message
        raise _too_short(len(data)) from None
    return written


def _too_short(size: int) -> EventError:
    return EventError(f"a message of {size} bytes ends within its fields")
