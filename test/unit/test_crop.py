"""The events inside a rectangle, against numpy's masks."""

from __future__ import annotations

import numpy as np
import pytest
from event_windows import few, window_of
from hypothesis import given
from hypothesis import strategies as st

from evio_ros.crop import crop
from evio_ros.events import EventBatch, RegionOfInterest, SensorSize


@few
@given(
    st.lists(st.integers(0, 99), max_size=200),
    st.integers(0, 12),
    st.integers(0, 12),
    st.integers(1, 12),
    st.integers(1, 12),
)
def test_equals_a_mask(t, x0, y0, width, height):
    events = window_of(SensorSize(9, 7), t, 100).events
    chosen = crop(events, RegionOfInterest(x0, y0, x0 + width, y0 + height))
    keep = (events.x >= x0) & (events.x < x0 + width)
    keep &= (events.y >= y0) & (events.y < y0 + height)
    for name in ("t", "x", "y", "polarity"):
        expected = getattr(events, name)[keep]
        np.testing.assert_array_equal(getattr(chosen, name), expected)
        assert getattr(chosen, name).dtype == expected.dtype
    assert chosen.size == events.size


def test_more_than_one_block():
    rng = np.random.default_rng(0)
    events = window_of(SensorSize(100, 80), rng.integers(0, 9_999, 20_000).tolist(), 10_000).events
    chosen = crop(events, RegionOfInterest(20, 10, 60, 70))
    keep = (events.x >= 20) & (events.x < 60) & (events.y >= 10) & (events.y < 70)
    np.testing.assert_array_equal(chosen.t, events.t[keep])
    np.testing.assert_array_equal(chosen.x, events.x[keep])


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ((65_535, 65_535, 65_536, 65_536), 1),
        ((0, 0, 1 << 20, 1 << 20), 3),
        ((65_536, 0, 70_000, 9), 0),
        ((0, 65_536, 9, 70_000), 0),
    ],
)
def test_largest_coordinates(region, expected):
    corner = np.array([0, 65_535, 0], np.uint16)
    t = np.arange(3)
    events = EventBatch(SensorSize(65_536, 65_536), t, corner, corner, np.zeros(3, bool))
    assert len(crop(events, RegionOfInterest(*region))) == expected
