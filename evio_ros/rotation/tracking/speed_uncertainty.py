"""The error budget of a mean speed: what the phase filter's own variance does not include.

Over a window of length W, the error of the speed is the difference of the phase's errors at its two
ends, divided by W. The filter assumes that the errors of slices are independent and that the motor
is as unsteady as the selected model. Both are wrong to an extent that depends on the scene: most
errors of a phase repeat at the angles at which slices happen to end. So the filter's claimed
variance is corrected by quantities that are measured while a rotor is tracked:

- the observed errors of past windows of the same length, relative to what the filter claimed, see
  `ObservedErrors`;
- until enough of these are known, the size of the latest innovations, which shows whether the
  claim is right, and the wobble that the filter may take for motion;
- the angle by which updates have turned the template: a template that turns cannot be
  distinguished from a rotor that does;
- the decrease of the first guess's share in the template. The first guess is blurred, because it
  was made with a disc that was not yet well known, and has its own angle. As it fades, the phase
  moves to that of the later updates;
- the uncertainty of the disc's position.

Method: the variance is the sum of independent parts. A slow error of the phase with variance s^2
and a Gaussian autocorrelation of time constant t adds 2 s^2 (1 - exp(-(W / t)^2 / 2)) / W^2.

Five weights of these parts are fitted by `python bench/fit_deviation.py` to simulated recordings
with seeds and speeds used for nothing else. `python bench/accuracy.py` and `python
bench/real_takes.py` evaluate them on others. All other constants were set by hand, to round
numbers.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from evio_ros.rotation.tracking.observed_errors import ObservedErrors
from evio_ros.rotation.tracking.phase_filter import WindowMotion
from evio_ros.rotation.tracking.template import Drift

__all__ = ["WEIGHTS", "ErrorBudget", "VarianceParts", "within_probability"]


class VarianceParts(NamedTuple):
    """Parts of the variance of a mean speed, or their weights.

    Attributes:
        claimed: variance claimed by the phase filter; it counts less the more errors are observed.
        observed: variance from observed past errors; it counts more the more of them there are.
        lingering: slow error of the phase itself: the thresholds of pixels do not change.
        disc: even slower error of the phase, due to the uncertain position of the disc.
        drift: drift of the template, which turns or fades.
    """

    claimed: float
    observed: float
    lingering: float
    disc: float
    drift: float


WEIGHTS = VarianceParts(claimed=0.47, observed=0.78, lingering=0.95, disc=0.105, drift=3.0)
"""The fitted constants: factors of the parts."""
_CLAIM_S = 0.1
"""Observation time at which observed errors count as much as the filter's claim."""
_WOBBLE_S = 0.3
"""Observation time after which the effect of a wobble is observed, and is no longer added."""
_LINGERING_S, _DISC_S = 0.2, 0.3
"""Time constants of the autocorrelation of the lingering error and of the disc's."""
_DRIFT_TIME_S = 0.2
"""Minimum time over which a drift is measured."""

_RECENT_SLICES = 10
"""Number of innovations averaged."""
_LARGEST_INNOVATION = 4.0
"""Innovations are limited to this many standard deviations: one in 16 000 is larger."""
_SCALE_BOUNDS = (0.05, 20.0)
"""Bounds of the factor from innovations: larger deviations have other causes than the filter."""
_DISC_WEIGHT = 0.1
"""Weight of a new slice in the variance due to the disc's position: ten slices count."""
_REMEMBERED_US = 2_500_000
"""Time for which drifts are remembered: a little more than the longest window, 2 s."""


class InnovationScale:
    """Mean square of a filter's innovations over their expected variances.

    Attributes:
        recent: mean square of the latest normalised innovations; 1 if the filter is consistent.
    """

    def __init__(self) -> None:
        self.recent = 1.0

    def update(self, innovation: float) -> None:
        """Update by an innovation over its expected standard deviation."""
        bounded = min(max(innovation, -_LARGEST_INNOVATION), _LARGEST_INNOVATION)
        self.recent += (bounded**2 - self.recent) / _RECENT_SLICES

    @property
    def variance_factor(self) -> float:
        """Factor for the filter's variance."""
        low, high = _SCALE_BOUNDS
        return min(max(self.recent, low), high)


@dataclass(frozen=True, slots=True)
class FilterClaim:
    """The variances claimed by the phase filter, and what was observed.

    Attributes:
        speed_variance: claimed variance of the mean speed over the window, (rad/s)^2, scaled by the
            size of the innovations.
        phase_variance: claimed variance of the current phase, rad^2.
        wobble_variance: variance of the wobble that the filter may take for motion, rad^2.
        observed_ratio: variance of observed past errors over the claimed one.
        observed_s: time over which errors were observed, s.
    """

    speed_variance: float
    phase_variance: float
    wobble_variance: float
    observed_ratio: float
    observed_s: float


@dataclass(frozen=True, slots=True)
class SlowErrors:
    """Measured errors that last longer than a slice.

    Attributes:
        slice_variance: variance of the phase of a single slice, rad^2.
        disc_variance: variance that the disc's uncertain position adds to it, times the square of
            the sectors' over-dispersion, rad^2.
        drift_rad: angle by which updates have turned the template, over the window or over
            `_DRIFT_TIME_S` if that is longer.
        faded: decrease over the window of the share of the first guess in the template.
    """

    slice_variance: float
    disc_variance: float
    drift_rad: float
    faded: float


def variance_parts(
    claim: FilterClaim, window_s: float, slow: SlowErrors
) -> tuple[VarianceParts, float]:
    """Parts of the variance of a window's mean speed, (rad/s)^2.

    Args:
        claim: the phase filter's claim.
        window_s: length of the window in s.
        slow: the slow errors.

    Returns:
        The parts to be weighted by `WEIGHTS`, and the variance due to wobble, which is not
        weighted.
    """
    unobserved = _CLAIM_S / (_CLAIM_S + claim.observed_s)
    observed = (1.0 - unobserved) * claim.observed_ratio
    # If errors are smaller than claimed, slow errors are smaller as well.
    scale = unobserved + observed
    wobble_share = max(1.0 - claim.observed_s / _WOBBLE_S, 0.0)
    drift = (slow.drift_rad / max(window_s, _DRIFT_TIME_S)) ** 2
    return VarianceParts(
        unobserved * claim.speed_variance,
        observed * claim.speed_variance,
        scale * _of_slow_error(claim.phase_variance, _LINGERING_S, window_s),
        scale * _of_slow_error(slow.disc_variance, _DISC_S, window_s),
        drift + slow.slice_variance * (slow.faded / window_s) ** 2,
    ), 2 * wobble_share * claim.wobble_variance / window_s**2


def speed_variance(parts: VarianceParts, wobble: float) -> float:
    """Variance of a window's mean speed, (rad/s)^2, from the results of `variance_parts`."""
    return sum(weight * part for weight, part in zip(WEIGHTS, parts, strict=True)) + wobble


def within_probability(bound: float, std: float) -> float:
    """Probability that the magnitude of an error is below a bound.

    It is that of Student's t distribution with four degrees of freedom, because the standard
    deviation is itself an estimate: large errors are less rare than in a normal distribution.

    Args:
        bound: the bound, positive.
        std: standard deviation of the error, in the same unit.
    """
    ratio = bound / math.hypot(bound, 2.0 * std) if std > 0.0 else 1.0
    return 1.5 * ratio - 0.5 * ratio**3


def _of_slow_error(phase_variance: float, time_s: float, window_s: float) -> float:
    """Variance of a mean speed over a window due to a slow error of the phase.

    Args:
        phase_variance: variance of that error, rad^2.
        time_s: time constant of its Gaussian autocorrelation.
        window_s: length of the window in s.
    """
    apart = -math.expm1(-0.5 * (window_s / time_s) ** 2)
    return 2 * phase_variance * apart / window_s**2


class TemplateDrift:
    """Total angle by which a template has turned, and the share of its first guess, over time.

    Args:
        start_us: sensor time at which tracking begins.
        first_share: share of the first guess in the template at that time.
    """

    def __init__(self, start_us: int, first_share: float) -> None:
        self._history: deque[tuple[int, float, float]] = deque([(start_us, 0.0, first_share)])

    def add(self, t_us: int, drift: Drift) -> None:
        """Add an update of the template at a sensor time."""
        self._history.append((t_us, self._history[-1][1] + drift.turned_rad, drift.first_share))
        while self._history[1][0] < t_us - _REMEMBERED_US:
            self._history.popleft()

    def since(self, t_us: int) -> tuple[float, float]:
        """Change since a sensor time.

        Returns:
            Angle by which the template has turned, rad, and decrease of the first guess's share.
        """
        before = self._history[0]
        for entry in self._history:
            if entry[0] > t_us:
                break
            before = entry
        return self._history[-1][1] - before[1], before[2] - self._history[-1][2]


class ErrorBudget:
    """Collects, slice by slice, what determines the standard deviation of a mean speed.

    Args:
        start_us: sensor time at which tracking of the rotor begins.
        first_share: share of its first guess in the template at that time.

    Attributes:
        observed: errors of past windows; the caller adds the measured phases to it.
        parts: parts of the variance of the latest window; None before the first.
    """

    def __init__(self, start_us: int, first_share: float) -> None:
        self.observed = ObservedErrors()
        self.parts: VarianceParts | None = None
        self._scale = InnovationScale()
        self._drift = TemplateDrift(start_us, first_share)
        self._slice_variance = 0.0
        self._disc_variance = 0.0

    def add_slice(self, variance: float, disc_variance: float) -> None:
        """Add the variances of a slice's phase due to events and due to the disc, rad^2."""
        self._slice_variance = variance
        self._disc_variance += _DISC_WEIGHT * (disc_variance - self._disc_variance)

    def add_innovation(self, innovation: float) -> None:
        """Add an innovation of the phase over its standard deviation."""
        self._scale.update(innovation)

    def add_drift(self, t_us: int, drift: Drift) -> None:
        """Add an update of the template at a sensor time."""
        self._drift.add(t_us, drift)

    def take_window(
        self, t_us: int, window: WindowMotion, sector_dispersion: float, cyclic_variance: float
    ) -> float:
        """Add a window whose mean speed is reported.

        Args:
            t_us: sensor time of the end of the window.
            window: the phase filter's result for it.
            sector_dispersion: over-dispersion of the sectors about the fitted disc.
            cyclic_variance: variance of the cyclic error of the phase, rad^2.

        Returns:
            Variance of the mean speed, (rad/s)^2.
        """
        window_s = 1e-6 * window.length_us
        start_us = t_us - window.length_us
        drift_us = min(start_us, t_us - round(1e6 * _DRIFT_TIME_S))
        expected = self._scale.variance_factor * window.variance
        self.observed.add_window(1e-6 * t_us, window, expected)
        claim = FilterClaim(
            expected,
            window.end_variance,
            window.wobble_rad**2 + cyclic_variance,
            self.observed.ratio,
            self.observed.observed_s,
        )
        slow = SlowErrors(
            self._slice_variance,
            sector_dispersion**2 * self._disc_variance,
            self._drift.since(drift_us)[0],
            self._drift.since(start_us)[1],
        )
        self.parts, wobble = variance_parts(claim, window_s, slow)
        return speed_variance(self.parts, wobble)
