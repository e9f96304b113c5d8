"""Events leave the sensor line by line."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evio_ros.errors import ParameterError
from evio_ros.events import EventBatch
from evio_ros.simulation.camera import SensorParameters
from evio_ros.simulation.readout_kernel import read_out
from evio_ros.simulation.scene import Lamp, Scene
from evio_ros.simulation.simulator import simulate

WIDTH = 8


def stamps_of(
    t: list[float], lines: list[int], pixels: list[int], line_us: float, event_us: float
) -> list[float]:
    stamps = np.empty(len(t))
    asks = np.zeros(WIDTH * WIDTH, np.bool_)
    columns = np.array(t, float), np.array(lines, np.int64), np.array(pixels, np.int64)
    read_out(*columns, line_us, event_us, -math.inf, math.inf, asks, stamps)
    assert not asks.any()
    return stamps.tolist()


def test_a_line_is_sent_with_the_stamp_of_its_grant():
    """By hand: a line takes 2, an event 1.

    Line 0 is granted at 2 with one event and busy until 3. Then lines 1 (asked at 0.5) and 0 wait:
    line 1, the oldest, is granted at 5 with both its events and busy until 7; line 0 at 9.
    """
    t, lines = [0.0, 0.5, 1.0, 2.5], [0, 1, 0, 1]
    assert stamps_of(t, lines, [0, 8, 1, 9], 2.0, 1.0) == [2.0, 5.0, 9.0, 5.0]


def test_a_pixel_that_waits_makes_no_second_event():
    assert stamps_of([0.0, 0.5, 0.6, 9.0], [0, 1, 1, 1], [0, 8, 8, 8], 2.0, 0.0) == [
        2.0,
        4.0,
        -1.0,
        11.0,
    ]


@given(
    st.lists(st.tuples(st.floats(0, 200), st.integers(0, WIDTH * WIDTH - 1)), max_size=60),
    st.floats(0, 200),
)
def test_the_same_events_in_two_parts_give_the_same_stamps(events, cut_us):
    events = sorted(events)
    t = np.array([t for t, _ in events], float)
    pixels = np.array([pixel for _, pixel in events], np.int64)
    lines = pixels // WIDTH
    asks = np.zeros(WIDTH * WIDTH, np.bool_)
    whole = np.empty(len(t))
    read_out(t, lines, pixels, 3.0, 1.0, -math.inf, math.inf, asks, whole)
    early = t < cut_us
    first = np.empty(int(early.sum()))
    part = (t[early], lines[early], pixels[early])
    free_us = read_out(*part, 3.0, 1.0, -math.inf, cut_us, asks, first)
    left = first == -2.0
    rest = [np.concatenate((column[early][left], column[~early])) for column in (t, lines, pixels)]
    second = np.empty(len(rest[0]))
    read_out(*rest, 3.0, 1.0, free_us, math.inf, asks, second)
    assert sorted([*first[~left], *second]) == sorted(whole)


def test_a_sensor_at_its_limit_is_late_and_loses_events():
    """A lamp makes all its pixels ask at once; a column of them takes 100 + 20 n µs."""
    camera = SensorParameters(
        width=40,
        height=30,
        jitter_us=0.0,
        noise_hz=0.0,
        hot_pixels=0,
        threshold_on=0.1,
        threshold_off=0.1,
    )
    scene = Scene("lamp", lamps=(Lamp((20.0, 15.0), 9.0, 200.0, 0.9),))
    limit = {"readout_line": "column", "readout_line_us": 100.0, "readout_event_us": 20.0}
    free, limited = (
        EventBatch.concatenate(camera.size, simulate(scene, made, 30_000))
        for made in (camera, camera.replaced(limit))
    )
    assert len(limited) < len(free)
    stamps, place = np.unique(limited.t, return_inverse=True)
    for index in range(len(stamps)):
        assert len(np.unique(limited.x[place == index])) == 1
    sizes = np.bincount(place)
    # Stamps are whole microseconds.
    assert (np.diff(stamps) >= 100 + 20 * sizes[:-1] - 1).all()


def test_time_for_events_without_lines_is_refused():
    with pytest.raises(ParameterError, match="readout_event_us: needs readout_line_us"):
        SensorParameters(readout_event_us=1.0)
