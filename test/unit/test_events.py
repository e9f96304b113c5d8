"""The rules of event batches, and what can be done with one."""

import numpy as np
import pytest
from builders import SMALL, batch_at, columns, cuts, event_times, parts_of
from hypothesis import given
from hypothesis import strategies as st

from evio_ros.errors import EventError
from evio_ros.events import EventBatch, EventWindow, RegionOfInterest, SensorSize


def good() -> dict[str, np.ndarray]:
    return {
        "t": np.array([5, 5, 9], np.int64),
        "x": np.array([0, 7, 3], np.uint16),
        "y": np.array([5, 0, 2], np.uint16),
        "polarity": np.array([True, False, True]),
    }


@pytest.mark.parametrize("side", [0, -1, 65537])
def test_a_sensor_side_is_what_coordinates_can_reach(side):
    with pytest.raises(EventError, match=f"sensor width {side} is not in 1 to 65536 pixels"):
        SensorSize(side, 5)
    with pytest.raises(EventError, match=f"sensor height {side} is not in 1 to 65536 pixels"):
        SensorSize(5, side)


def test_a_sensor_size_reads_as_people_write_it():
    assert str(SensorSize(640, 480)) == "640x480"
    assert SensorSize(640, 480).pixels == 307_200


@pytest.mark.parametrize("corners", [(3, 0, 3, 5), (0, 5, 3, 5), (4, 0, 3, 5), (-1, 0, 3, 5)])
def test_an_empty_or_negative_region_is_refused(corners):
    with pytest.raises(EventError, match="is empty or negative"):
        RegionOfInterest(*corners)


def test_a_batch_keeps_what_it_was_given():
    batch = EventBatch(SMALL, **good())
    assert columns(batch) == [(5, 0, 5, True), (5, 7, 0, False), (9, 3, 2, True)]
    assert len(batch) == 3


@pytest.mark.parametrize("name", ["t", "x", "y", "polarity"])
def test_columns_are_read_only_and_the_callers_own_are_not(name):
    given_columns = good()
    batch = EventBatch(SMALL, **given_columns)
    column = getattr(batch, name)
    with pytest.raises(ValueError, match="read-only"):
        column[0] = column[0]
    given_columns[name][0] = given_columns[name][0]


def test_read_only_columns_are_welcome():
    frozen = good()
    for column in frozen.values():
        column.flags.writeable = False
    assert len(EventBatch(SMALL, **frozen)) == 3


@pytest.mark.parametrize(
    ("name", "column", "message"),
    [
        ("t", np.array([5, 5, 9], np.int32), "t is a 1-D int32 array, not a 1-D int64 array"),
        ("t", np.array([5, 5, 9], np.float64), "t is a 1-D float64 array, not a 1-D int64 array"),
        ("t", np.array([5, 5, 9], ">i8"), "t is a 1-D >i8 array, not a 1-D int64 array"),
        ("x", np.zeros((3, 1), np.uint16), "x is a 2-D uint16 array, not a 1-D uint16 array"),
        ("y", np.zeros(3, np.int16), "y is a 1-D int16 array, not a 1-D uint16 array"),
        ("polarity", np.zeros(3, np.uint8), "polarity is a 1-D uint8 array, not a 1-D bool array"),
        ("polarity", [True, True, True], "polarity is a list, not a numpy array"),
        ("x", np.zeros(2, np.uint16), "x has 2 events, t has 3"),
        ("polarity", np.zeros(4, np.bool_), "polarity has 4 events, t has 3"),
        ("x", np.array([0, 8, 9], np.uint16), "x = 8 of event 1 is outside 0 to 7"),
        ("y", np.array([0, 0, 65535], np.uint16), "y = 65535 of event 2 is outside 0 to 5"),
        ("t", np.array([5, 9, 8], np.int64), "time goes back from 9 to 8 us at event 2"),
    ],
)
def test_a_broken_rule_is_named_with_the_first_event_that_breaks_it(name, column, message):
    with pytest.raises(EventError) as refused:
        EventBatch(SMALL, **{**good(), name: column})
    assert str(refused.value) == message


def test_times_of_64_bits_are_fine():
    late = [-(1 << 62), 0, 1 << 40, 1 << 62]
    assert batch_at(late).t.tolist() == late


def test_an_empty_batch_has_columns_of_the_right_types():
    batch = EventBatch.empty(SMALL)
    dtypes = [column.dtype for column in (batch.t, batch.x, batch.y, batch.polarity)]
    assert dtypes == [np.int64, np.uint16, np.uint16, np.bool_]
    assert len(batch) == 0
    assert columns(EventBatch.concatenate(SMALL, [])) == []


@given(event_times(), cuts())
def test_concatenate_undoes_slice(times, places):
    batch = batch_at(times)
    parts = parts_of(batch, places)
    assert sum(map(len, parts)) == len(batch)
    joined = EventBatch.concatenate(SMALL, parts)
    assert columns(joined) == columns(batch)
    assert not joined.t.flags.writeable


def test_concatenate_refuses_another_sensor_and_time_that_goes_back():
    with pytest.raises(EventError, match="cannot join a batch of a 9x9 sensor to one of 8x6"):
        EventBatch.concatenate(SMALL, [batch_at([1]), batch_at([2], SensorSize(9, 9))])
    with pytest.raises(EventError, match="time goes back from 7 to 6 us between batches"):
        EventBatch.concatenate(SMALL, [batch_at([1, 7]), batch_at([]), batch_at([6, 8])])


@given(event_times(), st.integers(-150, 2500), st.integers(-150, 2500))
def test_between_takes_the_start_and_leaves_the_end(times, start_us, end_us):
    batch = batch_at(times)
    chosen = batch.between(start_us, end_us)
    assert columns(chosen) == [event for event in columns(batch) if start_us <= event[0] < end_us]


def test_slices_share_memory():
    batch = batch_at(range(10))
    assert np.shares_memory(batch.slice(2, 5).x, batch.x)
    assert np.shares_memory(batch.between(2, 5).t, batch.t)


def test_a_window_ends_just_before_the_next():
    assert EventWindow(100, 50, EventBatch.empty(SMALL)).end_us == 150


def test_a_window_is_live_unless_it_is_said_to_be_otherwise():
    assert EventWindow(100, 50, EventBatch.empty(SMALL)).live == 1.0


def test_a_window_of_the_sensor_and_length_that_are_due_passes():
    EventWindow(100, 50, batch_at([100, 149])).check(SMALL, 50)
    EventWindow(100, 50, batch_at([])).check(SMALL, 50)


@pytest.mark.parametrize(
    ("window", "message"),
    [
        (EventWindow(0, 50, EventBatch.empty(SensorSize(9, 9))), "of a 9x9 sensor, expected 8x6"),
        (EventWindow(0, 40, batch_at([1])), "a window of 40 us, expected 50 us"),
        (EventWindow(100, 50, batch_at([99, 120])), "99 or 120 us lies outside 100 to 150 us"),
        (EventWindow(100, 50, batch_at([120, 150])), "120 or 150 us lies outside 100 to 150 us"),
    ],
)
def test_a_window_that_is_not_what_is_due_is_refused(window, message):
    with pytest.raises(EventError, match=message):
        window.check(SMALL, 50)
