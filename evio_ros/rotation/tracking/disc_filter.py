"""Following a disc's centre and shape by the phase that its sectors show: a Kalman filter."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.rotation.tracking.score import GEOMETRY, SliceInformation

__all__ = ["DiscFilter", "deformed"]

Real = NDArray[np.float64]
Matrix = tuple[tuple[float, float], tuple[float, float]]

FIRST_SHIFT_PX = 2.0
FIRST_SHEAR = 0.1
FIRST_VELOCITY_PX_S = 50.0
FIRST_SHEAR_RATE = 0.3
"""What may be wrong at first, as standard deviations."""
FIRST_PASSAGE_PX = 1.0
FIRST_PASSAGE_SHEAR = 0.02
"""How far a disc may have gone, or changed, when the next blade comes."""
QUICK_PASSAGE_S = 0.02
"""Where blades follow more slowly, the disc's motion must be calmer: from one blade to the next it
could not be told from a change of speed."""
LARGEST_ERROR = 0.01
"""Shift in radii, or shear, beyond which pixels are mapped anew."""


class DiscFilter:
    """Position, velocity, shape and its change of a disc.

    The state is the difference of the true disc from `ellipse`, the one that pixels are mapped
    with, in radii of the disc: shift x, y, shear 0, 1 and their changes a second.

    Args:
        ellipse: first guess.
        agility_px_s: random walk of the velocity, px/s in a second.
        shear_agility: random walk of the change of shape, 1/s in a second.
        period_s: time from one blade to the next.

    Attributes:
        ellipse: the disc that measurements refer to.
    """

    def __init__(
        self, ellipse: Ellipse, agility_px_s: float, shear_agility: float, period_s: float
    ) -> None:
        self.ellipse = ellipse
        calm = min(1.0, QUICK_PASSAGE_S / period_s) ** 3
        self._agility = agility_px_s * calm, shear_agility * calm
        self._state = np.zeros(2 * GEOMETRY)
        self._covariance = np.zeros((2 * GEOMETRY, 2 * GEOMETRY))
        self._covariance[:2, :2] = self._in_radii(FIRST_SHIFT_PX)
        self._covariance[2, 2] = self._covariance[3, 3] = (
            min(FIRST_SHEAR, 0.5 * FIRST_PASSAGE_SHEAR / period_s) ** 2
        )
        self._covariance[4:6, 4:6] = self._in_radii(
            calm * min(FIRST_VELOCITY_PX_S, FIRST_PASSAGE_PX / period_s)
        )
        self._covariance[6, 6] = self._covariance[7, 7] = (
            calm * min(FIRST_SHEAR_RATE, FIRST_PASSAGE_SHEAR / period_s)
        ) ** 2
        self._walk = self._make_walk()

    @property
    def best_ellipse(self) -> Ellipse:
        """The disc as it is believed to be now; its longer axis, the rotor's size, stays."""
        ellipse = deformed(self.ellipse, *self._state[:GEOMETRY].tolist())
        return ellipse.scaled(self.ellipse.axes[0] / ellipse.axes[0])

    @property
    def velocity_px_s(self) -> tuple[float, float]:
        """Motion of the centre in pixels a second."""
        return _times(_to_image(self.ellipse), *self._state[4:6].tolist())

    @property
    def motion(self) -> tuple[float, float]:
        """Speed of the disc in radii a second, and of its shape in units of shear a second.

        Without what the filter's uncertainty alone makes of them, so near 0 for a disc at rest.
        """
        squares = self._state[GEOMETRY:] ** 2 - self._covariance.diagonal()[GEOMETRY:]
        x, y, *shear = np.maximum(squares, 0.0).tolist()
        return math.sqrt(x + y), math.sqrt(sum(shear))

    @property
    def center_std_px(self) -> tuple[float, float]:
        """Standard deviations of the centre's x and y in pixels."""
        to_image = np.array(_to_image(self.ellipse))
        variances = (to_image @ self._covariance[:2, :2] @ to_image.T).diagonal()
        x, y = np.sqrt(np.maximum(variances, 0.0)).tolist()
        return x, y

    def phase_offset(self, seen: SliceInformation) -> tuple[float, float]:
        """What a slice says of the phase, for the disc as it is believed to be.

        Returns:
            The offset beyond that with which the slice was measured, in radians, and its variance
            from the disc alone; infinite where the slice says nothing.
        """
        return _phase_offset(seen.score, seen.information, self._state, self._covariance)

    def predict(self, seconds: float) -> None:
        """Let time pass."""
        _predict(self._state, self._covariance, self._walk, seconds)

    def update(
        self,
        seen: SliceInformation,
        expected_offset: float,
        phase_variance: float,
        excess: float,
    ) -> None:
        """Take in a slice.

        Args:
            seen: the slice's information, measured with `ellipse`.
            expected_offset: of the phase, from that with which the slice was measured.
            phase_variance: its variance.
            excess: how much larger the variance of phases is than events alone explain.
        """
        _update(
            self._state,
            self._covariance,
            seen.score,
            seen.information,
            excess,
            expected_offset,
            phase_variance,
        )

    def remap(self) -> None:
        """Move `ellipse` to where the disc is believed to be."""
        self.ellipse = self.best_ellipse
        self._state[:GEOMETRY] = 0.0
        self._walk = self._make_walk()

    def is_off(self) -> bool:
        """Whether the disc has left `ellipse` by more than a straight line describes well."""
        return bool(_largest(self._state) > LARGEST_ERROR)

    def _in_radii(self, deviation_px: float) -> Real:
        tilt, (a, b) = self.ellipse.tilt_rad, self.ellipse.axes
        to_disc = np.array(_stretch(tilt, 1 / a, 1 / b))
        return deviation_px**2 * (to_disc @ to_disc.T)

    def _make_walk(self) -> Real:
        walk = np.zeros((GEOMETRY, GEOMETRY))
        walk[:2, :2] = self._in_radii(self._agility[0])
        walk[2, 2] = walk[3, 3] = self._agility[1] ** 2
        return walk


@njit(cache=True, nogil=True)
def _phase_offset(score, information, state, covariance):
    if information[0, 0] <= 0.0:
        return math.inf, math.inf
    pushed, uncertain = 0.0, 0.0
    for i in range(GEOMETRY):
        pushed += information[0, i + 1] * state[i]
        for j in range(GEOMETRY):
            uncertain += information[0, i + 1] * covariance[i, j] * information[0, j + 1]
    return (score[0] - pushed) / information[0, 0], uncertain / information[0, 0] ** 2


@njit(cache=True, nogil=True)
def _predict(state, covariance, walk, dt):
    for i in range(4):
        state[i] += dt * state[i + 4]
    for i in range(4):
        for j in range(8):
            covariance[i, j] += dt * covariance[i + 4, j]
    for j in range(4):
        for i in range(8):
            covariance[i, j] += dt * covariance[i, j + 4]
    for i in range(4):
        for j in range(4):
            covariance[i, j] += walk[i, j] * dt**3 / 3
            covariance[i, j + 4] += walk[i, j] * dt**2 / 2
            covariance[i + 4, j] += walk[i, j] * dt**2 / 2
            covariance[i + 4, j + 4] += walk[i, j] * dt


@njit(cache=True, nogil=True)
def _largest(state):
    """Largest shift or shear."""
    largest = 0.0
    for i in range(GEOMETRY):
        largest = max(largest, abs(state[i]))
    return largest


@njit(cache=True, nogil=True)
def _update(state, covariance, score, information, excess, offset, phase_variance):
    score, information = score / excess, information / excess
    # The phase is not known for sure: integrate it out.
    phase = information[0, 0] + 1.0 / phase_variance
    phase_score = score[0] + offset / phase_variance
    inner = np.empty((4, 4))
    push = np.empty(4)
    for i in range(4):
        push[i] = score[i + 1] - information[i + 1, 0] * phase_score / phase
        for j in range(4):
            inner[i, j] = (
                information[i + 1, j + 1] - information[i + 1, 0] * information[0, j + 1] / phase
            )
    for i in range(4):
        for j in range(4):
            push[i] -= inner[i, j] * state[j]
    # Covariance after the measurement, in information form: P - P H' (I + A S)^-1 A H P.
    prior = covariance[:4, :4].copy()
    gain_inner = np.linalg.solve(np.eye(4) + inner @ prior, inner)
    columns = covariance[:, :4].copy()
    rest = push - gain_inner @ (prior @ push)
    change = columns @ rest
    for i in range(8):
        state[i] += change[i]
    smaller = columns @ gain_inner @ columns.T
    for i in range(8):
        for j in range(8):
            covariance[i, j] -= 0.5 * (smaller[i, j] + smaller[j, i])


def deformed(ellipse: Ellipse, x: float, y: float, shear_0: float, shear_1: float) -> Ellipse:
    """The ellipse whose disc is displaced by (x, y) radii and stretched by the exp of a shear."""
    (xx, xy), (_, yy) = to_image = _to_image(ellipse)
    shift_x, shift_y = _times(to_image, x, y)
    stretched = (
        (xx * (1 + shear_0) + xy * shear_1, xx * shear_1 + xy * (1 - shear_0)),
        (xy * (1 + shear_0) + yy * shear_1, xy * shear_1 + yy * (1 - shear_0)),
    )
    tilt, axes = _axes_of(stretched)
    wrapped = (tilt + math.pi / 2) % math.pi - math.pi / 2
    return Ellipse((ellipse.center[0] + shift_x, ellipse.center[1] + shift_y), axes, wrapped)


def _axes_of(matrix: Matrix) -> tuple[float, tuple[float, float]]:
    """Direction of the longer axis, and both semi-axes, of a matrix's image of the unit circle.

    Any matrix is a rotation with a scale plus a reflection with a scale.
    """
    (xx, xy), (yx, yy) = matrix
    rotation = 0.5 * (xx + yy), 0.5 * (yx - xy)
    reflection = 0.5 * (xx - yy), 0.5 * (yx + xy)
    tilt = 0.5 * (math.atan2(*rotation[::-1]) + math.atan2(*reflection[::-1]))
    turning, mirroring = math.hypot(*rotation), math.hypot(*reflection)
    return tilt, (turning + mirroring, abs(turning - mirroring))


def _times(matrix: Matrix, x: float, y: float) -> tuple[float, float]:
    (xx, xy), (yx, yy) = matrix
    return xx * x + xy * y, yx * x + yy * y


def _to_image(ellipse: Ellipse) -> Matrix:
    """Matrix from displacements on the disc, in radii, to displacements in the image."""
    return _stretch(ellipse.tilt_rad, *ellipse.axes)


def _stretch(direction: float, along: float, across: float) -> Matrix:
    """Matrix that stretches along and across a direction."""
    cosine, sine = math.cos(direction), math.sin(direction)
    mixed = (along - across) * cosine * sine
    return (
        (along * cosine**2 + across * sine**2, mixed),
        (mixed, along * sine**2 + across * cosine**2),
    )
