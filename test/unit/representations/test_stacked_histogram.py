"""Against the definition in plain numpy, and against evlib, which follows RVT."""

from __future__ import annotations

import numpy as np
import pytest
from event_windows import START_US, count_at, few, window_of, windows
from hypothesis import given
from hypothesis import strategies as st

from evio_ros.events import EventWindow, SensorSize
from evio_ros.representations.base import represent
from evio_ros.representations.stacked_histogram import StackedHistogram, StackedHistogramParameters


def by_definition(window: EventWindow, bins: int = 10, cutoff: int = 10) -> np.ndarray:
    """RVT's preprocessing: polarity * bins + bin, bins between first and last event, saturation."""
    events, size = window.events, window.events.size
    shape = (2 * bins, size.height, size.width)
    if not len(events):
        return np.zeros(shape, np.uint8)
    span = max(int(events.t[-1] - events.t[0]), 1)
    time_bin = np.array([min((int(t - events.t[0]) * bins) // span, bins - 1) for t in events.t])
    channel = events.polarity * bins + time_bin
    return np.minimum(count_at(shape, channel, events.y, events.x), cutoff).astype(np.uint8)


def by_evlib(window: EventWindow, parameters: StackedHistogramParameters) -> np.ndarray:
    """The kernel of evlib, whose windows hold both their ends."""
    evlib = pytest.importorskip("evlib", reason="evlib, the reference, is not installed")
    events, size = window.events, window.events.size
    step = parameters.downsample
    maps = []
    for side in (size.height, size.width):
        sampled = np.full(side, -1, np.int64)
        out = side // step
        sampled[[int((d + 0.5) * side / out) for d in range(out)]] = np.arange(out)
        maps.append(sampled)
    columns = (events.t, events.x, events.y, events.polarity)
    return evlib.representations_rs.stacked_histogram_dense(
        *(column.astype(np.int64) for column in columns),
        np.array([window.end_us - 1]),
        window.length_us - 1,
        parameters.bins,
        parameters.cutoff,
        *maps,
        size.height // step,
        size.width // step,
    )[0]


@few
@given(windows(), st.sampled_from([1, 2, 3, 10, 16]), st.sampled_from([1, 3, 10, 255]))
def test_equals_its_definition(window, bins, cutoff):
    parameters = StackedHistogramParameters(bins=bins, cutoff=cutoff)
    made = represent(StackedHistogram(window.events.size, parameters), window)
    assert made.dtype == np.uint8
    np.testing.assert_array_equal(made, by_definition(window, bins, cutoff))


@few
@given(windows(), st.sampled_from([1, 2]), st.sampled_from([1, 2, 10]))
def test_equals_evlib(window, downsample, cutoff):
    parameters = StackedHistogramParameters(downsample=downsample, cutoff=cutoff)
    made = represent(StackedHistogram(window.events.size, parameters), window)
    np.testing.assert_array_equal(made, by_evlib(window, parameters))


def test_equals_evlib_on_a_dense_window():
    t = np.random.default_rng(1).integers(0, 50_001, 200_000).tolist()
    window = window_of(SensorSize(61, 47), t, 50_001)
    for downsample in (1, 2):
        parameters = StackedHistogramParameters(downsample=downsample)
        made = represent(StackedHistogram(window.events.size, parameters), window)
        assert made.max() == 10
        np.testing.assert_array_equal(made, by_evlib(window, parameters))


def test_downsampling_keeps_the_pixels_of_odd_row_and_column():
    t = np.random.default_rng(2).integers(0, 50_000, 5_000).tolist()
    window = window_of(SensorSize(9, 7), t, 50_000)
    halved = StackedHistogram(SensorSize(9, 7), StackedHistogramParameters(downsample=2))
    assert halved.shape == (20, 3, 4)
    np.testing.assert_array_equal(represent(halved, window), by_definition(window)[:, 1::2, 1::2])


def test_channels_and_edges_worked_out_by_hand():
    window = window_of(SensorSize(1, 1), [5, 104, 105, 204, 205], 300)
    polarity = [True, False, False, True, False]
    events = window.events
    events = type(events)(events.size, events.t, events.x, events.y, np.array(polarity))
    histogram = StackedHistogram(events.size, StackedHistogramParameters(bins=2))
    # First event at 5, last at 205: the second bin begins at 105.
    made = represent(histogram, EventWindow(START_US, 300, events))
    assert made.ravel().tolist() == [1, 2, 1, 1]
    assert histogram.bin_edges_us().tolist() == [5, 105, 205]


def test_span_of_the_window_ignores_where_the_events_are():
    window = window_of(SensorSize(2, 2), [40, 41, 99], 100)
    histogram = StackedHistogram(SensorSize(2, 2), StackedHistogramParameters(span="window"))
    by_bin = represent(histogram, window).reshape(2, 10, 4).sum(axis=(0, 2))
    assert by_bin.tolist() == [0, 0, 0, 0, 2, 0, 0, 0, 0, 1]
    assert histogram.bin_edges_us().tolist() == list(range(0, 101, 10))


def test_evlib_rounds_the_last_microsecond_before_a_bin_where_bins_are_odd():
    """The minimal case of docs/representations.md: 49 bins, an event exactly on an edge."""
    window = window_of(SensorSize(1, 1), [0, 1, 49], 50)
    parameters = StackedHistogramParameters(bins=49)
    ours = represent(StackedHistogram(SensorSize(1, 1), parameters), window)
    np.testing.assert_array_equal(ours, by_definition(window, bins=49))
    theirs = by_evlib(window, parameters)
    # 1 / 49 * 49 is a little less than 1 in floating point, so evlib puts the event into bin 0.
    assert ours.reshape(2, 49)[:, 1].sum() == 1
    assert theirs.reshape(2, 49)[:, 1].sum() == 0
