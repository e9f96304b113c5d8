"""Against numpy's counts and evlib's event histogram."""

from __future__ import annotations

import numpy as np
import pytest
from event_windows import count_at, evlib_frame, few, window_of, windows
from hypothesis import given

from evio_ros.events import SensorSize
from evio_ros.representations.base import represent
from evio_ros.representations.event_frame import EventFrame


@few
@given(windows())
def test_equals_counts(window):
    events = window.events
    frame = EventFrame(events.size)
    made = represent(frame, window)
    assert made.dtype == np.int32
    expected = count_at(frame.shape, events.polarity.astype(int), events.y, events.x)
    np.testing.assert_array_equal(made, expected)


@few
@given(windows(least_events=1))
def test_equals_evlib(window):
    pytest.importorskip("evlib", reason="evlib, the reference, is not installed")
    from evlib.representations import event_histogram

    size = window.events.size
    frame = event_histogram(evlib_frame(window), size.height, size.width)
    expected = np.zeros((2, size.height, size.width), np.int64)
    polarity = (frame["polarity"].to_numpy() > 0).astype(int)
    place = (polarity, frame["y"].to_numpy(), frame["x"].to_numpy())
    expected[place] = frame["count"].to_numpy()
    np.testing.assert_array_equal(represent(EventFrame(size), window), expected)


def test_evlib_drops_the_last_event():
    """The minimal case of docs/representations.md: evlib's event frame of one bin lacks it."""
    evlib = pytest.importorskip("evlib", reason="evlib, the reference, is not installed")
    window = window_of(SensorSize(1, 1), [0, 5, 10], 11)
    frame = evlib.create_event_frame(evlib_frame(window), 1, 1, n_time_bins=1)
    assert frame["count"].sum() == 2
    assert represent(EventFrame(SensorSize(1, 1)), window).sum() == 3


def test_counts_past_a_byte():
    window = window_of(SensorSize(1, 1), [0] * 1_000 + [5], 10)
    frame = EventFrame(SensorSize(1, 1))
    on = int(window.events.polarity.sum())
    for _ in range(2):
        assert represent(frame, window).ravel().tolist() == [1_001 - on, on]
    assert represent(frame, window_of(SensorSize(1, 1), [5], 10)).sum() == 1
