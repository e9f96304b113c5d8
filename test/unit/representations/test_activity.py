"""Against the definition in plain numpy."""

from __future__ import annotations

import numpy as np
from event_windows import START_US, few, window_of, windows
from hypothesis import given
from hypothesis import strategies as st

from evio_ros.events import SensorSize
from evio_ros.representations.activity import Activity, ActivityParameters
from evio_ros.representations.base import represent


@few
@given(windows(), st.sampled_from([5, 1_000, 50_000]), st.sampled_from([1, 2, 7]))
def test_equals_its_definition_over_several_windows(window, tau_us, parts):
    events = window.events
    activity = Activity(events.size, ActivityParameters(tau_us=tau_us))
    length_us = -(-window.length_us // parts)
    out = np.empty(activity.shape, activity.dtype)
    for start_us in range(window.start_us, window.end_us, length_us):
        activity.begin(start_us, length_us)
        activity.push(events.between(start_us, start_us + length_us))
        activity.read(out)
        end_us = start_us + length_us
        seen = events.between(window.start_us, end_us)
        expected = np.zeros(activity.shape)
        weights = np.exp(-(end_us - seen.t) / tau_us)
        np.add.at(expected, (seen.polarity.astype(int), seen.y, seen.x), weights)
        np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-19)


def test_reset_forgets():

    window = window_of(SensorSize(3, 3), [1, 2, 3], 10)
    activity = Activity(SensorSize(3, 3))
    first = represent(activity, window)
    activity.reset()
    np.testing.assert_array_equal(represent(activity, window), first)


def test_what_has_faded_away_is_gone():
    activity = Activity(SensorSize(3, 3), ActivityParameters(tau_us=10))
    assert represent(activity, window_of(SensorSize(3, 3), [0], 1)).max() > 0.9
    values = []
    for start_us in range(START_US + 1, START_US + 700, 50):
        values.append(represent(activity, window_of(SensorSize(3, 3), [], 50, 0, start_us)).max())
    assert values[0] > values[1] > values[2] > 0
    assert values[-1] == 0
