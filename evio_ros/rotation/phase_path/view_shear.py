"""The obliqueness of a disc, estimated from its rim and from how evenly its speed changes.

The events of a pattern of one line through the hub do not show the shape of its disc: whatever the
shape, each point of the image is passed at one phase. Two other things do.

**The rim.** Where it is in view, it is an ellipse about the hub, see `disc_rim`.

**The speed.** With a wrong shear s, the angle of an edge is off by s0 sin 2 theta - s1 cos 2 theta,
so a disc that comes to rest seems to hurry and linger twice in every turn. A hand and friction
hardly do that. Model: the angular acceleration is white noise, so the phase of an edge that crosses
theta at the time t is an integrated Wiener process (Wahba 1978), whose intensity q is unknown. With
the phases y, at equal steps of the phase, and theta(y, s) on a disc of another shape,

    p(y | s) = N(theta(y, s); 0, q K + R) product |d theta / d y|,

restricted to what an initial phase and speed alone would not change (restricted likelihood), and
summed over q. R contains the disagreement of rings and polarities, and a wobble of orders 1 and 2
that any disc may have. The model's own error is one of the shear: p is blurred by it.

The two likelihoods are multiplied. All viewing directions are equally likely, so the cosine of the
obliqueness, exp(-2 |s|), is uniform. The mean of the product over this prior, divided by that of no
other shear, is the Bayes factor for another shape than the assumed one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from evio_ros.events import RegionOfInterest
from evio_ros.rotation.phase_path.disc_rim import DiscRim, on_discs
from evio_ros.rotation.phase_path.phase_path import PhasePath
from evio_ros.rotation.phase_path.turning_frame import ANGLES

__all__ = ["WOBBLE_ORDERS", "WOBBLE_RAD", "ViewShear", "view_shear"]

_Real = NDArray[np.float64]

WOBBLE_ORDERS = (1, 2)
WOBBLE_RAD = 0.0075
"""Orders of a wobble that any disc may have, and the standard deviation of its coefficients. Chosen
such that 68 % of the errors on simulated discs that come to rest, of four patterns, face on and
oblique, are within one standard deviation."""
_STEP_RAD, _MOST_TURNS, _FEWEST_STEPS = 0.35, 4, 8
"""Step of the phase that rings and polarities resolve, see `phase_scores`; number of turns beyond
which nothing is gained; smallest number of steps."""
_FLATTEST, _SHEAR_STEP = 0.7, 0.01
"""Range of the grid of shears, down to a fourth of the width, and its step. The rounding to it is
part of the standard deviation."""
_MODEL_STD = 0.03
"""Error of a component by evenness beyond that of its likelihood. On six real discs, against the
rim of the one that is seen obliquely, and against a circle for the others, the root mean square
error is 0.037, that of the likelihood alone 0.025."""
_INTENSITIES = 10.0 ** np.arange(-4.0, 8.5, 0.5)
"""Intensities of the acceleration in rad^2 over the whole span, from none to more than phases can
follow."""


@dataclass(frozen=True, slots=True)
class ViewShear:
    """Estimate of the shear by which a disc differs from a path's ellipse.

    Attributes:
        mean: (2,), posterior mean.
        std: (2,), its standard deviation.
        log_odds: natural logarithm of the Bayes factor for any shear against none.
    """

    mean: _Real
    std: _Real
    log_odds: float

    @property
    def doubt(self) -> float:
        """Root mean square of the remaining shear."""
        return math.hypot(*self.mean, *self.std)


def view_shear(path: PhasePath, shear: _Real, view: RegionOfInterest) -> ViewShear:
    """Estimate how much flatter a disc is than a path's ellipse.

    Args:
        path: path of the phase.
        shear: (2,), shear of its ellipse.
        view: the pixels whose events the path may contain; it may extend beyond the sensor.
    """
    tried = _shears()
    by_speed = _blurred(_log_likelihood_of_speed(path, tried), tried)
    # Which points are on arcs depends on the shape, for which the speed gives a first estimate.
    rim = DiscRim.of(path.counted, path.ellipse, view).arcs(shear + _mean(by_speed, tried))
    log_likelihood = by_speed + rim.log_likelihood(tried + shear)
    # Any viewing direction: exp(-2 |s|) and the tilt are uniform.
    sizes = np.maximum(np.hypot(*(tried + shear).T), 0.5 * _SHEAR_STEP)
    prior = np.exp(-2 * sizes) / sizes
    best, none = log_likelihood.max(), log_likelihood[np.argmin(np.hypot(*tried.T))]
    weight = np.exp(log_likelihood - best) * prior / prior.sum()
    total = float(weight.sum())
    mean = weight @ tried / total
    variance = weight @ (tried - mean) ** 2 / total + _SHEAR_STEP**2 / 12
    return ViewShear(mean, np.sqrt(variance), math.log(total) + float(best - none))


def _mean(log_likelihood: _Real, tried: _Real) -> _Real:
    weight = np.exp(log_likelihood - log_likelihood.max())
    return np.asarray(weight @ tried / weight.sum())


def _blurred(log_likelihood: _Real, tried: _Real) -> _Real:
    """A log likelihood over the grid of shears, (m,), convolved with the error of the model."""
    rows, columns = np.rint((tried.T + _FLATTEST) / _SHEAR_STEP).astype(np.int64)
    side = np.arange(int(rows.max()) + 1) * _SHEAR_STEP
    kernel = np.exp(-0.5 * (np.subtract.outer(side, side) / _MODEL_STD) ** 2)
    grids = np.zeros((2, len(side), len(side)))
    best = log_likelihood.max()
    grids[:, rows, columns] = np.exp(log_likelihood - best), np.ones(len(tried))
    likelihood, weight = (kernel @ grids @ kernel)[:, rows, columns]
    return np.asarray(best + np.log(likelihood / weight))


def _log_likelihood_of_speed(path: PhasePath, tried: _Real) -> _Real:
    """Log likelihood by the speed, (m,), of shears relative to the path's ellipse, (m, 2)."""
    count_times, phase = _equal_steps(path)
    times = path.counted.times_us(count_times)
    times = (times - times[0]) / max(float(times[-1] - times[0]), 1.0)
    angles, log_slopes = _angles_on_disc(phase + _edge_angle(path), tried)
    doubt = np.diag(np.interp(count_times, path.count_times, path.disagreement) ** 2)
    for order in WOBBLE_ORDERS:
        for wave in (np.cos(order * phase), np.sin(order * phase)):
            doubt += WOBBLE_RAD**2 * np.outer(wave, wave)
    return log_slopes.sum(axis=1) + _log_evidence(times, angles, doubt)


def _equal_steps(path: PhasePath) -> tuple[_Real, _Real]:
    """Count times, 0 to 1, and phases in equal steps; of a long path, only its first turns."""
    sense = math.copysign(1.0, path.turns)
    rising = np.maximum.accumulate(sense * path.phase)
    turned = min(float(rising[-1] - rising[0]), _MOST_TURNS * 2 * math.pi)
    steps = max(round(turned / _STEP_RAD), _FEWEST_STEPS)
    phase = rising[0] + turned * (np.arange(steps) + 0.5) / steps
    return np.interp(phase, rising, path.count_times), sense * phase


def _edge_angle(path: PhasePath) -> float:
    """Direction of the edges at phase 0, modulo half a turn."""
    angles = np.arange(ANGLES) * (2 * math.pi / ANGLES)
    return -0.5 * float(np.angle((path.density.sum(axis=0) * np.exp(-2j * angles)).sum()))


def _shears() -> _Real:
    """Grid of shears, (n, 2), which contains zero."""
    side = np.arange(-_FLATTEST, _FLATTEST + 0.5 * _SHEAR_STEP, _SHEAR_STEP)
    shears = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    return shears[np.hypot(*shears.T) < _FLATTEST]


def _angles_on_disc(angle: _Real, shears: _Real) -> tuple[_Real, _Real]:
    """Angles on a disc that is flatter by each of the shears, and logarithms of their slopes.

    Args:
        angle: (n,), unwrapped.
        shears: (m, 2).

    Returns:
        Both (m, n).
    """
    relative, along, across = on_discs(angle, shears)
    # From the long axes to the disc, and back.
    change = np.arctan2(across, along) - relative
    change -= 2 * math.pi * np.round(change / (2 * math.pi))
    return angle + change, -np.log(along**2 + across**2)


def _log_evidence(times: _Real, angles: _Real, doubt: _Real) -> _Real:
    """Restricted log likelihood of phases at times, summed over intensities, up to a constant.

    Args:
        times: (n,), 0 to 1.
        angles: (m, n).
        doubt: (n, n), covariance of the phases other than by motion.

    Returns:
        (m,).
    """
    first = np.minimum.outer(times, times)
    apart = np.abs(np.subtract.outer(times, times))
    motion = first**3 / 3 + 0.5 * apart * first**2
    line = np.stack((np.ones_like(times), times), axis=1)
    free = scipy.linalg.null_space(line.T)
    motion, doubt = free.T @ motion @ free, free.T @ doubt @ free
    # In this basis the covariances of all intensities are diagonal.
    by_doubt, basis = scipy.linalg.eigh(doubt, motion + doubt)
    variances = np.outer(_INTENSITIES, 1 - by_doubt) + by_doubt
    squares = (angles @ free @ basis) ** 2
    sums = -0.5 * (squares @ (1 / variances).T + np.log(variances).sum(axis=1))
    return np.asarray(np.logaddexp.reduce(sums, axis=1))
