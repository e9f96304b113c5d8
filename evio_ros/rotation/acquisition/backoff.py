"""Exponential back-off: a region searched in vain waits before the next search, longer each time.

Like retries in networks (Metcalfe and Boggs 1976): the time to the next attempt grows by a factor
with each failure, up to a bound, and failures are forgotten after a while.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from evio_ros.rotation.acquisition.regions import Region

__all__ = ["Backoff"]

_FIRST_WAIT_US = 40_000
_GROWTH = 1.5
_LONGEST_WAIT_US = 800_000
"""Wait before the second search of a region, its growth factor for each failure, and its bound. A
rotor that starts up among swaying leaves is found within a second."""
_MEMORY_US = 1_600_000
"""Time after the end of a wait at which failures are forgotten: twice the longest wait."""
_REACH_CELLS = 3
"""Distance in cells within which neighbours of a failed cell fail with it: leaves sway."""
_WAITING_SHARE = 0.7
"""A region waits if at least this share of its cells waits."""
_MOST_FAILURES = 30
"""Number of failures beyond which the wait no longer grows; avoids an overflow of the power."""


_Index = NDArray[np.int64]


class Backoff:
    """Number and time of the failed searches of each cell of a grid.

    It is kept by cell and not by region, because the regions of e.g. a tree split and merge from
    search to search.

    Args:
        shape: rows and columns of the grid.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self._failures: NDArray[np.int32] = np.zeros(shape, np.int32)
        self._end_us: NDArray[np.int64] = np.full(shape, np.iinfo(np.int64).min)

    def is_waiting(self, region: Region, now_us: int) -> bool:
        """Whether most of a region must wait."""
        end_us = self._end_us[region.cells[:, 0], region.cells[:, 1]]
        return float((end_us > now_us).mean()) >= _WAITING_SHARE

    def failures(self, region: Region, now_us: int) -> int:
        """Number of recent failures of a region, in its worst cell."""
        rows, columns = region.cells[:, 0], region.cells[:, 1]
        is_remembered = self._end_us[rows, columns] > now_us - _MEMORY_US
        return int((self._failures[rows, columns] * is_remembered).max())

    def wait(self, region: Region, until_us: int) -> None:
        """Let a region wait until a time, without a failure: more of it must be seen."""
        rows, columns = _with_neighbours(region.cells, self._failures.shape)
        self._end_us[rows, columns] = np.maximum(self._end_us[rows, columns], until_us)

    def fail(self, region: Region, now_us: int) -> None:
        """Count a failed search: the region and its neighbourhood wait."""
        rows, columns = _with_neighbours(region.cells, self._failures.shape)
        failures = self.failures(region, now_us) + 1
        wait_us = int(_FIRST_WAIT_US * _GROWTH ** min(failures - 1, _MOST_FAILURES))
        self._failures[rows, columns] = failures
        self._end_us[rows, columns] = now_us + min(wait_us, _LONGEST_WAIT_US)


def _with_neighbours(cells: NDArray[np.int64], shape: tuple[int, ...]) -> tuple[_Index, _Index]:
    """Rows and columns of cells and of those within `_REACH_CELLS` of them."""
    first = np.maximum(cells.min(axis=0) - _REACH_CELLS, 0)
    after = np.minimum(cells.max(axis=0) + _REACH_CELLS + 1, shape)
    near = np.zeros(after - first, np.uint8)
    near[cells[:, 0] - first[0], cells[:, 1] - first[1]] = 1
    near = maximum_filter(near, 2 * _REACH_CELLS + 1, mode="constant")
    rows, columns = np.nonzero(near)
    return rows + first[0], columns + first[1]
