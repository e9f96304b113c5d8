"""Against the definition in plain numpy, and against evlib, which follows Tonic."""

from __future__ import annotations

import numpy as np
import pytest
from event_windows import START_US, evlib_frame, few, window_of, windows
from hypothesis import given
from hypothesis import strategies as st

from evio_ros.errors import EventError
from evio_ros.events import EventBatch, SensorSize
from evio_ros.representations.base import represent
from evio_ros.representations.decay import DecayTable
from evio_ros.representations.time_surface import TimeSurface, TimeSurfaceParameters


def surface_by_definition(events: EventBatch, end_us: int, tau_us: int) -> np.ndarray:
    last = np.full((2, events.size.height, events.size.width), -np.inf)
    np.maximum.at(last, (events.polarity.astype(int), events.y, events.x), events.t)
    return np.exp(-(end_us - last) / tau_us)


@few
@given(windows(), st.sampled_from([1, 10, 1_000, 50_000, 3_000_000]))
def test_equals_its_definition(window, tau_us):
    size = window.events.size
    made = represent(TimeSurface(size, TimeSurfaceParameters(tau_us=tau_us)), window)
    assert made.dtype == np.float32
    expected = surface_by_definition(window.events, window.end_us, tau_us)
    np.testing.assert_allclose(made, expected, rtol=1.2e-7, atol=2e-38)


@few
@given(
    st.lists(st.integers(0, 4_999), min_size=1, max_size=60),
    st.sampled_from([100, 250, 1_000]),
    st.sampled_from([50, 1_000]),
)
def test_every_slice_equals_evlib(times, slice_us, tau_us):
    evlib = pytest.importorskip("evlib", reason="evlib, the reference, is not installed")
    size = SensorSize(3, 2)
    window = window_of(size, [*times, 5_000], 5_001)
    first_us = int(window.events.t[0])
    slices = max((window.end_us - 1 - first_us - slice_us) // slice_us + 1, 1)
    frame = evlib.create_time_surface(evlib_frame(window), 2, 3, float(slice_us), float(tau_us))
    arguments = (slices, 2, 2, 3, float(slice_us), float(tau_us), float(first_us))
    expected = evlib.densify_time_surface(frame, *arguments)
    surface = TimeSurface(size, TimeSurfaceParameters(tau_us=tau_us))
    out = np.empty(surface.shape, surface.dtype)
    for i in range(slices):
        start_us = first_us + i * slice_us
        surface.begin(start_us, slice_us)
        surface.push(window.events.between(start_us, start_us + slice_us))
        surface.read(out)
        np.testing.assert_allclose(out, expected[i], rtol=1.2e-7, atol=2e-38)


def test_time_goes_forward_only():
    surface = TimeSurface(SensorSize(2, 2))
    surface.begin(START_US, 100)
    surface.begin(START_US + 100, 100)
    with pytest.raises(EventError, match=f"window at {START_US + 199} us starts before the end"):
        surface.begin(START_US + 199, 100)
    surface.reset()
    surface.begin(0, 100)


def test_hours_pass():
    """Longer than 32 bits of microseconds, in windows of 15 minutes, with what is seen across."""
    size, window_us, tau_us = SensorSize(4, 3), 900_000_000, 10_000_000
    surface = TimeSurface(size, TimeSurfaceParameters(tau_us=tau_us))
    out = np.empty(surface.shape, surface.dtype)
    seen = []
    for number in range(12):
        last = window_us - 1 - number * 1_000_000
        window = window_of(size, [0, last], window_us, number, START_US + number * window_us)
        seen.append(window.events)
        surface.begin(window.start_us, window_us)
        surface.push(window.events)
        surface.read(out)
        expected = surface_by_definition(EventBatch.concatenate(size, seen), window.end_us, tau_us)
        np.testing.assert_allclose(out, expected, rtol=1.2e-7, atol=2e-38)
    # And straight on, so that the time between is all that counts.
    surface.begin(window.end_us, 5)
    surface.read(out)
    joined = EventBatch.concatenate(size, seen)
    expected = surface_by_definition(joined, window.end_us + 5, tau_us)
    np.testing.assert_allclose(out, expected, rtol=1.2e-7, atol=2e-38)
    with pytest.raises(EventError, match="a window of 1000000001 us is longer than 1000000000"):
        surface.begin(1 << 50, 1_000_000_001)
    surface.begin(1 << 50, 10)
    surface.read(out)
    assert not out.any()


@pytest.mark.parametrize("tau_us", [1, 7, 50_000, 100_000_000])
def test_table_is_exponential_to_rounding(tau_us):
    table = DecayTable.of(tau_us)
    ages = np.unique(np.geomspace(1, 200 * tau_us, 5_000).astype(np.int64))
    np.testing.assert_allclose(
        table.weights(ages).astype(np.float32),
        np.exp(-ages / tau_us).astype(np.float32),
        rtol=1.2e-7,
        atol=2e-38,
    )
    assert table.weights(np.array([0]))[0] == 1.0
    assert table.weights(np.array([1 << 62]))[0] == 0.0
