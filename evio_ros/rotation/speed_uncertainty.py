"""What the phase filter's own variance does not tell of the error of a mean speed.

Over a window of length W the speed is wrong by the difference of the phase's errors at its two
ends, over W. The filter takes the errors of slices for independent and as large as they usually
are. Four things are measured while a rotor is followed, and correct that:

- the innovations of late, and how far they add up over many slices: they say whether the filter is
  as good as it claims, for this rotor, now;
- how far the template has turned while it learned, see `TemplateDrift`: the phase has followed it;
- how much the sectors of the disc disagree after its place and shape were fitted: what is left is a
  phase error that changes slowly;
- how fast the disc moves and changes its shape, and by how much the speed has changed.

The few factors were fitted by maximum likelihood to simulated recordings of all presets with three
seeds and speeds, and checked on recordings with others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["InnovationScale", "SlowErrors", "speed_variance", "within_probability"]

FILTER_SHARE = 0.74
"""Standard deviation over the filter's where innovations are as large as foretold."""
RESTLESS = 1.5
"""Where a motor does not hold its speed: it changes before the filter follows."""
LATE_POWER, SUMMED_POWER = 0.7, 0.16
"""By how much the variance follows the innovations of late, and their sums."""
DRIFT_SHARE, DISAGREEMENT_SHARE = 1.15, 0.95
"""Standard deviation of the phase for a drift of the template, and for what its channels disagree
on."""
DRIFT_TIME_S = 0.2
"""A drift is measured over this time at least."""
DISC_SHARE = 0.28
DISC_TIME_S = 0.26
"""Slow error of the phase over that which the disc's uncertain place gives, for each unit of the
sectors' excess; and the time in which it changes."""
SHIFT_RAD_S = 2e-4
SHEAR_RAD_S = 1.2e-3
MOTION_TIME_S = 0.12
"""Error of the phase for each radius that a disc moves, and each unit of shear, in a second."""
LATENCY_S = 3.5e-5
"""How late events may be; a window of events is a window of earlier motion."""
LEAST_RAD = 4e-5
LEAST_TIME_S = 0.5
"""Slow error of the phase that no rotor goes without."""

SUMMED_SLICES = 10
SUMS_REMEMBERED = 20
LATE_SLICES = 10
FIRST_SUMMED = 0.5
FIRST_SUMS = 5
"""What sums are taken for before there are any, and how many that is worth."""
LARGEST_INNOVATION = 4.0
SCALE_BOUNDS = (0.05, 20.0)


class InnovationScale:
    """How the innovations of a filter compare with what it foretold.

    Attributes:
        late: mean square of the latest normalised innovations; 1 where the filter is right.
        summed: mean square of sums of `SUMMED_SLICES` of them over that of independent ones.
    """

    def __init__(self) -> None:
        self.late = 1.0
        self.summed = FIRST_SUMMED
        self._sum = 0.0
        self._slices = 0
        self._sums = FIRST_SUMS

    def learn(self, innovation: float) -> None:
        """Take in an innovation over its expected standard deviation."""
        bounded = min(max(innovation, -LARGEST_INNOVATION), LARGEST_INNOVATION)
        self.late += (bounded**2 - self.late) / LATE_SLICES
        self._sum += bounded
        self._slices += 1
        if self._slices == SUMMED_SLICES:
            share = 1.0 / min(self._sums, SUMS_REMEMBERED)
            self.summed += share * (self._sum**2 / SUMMED_SLICES - self.summed)
            self._sum, self._slices = 0.0, 0
            self._sums += 1

    @property
    def variance_factor(self) -> float:
        """Factor for the filter's variance."""
        low, high = SCALE_BOUNDS
        late, summed = (min(max(scale, low), high) for scale in (self.late, self.summed))
        return float(late**LATE_POWER * summed**SUMMED_POWER)


@dataclass(frozen=True, slots=True)
class SlowErrors:
    """What was measured of errors that last longer than a slice.

    Attributes:
        speed_change: change of the speed over the window, rad/s.
        disc_motion: motion of the disc in radii, and change of its shear, a second.
        disc_variance: variance of a slice's phase that comes from its uncertain place, rad^2.
        sector_excess: scatter of the sectors about the fitted disc, over what events explain.
        drift: square of the template's drift and its variance, see `TemplateDrift.since`, over the
            window or `DRIFT_TIME_S`, whichever is longer; rad^2.
    """

    speed_change: float
    disc_motion: tuple[float, float]
    disc_variance: float
    sector_excess: float
    drift: tuple[float, float]


def speed_variance(
    filtered: float, factor: float, is_calm: bool, window_s: float, slow: SlowErrors
) -> float:
    """Variance of the mean speed over a window, (rad/s)^2.

    Args:
        filtered: the phase filter's.
        factor: for it, from `InnovationScale.variance_factor`.
        is_calm: whether the calmest filter speaks.
        window_s: length of the window.
        slow: errors that last.
    """
    share = FILTER_SHARE * (1.0 if is_calm else RESTLESS)
    total = share**2 * factor * filtered + (LATENCY_S * slow.speed_change / window_s) ** 2
    moved = (SHIFT_RAD_S * slow.disc_motion[0]) ** 2 + (SHEAR_RAD_S * slow.disc_motion[1]) ** 2
    total += _of_slow_error(moved, MOTION_TIME_S, window_s)
    disc = (DISC_SHARE * slow.sector_excess) ** 2 * slow.disc_variance
    total += _of_slow_error(disc, DISC_TIME_S, window_s)
    total += _of_slow_error(LEAST_RAD**2, LEAST_TIME_S, window_s)
    drift = DRIFT_SHARE**2 * slow.drift[0] + DISAGREEMENT_SHARE**2 * slow.drift[1]
    return total + drift / max(window_s, DRIFT_TIME_S) ** 2


def within_probability(bound: float, std: float) -> float:
    """Probability that an error is below a bound, for Student's t with four degrees of freedom.

    A standard deviation is itself an estimate: large errors are less rare than a normal
    distribution has it.
    """
    ratio = bound / math.hypot(bound, 2.0 * std) if std > 0.0 else 1.0
    return 1.5 * ratio - 0.5 * ratio**3


def _of_slow_error(phase_variance: float, time_s: float, window_s: float) -> float:
    """Variance of a speed from a phase error with a bell-shaped correlation in time."""
    apart = -math.expm1(-0.5 * (window_s / time_s) ** 2)
    return 2 * phase_variance * apart / window_s**2
