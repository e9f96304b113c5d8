"""Where events of no rotor came lately: the activity grid in which new rotors are looked for."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

__all__ = ["FreeActivity"]


class FreeActivity:
    """Counts of the latest events that belong to no rotor, in cells.

    Args:
        shape: rows and columns of the grid.
        span_us: time that is looked back on.
        part_us: time after which a new part begins, and the oldest is dropped.

    Attributes:
        latest: int32 grid to which events are being added.
    """

    def __init__(self, shape: tuple[int, int], span_us: int, part_us: int) -> None:
        self._part_us = part_us
        self._parts: deque[tuple[int, NDArray[np.int32]]] = deque(
            maxlen=max(-(-span_us // part_us) - 1, 0)
        )
        self._latest_us = 0
        self.latest: NDArray[np.int32] = np.zeros(shape, np.int32)

    def pass_time(self, length_us: int) -> None:
        """Let a step pass that was counted."""
        if self._latest_us >= self._part_us:
            self._parts.append((self._latest_us, self.latest))
            self.latest = np.zeros_like(self.latest)
            self._latest_us = 0
        self._latest_us += length_us

    def total(self) -> tuple[NDArray[np.int32], int]:
        """Copy of all counts, and the time in µs in which they were counted."""
        grid = self.latest.copy()
        for _, part in self._parts:
            grid += part
        return grid, self._latest_us + sum(part_us for part_us, _ in self._parts)
