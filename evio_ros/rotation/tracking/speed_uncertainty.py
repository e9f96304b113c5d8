"""What the phase filter's own variance does not tell of the error of a mean speed.

Over a window of length W the speed is wrong by the difference of the phase's errors at its two
ends, over W. The filter takes the errors of slices for independent and as large as they usually
are. What is measured while a rotor is followed corrects that:

- the innovations of late, and how far they add up over many slices: they say whether the filter is
  as good as it claims, for this rotor, now;
- how many turns a slice holds: the events of an edge come regularly, so that errors cancel from
  slice to slice, but not over whole turns;
- how far the template has turned while it learned, and how much of its first guess has faded, see
  `TemplateDrift`: the phase has followed it;
- how fast the disc moves and changes its shape, and by how much the speed has changed.

The few factors were fitted to simulated recordings of all presets, two to seven seeds and speeds
each, windows of 5, 20, 100 and 1000 ms alike, so that in each preset 68 % and 95 % of the errors
lie within one and two standard deviations. `python bench/accuracy.py --seeds 3 --first-seed 11`
judges them on recordings with other seeds and speeds; these set no more than a factor of 0.9 that
`FILTER_SHARE` and `LINGERING_SHARE` have in common.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["FilterClaim", "InnovationScale", "SlowErrors", "speed_variance", "within_probability"]

FILTER_SHARE = 0.49
"""Standard deviation over the filter's where innovations are as large as foretold."""
INDEPENDENT, INDEPENDENT_TURNS = 1.77, 0.685
"""Variance that whole turns in a slice add, as a share, and turns at which half of it is there."""
RESTLESS = 1.96
"""Where a motor does not hold its speed: it changes before the filter follows."""
LATE_POWER, SUMMED_POWER = 0.922, 0.078
"""How the variance follows the innovations of late, and their sums; together as their size does."""
LINGERING_SHARE, LINGERING_S = 0.296, 0.083
"""Error of the phase over the filter's, and how long it lasts: pixels keep their thresholds."""
DRIFT_SHARE = 1.29
"""Standard deviation of the phase over the drift of the template."""
DRIFT_TIME_S = 0.2
"""A drift is measured over this time at least."""
FIRST_GUESS_SHARE, FIRST_GUESS_RAD = 1.0, 1.0e-4
"""How far a first guess is turned from what is learned later, over the error of one slice, and at
the least."""
DISC_SHARE, DISC_TIME_S = 0.193, 0.335
"""Error of the phase over that which the disc's uncertain place gives, and how long it lasts."""
SHIFT_RAD_S, SHIFT_TIME_S = 1.87e-4, 0.069
SHEAR_RAD_S, SHEAR_TIME_S = 3.68e-3, 0.271
"""Error of the phase for each radius that a disc moves, and each unit of shear, in a second; and
how long it lasts. As a view changes, so does the speed of edges in the image, and with it how late
pixels answer."""
LATENCY_S = 3.8e-5
"""How late events may be; a window of events is a window of earlier motion."""
LEAST_RAD = 5.0e-5
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
class FilterClaim:
    """What the phase filter says of its own errors, and how it did of late.

    Attributes:
        speed_variance: of the mean speed over the window, (rad/s)^2.
        phase_variance: of the phase now, rad^2.
        factor: for the former, from `InnovationScale.variance_factor`.
        is_calm: whether the calmest filter speaks.
        turns: turns of the rotor in a slice.
    """

    speed_variance: float
    phase_variance: float
    factor: float
    is_calm: bool
    turns: float


@dataclass(frozen=True, slots=True)
class SlowErrors:
    """What was measured of errors that last longer than a slice.

    Attributes:
        speed_change: change of the speed over the window, rad/s.
        disc_motion: motion of the disc in radii, and change of its shear, a second; root mean
            squares over the window.
        slice_variance: variance of the phase that one slice shows, rad^2.
        disc_variance: of what the disc's uncertain place adds to it, times the square of the
            scatter of the disc's sectors over what events explain, rad^2.
        drift_rad: angle by which the template has turned over the window or `DRIFT_TIME_S`,
            whichever is longer.
        faded: by how much the share of the first guess in the template went down over the window.
    """

    speed_change: float
    disc_motion: tuple[float, float]
    slice_variance: float
    disc_variance: float
    drift_rad: float
    faded: float


def speed_variance(claim: FilterClaim, window_s: float, slow: SlowErrors) -> float:
    """Variance of the mean speed over a window, (rad/s)^2.

    Args:
        claim: of the phase filter.
        window_s: length of the window.
        slow: errors that last.
    """
    share = FILTER_SHARE * (1.0 if claim.is_calm else RESTLESS)
    independent = 1.0 + INDEPENDENT * claim.turns / (claim.turns + INDEPENDENT_TURNS)
    total = share**2 * independent * claim.factor * claim.speed_variance
    total += _of_slow_error(LINGERING_SHARE**2 * claim.phase_variance, LINGERING_S, window_s)
    total += _of_slow_error(LEAST_RAD**2, LEAST_TIME_S, window_s)
    total += _of_slow_error(DISC_SHARE**2 * slow.disc_variance, DISC_TIME_S, window_s)
    shift, shear = slow.disc_motion
    total += _of_slow_error((SHIFT_RAD_S * shift) ** 2, SHIFT_TIME_S, window_s)
    total += _of_slow_error((SHEAR_RAD_S * shear) ** 2, SHEAR_TIME_S, window_s)
    total += (LATENCY_S * slow.speed_change / window_s) ** 2
    first_guess = FIRST_GUESS_SHARE**2 * slow.slice_variance + FIRST_GUESS_RAD**2
    total += first_guess * (slow.faded / window_s) ** 2
    return total + (DRIFT_SHARE * slow.drift_rad / max(window_s, DRIFT_TIME_S)) ** 2


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
