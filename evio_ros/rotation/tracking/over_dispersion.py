"""How much larger a rotor's errors are than its numbers of events explain, learned from itself.

Events of one pixel come in bursts, pixels are discrete and no disc is quite flat: errors are larger
than Poisson statistics say; where edges are crisp, smaller. Method: adaptive measurement noise, by
two views of the same phases.

- Third divided differences of the phases of four slices are 0 for any motion of constant
  acceleration and small for any smooth one, so that they tell the white noise alone; they are taken
  from all slices (Rice, Bandwidth choice for nonparametric regression, Annals of Statistics 12,
  1984, on noise from differences).
- Innovations have the variance that was expected where the model is right (Mehra, Approaches to
  adaptive filtering, IEEE Transactions on Automatic Control 17, 1972). What they show beyond the
  white noise is partly motion and partly the wobble of a pattern whose disc is not quite the true
  one: up to an angle that patterns wobble by, it counts as noise.

All are robust: a single error counts for no more than three standard deviations.
"""

from __future__ import annotations

import copy
from collections import deque

from evio_ros.rotation.tracking.likelihood import Score

__all__ = ["OverDispersion"]

_FIRST_PHASE, _FIRST_SECTORS = 3.0, 2.0
"""Over-dispersion before any is measured. Fitted to simulated recordings."""
_FIRST_ERROR_RAD = 0.0022
"""Error that a phase has beside it at first, when the disc is a guess. Fitted to simulated
recordings."""
_PHASE_BOUNDS = (0.02, 3e3)
_SECTOR_BOUNDS = (1.0, 40.0)
"""Bounds of what is measured; sectors hold too few edges to be better than their events explain.
Fitted to simulated recordings."""
_LARGEST_WOBBLE_RAD = 0.015
"""Patterns seem to turn back and forth within each turn by up to this angle, as a standard
deviation; what exceeds it and the white noise is motion. Where blades pass slowly many slices share
one wobble, which the filters follow as motion: less of it is noise. Chosen on real takes; the share
on a simulated disc with one mark."""
_SETTLED_SLICES = 3
"""Innovations before this many slices are those of the first guess."""
_LARGEST_NORMALISED = 9.0
"""A squared error over its variance counts for no more than this, three standard deviations."""
_PHASE_WEIGHTS = 0.02, 0.5
_WHITE_WEIGHTS = 0.03, 1.0
_SECTOR_WEIGHTS = 0.05, 1.0
"""Weight of a slice in the averages: the first in the long run, the second over the number of
slices so far while these are few. Fitted to simulated recordings."""
_DIFFERENCED = 4
"""So many phases make a third difference."""
_LARGEST_DISTANCE = 36.0
"""Squared innovation over its variance, by the model with most process noise, beyond which the
rotor may have left all models: six standard deviations."""
_MANOEUVRES_PER_SLICE, _MOST_MANOEUVRES = 0.03, 2.0
"""So many such innovations are manoeuvres, one in 33 slices and two at once; what comes more often
is noise."""
_EVENTS_WEIGHT = 0.1
_DENSE_EVENTS = 1500.0
"""Errors that events do not average out show the more, the more events a measurement has."""
_LEAST_CONTRAST = 1e-3
"""Templates of less contrast count as this: they show nothing, and 0 would divide."""


_Measured = tuple[float, float, float]
"""Time of a phase, the phase, and the information on it."""


class OverDispersion:
    """Factors by which the variances of a rotor's slices exceed what events explain.

    Attributes:
        white: factor for the variance of a slice's phase: the noise that differs from slice to
            slice.
        phase: the same with all that innovations show.
        sectors: factor for the variance of a sector's phase, about the best disc.
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
        """The same factors for a motion that begins anew."""
        other = copy.copy(self)
        other._latest = deque(maxlen=_DIFFERENCED)
        other._events, other._manoeuvres_left = 1.0, 0.0
        return other

    def begin(self, information: float, wobble_rad: float, quick_share: float = 1.0) -> None:
        """Take in the first slice, if it is the first.

        Args:
            information: on its phase, 1 / rad^2.
            wobble_rad: angle by which the pattern may seem to turn back and forth.
            quick_share: share of a passing of a blade that is seen as noise, not as motion.
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
            distance: by the model with most process noise.
        """
        left = min(self._manoeuvres_left + _MANOEUVRES_PER_SLICE, _MOST_MANOEUVRES)
        is_one = distance > _LARGEST_DISTANCE and left >= 1.0
        self._manoeuvres_left = left - is_one
        return is_one

    def interrupt(self) -> None:
        """What is measured next does not go on from what was."""
        self._latest.clear()

    def update_phase(self, normalised: float, slices: int) -> None:
        """Take in a squared innovation over its variance, after `slices` slices."""
        if slices < _SETTLED_SLICES:
            return
        usual, first = _PHASE_WEIGHTS
        weight = max(usual, first / (1 + slices))
        self.phase *= 1 + weight * (min(normalised, _LARGEST_NORMALISED) - 1)
        self.phase = min(max(self.phase, _PHASE_BOUNDS[0]), _PHASE_BOUNDS[1])

    def update_white(self, time_s: float, phase: float, information: float) -> None:
        """Take in a phase that was measured at a time, with the information on it, 1 / rad^2."""
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
        """Take in the scatter of the sectors of so many events, after `slices` slices."""
        self._events += _EVENTS_WEIGHT * (events - self._events)
        measured = score.over_dispersion()
        if measured is not None:
            bounded = min(max(measured, _SECTOR_BOUNDS[0]), _SECTOR_BOUNDS[1])
            usual, first = _SECTOR_WEIGHTS
            self.sectors += max(usual, first / (1 + slices)) * (bounded - self.sectors)

    def over_contrast(self, contrast: float) -> float:
        """White noise and scatter of sectors multiplied, over a template's contrast.

        Large where the disc is wrong. What events do not average out shows more where there are
        many, so it is taken over their density.
        """
        scatter = self.white * self.sectors / max(1.0, self._events / _DENSE_EVENTS)
        return scatter / max(contrast, _LEAST_CONTRAST)


def _squared_third_difference(
    first: _Measured, second: _Measured, third: _Measured, fourth: _Measured
) -> float:
    """Square of the third divided difference of phases over the variance that information tells."""
    (t0, y0, k0), (t1, y1, k1), (t2, y2, k2), (t3, y3, k3) = first, second, third, fourth
    a, b, c, ab, bc, abc = t1 - t0, t2 - t1, t3 - t2, t2 - t0, t3 - t1, t3 - t0
    w0 = -1.0 / (a * ab * abc)
    w1 = 1.0 / (a * b * bc)
    w2 = -1.0 / (ab * b * c)
    w3 = 1.0 / (abc * bc * c)
    difference = w0 * y0 + w1 * y1 + w2 * y2 + w3 * y3
    return difference**2 / (w0 * w0 / k0 + w1 * w1 / k1 + w2 * w2 / k2 + w3 * w3 / k3)
