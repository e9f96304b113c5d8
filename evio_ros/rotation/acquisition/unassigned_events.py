"""Where events of no rotor came lately: the activity grid in which new rotors are looked for."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

__all__ = ["FreeActivity"]


ACTIVE_SHARE = 0.2
"""Share of their highest event rate that active cells have at least."""


class FreeActivity:
    """Counts of the latest events that belong to no rotor, in cells.

    Args:
        shape: rows and columns of the grid.
        span_us: time that is looked back on, or a little more.
        part_us: counts are kept, and dropped, in parts of this length or of a step.

    Attributes:
        latest: int32 grid to which the events of the next step are added.
    """

    def __init__(self, shape: tuple[int, int], span_us: int, part_us: int) -> None:
        self._span_us = span_us
        self._part_us = part_us
        self._parts: deque[tuple[int, NDArray[np.int32]]] = deque()
        # Of the parts alone.
        self._sum: NDArray[np.int32] = np.zeros(shape, np.int32)
        self._sum_us = 0
        self._latest_us = 0
        self.latest: NDArray[np.int32] = np.zeros(shape, np.int32)

    def pass_time(self, length_us: int) -> None:
        """Let a step pass that was counted."""
        self._latest_us += length_us
        if self._latest_us >= self._part_us:
            self._parts.append((self._latest_us, self.latest))
            self._sum += self.latest
            self._sum_us += self._latest_us
            self.latest = np.zeros_like(self.latest)
            self._latest_us = 0
        while self._parts and self._sum_us + self._latest_us - self._parts[0][0] >= self._span_us:
            oldest_us, oldest = self._parts.popleft()
            self._sum -= oldest
            self._sum_us -= oldest_us

    def total(self) -> tuple[NDArray[np.int32], int]:
        """Copy of all counts, and the time in µs in which they were counted."""
        return self._sum + self.latest, self._sum_us + self._latest_us

    def active_us(self, cells: NDArray[np.int64]) -> int:
        """How long ago some cells (n, 2) began to be active."""
        parts = [*self._parts, (self._latest_us, self.latest)]
        rates = [int(grid[cells[:, 0], cells[:, 1]].sum()) / max(us, 1) for us, grid in parts]
        began = next(i for i, rate in enumerate(rates) if rate >= ACTIVE_SHARE * max(rates))
        return sum(us for us, _ in parts[began:])
