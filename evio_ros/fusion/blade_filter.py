"""The blades of a rotor: positions and velocities of their tips.

Each blade has a Kalman filter of the position and velocity of its tip about the hub. Between
windows both are rotated on the disc by the angle that the rotor has turned: on an ellipse that is a
linear map, so no sine is ever linearised. The measurement is the geometry of hub, disc and phase.
These are filtered already, and their errors hardly differ from window to window, so the noises are
chosen such that the covariance settles at that of the geometry and does not shrink.

The equations are those of filterpy's `KalmanFilter`, with which a test compares them. All blades of
a rotor are updated in one call, because filterpy takes 0.1 ms for each.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.fusion.rotor_model import RotorMotion
from evio_ros.fusion.unscented import positive_definite, solve_rows
from evio_ros.rotor_state import BladeState

__all__ = ["BladeFilters"]

_Real = NDArray[np.float64]
_Disc = tuple[float, float, float, float]
"""Semi-axes in px and tilt in rad of a disc's image, and the angle of the first blade from the
longer semi-axis in rad."""

_MOST_BLADES = 16
_LEAST_STD_PX = 0.05
"""Minimum standard deviation of a tip's position."""
_LENGTH_STD = 0.01
"""Standard deviation of a blade's length, relative to the length."""
_LEAST_AXIS_PX = 1e-6
_MOST_CHANGE = 4.0
"""If a semi-axis changes by more than this factor between two windows, it is another disc."""
_NOISE_FACTOR = 2.0
"""With process noise as large as the geometry's, a measurement noise of twice that leaves a
covariance of just that: p = k 2, k = p' / (p' + 2), p' = p + 1 give p = 1."""


class BladeFilters:
    """The blades of one rotor.

    Args:
        blade_count: number of blades; with more than 16, no blade is tracked.
    """

    def __init__(self, blade_count: int) -> None:
        self.blade_count = blade_count
        self._tracked = blade_count if blade_count <= _MOST_BLADES else 0
        self._previous: RotorMotion | None = None
        self._disc = 1.0, 1.0, 0.0, 0.0
        self._tips: _Real = np.empty((0, 4))
        self._covariances: _Real = np.empty((0, 4, 4))

    def update(self, motion: RotorMotion, tilt_rad: float) -> None:
        """Update with a measured motion; one that is not later than the last is ignored."""
        if not self._tracked or (self._previous is not None and motion.t_us <= self._previous.t_us):
            return
        disc = _disc_of(motion, tilt_rad)
        found = None
        if self._previous is not None and _is_alike(self._disc, disc):
            found = _updated(
                self._tips,
                self._covariances,
                self._disc,
                disc,
                motion.speed_rad_s,
                motion.covariance,
            )
        self._tips, self._covariances = _repaired(found) or self._initial(disc, motion)
        self._previous, self._disc = motion, disc

    def at(self, motion: RotorMotion, tilt_rad: float) -> tuple[BladeState, ...]:
        """The blades of a rotor at a time, predicted from the last update."""
        if self._previous is None:
            return ()
        disc = _disc_of(motion, tilt_rad)
        found = None
        if _is_alike(self._disc, disc):
            found = _predicted(
                self._tips,
                self._covariances,
                self._disc,
                disc,
                motion.speed_rad_s,
                self._previous.covariance,
                motion.covariance,
            )
        tips, covariances = _repaired(found) or self._initial(disc, motion)
        x0, y0 = motion.center
        vx0, vy0 = motion.velocity
        pitch = 2 * math.pi / self._tracked
        return tuple(
            BladeState(
                index,
                (motion.phase_rad + index * pitch) % (2 * math.pi),
                (x0 + x, y0 + y),
                (vx0 + vx, vy0 + vy),
                covariances[index],
            )
            for index, (x, y, vx, vy) in enumerate(tips.tolist())
        )

    def _initial(self, disc: _Disc, motion: RotorMotion) -> tuple[_Real, _Real]:
        """Tips and covariances from the geometry alone."""
        tips, covariances, _ = _geometry(disc, motion.speed_rad_s, motion.covariance, self._tracked)
        _repair(tips, covariances)
        return tips, covariances


def _disc_of(motion: RotorMotion, tilt_rad: float) -> _Disc:
    a, b = motion.axes
    return max(a, _LEAST_AXIS_PX), max(b, _LEAST_AXIS_PX), tilt_rad, motion.phase_rad - tilt_rad


def _is_alike(first: _Disc, second: _Disc) -> bool:
    """Whether two images can be of one disc: no semi-axis differs by too much."""
    (a0, b0, *_), (a1, b1, *_) = first, second
    is_longer_alike = a0 <= _MOST_CHANGE * a1 and a1 <= _MOST_CHANGE * a0
    return is_longer_alike and b0 <= _MOST_CHANGE * b1 and b1 <= _MOST_CHANGE * b0


def _repaired(found: tuple[_Real, _Real] | None) -> tuple[_Real, _Real] | None:
    """Tips with valid covariances; None if numbers have overflowed."""
    return found if found is not None and _repair(*found) else None


@njit(cache=True, nogil=True)
def _repair(tips, covariances):
    """Make covariances symmetric and positive definite again, in place, after rounding errors.

    Returns:
        Whether all numbers are finite; blades after the first for which they are not stay as they
        are.
    """
    for blade in range(len(covariances)):
        total = tips[blade].sum() + covariances[blade].sum()
        if not math.isfinite(total):
            return False
        for i in range(4):
            for j in range(i):
                mean = 0.5 * (covariances[blade, i, j] + covariances[blade, j, i])
                covariances[blade, i, j] = covariances[blade, j, i] = mean
        covariances[blade] = positive_definite(covariances[blade].copy())
    return True


@njit(cache=True, nogil=True)
def _updated(tips, covariances, was, now, speed, covariance):
    """Positions, velocities and covariances of tips after a rotor is measured.

    Args:
        tips, covariances: (n, 4) and (n, 4, 4) when it was measured before.
        was, now: its disc then and now, as of `_disc_of`.
        speed, covariance: rad/s, and as of `RotorMotion`.
    """
    places, noises, _ = _geometry(now, speed, covariance, len(tips))
    tips, covariances = _turned(tips, covariances, was, now)
    return _filtered(tips, covariances + noises, places, _NOISE_FACTOR * noises)


@njit(cache=True, nogil=True)
def _predicted(tips, covariances, was, now, speed, before, covariance):
    """The same at a later time; `before` is the rotor's covariance when it was measured."""
    _, _, along = _geometry(now, speed, covariance, len(tips))
    tips, covariances = _turned(tips, covariances, was, now)
    _grow(covariances, along, before, covariance)
    return tips, covariances


@njit(cache=True, nogil=True)
def _geometry(disc, speed, covariance, blades):
    """Blades about the hub.

    Args:
        disc: semi-axes and tilt, and angle of the first blade, as of `_disc_of`.
        speed: rad/s.
        covariance: of phase and speed, and more.
        blades: their number.

    Returns:
        (n, 4) positions and velocities of the tips, (n, 4, 4) covariances of what phase, speed and
        length leave open, and (n, 4, 2) derivatives by phase and speed.
    """
    a, b, tilt, angle = disc
    places = np.empty((blades, 4))
    noises = np.zeros((blades, 4, 4))
    along = np.zeros((blades, 4, 2))
    for blade in range(blades):
        theta = angle + 2 * math.pi * blade / blades
        for i in range(2):
            first = a * (math.cos(tilt) if i == 0 else math.sin(tilt))
            second = b * (-math.sin(tilt) if i == 0 else math.cos(tilt))
            out = first * math.cos(theta) + second * math.sin(theta)
            tangent = second * math.cos(theta) - first * math.sin(theta)
            places[blade, i], places[blade, 2 + i] = out, speed * tangent
            along[blade, i, 0], along[blade, 2 + i, 0] = tangent, -speed * out
            along[blade, 2 + i, 1] = tangent
        for i in range(4):
            for j in range(4):
                total = _LENGTH_STD**2 * places[blade, i] * places[blade, j]
                for s in range(2):
                    for t in range(2):
                        total += along[blade, i, s] * covariance[s, t] * along[blade, j, t]
                noises[blade, i, j] = total
            floor = _LEAST_STD_PX if i < 2 else _LEAST_STD_PX * max(abs(speed), 1.0)
            noises[blade, i, i] += floor * floor
    return places, noises, along


@njit(cache=True, nogil=True)
def _turned(tips, covariances, was, now):
    """Positions, velocities and covariances after a disc has turned, and its image changed."""
    a, b, tilt, angle = now
    a0, b0, tilt0, angle0 = was
    c, s = math.cos(angle - angle0), math.sin(angle - angle0)
    # Along and across the axes of the image before, turned on the disc, to the image now.
    xx, xy, yx, yy = a * c / a0, -a * s / b0, b * s / a0, b * c / b0
    turn = np.empty((2, 2))
    for i in range(2):
        first = math.cos(tilt) if i == 0 else math.sin(tilt)
        second = -math.sin(tilt) if i == 0 else math.cos(tilt)
        along, across = first * xx + second * yx, first * xy + second * yy
        turn[i, 0] = along * math.cos(tilt0) - across * math.sin(tilt0)
        turn[i, 1] = along * math.sin(tilt0) + across * math.cos(tilt0)
    moved = np.empty_like(tips)
    spread = np.empty_like(covariances)
    for blade in range(len(tips)):
        for k in range(0, 4, 2):
            for i in range(2):
                total = 0.0
                for j in range(2):
                    total += turn[i, j] * tips[blade, k + j]
                moved[blade, k + i] = total
                for m in range(0, 4, 2):
                    for n in range(2):
                        total = 0.0
                        for j in range(2):
                            for o in range(2):
                                share = turn[i, j] * turn[n, o]
                                total += share * covariances[blade, k + j, m + o]
                        spread[blade, k + i, m + n] = total
    return moved, spread


@njit(cache=True, nogil=True)
def _grow(covariances, along, before, now):
    """Add, in place, what has become less certain since: phase and speed; and the hub."""
    for blade in range(len(covariances)):
        for i in range(4):
            for j in range(4):
                covariances[blade, i, j] += now[2 + i, 2 + j]
                for s in range(2):
                    grown = max(now[s, s] - before[s, s], 0.0)
                    covariances[blade, i, j] += along[blade, i, s] * grown * along[blade, j, s]


@njit(cache=True, nogil=True)
def _filtered(tips, covariances, measured, noises):
    """The measurement step of each blade's Kalman filter, where the whole state is measured.

    The covariance is updated as the parallel sum P (P + R)^-1 R, which stays one.
    """
    results = tips.copy()
    updated = np.empty_like(covariances)
    for blade in range(len(tips)):
        # K = P (P + R)^-1, and both are symmetric.
        both = positive_definite(covariances[blade] + noises[blade])
        gain = solve_rows(both, covariances[blade])
        for i in range(4):
            for j in range(4):
                results[blade, i] += gain[i, j] * (measured[blade, j] - tips[blade, j])
                total = 0.0
                for k in range(4):
                    total += 0.5 * gain[i, k] * noises[blade, k, j]
                    total += 0.5 * gain[j, k] * noises[blade, k, i]
                updated[blade, i, j] = total
    return results, updated
