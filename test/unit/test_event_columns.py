from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evio_ros.errors import EventError
from evio_ros.event_columns import batch_of_columns

WIDTH, HEIGHT, LENGTH_US = 20, 10, 50


def fault(t, x, y, polarity) -> str:
    """The first event that breaks a rule, and which, by looking at one after the other."""
    for k, value in enumerate(polarity):
        if value not in (0, 1):
            return f"polarity of event {k} is {value}, not 0 or 1"
    for k, value in enumerate(t):
        if value >= LENGTH_US:
            return f"t of event {k} is {value} us, the message ends at {LENGTH_US}"
    for name, column, side in (("x", x, WIDTH), ("y", y, HEIGHT)):
        for k, value in enumerate(column):
            if value >= side:
                return f"{name} = {value} of event {k} is outside 0 to {side - 1}"
    for k in range(1, len(t)):
        if t[k] < t[k - 1]:
            return f"at event {k}"
    return ""


@st.composite
def columns(draw) -> list[list[int]]:
    """Mostly good ones: what is out of range or out of order is put in at a few places."""
    count = draw(st.integers(0, 40))
    bounds = (LENGTH_US, WIDTH, HEIGHT, 2)
    drawn = [draw(st.lists(st.integers(0, n - 1), min_size=count, max_size=count)) for n in bounds]
    drawn[0].sort()
    largest = (2**32 - 1, 2**16 - 1, 2**16 - 1, 255)
    for _ in range(draw(st.integers(0, 2)) if count else 0):
        which, place = draw(st.integers(0, 3)), draw(st.integers(0, count - 1))
        drawn[which][place] = draw(
            st.sampled_from([0, bounds[which] - 1, bounds[which], largest[which]])
        )
    return drawn


def batch(base_us: int, drawn: list[list[int]], width: int = WIDTH):
    dtypes = (np.uint32, np.uint16, np.uint16, np.uint8)
    arrays = [np.array(column, dtype) for column, dtype in zip(drawn, dtypes, strict=True)]
    return batch_of_columns(width, HEIGHT, (base_us, LENGTH_US), *arrays)


@given(columns(), st.sampled_from([0, 10**12, 2**63 - 1 - LENGTH_US]))
def test_columns_are_taken_over_or_the_first_fault_is_named(drawn, base_us):
    told = fault(*drawn)
    if told:
        with pytest.raises(EventError) as caught:
            batch(base_us, drawn)
        assert told in str(caught.value)
        return
    events = batch(base_us, drawn)
    t, x, y, polarity = drawn
    assert (events.size.width, events.size.height) == (WIDTH, HEIGHT)
    assert events.t.tolist() == [base_us + offset for offset in t]
    assert (events.x.tolist(), events.y.tolist()) == (x, y)
    assert events.polarity.tolist() == [value == 1 for value in polarity]
    assert not any(column.flags.writeable for column in (events.t, events.x, events.polarity))


@pytest.mark.parametrize("short", range(4))
def test_columns_of_different_lengths_are_refused(short):
    drawn = [[0, 0] for _ in range(4)]
    drawn[short] = [0]
    with pytest.raises(EventError, match=r"has . events, t has ."):
        batch(0, drawn)


@pytest.mark.parametrize("width", [0, 1 << 32])
def test_an_impossible_sensor_is_refused_with_and_without_events(width):
    for drawn in ([[0]] * 4, [[]] * 4):
        with pytest.raises(EventError, match="sensor width"):
            batch(0, drawn, width)


def test_times_that_no_clock_has_are_refused():
    with pytest.raises(EventError, match="time goes back"):
        batch(2**63 - 10, [[0, 20], [0, 0], [0, 0], [0, 0]])
