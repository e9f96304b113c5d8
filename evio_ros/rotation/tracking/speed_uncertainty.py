"""The error budget of a mean speed: what the phase filter's own variance does not tell.

Over a window of length W the speed is wrong by the difference of the phase's errors at its two
ends, over W. The filter takes the errors of slices for independent and the motor for as restless as
its model has it. Both are wrong, and by how much depends on the scene: most errors of a phase come
again at the angles at which slices happen to end. What is measured while a rotor is followed
corrects that:

- the errors that speeds of windows of the same length turned out to have, once the phases after
  them were known, see `ObservedErrors`: over what the filter claimed of them;
- until enough of these are known, the size of the innovations of late, which say whether the filter
  is as good as it claims, and the wobble that it may take for motion;
- how far the template has turned with its updates: a template that turns by itself can't be told
  from a rotor that does;
- how much of the template's first guess has faded. That was blurred, made with a disc that was not
  yet well known, and has an angle of its own: as it fades, the phase moves on to that of what was
  learned since;
- how well the disc's place is known.

Method: the variance is the sum of independent parts. Each slow error of the phase, of variance s^2
and with a bell-shaped correlation of time constant t, adds 2 s^2 (1 - exp(-(W / t)^2 / 2)) / W^2.

Five weights of these parts are fitted, by `python bench/fit_deviation.py`, to simulated recordings
of seeds and speeds of their own. `python bench/accuracy.py` and `python bench/real_takes.py` judge
them on others. All else was set by hand, to round numbers.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from evio_ros.rotation.tracking.observed_errors import ObservedErrors
from evio_ros.rotation.tracking.phase_filter import WindowMotion
from evio_ros.rotation.tracking.template import Drift

__all__ = ["WEIGHTS", "ErrorBudget", "Parts", "within_probability"]


class Parts(NamedTuple):
    """Parts of a variance that are weighed, or their weights.

    Attributes:
        claimed: what the phase filter says, as far as it was not yet observed.
        observed: what errors of the past say, as far as they were observed.
        lingering: the phase's own error, which lasts: pixels keep their thresholds.
        disc: the error of the phase that the disc's uncertain place gives, which lasts longer.
        drift: of the template, that turns or fades.
    """

    claimed: float
    observed: float
    lingering: float
    disc: float
    drift: float


WEIGHTS = Parts(claimed=0.47, observed=0.78, lingering=0.95, disc=0.105, drift=3.0)
"""The fitted constants: factors of variances."""
_CLAIM_S = 0.1
"""What the filter says counts as much as errors that were observed for so long."""
_GUESSED_S = 0.3
"""A wobble that may be there would be seen in errors that were observed for so long."""
_LINGERING_S, _DISC_S = 0.2, 0.3
"""How long these errors last."""
_DRIFT_TIME_S = 0.2
"""A drift is measured over this time at least."""

_LATE_SLICES = 10
"""Innovations that count as late."""
_LARGEST_INNOVATION = 4.0
"""An innovation counts for no more standard deviations than this: one in 16 000 is larger."""
_SCALE_BOUNDS = (0.05, 20.0)
"""Bounds of what innovations say: beyond, it is not the filter that is wrong."""
_DISC_WEIGHT = 0.1
"""Weight of a new slice in the error that the disc's place makes: ten slices count."""
_REMEMBERED_US = 2_500_000
"""For how long drifts are remembered: the longest window, 2 s, and some."""


class InnovationScale:
    """How the innovations of a filter compare with their expected standard deviations.

    Attributes:
        late: mean square of the latest normalised innovations; 1 where the filter is right.
    """

    def __init__(self) -> None:
        self.late = 1.0

    def update(self, innovation: float) -> None:
        """Take in an innovation over its expected standard deviation."""
        bounded = min(max(innovation, -_LARGEST_INNOVATION), _LARGEST_INNOVATION)
        self.late += (bounded**2 - self.late) / _LATE_SLICES

    @property
    def variance_factor(self) -> float:
        """Factor for the filter's variance."""
        low, high = _SCALE_BOUNDS
        return min(max(self.late, low), high)


@dataclass(frozen=True, slots=True)
class FilterClaim:
    """What the phase filter says of its own errors, and how it did of late.

    Attributes:
        speed_variance: of the mean speed over the window, (rad/s)^2, corrected by the size of the
            innovations.
        phase_variance: of the phase now, rad^2.
        wobble_variance: of the angle that it may take for motion, rad^2.
        observed_ratio: squared errors of the past over what was expected of them.
        observed_s: for how long errors were observed.
    """

    speed_variance: float
    phase_variance: float
    wobble_variance: float
    observed_ratio: float
    observed_s: float


@dataclass(frozen=True, slots=True)
class SlowErrors:
    """What was measured of errors that last longer than a slice.

    Attributes:
        slice_variance: variance of the phase that one slice shows, rad^2.
        disc_variance: of what the disc's uncertain place adds to it, times the square of the
            scatter of the disc's sectors over what events explain, rad^2.
        drift_rad: angle by which the template has turned over the window or `_DRIFT_TIME_S`,
            whichever is longer.
        faded: by how much the share of the first guess in the template went down over the window.
    """

    slice_variance: float
    disc_variance: float
    drift_rad: float
    faded: float


def variance_parts(claim: FilterClaim, window_s: float, slow: SlowErrors) -> tuple[Parts, float]:
    """Parts of the variance of the mean speed over a window, (rad/s)^2.

    Args:
        claim: of the phase filter.
        window_s: length of the window.
        slow: errors that last.

    Returns:
        What is weighed, and what is not.
    """
    unobserved = _CLAIM_S / (_CLAIM_S + claim.observed_s)
    observed = (1.0 - unobserved) * claim.observed_ratio
    # Where errors are smaller than claimed, those that last longer are so too.
    scale = unobserved + observed
    guessed = max(1.0 - claim.observed_s / _GUESSED_S, 0.0)
    drift = (slow.drift_rad / max(window_s, _DRIFT_TIME_S)) ** 2
    return Parts(
        unobserved * claim.speed_variance,
        observed * claim.speed_variance,
        scale * _of_slow_error(claim.phase_variance, _LINGERING_S, window_s),
        scale * _of_slow_error(slow.disc_variance, _DISC_S, window_s),
        drift + slow.slice_variance * (slow.faded / window_s) ** 2,
    ), 2 * guessed * claim.wobble_variance / window_s**2


def speed_variance(parts: Parts, rest: float) -> float:
    """Variance of the mean speed over a window, (rad/s)^2; see `variance_parts`."""
    return sum(weight * part for weight, part in zip(WEIGHTS, parts, strict=True)) + rest


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

    Attributes:
        observed: errors of the past, which must be told the phases.
        parts: of which the variance of the latest window is made; None before there is one.
    """

    def __init__(self, start_us: int, first_share: float) -> None:
        self.observed = ObservedErrors()
        self.parts: Parts | None = None
        self._scale = InnovationScale()
        self._drift = TemplateDrift(start_us, first_share)
        self._slice_variance = 0.0
        self._disc_variance = 0.0

    def add_slice(self, variance: float, disc_variance: float) -> None:
        """Take in the variance of a slice's phase, from events and from the disc, rad^2."""
        self._slice_variance = variance
        self._disc_variance += _DISC_WEIGHT * (disc_variance - self._disc_variance)

    def add_innovation(self, innovation: float) -> None:
        """Take in an innovation of the phase over its standard deviation."""
        self._scale.update(innovation)

    def add_drift(self, t_us: int, drift: Drift) -> None:
        """Take in an update of the template at a time."""
        self._drift.add(t_us, drift)

    def take_window(
        self, t_us: int, window: WindowMotion, sector_dispersion: float, cyclic_variance: float
    ) -> float:
        """Take in a window of which the mean speed is reported.

        Args:
            t_us: end of the window.
            window: what the phase filter says of it.
            sector_dispersion: scatter of the sectors about the fitted disc, over what events
                explain.
            cyclic_variance: of the cyclic error of the phase, rad^2.

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
            self.observed.known_s,
        )
        slow = SlowErrors(
            self._slice_variance,
            sector_dispersion**2 * self._disc_variance,
            self._drift.since(drift_us)[0],
            self._drift.since(start_us)[1],
        )
        self.parts, rest = variance_parts(claim, window_s, slow)
        return speed_variance(self.parts, rest)
