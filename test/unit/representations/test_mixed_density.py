"""Against the definition in plain numpy, evlib's sums, and RVT's stack away from rounding."""

from __future__ import annotations

import math

import numpy as np
import pytest
from event_windows import evlib_frame, few, window_of, windows
from hypothesis import given
from hypothesis import strategies as st

from evio_ros.events import EventBatch, EventWindow, SensorSize
from evio_ros.representations.base import represent
from evio_ros.representations.event_frame import EventFrame
from evio_ros.representations.mixed_density import MixedDensity, MixedDensityParameters


def made_by(window: EventWindow, **values) -> np.ndarray:
    return represent(MixedDensity(window.events.size, MixedDensityParameters(**values)), window)


def polarity_sum(events: EventBatch, chosen: np.ndarray) -> np.ndarray:
    total = np.zeros((events.size.height, events.size.width), np.int64)
    sign = np.where(events.polarity, 1, -1)
    np.add.at(total, (events.y[chosen], events.x[chosen]), sign[chosen])
    return total


@few
@given(windows(least_events=1), st.sampled_from([1, 3, 10]), st.sampled_from([1, 2, 32_767]))
def test_equals_its_definition(window, stacks, cutoff):
    events = window.events
    since = events.t - events.t[0]
    span = max(int(since[-1]), 1)
    newest = made_by(window, stacks=stacks, cutoff=cutoff)
    oldest = made_by(window, stacks=stacks, cutoff=cutoff, anchor="start")
    for k in range(stacks):
        late = since * 2**k >= span * (2**k - 1)
        expected = polarity_sum(events, late).clip(-cutoff, cutoff)
        np.testing.assert_array_equal(newest[k], expected)
        early = (since * 2**k < span) | (k == 0)
        expected = polarity_sum(events, early).clip(-cutoff, cutoff)
        np.testing.assert_array_equal(oldest[stacks - 1 - k], expected)


@few
@given(windows(least_events=1))
def test_whole_span_equals_evlib(window):
    evlib = pytest.importorskip("evlib", reason="evlib, the reference, is not installed")
    size = window.events.size
    frame = evlib.create_mixed_density_stack(evlib_frame(window), size.height, size.width)
    sums = np.zeros((2, size.height, size.width), np.int64)
    place = (frame["y"].to_numpy(), frame["x"].to_numpy())
    sums[0][place], sums[1][place] = frame["polarity_sum"].to_numpy(), frame["count"].to_numpy()
    np.testing.assert_array_equal(made_by(window, stacks=4)[0], sums[0])
    np.testing.assert_array_equal(made_by(window, stacks=1)[0], sums[0])
    # Its second column, the number of events, is the event frame without polarity.
    counts = represent(EventFrame(size), window).sum(axis=0)
    np.testing.assert_array_equal(counts, sums[1])


@few
@given(st.lists(st.integers(1, 49_999), max_size=60), st.integers(0, 99))
def test_anchor_at_the_start_equals_rvt_away_from_rounding(times, seed):
    """RVT takes a logarithm of float32: within a millionth of an edge it may go either way."""
    edges = [50_000 / 2**k for k in range(1, 8)]
    times = [t for t in times if min(abs(t - edge) for edge in edges) > 1]
    window = window_of(SensorSize(4, 3), [0, *times, 50_000], 50_001, seed)
    events, stacks = window.events, 7
    u = np.clip((events.t - events.t[0]) / 50_000, 1e-6, 1 - 1e-6)
    number = np.floor(np.maximum(stacks - np.log(u) / math.log(0.5), 0)).astype(np.int64)
    made = made_by(window, stacks=stacks, anchor="start")
    for k in range(stacks):
        np.testing.assert_array_equal(made[k], polarity_sum(events, number <= k))


def test_edges_worked_out_by_hand():
    window = window_of(SensorSize(1, 1), [0, 100], 101)
    stack = MixedDensity(SensorSize(1, 1), MixedDensityParameters(stacks=4))
    represent(stack, window)
    assert stack.bin_edges_us().tolist() == [0, 50, 75, 88, 100]
    stack = MixedDensity(SensorSize(1, 1), MixedDensityParameters(stacks=4, anchor="start"))
    represent(stack, window)
    assert stack.bin_edges_us().tolist() == [0, 13, 25, 50, 100]


def test_sums_past_the_limit_stay_there_only_in_the_result():
    on = np.array([True] * 40_000 + [False] * 39_999)
    zeros = np.zeros(len(on), np.uint16)
    t = np.array([0] * 40_000 + [99] * 39_999)
    window = EventWindow(0, 100, EventBatch(SensorSize(1, 1), t, zeros, zeros, on))
    assert made_by(window, stacks=2).ravel().tolist() == [1, -32_767]
