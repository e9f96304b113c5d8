"""Slices of a slow rotor that are measured together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["HeldSlices"]


class HeldSlices(NamedTuple):
    """Slices counted along one straight line of phase, measured together.

    Attributes:
        counts: int32 (rings, SECTORS, 2, ANGLE_BINS).
        folded: the same without sectors, see `fold_sectors`.
        events: number of events.
        slices: number of slices.
        phase, speed: of the line, at the start of the first, in rad and rad/s.
    """

    counts: NDArray[np.int32]
    folded: NDArray[np.int32]
    events: int
    slices: int
    phase: float
    speed: float

    def joined(self, later: HeldSlices) -> HeldSlices:
        """With later slices of the same line; a copy."""
        return self._replace(
            counts=self.counts + later.counts,
            folded=self.folded + later.folded,
            events=self.events + later.events,
            slices=self.slices + later.slices,
        )

    def kept(self) -> HeldSlices:
        """A copy: counters are used again."""
        return self._replace(counts=self.counts.copy(), folded=self.folded.copy())
