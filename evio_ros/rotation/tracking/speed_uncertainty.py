"""The error budget of a mean speed: what the phase filter's own variance does not tell.

Over a window of length W the speed is wrong by the difference of the phase's errors at its two
ends, over W. The filter takes the errors of slices for independent and as large as they usually
are. What is measured while a rotor is followed corrects that:

- the innovations of late, and how far they add up over many slices: they say whether the filter is
  as good as it claims, for this rotor, now;
- how many turns a slice holds: the events of an edge come regularly, so that errors cancel from
  slice to slice, but not over whole turns;
- how far the template has turned with its updates: a template that turns by itself can't be told
  from a rotor that does;
- how much of the template's first guess has faded. That was blurred, made with a disc that was not
  yet well known, and has an angle of its own: as it fades, the phase moves on to that of what was
  learned since;
- how fast the disc moves and changes its shape, and by how much the speed has changed.

Method: the variance is the sum of independent parts. Each slow error of the phase, of variance s^2
and with a bell-shaped correlation of time constant t, adds 2 s^2 (1 - exp(-(W / t)^2 / 2)) / W^2.

The few factors were fitted to simulated recordings of all presets, two to seven seeds and speeds
each, windows of 5, 20, 100 and 1000 ms alike, so that in each preset 68 % and 95 % of the errors
lie within one and two standard deviations. `python bench/accuracy.py --seeds 3 --first-seed 11`
judges them on recordings with other seeds and speeds; these set no more than a factor of 0.9 that
`_FILTER_SHARE` and `LINGERING_SHARE` have in common.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from evio_ros.rotation.tracking.disc_filter import DiscFilter
from evio_ros.rotation.tracking.phase_filter import WindowMotion
from evio_ros.rotation.tracking.template import Drift

__all__ = ["ErrorBudget", "within_probability"]

_FILTER_SHARE = 0.49
"""Standard deviation over the filter's where innovations are as large as expected."""
INDEPENDENT, INDEPENDENT_TURNS = 1.77, 0.685
"""Variance that whole turns in a slice add, as a share, and turns at which half of it is there."""
_RESTLESS = 1.96
"""Where a motor does not hold its speed: it changes before the filter follows."""
LATE_POWER, SUMMED_POWER = 0.922, 0.078
"""How the variance follows the innovations of late, and their sums; together as their size does."""
LINGERING_SHARE, LINGERING_S = 0.296, 0.083
"""Error of the phase over the filter's, and how long it lasts: pixels keep their thresholds."""
_DRIFT_SHARE = 1.29
"""Standard deviation of the phase over the drift of the template."""
_DRIFT_TIME_S = 0.2
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
_LATENCY_S = 3.8e-5
"""How late events may be; a window of events is a window of earlier motion."""
_LEAST_RAD = 5.0e-5
_LEAST_TIME_S = 0.5
"""Slow error of the phase that no rotor goes without."""

_SUMMED_SLICES = 10
_SUMS_REMEMBERED = 20
_LATE_SLICES = 10
_FIRST_SUMMED = 0.5
_FIRST_SUMS = 5
"""Innovations that are summed, sums that are remembered, innovations that count as late; what sums
are taken for before there are any, and how many that is worth. Fitted as well."""
_LARGEST_INNOVATION = 4.0
"""An innovation counts for no more standard deviations than this: one in 16 000 is larger."""
_SCALE_BOUNDS = (0.05, 20.0)
"""Bounds of what innovations say: beyond, it is not the filter that is wrong. Fitted as well."""
_DISC_WEIGHT = 0.1
"""Weight of a new slice in the error that the disc's place makes: ten slices count. Fitted as
well."""
_SAMPLED_US = 40_000
"""How often a disc's motion is looked at: it changes slowly, and each look takes time."""
_REMEMBERED_US = 2_500_000
"""For how long motions and drifts are remembered: the longest window, 2 s, and some."""


class InnovationScale:
    """How the innovations of a filter compare with their expected standard deviations.

    Attributes:
        late: mean square of the latest normalised innovations; 1 where the filter is right.
        summed: mean square of sums of `_SUMMED_SLICES` of them over that of independent ones.
    """

    def __init__(self) -> None:
        self.late = 1.0
        self.summed = _FIRST_SUMMED
        self._sum = 0.0
        self._slices = 0
        self._sums = _FIRST_SUMS

    def update(self, innovation: float) -> None:
        """Take in an innovation over its expected standard deviation."""
        bounded = min(max(innovation, -_LARGEST_INNOVATION), _LARGEST_INNOVATION)
        self.late += (bounded**2 - self.late) / _LATE_SLICES
        self._sum += bounded
        self._slices += 1
        if self._slices == _SUMMED_SLICES:
            share = 1.0 / min(self._sums, _SUMS_REMEMBERED)
            self.summed += share * (self._sum**2 / _SUMMED_SLICES - self.summed)
            self._sum, self._slices = 0.0, 0
            self._sums += 1

    @property
    def variance_factor(self) -> float:
        """Factor for the filter's variance."""
        low, high = _SCALE_BOUNDS
        late, summed = (min(max(scale, low), high) for scale in (self.late, self.summed))
        return float(late**LATE_POWER * summed**SUMMED_POWER)


@dataclass(frozen=True, slots=True)
class FilterClaim:
    """What the phase filter says of its own errors, and how it did of late.

    Attributes:
        speed_variance: of the mean speed over the window, (rad/s)^2.
        phase_variance: of the phase now, rad^2.
        factor: for the former, from `InnovationScale.variance_factor`.
        is_calm: whether the model of the calmest motors is selected.
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
        drift_rad: angle by which the template has turned over the window or `_DRIFT_TIME_S`,
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
    share = _FILTER_SHARE * (1.0 if claim.is_calm else _RESTLESS)
    independent = 1.0 + INDEPENDENT * claim.turns / (claim.turns + INDEPENDENT_TURNS)
    total = share**2 * independent * claim.factor * claim.speed_variance
    total += _of_slow_error(LINGERING_SHARE**2 * claim.phase_variance, LINGERING_S, window_s)
    total += _of_slow_error(_LEAST_RAD**2, _LEAST_TIME_S, window_s)
    total += _of_slow_error(DISC_SHARE**2 * slow.disc_variance, DISC_TIME_S, window_s)
    shift, shear = slow.disc_motion
    total += _of_slow_error((SHIFT_RAD_S * shift) ** 2, SHIFT_TIME_S, window_s)
    total += _of_slow_error((SHEAR_RAD_S * shear) ** 2, SHEAR_TIME_S, window_s)
    total += (_LATENCY_S * slow.speed_change / window_s) ** 2
    first_guess = FIRST_GUESS_SHARE**2 * slow.slice_variance + FIRST_GUESS_RAD**2
    total += first_guess * (slow.faded / window_s) ** 2
    return total + (_DRIFT_SHARE * slow.drift_rad / max(window_s, _DRIFT_TIME_S)) ** 2


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


class TemplateDrift:
    """Sum of the angles by which a template has turned, and how much is left of its first guess.

    Args:
        start_us: time at which the template begins to be followed.
        first_share: share of the first guess in the template at that time.
    """

    def __init__(self, start_us: int, first_share: float) -> None:
        self._history: deque[tuple[int, float, float]] = deque([(start_us, 0.0, first_share)])

    def add(self, t_us: int, drift: Drift) -> None:
        """Take in an update of the template at a time."""
        self._history.append((t_us, self._history[-1][1] + drift.turned_rad, drift.first_share))
        while self._history[1][0] < t_us - _REMEMBERED_US:
            self._history.popleft()

    def since(self, t_us: int) -> tuple[float, float]:
        """Since a time: angle that the template has turned by, rad, and share that has faded."""
        before = self._history[0]
        for entry in self._history:
            if entry[0] > t_us:
                break
            before = entry
        return self._history[-1][1] - before[1], before[2] - self._history[-1][2]


class ErrorBudget:
    """Gathers, slice by slice, what the standard deviation of a speed is made of.

    Args:
        start_us: time at which the rotor begins to be followed.
        first_share: share of its first guess in the template at that time.
    """

    def __init__(self, start_us: int, first_share: float) -> None:
        self._scale = InnovationScale()
        self._drift = TemplateDrift(start_us, first_share)
        self._slice_variance = 0.0
        self._disc_variance = 0.0
        self._motions: deque[tuple[int, float, float]] = deque()

    def add_slice(self, variance: float, disc_variance: float) -> None:
        """Take in the variance of a slice's phase, from events and from the disc, rad^2."""
        self._slice_variance = variance
        self._disc_variance += _DISC_WEIGHT * (disc_variance - self._disc_variance)

    def add_innovation(self, innovation: float) -> None:
        """Take in an innovation of the phase over its standard deviation."""
        self._scale.update(innovation)

    def add_disc(self, t_us: int, disc: DiscFilter) -> None:
        """Take in how a disc moves at a time."""
        if self._motions and t_us - self._motions[-1][0] < _SAMPLED_US:
            return
        shift, shear = disc.motion
        self._motions.append((t_us, shift * shift, shear * shear))
        while self._motions[0][0] < t_us - _REMEMBERED_US:
            self._motions.popleft()

    def add_drift(self, t_us: int, drift: Drift) -> None:
        """Take in an update of the template at a time."""
        self._drift.add(t_us, drift)

    def speed_variance(self, t_us: int, window: WindowMotion, sector_dispersion: float) -> float:
        """Variance of the mean speed over the last window, (rad/s)^2.

        Args:
            t_us: end of the window.
            window: what the phase filter says of it.
            sector_dispersion: scatter of the sectors about the fitted disc, over what events
                explain.
        """
        window_s = 1e-6 * window.length_us
        start_us = t_us - window.length_us
        drift_us = min(start_us, t_us - round(1e6 * _DRIFT_TIME_S))
        claim = FilterClaim(
            window.variance,
            window.end_variance,
            self._scale.variance_factor,
            window.is_calm,
            abs(window.end_speed) * (window_s / window.slices) / (2 * math.pi),
        )
        slow = SlowErrors(
            window.speed_change,
            self._motion_since(start_us),
            self._slice_variance,
            sector_dispersion**2 * self._disc_variance,
            self._drift.since(drift_us)[0],
            self._drift.since(start_us)[1],
        )
        known = speed_variance(claim, window_s, slow)
        return known + window.model_variance + 2 * (window.wobble_rad / window_s) ** 2

    def _motion_since(self, t_us: int) -> tuple[float, float]:
        """Root mean squares of shift and shear a second since a time, at least of the latest."""
        late = [entry for entry in self._motions if entry[0] > t_us] or list(self._motions)[-1:]
        if not late:
            return 0.0, 0.0
        shift, shear = (sum(entry[i] for entry in late) / len(late) for i in (1, 2))
        return math.sqrt(shift), math.sqrt(shear)
