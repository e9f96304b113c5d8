"""Against the papers' formula in plain numpy, and against evlib, which follows Tonic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from event_windows import count_at, evlib_frame, few, window_of, windows
from hypothesis import given
from hypothesis import strategies as st

from evio_ros.events import EventBatch, EventWindow, SensorSize
from evio_ros.representations.base import represent
from evio_ros.representations.voxel_grid import Packing, VoxelGrid, VoxelGridParameters


def by_definition(window: EventWindow, bins: int, scale: int) -> np.ndarray:
    """Sum of p * max(0, 1 - |b - scale * u|), in fractions; events past the last bin are lost."""
    events, size = window.events, window.events.size
    grid = np.full((bins, size.height, size.width), Fraction(0), object)
    if len(events):
        first = int(events.t[0])
        span = max(int(events.t[-1]) - first, 1)
        columns = (events.t.tolist(), events.x.tolist(), events.y.tolist(), events.polarity)
        for t, x, y, on in zip(*columns, strict=True):
            place = Fraction(scale * (t - first), span)
            left = place.numerator // place.denominator
            weights = {left: 1 - (place - left), left + 1: place - left}
            for b, weight in weights.items():
                if b < bins:
                    grid[b, y, x] += weight if on else -weight
    return grid.astype(np.float64)


def by_evlib(window: EventWindow, bins: int) -> np.ndarray:
    evlib = pytest.importorskip("evlib", reason="evlib, the reference, is not installed")
    size = window.events.size
    frame = evlib.create_voxel_grid(evlib_frame(window), size.height, size.width, bins)
    return evlib.densify_voxel_grid(frame, bins, size.height, size.width)[:, 0]


def made_by(window: EventWindow, **values) -> np.ndarray:
    return represent(VoxelGrid(window.events.size, VoxelGridParameters(**values)), window)


@few
@given(windows(), st.sampled_from([1, 2, 5, 8]))
def test_bilinear_weights_are_those_of_zhu_et_al(window, bins):
    made = made_by(window, bins=bins)
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, by_definition(window, bins, bins - 1), atol=2e-6)


@few
@given(windows(least_events=1), st.sampled_from([1, 2, 5, 8]))
def test_bilinear_weights_as_tonic_has_them_equal_evlib(window, bins):
    made = made_by(window, bins=bins, weighting="bilinear_tonic")
    np.testing.assert_allclose(made, by_definition(window, bins, bins), atol=2e-6)
    np.testing.assert_allclose(made, by_evlib(window, bins), atol=2e-6)


def test_equals_evlib_on_a_dense_window():
    t = np.random.default_rng(1).integers(0, 1_000_000, 100_000).tolist()
    window = window_of(SensorSize(61, 47), t, 1_000_000)
    made = made_by(window, bins=50, weighting="bilinear_tonic")
    np.testing.assert_allclose(made, by_evlib(window, 50), atol=1e-6)


@few
@given(windows(), st.sampled_from([1, 2, 5, 50]))
def test_counts(window, bins):
    events, size = window.events, window.events.size
    shape = (bins, size.height, size.width)
    expected = np.zeros(shape, np.int64)
    if len(events):
        u = (events.t - events.t[0]) * bins // max(int(events.t[-1] - events.t[0]), 1)
        expected = count_at(shape, np.minimum(u, bins - 1), events.y, events.x)
    made = made_by(window, bins=bins, weighting="count")
    assert made.dtype == np.int16
    np.testing.assert_array_equal(made, expected)


@pytest.mark.parametrize("events", [254, 255, 256, 257, 32_766, 32_767, 32_768, 40_000])
def test_counts_are_exact_up_to_their_limit(events):
    window = window_of(SensorSize(1, 1), [0] * events + [9], 10)
    made = made_by(window, bins=2, weighting="count")
    assert made.ravel().tolist() == [min(events, 32_767), 1]
    # What was carried does not linger.
    grid = VoxelGrid(SensorSize(1, 1), VoxelGridParameters(bins=2, weighting="count"))
    represent(grid, window)
    assert represent(grid, window_of(SensorSize(1, 1), [0, 9], 10)).ravel().tolist() == [1, 1]


def test_weights_worked_out_by_hand():
    size = SensorSize(1, 1)
    on = np.array([True, True, False])
    zeros = np.zeros(3, np.uint16)
    window = EventWindow(0, 101, EventBatch(size, np.array([0, 30, 100]), zeros, zeros, on))
    # Zhu et al., 3 bins: 2 u = 0, 0.6 and 2.
    np.testing.assert_allclose(made_by(window, bins=3).ravel(), [1.4, 0.6, -1.0], atol=1e-6)
    # Tonic: 3 u = 0, 0.9 and 3; the last event is lost.
    tonic = made_by(window, bins=3, weighting="bilinear_tonic")
    np.testing.assert_allclose(tonic.ravel(), [1.1, 0.9, 0.0], atol=1e-6)


def test_evlib_loses_the_last_event():
    """The minimal case of docs/representations.md: two ON events, of which evlib keeps one."""
    zeros = np.zeros(2, np.uint16)
    events = EventBatch(SensorSize(1, 1), np.array([0, 10]), zeros, zeros, np.array([True, True]))
    window = EventWindow(0, 11, events)
    assert made_by(window, bins=5).sum() == 2.0
    assert by_evlib(window, 5).sum() == 1.0


def test_centres_and_edges():
    window = window_of(SensorSize(2, 2), [10, 110], 200)
    for weighting, expected in (
        ("bilinear", [10, 35, 60, 85, 110]),
        ("bilinear_tonic", [10, 30, 50, 70, 90]),
        ("count", [10, 30, 50, 70, 90, 110]),
    ):
        grid = VoxelGrid(SensorSize(2, 2), VoxelGridParameters(bins=5, weighting=weighting))
        represent(grid, window)
        assert grid.bin_edges_us().tolist() == expected


def test_sums_are_flushed_before_they_overflow(monkeypatch):
    t = np.random.default_rng(3).integers(0, 1000, 500).tolist()
    window = window_of(SensorSize(2, 2), t, 1000)
    expected = made_by(window, bins=4)
    ordinary = Packing.of

    def small(*arguments):
        return ordinary(*arguments)._replace(largest_portion=7)

    monkeypatch.setattr(Packing, "of", small)
    np.testing.assert_allclose(made_by(window, bins=4), expected, atol=1e-4)


@few
@given(st.integers(1, (1 << 32) - 1))
def test_packed_sums_have_room(span_us):
    packing = Packing.of(0, span_us, 1)
    assert packing.largest_portion * span_us < 1 << (packing.shift - 1)
    assert packing.largest_portion * ((1 << packing.shift) + span_us) < 1 << 63
