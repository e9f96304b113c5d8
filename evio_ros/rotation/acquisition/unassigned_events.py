"""Counts, in cells, of events that belong to no tracked rotor: places of possible new rotors."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

__all__ = ["UnassignedEvents"]

_ACTIVE_SHARE = 0.2
"""Minimum share of their highest event rate at which cells are active: noise stays below it, and
passing blades stay above."""


class UnassignedEvents:
    """Counts of the latest events that belong to no rotor, in cells.

    Args:
        shape: rows and columns of the grid of cells.
        span_us: time span of the counts; it may be exceeded a little.
        part_us: counts are kept and dropped in parts of this length or of a slice.

    Attributes:
        latest: int32 grid to which the events of the next slice are added.
    """

    def __init__(self, shape: tuple[int, int], span_us: int, part_us: int) -> None:
        self._span_us = span_us
        self._part_us = part_us
        # Time, the time multiplied by the share of events that was taken, and counts.
        self._parts: deque[tuple[int, float, NDArray[np.int32]]] = deque()
        # Sum of the parts, without the latest.
        self._sum: NDArray[np.int32] = np.zeros(shape, np.int32)
        self._sum_us = 0
        self._latest_us = 0
        self._latest_taken_us = 0.0
        self.latest: NDArray[np.int32] = np.zeros(shape, np.int32)

    def pass_time(self, length_us: int, share: float = 1.0) -> None:
        """End a slice, of which a share of the events was counted."""
        self._latest_us += length_us
        self._latest_taken_us += length_us * share
        if self._latest_us >= self._part_us:
            self._parts.append((self._latest_us, self._latest_taken_us, self.latest))
            self._sum += self.latest
            self._sum_us += self._latest_us
            self.latest = np.zeros_like(self.latest)
            self._latest_us, self._latest_taken_us = 0, 0.0
        while self._parts and self._sum_us + self._latest_us - self._parts[0][0] >= self._span_us:
            oldest_us, _, oldest = self._parts.popleft()
            self._sum -= oldest
            self._sum_us -= oldest_us

    def total(self) -> tuple[NDArray[np.int32], float]:
        """Copy of all counts, and the time in µs in which they were counted.

        If only a share of the events was taken, the time is multiplied by the share.
        """
        taken_us = sum(part_us for _, part_us, _ in self._parts) + self._latest_taken_us
        return self._sum + self.latest, taken_us

    def active_us(self, cells: NDArray[np.int64]) -> int:
        """Time in µs since cells (n, 2), rows and columns, became active."""
        parts = [*self._parts, (self._latest_us, self._latest_taken_us, self.latest)]
        counts = [int(grid[cells[:, 0], cells[:, 1]].sum()) for _, _, grid in parts]
        rates = [count / max(part[1], 1) for count, part in zip(counts, parts, strict=True)]
        began = next(i for i, rate in enumerate(rates) if rate >= _ACTIVE_SHARE * max(rates))
        return sum(us for us, _, _ in parts[began:])
