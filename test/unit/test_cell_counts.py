"""Counts in cells: each event in one cell and one bin, as numpy's own counting says."""

from __future__ import annotations

import numpy as np
import pytest
from builders import batch_at, event_times
from hypothesis import example, given
from hypothesis import strategies as st

from evio_ros.cell_counts import activity_grid, cell_time_series
from evio_ros.events import SensorSize

SIZE = SensorSize(13, 7)


@given(event_times(), st.integers(1, 9))
def test_every_event_is_counted_in_its_cell(times, cell_px):
    events = batch_at(times, SIZE)
    grid = activity_grid(events, cell_px)
    assert grid.shape == (-(-7 // cell_px), -(-13 // cell_px))
    expected = np.zeros(grid.shape, int)
    np.add.at(expected, (events.y // cell_px, events.x // cell_px), 1)
    assert np.array_equal(grid, expected)


@given(
    event_times(),
    st.integers(1, 5),
    st.integers(-50, 50),
    st.sampled_from([1.0, 2.5, 40.0]),
    st.integers(1, 12),
)
@example([-1, -1, -1], 1, 0, 2.5, 1)
def test_series_are_counts_over_cells_and_time(times, cell_px, start_us, bin_us, bins):
    events = batch_at(times, SIZE)
    # Every other cell, in no order.
    every = np.argwhere(np.ones((-(-7 // cell_px), -(-13 // cell_px)), bool))
    cells = np.random.default_rng(0).permutation(every)[: max(len(every) // 2, 1)]
    series = cell_time_series(events, cell_px, cells, start_us, bin_us, bins)
    assert (series.shape, series.dtype) == ((2, len(cells), bins), np.float32)
    for number, (row, column) in enumerate(cells):
        inside = (events.y // cell_px == row) & (events.x // cell_px == column)
        for polarity in (False, True):
            since_us = events.t[inside & (events.polarity == polarity)] - start_us
            counts, _ = np.histogram(since_us, np.arange(bins + 1) * bin_us)
            # The last bin of a histogram has its end inside, that of a series has not.
            counts[-1] -= np.count_nonzero(since_us == bins * bin_us)
            assert np.array_equal(series[int(polarity), number], counts)


@pytest.mark.parametrize("cell_px", [1, 4])
def test_no_events_are_counted_as_none(cell_px):
    assert activity_grid(batch_at([], SIZE), cell_px).sum() == 0
    assert (
        cell_time_series(batch_at([], SIZE), cell_px, np.zeros((1, 2), int), 0, 1.0, 3).sum() == 0
    )
