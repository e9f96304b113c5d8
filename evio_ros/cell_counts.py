"""Event counts on a coarse grid of square cells, in space or in space and time."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.events import EventBatch, SensorSize

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
        cell_px: side of a cell in pixels; cells at the right and lower border may be smaller.

    Returns:
        int32 (rows of cells, columns of cells).
    """
    grid = np.zeros(_grid_shape(events.size, cell_px), np.int32)
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
    """Count the events of selected cells over time, by polarity.

    Args:
        events: the events; those outside the cells or the time span are ignored.
        cell_px: side of a cell in pixels.
        cells: int64 (n, 2), row and column of each cell.
        start_us: sensor time of the start of the first bin.
        bin_us: length of a bin in µs.
        bins: number of bins.
        series: float32 (2, n, bins) to which the counts are added; None for a new array.

    Returns:
        float32 (2, n, bins), OFF events first.
    """
    number = np.full(_grid_shape(events.size, cell_px), -1, np.int32)
    number[cells[:, 0], cells[:, 1]] = np.arange(len(cells), dtype=np.int32)
    if series is None:
        series = np.zeros((2, len(cells), bins), np.float32)
    _count_cells_and_time(
        events.x, events.y, events.t, events.polarity, cell_px, number, start_us, bin_us, series
    )
    return series


def _grid_shape(size: SensorSize, cell_px: int) -> tuple[int, int]:
    """Rows and columns of the cells that cover a sensor."""
    return -(-size.height // cell_px), -(-size.width // cell_px)
