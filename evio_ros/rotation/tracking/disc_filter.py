"""Kalman filter of a disc's centre and shape, measured by the phases that its sectors show.

Method: the state (shift x, y, shear 0, 1 and their rates) follows the white noise acceleration
model (Bar-Shalom, Li and Kirubarajan, Estimation with Applications to Tracking and Navigation,
2001, section 6.2.2). Updates are in information form (ibid., section 7.2): a slice gives the score
g and the Fisher information J of the phase's offset (p) and of the disc (d), see `likelihood`. The
phase filter gives a prior of the offset with variance V. The offset is eliminated by a Schur
complement,

    A = J_dd - J_dp J_pd / (J_pp + 1 / V),    b = g_d - J_dp (g_p + offset / V) / (J_pp + 1 / V)

With the prior covariance P of the disc and its state m, P becomes P - P (I + A P)^-1 A P and m
becomes m + P_new (b - A m). The rates are updated through their covariance with the disc.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse, wrapped_tilt
from evio_ros.rotation.tracking.likelihood import GEOMETRY, Score
from evio_ros.rotation.tracking.phase_filter import process_noise_factor

__all__ = ["DiscFilter"]

_Real = NDArray[np.float64]
_Matrix = tuple[tuple[float, float], tuple[float, float]]

_FIRST_SHIFT_PX = 2.0
_FIRST_SHEAR = 0.1
_FIRST_VELOCITY_PX_S = 50.0
_FIRST_SHEAR_RATE = 0.3
"""Standard deviations of a disc that was just found, in px, 1, px/s and 1/s. Fitted to simulated
recordings."""
_FIRST_PX_PER_BLADE = 1.0
_FIRST_SHEAR_PER_BLADE = 0.02
"""Bounds of the same, as the change until the next blade passes: a larger change could not be
distinguished from the blades' own motion. Fitted to simulated recordings."""
_LARGEST_ERROR = 0.01
"""Shift in radii, or shear, beyond which pixels are mapped anew: a pixel at the rim of a disc with
a radius of 100 pixels. Its second-order effect, which the score neglects, is 1e-4 rad."""

_LEAST_VARIANCE = 1e-12
"""Minimum variance of the phase in rad^2, that of a microradian; avoids a division by 0."""


class DiscFilter:
    """Position and velocity, shape and rate of change of the shape of a disc.

    The state is the difference between the true disc and `ellipse`, with which pixels are mapped,
    in radii of the disc.

    Args:
        ellipse: initial disc.
        agility_px_s: process noise of the velocity: standard deviation of its change in one second,
            in px/s.
        shear_agility: process noise of the shear rate: standard deviation of its change in one
            second, in 1/s.
        blade_period_s: time from one blade to the next in s.

    Attributes:
        ellipse: the disc that measurements refer to.
    """

    def __init__(
        self, ellipse: Ellipse, agility_px_s: float, shear_agility: float, blade_period_s: float
    ) -> None:
        self.ellipse = ellipse
        # Between two blades, motion of the disc cannot be distinguished from a change of speed.
        factor = process_noise_factor(blade_period_s)
        self._process_noise = agility_px_s * factor, shear_agility * factor
        # Shift x, y, shear 0, 1, and their changes a second.
        self._state = np.zeros(2 * GEOMETRY)
        self._covariance = self._first_covariance(factor, blade_period_s)
        self._noise_power = self._make_noise_power()

    def _first_covariance(self, factor: float, blade_period_s: float) -> _Real:
        """Covariance (8, 8) of a disc that was just found."""
        shear = min(_FIRST_SHEAR, 0.5 * _FIRST_SHEAR_PER_BLADE / blade_period_s)
        velocity_px_s = min(_FIRST_VELOCITY_PX_S, _FIRST_PX_PER_BLADE / blade_period_s)
        shear_rate = min(_FIRST_SHEAR_RATE, _FIRST_SHEAR_PER_BLADE / blade_period_s)
        covariance = np.zeros((2 * GEOMETRY, 2 * GEOMETRY))
        covariance[:2, :2] = self._in_radii(_FIRST_SHIFT_PX)
        covariance[2, 2] = covariance[3, 3] = shear**2
        covariance[4:6, 4:6] = self._in_radii(factor * velocity_px_s)
        covariance[6, 6] = covariance[7, 7] = (factor * shear_rate) ** 2
        return covariance

    @property
    def best_ellipse(self) -> Ellipse:
        """The current estimate of the disc; its longer axis, the size of the rotor, is constant."""
        now = deformed(self.ellipse, *self._state[:GEOMETRY].tolist())
        kept = self.ellipse.axes[0] / now.axes[0]
        return Ellipse(now.center, (now.axes[0] * kept, now.axes[1] * kept), now.tilt_rad)

    def ellipse_before(self, seconds: float) -> Ellipse:
        """The current estimate of the disc, moved back to where it was some seconds ago.

        Its shape is that of now.
        """
        now = self.best_ellipse
        x, y = np.subtract(now.center, np.multiply(self.velocity_px_s, seconds))
        return Ellipse((float(x), float(y)), now.axes, now.tilt_rad)

    @property
    def velocity_px_s(self) -> tuple[float, float]:
        """Velocity of the centre in x and y, px/s."""
        return _times(_to_image(self.ellipse), *self._state[4:6].tolist())

    @property
    def center_std_px(self) -> tuple[float, float]:
        """Standard deviations of the centre's x and y in px."""
        (xx, xy), (_, yy) = self._covariance[:2, :2].tolist()
        x, y = (
            math.sqrt(max(a * a * xx + 2 * a * b * xy + b * b * yy, 0.0))
            for a, b in _to_image(self.ellipse)
        )
        return x, y

    def phase_given(self, score: Score) -> tuple[float, float]:
        """Phase offset that slices show, given the current estimate of the disc.

        Args:
            score: score of slices that were counted with `ellipse`.

        Returns:
            The offset in rad, in addition to the one at which the score was computed, and the part
            of its variance that is due to the disc. Both are infinite if the slices carry no
            information.
        """
        return _phase_given(self._state, self._covariance, score.gradient, score.information)

    def predict(self, seconds: float) -> None:
        """Predict the state by a number of seconds."""
        _predict(self._state, self._covariance, self._noise_power, seconds)

    def update(
        self, score: Score, offset_rad: float, offset_variance: float, over_dispersion: float
    ) -> None:
        """Update with slices.

        Args:
            score: score of slices that were counted with `ellipse`.
            offset_rad: phase by the phase filter minus the phase at which the score was computed.
            offset_variance: its variance in rad^2, to which `_LEAST_VARIANCE` is added.
            over_dispersion: factor by which the variance of the sectors' phases exceeds what the
                number of events explains.
        """
        _update(
            self._state,
            self._covariance,
            score.gradient,
            score.information,
            over_dispersion,
            offset_rad,
            offset_variance + _LEAST_VARIANCE,
        )

    def remap(self) -> bool:
        """Move `ellipse` to the current estimate if the difference is too large for linearisation.

        Returns:
            Whether it was moved.
        """
        if max(map(abs, self._state[:GEOMETRY].tolist())) <= _LARGEST_ERROR:
            return False
        self.ellipse = self.best_ellipse
        self._state[:GEOMETRY] = 0.0
        self._noise_power = self._make_noise_power()
        return True

    def _in_radii(self, deviation_px: float) -> _Real:
        """Covariance (2, 2) in radii of a position with a standard deviation in each direction."""
        tilt, (a, b) = self.ellipse.tilt_rad, self.ellipse.axes
        to_disc = np.array(_stretch(tilt, 1 / a, 1 / b))
        return deviation_px**2 * (to_disc @ to_disc.T)

    def _make_noise_power(self) -> _Real:
        """Power (4, 4) of the white acceleration, in radii."""
        power = np.zeros((GEOMETRY, GEOMETRY))
        power[:2, :2] = self._in_radii(self._process_noise[0])
        power[2, 2] = power[3, 3] = self._process_noise[1] ** 2
        return power


@njit(cache=True, nogil=True)
def _phase_given(state, covariance, gradient, information):
    """As `DiscFilter.phase_given`."""
    if information[0, 0] <= 0.0:
        return math.inf, math.inf
    of_disc, variance = 0.0, 0.0
    for i in range(GEOMETRY):
        of_disc += information[0, i + 1] * state[i]
        for j in range(GEOMETRY):
            variance += information[0, i + 1] * covariance[i, j] * information[0, j + 1]
    return (gradient[0] - of_disc) / information[0, 0], variance / information[0, 0] ** 2


@njit(cache=True, nogil=True)
def _predict(state, covariance, noise_power, dt):
    """Predict by dt seconds with white acceleration of power (4, 4), in place."""
    for i in range(GEOMETRY):
        state[i] += dt * state[i + GEOMETRY]
    for i in range(GEOMETRY):
        for j in range(2 * GEOMETRY):
            covariance[i, j] += dt * covariance[i + GEOMETRY, j]
    for j in range(GEOMETRY):
        for i in range(2 * GEOMETRY):
            covariance[i, j] += dt * covariance[i, j + GEOMETRY]
    for i in range(GEOMETRY):
        for j in range(GEOMETRY):
            covariance[i, j] += noise_power[i, j] * dt**3 / 3
            covariance[i, j + GEOMETRY] += noise_power[i, j] * dt**2 / 2
            covariance[i + GEOMETRY, j] += noise_power[i, j] * dt**2 / 2
            covariance[i + GEOMETRY, j + GEOMETRY] += noise_power[i, j] * dt


@njit(cache=True, nogil=True)
def _update(state, covariance, gradient, information, over_dispersion, offset, offset_variance):
    """Update the state (8,) and its covariance (8, 8) in place; see `DiscFilter.update`."""
    score, inner = _disc_score(
        gradient / over_dispersion, information / over_dispersion, offset, offset_variance
    )
    for i in range(GEOMETRY):
        for j in range(GEOMETRY):
            score[i] -= inner[i, j] * state[j]
    # Covariance after the update, in information form: P - P H' (I + A P)^-1 A H P. Written as
    # loops, because numba takes many seconds to compile its linear algebra.
    prior_score = np.empty(GEOMETRY)
    system = np.eye(GEOMETRY)
    for i in range(GEOMETRY):
        prior_score[i] = 0.0
        for j in range(GEOMETRY):
            prior_score[i] += covariance[i, j] * score[j]
            for k in range(GEOMETRY):
                system[i, j] += inner[i, k] * covariance[k, j]
    _solve(system, inner)
    for i in range(GEOMETRY):
        for j in range(GEOMETRY):
            score[i] -= inner[i, j] * prior_score[j]
    half = np.zeros((2 * GEOMETRY, GEOMETRY))
    for i in range(2 * GEOMETRY):
        for j in range(GEOMETRY):
            state[i] += covariance[i, j] * score[j]
            for k in range(GEOMETRY):
                half[i, j] += covariance[i, k] * inner[k, j]
    columns = covariance[:, :GEOMETRY].copy()
    for i in range(2 * GEOMETRY):
        for j in range(2 * GEOMETRY):
            for k in range(GEOMETRY):
                change = half[i, k] * columns[j, k] + half[j, k] * columns[i, k]
                covariance[i, j] -= 0.5 * change


@njit(cache=True, nogil=True)
def _disc_score(gradient, information, offset, offset_variance):
    """Eliminate the offset: score b (4,) and information A (4, 4) of the disc alone.

    Args:
        gradient, information: score (5,) and information (5, 5) of offset and disc.
        offset, offset_variance: prior of the offset.
    """
    phase = information[0, 0] + 1.0 / offset_variance
    phase_score = gradient[0] + offset / offset_variance
    inner = np.empty((GEOMETRY, GEOMETRY))
    score = np.empty(GEOMETRY)
    for i in range(GEOMETRY):
        score[i] = gradient[i + 1] - information[i + 1, 0] * phase_score / phase
        for j in range(GEOMETRY):
            inner[i, j] = (
                information[i + 1, j + 1] - information[i + 1, 0] * information[0, j + 1] / phase
            )
    return score, inner


@njit(cache=True, nogil=True)
def _solve(system, right):
    """Replace `right` (n, m) by the solution x of `system` (n, n) x = `right`, by elimination."""
    size = len(system)
    for i in range(size):
        pivot = i
        for k in range(i + 1, size):
            if abs(system[k, i]) > abs(system[pivot, i]):
                pivot = k
        for j in range(size):
            system[i, j], system[pivot, j] = system[pivot, j], system[i, j]
        for j in range(right.shape[1]):
            right[i, j], right[pivot, j] = right[pivot, j], right[i, j]
        for k in range(i + 1, size):
            factor = system[k, i] / system[i, i]
            for j in range(i + 1, size):
                system[k, j] -= factor * system[i, j]
            for j in range(right.shape[1]):
                right[k, j] -= factor * right[i, j]
    for i in range(size - 1, -1, -1):
        for j in range(right.shape[1]):
            for k in range(i + 1, size):
                right[i, j] -= system[i, k] * right[k, j]
            right[i, j] /= system[i, i]


def deformed(ellipse: Ellipse, x: float, y: float, shear_0: float, shear_1: float) -> Ellipse:
    """The ellipse of a disc that is displaced by (x, y) radii and deformed by a symmetric shear.

    Args:
        ellipse: the disc before.
        x, y: displacement on the disc, in its radii.
        shear_0, shear_1: the disc is stretched by the matrix 1 + [[s0, s1], [s1, -s0]].
    """
    (xx, xy), (_, yy) = to_image = _to_image(ellipse)
    shift_x, shift_y = _times(to_image, x, y)
    stretched = (
        (xx * (1 + shear_0) + xy * shear_1, xx * shear_1 + xy * (1 - shear_0)),
        (xy * (1 + shear_0) + yy * shear_1, xy * shear_1 + yy * (1 - shear_0)),
    )
    tilt, axes = _axes_of(stretched)
    return Ellipse(
        (ellipse.center[0] + shift_x, ellipse.center[1] + shift_y), axes, wrapped_tilt(tilt)
    )


def _axes_of(matrix: _Matrix) -> tuple[float, tuple[float, float]]:
    """Tilt and semi-axes of the ellipse that a matrix maps the unit circle to.

    Any (2, 2) matrix is a scaled rotation plus a scaled reflection.
    """
    (xx, xy), (yx, yy) = matrix
    rotation = 0.5 * (xx + yy), 0.5 * (yx - xy)
    reflection = 0.5 * (xx - yy), 0.5 * (yx + xy)
    tilt = 0.5 * (math.atan2(*rotation[::-1]) + math.atan2(*reflection[::-1]))
    turning, mirroring = math.hypot(*rotation), math.hypot(*reflection)
    return tilt, (turning + mirroring, abs(turning - mirroring))


def _times(matrix: _Matrix, x: float, y: float) -> tuple[float, float]:
    """Product of a matrix and the vector (x, y)."""
    (xx, xy), (yx, yy) = matrix
    return xx * x + xy * y, yx * x + yy * y


def _to_image(ellipse: Ellipse) -> _Matrix:
    """Matrix from displacements on the disc, in radii, to displacements in the image."""
    return _stretch(ellipse.tilt_rad, *ellipse.axes)


def _stretch(direction: float, along: float, across: float) -> _Matrix:
    """Matrix that stretches along and across a direction."""
    cosine, sine = math.cos(direction), math.sin(direction)
    mixed = (along - across) * cosine * sine
    return (
        (along * cosine**2 + across * sine**2, mixed),
        (mixed, along * sine**2 + across * cosine**2),
    )
