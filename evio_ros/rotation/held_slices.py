"""Slices of a slow rotor that are measured together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["HeldSlices"]


class HeldSlices(NamedTuple):
    """Slices counted along one straight line of phase, waiting to be measured together.

    Attributes:
        counts: int32 (rings, SECTORS, 2, ANGLE_BINS).
        folded: the same without sectors, see `in_turning_frame`.
        slices: number of slices.
        phase, speed: of the line, at the start of the first, in rad and rad/s.
    """

    counts: NDArray[np.int32]
    folded: NDArray[np.int32]
    slices: int
    phase: float
    speed: float

    def joined(self, counts: NDArray[np.int32], folded: NDArray[np.int32]) -> HeldSlices:
        """With one slice more; a copy, as counters are used again."""
        return self._replace(
            counts=self.counts + counts,
            folded=self.folded + folded,
            slices=self.slices + 1,
        )
