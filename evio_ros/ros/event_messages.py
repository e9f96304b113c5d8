"""Events as messages and back, with few copies and nothing taken on trust."""

from __future__ import annotations

from array import array

import numpy as np
from numpy.typing import NDArray

from evio_ros.errors import EventError
from evio_ros.event_columns import batch_of_columns
from evio_ros.events import EventWindow
from evio_ros.msg import EventArray
from evio_ros.ros.raw_event_array import RawEventArray
from evio_ros.ros.stamps import stamp_of

__all__ = ["from_message", "to_message"]

_LARGEST_UINT32 = (1 << 32) - 1


def to_message(window: EventWindow, seq: int, frame_id: str, stamp_ns: int) -> EventArray:
    """Make the message of a window; its columns are copied once.

    Args:
        window: at most 2**32 - 1 µs long.
        seq: number of messages this source has sent before.
        frame_id: optical frame of the camera.
        stamp_ns: ROS time of the window's start in ns.

    Raises:
        EventError: if the window is too long.
    """
    if window.length_us > _LARGEST_UINT32:
        raise EventError(f"a window of {window.length_us} us does not fit into one message")
    events = window.events
    message = EventArray()
    message.header.stamp = stamp_of(stamp_ns)
    message.header.frame_id = frame_id
    message.seq = seq
    message.width = events.size.width
    message.height = events.size.height
    message.time_base = window.start_us
    message.duration = window.length_us
    # Anything but an array of the right type code is copied element by element.
    message.t = array("I", (events.t - window.start_us).astype(np.uint32).tobytes())
    message.x = array("H", events.x.tobytes())
    message.y = array("H", events.y.tobytes())
    message.polarity = array("B", events.polarity.tobytes())
    return message


def from_message(
    message: EventArray | RawEventArray,
    places: NDArray[np.int64] | None = None,
    share: float = 1.0,
) -> EventWindow:
    """Check a message and give its events as views of its memory (times are copied).

    Args:
        message: the message.
        places: indices of those events that are wanted, a copy of them then; None for all.
        share: what share of all that is.

    Raises:
        EventError: if the columns differ in length, polarity is neither 0 nor 1, a time is
            outside the message's interval, or anything breaks the rules of `EventBatch`.
    """
    polarity = np.frombuffer(message.polarity, np.uint8)
    t = np.frombuffer(message.t, np.uint32)
    x, y = np.frombuffer(message.x, np.uint16), np.frombuffer(message.y, np.uint16)
    if places is not None and len(t) == len(x) == len(y) == len(polarity):
        t, x, y, polarity = t[places], x[places], y[places], polarity[places]
    span_us = (message.time_base, message.duration)
    events = batch_of_columns(message.width, message.height, span_us, t, x, y, polarity)
    return EventWindow(message.time_base, message.duration, events, share=share)
