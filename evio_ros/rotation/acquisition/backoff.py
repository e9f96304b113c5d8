"""Where rotors were looked for in vain: foliage need not be searched again and again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evio_ros.rotation.acquisition.regions import Region

__all__ = ["Failures"]

FIRST_PAUSE_US = 40_000
GROWTH = 1.5
LONGEST_PAUSE_US = 800_000
"""A region that failed once is looked at again after the first pause; each time it fails the pause
grows, up to the longest."""
MEMORY_US = 1_600_000
"""Failures are forgotten so long after the end of their pause."""
REACH = 3
"""Cells so near to one that failed fail with it: leaves sway."""
PAUSED_SHARE = 0.7
"""Share of a region's cells that must be paused for the region to be paused."""


class Failures:
    """How often, and how long ago, each cell of the activity grid was searched in vain.

    It is kept by cell and not by region: a tree's regions part and join from search to search.

    Args:
        shape: rows and columns of the grid.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self._times: NDArray[np.int32] = np.zeros(shape, np.int32)
        self._end_us: NDArray[np.int64] = np.zeros(shape, np.int64)
        self._now_us = 0

    def pass_time(self, length_us: int) -> None:
        """Let sensor time pass."""
        self._now_us += length_us

    def is_paused(self, region: Region) -> bool:
        """Whether most of a region failed lately."""
        end_us = self._end_us[region.cells[:, 0], region.cells[:, 1]]
        return float((end_us > self._now_us).mean()) >= PAUSED_SHARE

    def times(self, region: Region) -> int:
        """How often a region, or the worst part of it, failed of late."""
        rows, columns = region.cells[:, 0], region.cells[:, 1]
        is_remembered = self._end_us[rows, columns] > self._now_us - MEMORY_US
        return int((self._times[rows, columns] * is_remembered).max())

    def wait(self, region: Region, length_us: int) -> None:
        """Look at a region again after some time; it did not fail, more must be seen of it."""
        rows, columns = _with_neighbours(region.cells, self._times.shape)
        end_us = np.maximum(self._end_us[rows, columns], self._now_us + length_us)
        self._end_us[rows, columns] = end_us

    def add(self, region: Region) -> None:
        """Look at a region less often; each time it fails, the pause grows.

        Cells within `REACH` fail with it.
        """
        rows, columns = _with_neighbours(region.cells, self._times.shape)
        times = self.times(region) + 1
        self._times[rows, columns] = times
        pause_us = min(int(FIRST_PAUSE_US * GROWTH ** min(times - 1, 30)), LONGEST_PAUSE_US)
        self._end_us[rows, columns] = self._now_us + pause_us


def _with_neighbours(
    cells: NDArray[np.int64], shape: tuple[int, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of cells and of those within `REACH` of them."""
    reach = np.arange(-REACH, REACH + 1)
    around = np.stack(np.meshgrid(reach, reach), axis=-1).reshape(1, -1, 2)
    wide = (cells[:, None] + around).reshape(-1, 2)
    inside = ((wide >= 0) & (wide < shape)).all(axis=1)
    return wide[inside, 0], wide[inside, 1]
