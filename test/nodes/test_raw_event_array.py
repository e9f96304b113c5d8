"""Messages read from their bytes are those that the middleware reads."""

from __future__ import annotations

import numpy as np
import pytest
from builders import SMALL, batch_at
from evio_ros.msg import EventArray
from rclpy.serialization import deserialize_message, serialize_message

from evio_ros.errors import EventError
from evio_ros.events import EventWindow
from evio_ros.ros.event_messages import from_message, to_message
from evio_ros.ros.raw_event_array import read_event_array


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 1000])
@pytest.mark.parametrize("frame_id", ["", "a", "ab", "abc", "abcd", "caméra"])
def test_all_fields_are_those_of_the_message(count, frame_id):
    window = EventWindow(-7, 5000, batch_at(range(-7, count - 7)))
    message = to_message(window, 2**40 + 1, frame_id, stamp_ns=1_700_000_000_123_456_789)
    data = serialize_message(message)
    same = deserialize_message(data, EventArray)
    read = read_event_array(data)
    for name in ("seq", "width", "height", "time_base", "duration"):
        assert getattr(read, name) == getattr(same, name)
    assert read.frame_id == same.header.frame_id
    assert divmod(read.stamp_ns, 10**9) == (same.header.stamp.sec, same.header.stamp.nanosec)
    for name in ("t", "x", "y", "polarity"):
        assert getattr(read, name).tolist() == list(getattr(same, name))
    assert from_message(read).events.t.tolist() == window.events.t.tolist()


def test_bytes_that_end_too_early_are_refused():
    message = to_message(EventWindow(0, 100, batch_at(range(20))), 0, "camera", 0)
    data = serialize_message(message)
    for length in range(4, len(data) - 4):
        with pytest.raises(EventError, match="ends within its fields"):
            read_event_array(data[:length])


def test_only_the_chosen_events_are_copied_and_their_share_is_noted():
    message = to_message(EventWindow(0, 100, batch_at(range(20), SMALL)), 0, "camera", 0)
    window = from_message(message, np.array([3, 8, 9]), 0.15)
    assert window.events.t.tolist() == [3, 8, 9]
    assert window.share == 0.15


def test_columns_of_unequal_length_are_refused_whatever_is_chosen():
    message = to_message(EventWindow(0, 100, batch_at(range(20), SMALL)), 0, "camera", 0)
    message.x = message.x[:5]
    with pytest.raises(EventError, match="x has 5 events"):
        from_message(message, np.array([3, 8, 9]), 0.15)
