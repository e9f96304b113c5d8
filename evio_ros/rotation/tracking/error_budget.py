"""What slices have told of the errors of a rotor's speed, kept for as long as a window needs."""

from __future__ import annotations

import math
from collections import deque

from evio_ros.rotation.tracking.disc_filter import DiscFilter
from evio_ros.rotation.tracking.phase_filter import PhaseFilter
from evio_ros.rotation.tracking.speed_uncertainty import (
    DRIFT_TIME_S,
    FilterClaim,
    InnovationScale,
    SlowErrors,
    speed_variance,
)
from evio_ros.rotation.tracking.template_drift import TemplateDrift

__all__ = ["ErrorMemory"]

DISC_SHARE = 0.1
"""Weight of a new slice in the error that the disc's place makes."""
SAMPLED_US = 40_000
REMEMBERED_US = 2_500_000
"""How often a disc's motion is looked at, and for how long it is remembered."""


class ErrorMemory:
    """Gathers, slice by slice, what the standard deviation of a speed is made of.

    Attributes:
        scale: how innovations compare with what the filter foretold.
        drift: of the template that phases are measured with.
    """

    def __init__(self, drift: TemplateDrift) -> None:
        self.scale = InnovationScale()
        self.drift = drift
        self._slice_variance = 0.0
        self._disc_variance = 0.0
        self._motions: deque[tuple[int, float, float]] = deque()

    def see_slice(self, variance: float, disc_variance: float) -> None:
        """Take in the variance of a slice's phase, from events and from the disc, rad^2."""
        self._slice_variance = variance
        self._disc_variance += DISC_SHARE * (disc_variance - self._disc_variance)

    def see_disc(self, t_us: int, disc: DiscFilter) -> None:
        """Take in how a disc moves at a time."""
        if self._motions and t_us - self._motions[-1][0] < SAMPLED_US:
            return
        shift, shear = disc.motion
        self._motions.append((t_us, shift * shift, shear * shear))
        while self._motions[0][0] < t_us - REMEMBERED_US:
            self._motions.popleft()

    def speed_variance(
        self, t_us: int, slices: int, phase: PhaseFilter, filtered: float, sector_excess: float
    ) -> float:
        """Variance of the mean speed over the last slices, (rad/s)^2.

        Args:
            t_us: end of the last slice.
            slices: number of slices in the window.
            phase: the filter.
            filtered: the variance that the filter itself gives.
            sector_excess: scatter of the sectors about the fitted disc, over what events explain.
        """
        window_s = slices * phase.slice_s
        start_us = t_us - round(1e6 * window_s)
        drift_us = min(start_us, t_us - round(1e6 * DRIFT_TIME_S))
        claim = FilterClaim(
            filtered,
            phase.phase_variance,
            self.scale.variance_factor,
            phase.best == 0,
            abs(float(phase.state[1])) * phase.slice_s / (2 * math.pi),
        )
        slow = SlowErrors(
            phase.speed_change(slices),
            self._motion_since(start_us),
            self._slice_variance,
            sector_excess**2 * self._disc_variance,
            self.drift.since(drift_us)[0],
            self.drift.since(start_us)[1],
        )
        return speed_variance(claim, window_s, slow)

    def _motion_since(self, t_us: int) -> tuple[float, float]:
        """Root mean squares of shift and shear a second since a time, at least of the latest."""
        late = [entry for entry in self._motions if entry[0] > t_us] or list(self._motions)[-1:]
        if not late:
            return 0.0, 0.0
        shift, shear = (sum(entry[i] for entry in late) / len(late) for i in (1, 2))
        return math.sqrt(shift), math.sqrt(shear)
