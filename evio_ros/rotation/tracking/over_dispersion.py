"""Over-dispersion: ratio of a rotor's error variances to those of Poisson statistics.

It is learned from the rotor's own slices. Events of one pixel come in bursts, pixels are discrete
and no disc is quite flat, so errors are usually larger than Poisson statistics predict; with crisp
edges, they are smaller. Method: adaptive measurement noise, estimated in two ways.

- Third divided differences of the phases of four slices are 0 for any motion of constant
  acceleration and small for any smooth one, so they show only the white noise (Rice, Bandwidth
  choice for nonparametric regression, Annals of Statistics 12, 1984, on noise from differences).
- Innovations have the expected variance if the model is right (Mehra, Approaches to adaptive
  filtering, IEEE Transactions on Automatic Control 17, 1972). Their excess over the white noise is
  partly motion, and partly the wobble of a pattern whose disc is slightly wrong. Up to the usual
  size of such a wobble, the excess counts as noise.

All estimates are robust: each error is limited to three standard deviations.
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
"""Bounds of the factors; those of sectors are at least 1, because sectors have few edges. Fitted to
simulated recordings."""
_LARGEST_WOBBLE_RAD = 0.015
"""Standard deviation of the largest wobble of a pattern within a turn; an excess over it and over
the white noise is motion. If blades pass slowly, many slices share one wobble, which the filters
follow as motion, so only a share of it is noise. Chosen on real takes; the share on a simulated
disc with one mark."""
_SETTLED_SLICES = 3
"""Number of first slices whose innovations are ignored: they show the errors of the initial
guess."""
_LARGEST_NORMALISED = 9.0
"""Limit of a squared error over its variance: three standard deviations squared."""
_PHASE_WEIGHTS = 0.02, 0.5
_WHITE_WEIGHTS = 0.03, 1.0
_SECTOR_WEIGHTS = 0.05, 1.0
"""Weights of a slice in the averages: the final weight, and the initial weight, which is divided by
the number of slices so far. The greater one is used. Fitted to simulated recordings."""
_DIFFERENCED = 4
"""Number of phases in a third difference."""
_LARGEST_DISTANCE = 36.0
"""Squared innovation over its variance, by the model with the most process noise, beyond which no
model explains the motion: six standard deviations squared."""
_MANOEUVRES_PER_SLICE, _MOST_MANOEUVRES = 0.03, 2.0
"""Such innovations count as manoeuvres at most once in 33 slices, and at most twice in a row (a
token bucket); more frequent ones are noise."""
_EVENTS_WEIGHT = 0.1
_DENSE_EVENTS = 1500.0
"""Weight of a slice in the average number of events per measurement, and value of this average
beyond which errors that do not average out dominate."""
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
        sectors: factor for the variance of a sector's phase, given the best disc.
    """

    def __init__(self) -> None:
        self.white = self.phase = _FIRST_PHASE
        self.sectors = _FIRST_SECTORS
        self._is_initialised = False
        self._largest_wobble = _LARGEST_WOBBLE_RAD**2
        self._differences = 0
        self._latest: deque[_Measured] = deque(maxlen=_DIFFERENCED)
        self._events = 1.0
        self._manoeuvres_left = 0.0

    def continued(self) -> OverDispersion:
        """A copy for a new tracker, without the latest phases."""
        other = copy.copy(self)
        other._latest = deque(maxlen=_DIFFERENCED)
        other._events, other._manoeuvres_left = 1.0, 0.0
        return other

    def begin(self, information: float, wobble_rad: float, wobble_noise_share: float = 1.0) -> None:
        """Initialise with the first slice; later calls only set the share of the wobble.

        Args:
            information: information on its phase, 1 / rad^2.
            wobble_rad: angle by which the pattern may seem to wobble.
            wobble_noise_share: share of the wobble that counts as noise, not as motion.
        """
        self._largest_wobble = _LARGEST_WOBBLE_RAD**2 * wobble_noise_share
        if not self._is_initialised:
            self._is_initialised = True
            excess = max(_FIRST_ERROR_RAD, 0.5 * wobble_rad) ** 2 * information
            self.white += excess
            self.phase += excess

    def phase_variance(self, information: float) -> float:
        """Variance of a slice's phase, rad^2, from the information on it, 1 / rad^2."""
        largest = max(self.white / information, self._largest_wobble)
        return min(self.phase / information, largest)

    def is_manoeuvre(self, distance: float) -> bool:
        """Whether a slice shows a sudden change of the motion; to be called once for each slice.

        Args:
            distance: squared innovation over its variance, by the model with the most process
                noise.
        """
        left = min(self._manoeuvres_left + _MANOEUVRES_PER_SLICE, _MOST_MANOEUVRES)
        is_sudden = distance > _LARGEST_DISTANCE and left >= 1.0
        self._manoeuvres_left = left - is_sudden
        return is_sudden

    def interrupt(self) -> None:
        """Forget the latest phases, because the next phase does not continue them."""
        self._latest.clear()

    def update_phase(self, normalised: float, slices: int) -> None:
        """Update by an innovation.

        Args:
            normalised: squared innovation over its variance.
            slices: number of slices before this one.
        """
        if slices < _SETTLED_SLICES:
            return
        final, first = _PHASE_WEIGHTS
        weight = max(final, first / (1 + slices))
        self.phase *= 1 + weight * (min(normalised, _LARGEST_NORMALISED) - 1)
        self.phase = min(max(self.phase, _PHASE_BOUNDS[0]), _PHASE_BOUNDS[1])

    def update_white(self, time_s: float, phase: float, information: float) -> None:
        """Update by a measured phase.

        Args:
            time_s: its time, in order.
            phase: the phase, unwrapped, in rad.
            information: Fisher information on it, 1 / rad^2.
        """
        self._latest.append((time_s, phase, information))
        if len(self._latest) < _DIFFERENCED:
            return
        normalised = _squared_third_difference(*self._latest)
        self._differences += 1
        final, first = _WHITE_WEIGHTS
        bounded = min(normalised, _LARGEST_NORMALISED * self.white)
        self.white += max(final, first / (2 + self._differences)) * (bounded - self.white)
        self.white = min(max(self.white, _PHASE_BOUNDS[0]), _PHASE_BOUNDS[1])

    def update_sectors(self, score: Score, events: int, slices: int) -> None:
        """Update by the scatter of the sectors.

        Args:
            score: score of the slice.
            events: its number of events.
            slices: number of slices before this one.
        """
        self._events += _EVENTS_WEIGHT * (events - self._events)
        measured = score.over_dispersion()
        if measured is not None:
            bounded = min(max(measured, _SECTOR_BOUNDS[0]), _SECTOR_BOUNDS[1])
            final, first = _SECTOR_WEIGHTS
            self.sectors += max(final, first / (1 + slices)) * (bounded - self.sectors)

    def over_contrast(self, contrast: float) -> float:
        """Product of the factors for white noise and sectors, divided by a template's contrast.

        It is large if the disc is wrong. With more than `_DENSE_EVENTS` events per measurement, it
        is proportionally smaller: errors that do not average out then dominate on any disc.
        """
        scatter = self.white * self.sectors / max(1.0, self._events / _DENSE_EVENTS)
        return scatter / max(contrast, _LEAST_CONTRAST)


def _squared_third_difference(
    first: _Measured, second: _Measured, third: _Measured, fourth: _Measured
) -> float:
    """Square of the third divided difference of four phases, over its variance.

    The variance of each phase is the inverse of the information on it.
    """
    (t0, y0, k0), (t1, y1, k1), (t2, y2, k2), (t3, y3, k3) = first, second, third, fourth
    a, b, c, ab, bc, abc = t1 - t0, t2 - t1, t3 - t2, t2 - t0, t3 - t1, t3 - t0
    w0 = -1.0 / (a * ab * abc)
    w1 = 1.0 / (a * b * bc)
    w2 = -1.0 / (ab * b * c)
    w3 = 1.0 / (abc * bc * c)
    difference = w0 * y0 + w1 * y1 + w2 * y2 + w3 * y3
    return difference**2 / (w0 * w0 / k0 + w1 * w1 / k1 + w2 * w2 / k2 + w3 * w3 / k3)
