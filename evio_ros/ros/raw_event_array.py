"""EventArray messages read directly from their serialised bytes.

Turning a message into Python objects copies its columns twice more, which costs a subscriber as
much as tracking a rotor.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evio_ros.msg import EventArray
from evio_ros.ros.cdr import CdrReader

__all__ = ["RawEventArray", "read_event_array"]

_SENT = struct.Struct("<QIIqI")
"""seq, width, height, time_base, duration."""
_UINT32, _UINT16, _UINT8 = np.dtype("<u4"), np.dtype("<u2"), np.dtype(np.uint8)


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
        EventError: if the bytes end too early.
    """
    reader = CdrReader(data, EventArray)
    sec, nanosec, frame_id = reader.header()
    seq, width, height, time_base, duration = reader.numbers(_SENT, 8)
    return RawEventArray(
        seq,
        width,
        height,
        time_base,
        duration,
        1_000_000_000 * sec + nanosec,
        frame_id,
        t=reader.column(_UINT32),
        x=reader.column(_UINT16),
        y=reader.column(_UINT16),
        polarity=reader.column(_UINT8),
    )
