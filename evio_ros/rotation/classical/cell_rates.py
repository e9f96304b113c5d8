"""Event rates of parts of a region over time, the input of the classical methods.

The rate of a whole disc hardly changes when a blade passes, but the rate of a small part does. So a
region is divided into a grid of cells, and the spectra or correlations of the cells are averaged.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from evio_ros.cell_counts import cell_time_series
from evio_ros.events import EventBatch

__all__ = ["FEWEST_BINS", "cell_rates"]

_FEWEST_EVENTS = 32
"""Minimum number of events for a rate."""
FEWEST_BINS = 16
"""Minimum number of time bins for a period."""
_FEWEST_TIMES = 4
"""Events in fewer time bins than this are a burst."""


def cell_rates(
    events: EventBatch, start_us: int, length_us: int, bin_us: float, cells: int
) -> NDArray[np.float32]:
    """Number of events over time in each cell of a region, minus its mean.

    Args:
        events: the region's events; their bounding box is the region.
        start_us, length_us: time span in µs; events outside it are ignored.
        bin_us: length of a time bin in µs.
        cells: number of cells along the longer side of the box.

    Returns:
        float32 (n, bins), one row for each cell and polarity with events; n is 0 if there are too
        few events.
    """
    bins = int(length_us / bin_us)
    events = events.between(start_us, start_us + length_us)
    if len(events) < _FEWEST_EVENTS or bins < 1:
        return np.zeros((0, max(bins, 0)), np.float32)
    x0, x1 = int(events.x.min()), int(events.x.max())
    y0, y1 = int(events.y.min()), int(events.y.max())
    cell_px = max(math.ceil((max(x1 - x0, y1 - y0) + 1) / cells), 1)
    rows = np.arange(y0 // cell_px, y1 // cell_px + 1)
    columns = np.arange(x0 // cell_px, x1 // cell_px + 1)
    grid = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
    series = cell_time_series(events, cell_px, grid, start_us, bin_us, bins).reshape(-1, bins)
    if np.count_nonzero(series.any(axis=0)) < _FEWEST_TIMES:
        return np.zeros((0, bins), np.float32)
    series = series[series.any(axis=1)]
    return series - series.mean(axis=1, keepdims=True)
