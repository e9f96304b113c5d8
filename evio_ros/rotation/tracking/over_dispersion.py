"""Over-dispersion: how far a rotor's errors exceed Poisson statistics, learned from its own slices.

Events of one pixel come in bursts, pixels are discrete and no disc is quite flat, so errors are
larger than Poisson statistics predict; where edges are crisp, they are smaller. Method: adaptive
measurement noise, from two views of the same phases.

- Third divided differences of the phases of four slices are 0 for any motion of constant
  acceleration and small for any smooth one, so they show the white noise alone; they are computed
  for all slices (Rice, Bandwidth choice for nonparametric regression, Annals of Statistics 12,
  1984, on noise from differences).
- Innovations have the expected variance if the model is right (Mehra, Approaches to adaptive
  filtering, IEEE Transactions on Automatic Control 17, 1972). Their excess over the white noise is
  partly motion and partly the wobble of a pattern whose disc is slightly wrong: up to the usual
  size of such a wobble, it counts as noise.

All estimates are robust: a single error is limited to three standard deviations.
"""

from __future__ import annotations

import copy
from collections import deque

from evio_ros.rotation.tracking.likelihood import Score

__all__ = ["OverDispersion"]

_FIRST_PHASE, _FIRST_SECTORS = 3.0, 2.0
"""Initial over-dispersion of phases and sectors. Fitted to simulated recordings."""
_FIRST_ERROR_RAD = 0.0022
"""Additional initial error of a phase, while the disc is a guess. Fitted to simulated
recordings."""
_PHASE_BOUNDS = (0.02, 3e3)
_SECTOR_BOUNDS = (1.0, 40.0)
"""Bounds of the factors; sectors have too few edges to be better than Poisson statistics. Fitted to
simulated recordings."""
_LARGEST_WOBBLE_RAD = 0.015
"""Greatest wobble of a pattern within a turn, as a standard deviation; what exceeds it and the
white noise is motion. If blades pass slowly, many slices share one wobble, which the filters follow
as motion, so less of it is noise. Chosen on real takes; the share on a simulated disc with one
mark."""
_SETTLED_SLICES = 3
"""Innovations before this many slices reflect the initial guess and are ignored."""
_LARGEST_NORMALISED = 9.0
"""Limit of a squared error over its variance: three standard deviations."""
_PHASE_WEIGHTS = 0.02, 0.5
_WHITE_WEIGHTS = 0.03, 1.0
_SECTOR_WEIGHTS = 0.05, 1.0
"""Weights of a slice in the averages: the final weight, and the initial one, which is divided by
the number of slices so far. Fitted to simulated recordings."""
_DIFFERENCED = 4
"""Number of phases in a third difference."""
_LARGEST_DISTANCE = 36.0
"""Squared innovation over its variance, by the model with the most process noise, beyond which no
model explains the motion: six standard deviations."""
_MANOEUVRES_PER_SLICE, _MOST_MANOEUVRES = 0.03, 2.0
"""Such innovations count as manoeuvres at most once in 33 slices, and at most twice in a row; more
frequent ones are noise."""
_EVENTS_WEIGHT = 0.1
_DENSE_EVENTS = 1500.0
"""Average number of events of a measurement beyond which errors that do not average out
dominate."""
_LEAST_CONTRAST = 1e-3
"""Minimum contrast of a template; avoids a division by 0."""


_Measured = tuple[float, float, float]
"""Time of a phase in s, the phase in rad, and the information on it in 1 / rad^2."""


class OverDispersion:
    """Factors by which the variances of a rotor's slices exceed Poisson statistics.

    Attributes:
        white: factor for the variance of a slice's phase: noise that is independent from slice to
            slice.
        phase: the same for everything that innovations show.
        sectors: factor for the variance of a sector's phase about the best disc.
    """

    def __init__(self) -> None:
        self.white = self.phase = _FIRST_PHASE
        self.sectors = _FIRST_SECTORS
        self._is_begun = False
        self._largest_wobble = _LARGEST_WOBBLE_RAD**2
        self._differences = 0
        self._latest: deque[_Measured] = deque(maxlen=_DIFFERENCED)
        self._events = 1.0
        self._manoeuvres_left = 0.0

    def continued(self) -> OverDispersion:
        """A copy for a motion that starts anew."""
        other = copy.copy(self)
        other._latest = deque(maxlen=_DIFFERENCED)
        other._events, other._manoeuvres_left = 1.0, 0.0
        return other

    def begin(self, information: float, wobble_rad: float, quick_share: float = 1.0) -> None:
        """Initialise by the first slice; later calls only set the share of the wobble.

        Args:
            information: information on its phase, 1 / rad^2.
            wobble_rad: angle by which the pattern may seem to wobble.
            quick_share: share of the wobble that counts as noise, not as motion.
        """
        self._largest_wobble = _LARGEST_WOBBLE_RAD**2 * quick_share
        if not self._is_begun:
            self._is_begun = True
            more = max(_FIRST_ERROR_RAD, 0.5 * wobble_rad) ** 2 * information
            self.white += more
            self.phase += more

    def phase_variance(self, information: float) -> float:
        """Variance of a slice's phase, rad^2, from the information on it, 1 / rad^2."""
        largest = max(self.white / information, self._largest_wobble)
        return min(self.phase / information, largest)

    def is_manoeuvre(self, distance: float) -> bool:
        """Whether a squared innovation over its variance shows a sudden change of the motion.

        Args:
            distance: that of the model with the most process noise.
        """
        left = min(self._manoeuvres_left + _MANOEUVRES_PER_SLICE, _MOST_MANOEUVRES)
        is_one = distance > _LARGEST_DISTANCE and left >= 1.0
        self._manoeuvres_left = left - is_one
        return is_one

    def interrupt(self) -> None:
        """The next phase does not continue the last ones."""
        self._latest.clear()

    def update_phase(self, normalised: float, slices: int) -> None:
        """Update by a squared innovation over its variance, after `slices` slices."""
        if slices < _SETTLED_SLICES:
            return
        usual, first = _PHASE_WEIGHTS
        weight = max(usual, first / (1 + slices))
        self.phase *= 1 + weight * (min(normalised, _LARGEST_NORMALISED) - 1)
        self.phase = min(max(self.phase, _PHASE_BOUNDS[0]), _PHASE_BOUNDS[1])

    def update_white(self, time_s: float, phase: float, information: float) -> None:
        """Update by a measured phase in rad at a time in s, with its information in 1 / rad^2."""
        self._latest.append((time_s, phase, information))
        if len(self._latest) < _DIFFERENCED:
            return
        normalised = _squared_third_difference(*self._latest)
        self._differences += 1
        usual, first = _WHITE_WEIGHTS
        bounded = min(normalised, _LARGEST_NORMALISED * self.white)
        self.white += max(usual, first / (2 + self._differences)) * (bounded - self.white)
        self.white = min(max(self.white, _PHASE_BOUNDS[0]), _PHASE_BOUNDS[1])

    def update_sectors(self, score: Score, events: int, slices: int) -> None:
        """Update by the scatter of the sectors of a number of events, after `slices` slices."""
        self._events += _EVENTS_WEIGHT * (events - self._events)
        measured = score.over_dispersion()
        if measured is not None:
            bounded = min(max(measured, _SECTOR_BOUNDS[0]), _SECTOR_BOUNDS[1])
            usual, first = _SECTOR_WEIGHTS
            self.sectors += max(usual, first / (1 + slices)) * (bounded - self.sectors)

    def over_contrast(self, contrast: float) -> float:
        """Product of the factors for white noise and sectors, divided by a template's contrast.

        It is large if the disc is wrong. Errors that do not average out weigh more where there are
        many events, so it is also divided by their number beyond `_DENSE_EVENTS`.
        """
        scatter = self.white * self.sectors / max(1.0, self._events / _DENSE_EVENTS)
        return scatter / max(contrast, _LEAST_CONTRAST)


def _squared_third_difference(
    first: _Measured, second: _Measured, third: _Measured, fourth: _Measured
) -> float:
    """Square of the third divided difference of phases over its variance by their information."""
    (t0, y0, k0), (t1, y1, k1), (t2, y2, k2), (t3, y3, k3) = first, second, third, fourth
    a, b, c, ab, bc, abc = t1 - t0, t2 - t1, t3 - t2, t2 - t0, t3 - t1, t3 - t0
    w0 = -1.0 / (a * ab * abc)
    w1 = 1.0 / (a * b * bc)
    w2 = -1.0 / (ab * b * c)
    w3 = 1.0 / (abc * bc * c)
    difference = w0 * y0 + w1 * y1 + w2 * y2 + w3 * y3
    return difference**2 / (w0 * w0 / k0 + w1 * w1 / k1 + w2 * w2 / k2 + w3 * w3 / k3)
