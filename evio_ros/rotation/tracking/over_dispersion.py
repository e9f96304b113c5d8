"""How much larger the errors of slices are than their numbers of events explain."""

from __future__ import annotations

from evio_ros.rotation.tracking.score import SliceInformation

__all__ = ["NoiseScale"]

PHASE_BOUNDS = (0.02, 1e3)
SECTOR_BOUNDS = (1.0, 40.0)
SETTLED_SLICES = 3
OUTLIER = 9.0
"""A squared innovation over its variance counts for no more than this."""


class NoiseScale:
    """Follows two scales: of the variance of phases, and of the sectors about the best disc.

    Events of one pixel come in bursts, pixels are discrete and no disc is quite flat: errors are
    larger than Poisson statistics say; where edges are crisp, smaller.

    Attributes:
        phase: factor for the variance of a slice's phase.
        sectors: factor for that of a sector's.
    """

    def __init__(self) -> None:
        self.phase = 3.0
        self.sectors = 2.0

    def learn_phase(self, normalised: float, slices: int) -> None:
        """Take in a squared innovation over its expected variance, after `slices` slices."""
        if slices < SETTLED_SLICES:
            return
        share = max(0.02, 0.5 / (1 + slices))
        self.phase *= 1 + share * (min(normalised, OUTLIER) - 1)
        self.phase = min(max(self.phase, PHASE_BOUNDS[0]), PHASE_BOUNDS[1])

    def learn_sectors(self, seen: SliceInformation, slices: int) -> None:
        """Take in a slice, after `slices` slices."""
        measured = seen.excess()
        if measured is not None:
            bounded = min(max(measured, SECTOR_BOUNDS[0]), SECTOR_BOUNDS[1])
            self.sectors += max(0.05, 1.0 / (1 + slices)) * (bounded - self.sectors)
