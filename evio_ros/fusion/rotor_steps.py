"""Compiled prediction and update steps of a rotor's filter.

A state is a mean (12,) and a covariance (12, 12) of hub x, y; its velocity; log a, log b; phase,
speed and acceleration ("rate"); and the slow errors of hub x, y and phase. `rotor_model` describes
their motion; a `Noise` is what drives them.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from evio_ros.fusion.unscented import (
    corrected,
    distance_of,
    positive_definite,
    sigma_points,
    weigh,
)
from evio_ros.units import RPM_PER_RAD_S

__all__ = [
    "LARGEST_LOG",
    "PHASE",
    "RATE",
    "SLOW_PHASE",
    "SLOW_X",
    "SPEED",
    "UNSIZED_ROWS",
    "Noise",
    "X",
    "innovations_of",
    "mean_covariance",
    "predicted",
    "predicted_motion",
    "updated_by_estimate",
    "updated_by_velocity",
]

_STATES = 12
# Places in a state.
X = 0
_VX = 2
_A = 4
PHASE = 6
SPEED = 7
RATE = 8
SLOW_X = 9
SLOW_PHASE = 11
_ROTATION = (PHASE, SPEED, RATE, SLOW_PHASE)
UNSIZED_ROWS = 5
"""Number of values measured at a window's end without the semi-axes, which are two more."""
LARGEST_LOG = 20.0
"""Greatest logarithm of a semi-axis in px; no sensor is so large."""
_AMBIGUOUS_RAD = 0.7
"""Beyond this standard deviation, the difference of two phases is ambiguous by whole turns and does
not correct the speed."""
_NONE, _FULL = 1.0, 3.0
"""Thresholds of the firm shrinkage, in standard deviations: an acceleration up to the first is set
to 0, one from the second on is kept."""
_MOTION = (PHASE, SPEED, X, X + 1, _VX, _VX + 1, RATE)
"""Elements of the covariance of a `RotorMotion`."""

Noise = tuple[float, float, float, float, float, float]
"""Powers of the hub's acceleration, the random walk of the log semi-axes and the phase's jerk;
variances of the slow errors of hub and phase, and their correlation time in s."""


@njit(cache=True, nogil=True)
def predicted(mean, covariance, dt, noise):
    """Mean and covariance after dt seconds; copies of them if dt is not above 0.

    The step is linear, for which the unscented transform is exact, so it is written out.

    Args:
        mean, covariance: (12,) and (12, 12).
        dt: seconds.
        noise: see `Noise`.
    """
    moved = mean.copy()
    spread = covariance.copy()
    if dt <= 0.0:
        return moved, spread
    kept = math.exp(-dt / noise[5])
    # Rows, then columns.
    for turn in range(2):
        for j in range(_STATES):
            _move(spread[:, j] if turn == 0 else spread[j], dt, kept)
    _move(moved, dt, kept)
    for x in range(2):
        spread[X + x, X + x] += noise[0] * dt**3 / 3
        spread[X + x, _VX + x] += noise[0] * dt**2 / 2
        spread[_VX + x, X + x] += noise[0] * dt**2 / 2
        spread[_VX + x, _VX + x] += noise[0] * dt
        spread[_A + x, _A + x] += noise[1] * dt
        spread[SLOW_X + x, SLOW_X + x] += noise[3] * (1.0 - kept * kept)
    spread[SLOW_PHASE, SLOW_PHASE] += noise[4] * (1.0 - kept * kept)
    _add_jerk(spread, PHASE, noise[2], dt)
    for i in range(_STATES):
        for j in range(i):
            spread[i, j] = spread[j, i] = 0.5 * (spread[i, j] + spread[j, i])
    return moved, positive_definite(spread)


@njit(cache=True, nogil=True)
def _move(state, dt, kept):
    """Move a state, in place, on by dt seconds."""
    for x in range(2):
        state[X + x] += dt * state[_VX + x]
    state[PHASE] += dt * (state[SPEED] + 0.5 * dt * state[RATE])
    state[SPEED] += dt * state[RATE]
    for x in range(SLOW_X, _STATES):
        state[x] *= kept


@njit(cache=True, nogil=True)
def updated_by_estimate(mean, covariance, times, noise, speed, values, variances):
    """Update a state by an estimate: its mean speed at one time, all else at a later one.

    Args:
        mean, covariance: the state before.
        times: s from the state to the time at which the speed is applied, from there to the time of
            the rest, and the lag of the former behind the time that the speed refers to.
        noise: see `Noise`.
        speed: rad/s, and its variance.
        values, variances: (5,) or (7,) of phase, hub, its velocity and semi-axes.

    Returns:
        Mean and covariance at the later time, and the squared Mahalanobis distances of the
        innovations of the rotation (two values) and of the rest.
    """
    mean, covariance = predicted(mean, covariance, times[0], noise)
    points, root = sigma_points(mean, covariance)
    measured = np.array([speed[0]])
    weighed = weigh(root, _expected_speed(points, times[2]), measured, np.array([[speed[1]]]), 0)
    mean, covariance, distance = _corrected_state(mean, root, weighed, 1)
    mean, covariance = predicted(mean, covariance, times[1], noise)
    if covariance[PHASE, PHASE] > _AMBIGUOUS_RAD**2:
        variance = covariance[PHASE, PHASE]
        covariance[PHASE, :] = covariance[:, PHASE] = 0.0
        covariance[PHASE, PHASE] = variance
    points, root = sigma_points(mean, covariance)
    rows = len(values)
    weighed = weigh(root, _expected_values(points, rows), values, np.diag(variances), 1)
    hub_distance = distance_of(weighed[0], weighed[1], 1, rows)
    mean, covariance, phase_distance = _corrected_state(mean, root, weighed, 1)
    return mean, covariance, distance + phase_distance, hub_distance


@njit(cache=True, nogil=True)
def innovations_of(mean, covariance, times, noise, speed, phase, jerks):
    """Innovations of an estimate's speed and phase for several powers of jerk.

    Args:
        mean, covariance, times, noise: see `updated_by_estimate`; the power of jerk in `noise` is
            not used.
        speed: rad/s, its variance without jerk, and the variance that each unit of the power of
            jerk adds.
        phase: rad, and its variance.
        jerks: (n,) powers of jerk.

    Returns:
        (n, 4): innovation of the speed, its variance, innovation of the phase, its variance.
    """
    found = np.empty((len(jerks), 4))
    state = np.empty(4)
    spread = np.empty((4, 4))
    for k in range(len(jerks)):
        for i in range(4):
            state[i] = mean[_ROTATION[i]]
            for j in range(4):
                spread[i, j] = covariance[_ROTATION[i], _ROTATION[j]]
        _predict_rotation(state, spread, times[0], noise, jerks[k])
        variance = speed[1] + speed[2] * jerks[k]
        off = speed[0] - (state[1] - times[2] * state[2])
        found[k, 0] = off
        found[k, 1] = _correct_by_value(state, spread, off, variance, (0.0, 1.0, -times[2], 0.0))
        _predict_rotation(state, spread, times[1], noise, jerks[k])
        if spread[0, 0] > _AMBIGUOUS_RAD**2:
            for i in range(1, 4):
                spread[0, i] = spread[i, 0] = 0.0
        off = phase[0] - (state[0] + state[3])
        off -= 2 * math.pi * np.round(off / (2 * math.pi))
        found[k, 2] = off
        found[k, 3] = _correct_by_value(state, spread, off, phase[1], (1.0, 0.0, 0.0, 1.0))
    return found


@njit(cache=True, nogil=True)
def _predict_rotation(state, spread, dt, noise, jerk):
    """Move phase, speed, acceleration and the phase's slow error on by dt seconds, in place."""
    if dt <= 0.0:
        return
    kept = math.exp(-dt / noise[5])
    for turn in range(2):
        for j in range(4):
            part = spread[:, j] if turn == 0 else spread[j]
            part[0] += dt * (part[1] + 0.5 * dt * part[2])
            part[1] += dt * part[2]
            part[3] *= kept
    state[0] += dt * (state[1] + 0.5 * dt * state[2])
    state[1] += dt * state[2]
    state[3] *= kept
    _add_jerk(spread, 0, jerk, dt)
    spread[3, 3] += noise[4] * (1.0 - kept * kept)


@njit(cache=True, nogil=True)
def _correct_by_value(state, spread, off, variance, row):
    """Update, in place, by the innovation `off` of one value; returns the innovation's variance."""
    cross = np.zeros(4)
    for i in range(4):
        for j in range(4):
            cross[i] += spread[i, j] * row[j]
    total = variance
    for i in range(4):
        total += row[i] * cross[i]
    for i in range(4):
        state[i] += cross[i] * off / total
        for j in range(4):
            spread[i, j] -= cross[i] * cross[j] / total
    return total


@njit(cache=True, nogil=True)
def _add_jerk(spread, first, power, dt):
    """Add the process noise of white jerk over dt seconds to a covariance, in place.

    Args:
        spread: the covariance.
        first: index of the phase in it; speed and acceleration follow.
        power: power of the jerk.
        dt: seconds.
    """
    jerk = (dt**5 / 20, dt**4 / 8, dt**3 / 6, dt**3 / 3, dt**2 / 2, dt)
    place = 0
    for i in range(3):
        for j in range(i, 3):
            spread[first + i, first + j] += power * jerk[place]
            if i != j:
                spread[first + j, first + i] += power * jerk[place]
            place += 1


@njit(cache=True, nogil=True)
def updated_by_velocity(mean, covariance, velocity, noise):
    """Update a state by a velocity of the hub; also gives its squared Mahalanobis distance.

    Args:
        mean, covariance: the state.
        velocity: (2,) px/s.
        noise: (2, 2) covariance of it; it need not be positive definite.
    """
    points, root = sigma_points(mean, covariance)
    expected = points[:, _VX : _VX + 2].copy()
    weighed = weigh(root, expected, velocity, positive_definite(noise), 0)
    return _corrected_state(mean, root, weighed, 2)


@njit(cache=True, nogil=True)
def _corrected_state(mean, root, weighed, counted):
    """The updated state, and the squared distance of the first `counted` values."""
    innovation, expected, gain, slopes, unexplained = weighed
    mean, covariance = corrected(mean, root, innovation, gain, slopes, unexplained)
    distance = distance_of(innovation, expected, 0, counted)
    return mean, positive_definite(covariance), distance


@njit(cache=True, nogil=True)
def _expected_speed(points, lag_s):
    """Speeds (m, 1) of states (m, 12), `lag_s` earlier."""
    values = np.empty((len(points), 1))
    for i in range(len(points)):
        values[i, 0] = points[i, SPEED] - lag_s * points[i, RATE]
    return values


@njit(cache=True, nogil=True)
def _expected_values(points, rows):
    """Expected measurements (m, rows) of states (m, 12) at the end of a window."""
    values = np.empty((len(points), rows))
    for i in range(len(points)):
        point = points[i]
        values[i, 0] = point[PHASE] + point[SLOW_PHASE]
        for j in range(2):
            values[i, 1 + j] = point[X + j] + point[SLOW_X + j]
            values[i, 3 + j] = point[_VX + j]
            if rows > UNSIZED_ROWS:
                values[i, 5 + j] = math.exp(min(point[_A + j], LARGEST_LOG))
    return values


@njit(cache=True, nogil=True)
def predicted_motion(mean, covariance, dt, noise, usual):
    """Motion dt seconds after a state, with an acceleration only as far as it is significant.

    Most rotors hold their speed, and an acceleration within its standard deviation is noise whose
    effect on the phase grows with the square of the time. So it is shrunk (firm shrinkage: Gao and
    Bruce, WaveShrink with firm shrinkage, 1997), and the other elements are corrected by their
    covariance with it. The covariance itself stays.

    Args:
        mean, covariance: the state.
        dt: seconds.
        noise: see `Noise`.
        usual: recent mean square of the acceleration over its variance.

    Returns:
        Mean (12,), and covariance (7, 7) of phase, speed, hub x, y, its velocity and acceleration.
    """
    variance, rate = covariance[RATE, RATE], mean[RATE]
    size = math.sqrt(max(usual, rate * rate / variance))
    kept = _FULL / (_FULL - _NONE) * (1.0 - _NONE / size) if size > _NONE else 0.0
    shrunk = mean - covariance[:, RATE] * (max(1.0 - kept, 0.0) * rate / variance)
    moved, spread = predicted(shrunk, covariance, dt, noise)
    motion = np.empty((len(_MOTION), len(_MOTION)))
    for i in range(len(_MOTION)):
        for j in range(len(_MOTION)):
            motion[i, j] = spread[_MOTION[i], _MOTION[j]]
    return moved, motion


@njit(cache=True, nogil=True)
def mean_covariance(motion, window_s):
    """Covariance (6, 6) of angle, mean rpm over the last window_s, hub and its velocity."""
    half_s = 0.5 * window_s
    covariance = motion[:6, :6].copy()
    for i in range(6):
        covariance[1, i] -= half_s * motion[6, i]
    covariance[1, 1] -= half_s * (motion[1, 6] - half_s * motion[6, 6])
    for i in range(6):
        covariance[1, i] *= RPM_PER_RAD_S
        covariance[i, 1] = covariance[1, i]
    covariance[1, 1] *= RPM_PER_RAD_S
    return covariance
