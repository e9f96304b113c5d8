from __future__ import annotations

from array import array

import numpy as np
import pytest
from evio_ros.msg import EventArray
from hypothesis import given
from hypothesis import strategies as st

from evio_ros.errors import EventError
from evio_ros.events import EventBatch, EventWindow, SensorSize
from evio_ros.ros.event_messages import from_message, to_message

SIZE = SensorSize(640, 480)


@st.composite
def event_windows(draw) -> EventWindow:
    start_us = draw(st.integers(0, 1 << 40))
    length_us = draw(st.integers(1, 1_000_000))
    times = sorted(draw(st.lists(st.integers(0, length_us - 1), max_size=50)))
    count = len(times)
    columns = [
        draw(st.lists(st.integers(0, n - 1), min_size=count, max_size=count)) for n in (640, 480, 2)
    ]
    events = EventBatch(
        SIZE,
        np.array(times, np.int64) + start_us,
        np.array(columns[0], np.uint16),
        np.array(columns[1], np.uint16),
        np.array(columns[2], np.bool_),
    )
    return EventWindow(start_us, length_us, events)


@given(event_windows(), st.integers(0, 1 << 32))
def test_a_window_survives_the_message(window, seq):
    message = to_message(window, seq, "camera", 1_234_567_890_123)
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (1234, 567_890_123)
    assert message.seq == seq
    back = from_message(message)
    assert (back.start_us, back.length_us) == (window.start_us, window.length_us)
    assert back.events.size == SIZE
    for column in ("t", "x", "y", "polarity"):
        np.testing.assert_array_equal(getattr(back.events, column), getattr(window.events, column))


def message_of_two(**changes: object) -> EventArray:
    values = {
        "width": 640,
        "height": 480,
        "time_base": 1000,
        "duration": 100,
        "t": array("I", [5, 7]),
        "x": array("H", [1, 2]),
        "y": array("H", [3, 4]),
        "polarity": array("B", [0, 1]),
    }
    return EventArray(**{**values, **changes})


def test_times_are_relative_to_the_base():
    window = from_message(message_of_two())
    assert window.events.t.tolist() == [1005, 1007]
    assert window.events.polarity.tolist() == [False, True]
    assert (window.start_us, window.end_us) == (1000, 1100)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"x": array("H", [1])}, "x has 1 events, t has 2"),
        ({"polarity": array("B", [0, 2])}, "polarity of event 1 is 2, not 0 or 1"),
        ({"t": array("I", [5, 100])}, "t of event 1 is 100 us, the message ends at 100"),
        ({"t": array("I", [7, 5])}, "time goes back from 1007 to 1005 us at event 1"),
        ({"y": array("H", [3, 480])}, "y = 480 of event 1 is outside 0 to 479"),
        ({"width": 0}, "sensor width 0 is not in 1 to 65536 pixels"),
    ],
)
def test_a_message_that_breaks_the_rules_is_refused(changes, text):
    with pytest.raises(EventError, match=text):
        from_message(message_of_two(**changes))


def test_a_window_too_long_for_a_message_is_refused():
    with pytest.raises(EventError, match="does not fit into one message"):
        to_message(EventWindow(0, 1 << 32, EventBatch.empty(SIZE)), 0, "camera", 0)
