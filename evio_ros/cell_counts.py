"""Event counts on a coarse grid of cells, in space and in space and time."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.events import EventBatch

__all__ = ["activity_grid", "cell_time_series"]


@njit(cache=True, nogil=True)
def _count_cells(x, y, cell_px, grid):
    for i in range(x.size):
        grid[y[i] // cell_px, x[i] // cell_px] += 1


@njit(cache=True, nogil=True)
def _count_cells_and_time(x, y, t, polarity, cell_px, number, start_us, bin_us, series):
    bins = series.shape[2]
    for i in range(x.size):
        cell = number[y[i] // cell_px, x[i] // cell_px]
        if cell >= 0:
            time_bin = int((t[i] - start_us) / bin_us)
            if t[i] >= start_us and time_bin < bins:
                series[np.int64(polarity[i]), cell, time_bin] += 1.0


def activity_grid(events: EventBatch, cell_px: int) -> NDArray[np.int32]:
    """Count events in square cells.

    Args:
        events: the events.
        cell_px: side of a cell in pixels; cells at the right and lower border may be cut.

    Returns:
        int32 (rows of cells, columns of cells).
    """
    rows = -(-events.size.height // cell_px)
    columns = -(-events.size.width // cell_px)
    grid = np.zeros((rows, columns), np.int32)
    _count_cells(events.x, events.y, cell_px, grid)
    return grid


def cell_time_series(
    events: EventBatch,
    cell_px: int,
    cells: NDArray[np.int64],
    start_us: int,
    bin_us: float,
    bins: int,
    series: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Count the events of some cells over time, by polarity.

    Args:
        events: the events; those outside the cells or the time span are left out.
        cell_px: side of a cell in pixels.
        cells: int64 (n, 2), row and column of each cell.
        start_us: sensor time of the first bin's start.
        bin_us: length of a bin.
        bins: number of bins.
        series: counts so far, to which the events are added; None for a new array.

    Returns:
        float32 (2, n, bins), OFF first.
    """
    rows = -(-events.size.height // cell_px)
    columns = -(-events.size.width // cell_px)
    number = np.full((rows, columns), -1, np.int32)
    number[cells[:, 0], cells[:, 1]] = np.arange(len(cells), dtype=np.int32)
    if series is None:
        series = np.zeros((2, len(cells), bins), np.float32)
    _count_cells_and_time(
        events.x, events.y, events.t, events.polarity, cell_px, number, start_us, bin_us, series
    )
    return series
