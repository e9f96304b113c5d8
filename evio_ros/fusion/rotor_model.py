"""How a rotor moves, and what a detector says of it: the model behind `RotorFilter`.

The state has twelve elements, in rad, pixels and seconds:

    hub x, y and its velocity    white acceleration
    log a, log b                 semi-axes, a random walk
    phase, speed, rate           the phase counts turns and is never wrapped; white jerk
    slow x, y, phase             errors of the detector's hub and phase that last

A detector's estimate is two measurements: the mean speed of its window, which is the speed in its
middle; and at its end phase, hub x, y, its velocity x, y, and the semi-axes. docs/fusion.md has it
written out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.estimate import RotorEstimate
from evio_ros.fusion.unscented import positive_definite
from evio_ros.parameters import Parameters, parameter

__all__ = [
    "PHASE",
    "SPEED",
    "UNKNOWN_CENTER_PX",
    "FilterParameters",
    "RotorMotion",
    "State",
    "begin",
    "expected_phase",
    "expected_speed",
    "expected_values",
    "expected_velocity",
    "measured_speed",
    "measured_values",
    "predicted",
    "scale_of",
    "slow_phase_rad",
]

_Real = NDArray[np.float64]

_STATES = 12
_X, _VX, _A = 0, 2, 4
PHASE = 6
SPEED = 7
_RATE, _SLOW_X, _SLOW_PHASE = 8, 9, 11
_UNSIZED_ROWS, _ALL_ROWS = 5, 7
"""Values measured at a window's end, without and with the semi-axes."""

_TOLD_ROWS, _TOLD_COLUMNS = np.ix_(*[[PHASE, SPEED, _X, _X + 1, _VX, _VX + 1, _RATE]] * 2)
"""Where in the state's covariance that of a `RotorMotion` is."""

_SLOWEST_RAD_S = 1.0
"""Slower rotors may change as one of this speed does, a sixth of a turn a second."""
_LEAST_ANGLE_RAD = 1e-5
_LEAST_SPEED = 1e-7
_LEAST_CENTER_PX = 0.01
"""No estimate is better than this, whatever it claims; speeds as a share."""
UNKNOWN_CENTER_PX = 2.0
"""Deviation of a hub that claims none."""
_LARGEST_LOG = 20.0
"""Of a semi-axis; no sensor is so large."""
_UNKNOWN_SIZE = 1.0
"""Deviation of the logarithm of a semi-axis that is not known."""
_FIRST_RATE = 0.3
"""First deviation of the rate of speed, as a share of the speed a second."""
_MOST_OVERLAP = 100.0
"""Windows that overlap by more are those of a detector that sends the same twice."""


@dataclass(frozen=True)
class FilterParameters(Parameters):
    """How rotors move, and how far a detector's estimates are trusted."""

    calm_rate_walk: float = parameter(
        0.0005,
        unit="1/s^1.5",
        minimum=1e-6,
        maximum=100.0,
        doc="Least process noise of the rate of speed: its walk in a second, over the speed.",
    )
    agile_rate_walk: float = parameter(
        10.0,
        unit="1/s^1.5",
        minimum=1e-6,
        maximum=1000.0,
        doc="Greatest process noise of the rate of speed; what it does not explain is rejected.",
    )
    calm_hub_walk: float = parameter(
        3.0,
        unit="px/s^1.5",
        minimum=1e-3,
        maximum=1e5,
        doc="Least process noise of the hub's velocity: its walk in a second.",
    )
    agile_hub_walk: float = parameter(
        1000.0,
        unit="px/s^1.5",
        minimum=1e-3,
        maximum=1e6,
        doc="Greatest process noise of the hub's velocity.",
    )
    size_walk: float = parameter(
        0.3,
        unit="1/s^0.5",
        minimum=1e-4,
        maximum=10.0,
        doc="Process noise of the semi-axes: their walk in a second, as a share.",
    )
    size_std: float = parameter(
        0.02,
        minimum=1e-4,
        maximum=1.0,
        doc="Standard deviation of a detector's semi-axes, as a share.",
    )
    velocity_std_px_s: float = parameter(
        50.0,
        unit="px/s",
        minimum=0.01,
        maximum=1e4,
        doc="Standard deviation of a detector's velocity of the hub, which it does not tell.",
    )
    slow_time_s: float = parameter(
        1.0,
        unit="s",
        minimum=0.01,
        maximum=60.0,
        doc="How long errors of a detector's phase and hub last.",
    )
    quick_phase_share: float = parameter(
        0.2,
        minimum=0.01,
        maximum=100.0,
        doc="Error of a detector's phase that differs from window to window, over the deviation "
        "that it claims.",
    )
    slow_phase_share: float = parameter(
        1.5,
        minimum=0.0,
        maximum=100.0,
        doc="Lasting error of a detector's phase, over the deviation that it claims.",
    )
    slow_center_px: float = parameter(
        0.2,
        unit="px",
        minimum=0.0,
        maximum=100.0,
        doc="Lasting error of a detector's hub.",
    )
    gate_probability: float = parameter(
        0.9999,
        minimum=0.5,
        maximum=0.999999999,
        doc="Share of right estimates that innovation gating lets pass.",
    )
    latest_us: int = parameter(
        200_000,
        unit="us",
        minimum=0,
        maximum=10_000_000,
        doc="A measurement that is later than this is dropped; others are put in their place.",
    )


class State(NamedTuple):
    """(12,) mean and (12, 12) covariance."""

    mean: _Real
    covariance: _Real


class RotorMotion(NamedTuple):
    """A filtered rotor at a time.

    Attributes:
        t_us: the time.
        center, velocity: of the hub, pixels and pixels a second.
        axes: semi-axes in pixels, the longer first.
        phase_rad: angle of the reference blade, not wrapped.
        speed_rad_s, rate_rad_s2: speed and its change.
        covariance: (7, 7) of phase, speed, hub x, y, velocity x, y and rate.
    """

    t_us: int
    center: tuple[float, float]
    velocity: tuple[float, float]
    axes: tuple[float, float]
    phase_rad: float
    speed_rad_s: float
    rate_rad_s2: float
    covariance: _Real

    @classmethod
    def of(cls, state: State, t_us: int) -> RotorMotion:
        """The motion that a state at a time tells of."""
        x, y, vx, vy, log_a, log_b, phase, speed, rate = state.mean[:_SLOW_X].tolist()
        a, b = (math.exp(min(log, _LARGEST_LOG)) for log in (log_a, log_b))
        axes = max(a, b), min(a, b)
        covariance = state.covariance[_TOLD_ROWS, _TOLD_COLUMNS]
        return cls(t_us, (x, y), (vx, vy), axes, phase, speed, rate, covariance)


def begin(estimate: RotorEstimate, parameters: FilterParameters, phase: float) -> State:
    """The state after an estimate that nothing is known before.

    Args:
        estimate: the estimate.
        parameters: how far it is trusted.
        phase: its angle, with turns.
    """
    values, variances = measured_values(estimate, parameters)
    half_s = 0.5e-6 * estimate.window_us
    speed, speed_variance = measured_speed(estimate, estimate.window_us, 0.0, 0.0)
    rate_variance = (_FIRST_RATE * scale_of(estimate)) ** 2
    is_sized = estimate.axes[1] > 0
    logs = [math.log(axis) if is_sized else 0.0 for axis in estimate.axes]
    size_variance = parameters.size_std**2 if is_sized else _UNKNOWN_SIZE**2
    slow_center = parameters.slow_center_px**2 + 1e-12
    slow_phase = slow_phase_rad(estimate, parameters) ** 2 + 1e-18
    mean = np.array([*values[1:5], *logs, phase, speed, 0.0, 0.0, 0.0, 0.0])
    covariance = np.diag(
        (
            *(variances[1:3] + slow_center),
            *variances[3:5],
            size_variance,
            size_variance,
            variances[0] + slow_phase,
            speed_variance + rate_variance * half_s**2,
            rate_variance,
            slow_center,
            slow_center,
            slow_phase,
        )
    )
    # The speed is that of the window's middle; what is measured is off by the lasting errors.
    ties = (
        (SPEED, _RATE, rate_variance * half_s),
        (_X, _SLOW_X, -slow_center),
        (_X + 1, _SLOW_X + 1, -slow_center),
        (PHASE, _SLOW_PHASE, -slow_phase),
    )
    for first, second, value in ties:
        covariance[first, second] = covariance[second, first] = value
    return State(mean, positive_definite(covariance)[0])


def scale_of(estimate: RotorEstimate) -> float:
    """Speed that an estimate's process noise goes with, rad/s."""
    return max(abs(estimate.rpm) * (math.pi / 30), _SLOWEST_RAD_S)


def slow_phase_rad(estimate: RotorEstimate, parameters: FilterParameters) -> float:
    """Deviation of the lasting error of an estimate's phase."""
    claimed = estimate.angle_std_rad if math.isfinite(estimate.angle_std_rad) else math.pi
    return parameters.slow_phase_share * max(claimed, _LEAST_ANGLE_RAD)


def measured_speed(
    estimate: RotorEstimate, since_us: int, lag_s: float, power: float
) -> tuple[float, float]:
    """Mean speed of an estimate's window, rad/s, and its variance.

    Args:
        estimate: the estimate.
        since_us: time since the estimate before, whose window this one's may overlap.
        lag_s: the speed is asked for so long after the window's middle.
        power: of the white jerk.
    """
    overlap = min(max(estimate.window_us / max(since_us, 1), 1.0), _MOST_OVERLAP)
    std = math.hypot(estimate.rpm_std * (math.pi / 30), _LEAST_SPEED * scale_of(estimate))
    # White jerk moves the mean away from the speed in the middle, and that from the speed later.
    wander = power * ((1e-6 * estimate.window_us) ** 3 / 320 + lag_s**3 / 3)
    return estimate.rpm * (math.pi / 30), overlap * std * std + wander


def measured_values(estimate: RotorEstimate, parameters: FilterParameters) -> tuple[_Real, _Real]:
    """Values and variances at a window's end: (7,), or (5,) where the size is unknown.

    Args:
        estimate: the estimate.
        parameters: how far it is trusted.
    """
    claimed = min(max(estimate.angle_std_rad, _LEAST_ANGLE_RAD), math.pi)
    center_std = [
        max(std, _LEAST_CENTER_PX) if math.isfinite(std) else UNKNOWN_CENTER_PX
        for std in estimate.center_std
    ]
    velocity_std = parameters.velocity_std_px_s
    values = [estimate.angle_rad, *estimate.center, *estimate.velocity, *estimate.axes]
    deviations = [
        parameters.quick_phase_share * claimed,
        *center_std,
        velocity_std,
        velocity_std,
        *(parameters.size_std * axis for axis in estimate.axes),
    ]
    rows = _ALL_ROWS if estimate.axes[1] > 0 else _UNSIZED_ROWS
    return np.array(values[:rows]), np.square(deviations[:rows])


def expected_phase(state: State) -> float:
    """The phase that a detector would tell, lasting error and all."""
    return float(state.mean[PHASE] + state.mean[_SLOW_PHASE])


def expected_velocity(points: _Real) -> _Real:
    """(m, 2) velocities of the hub of (m, 12) states."""
    return np.ascontiguousarray(points[:, _VX : _VX + 2])


@njit(cache=True, nogil=True)
def expected_speed(points, lag_s):
    """(m, 1) speeds of (m, 12) states, so long before."""
    values = np.empty((len(points), 1))
    for i in range(len(points)):
        values[i, 0] = points[i, SPEED] - lag_s * points[i, _RATE]
    return values


@njit(cache=True, nogil=True)
def expected_values(points, rows):
    """(m, rows) what a detector would say of each of (m, 12) states at the end of a window."""
    values = np.empty((len(points), rows))
    for i in range(len(points)):
        point = points[i]
        values[i, 0] = point[PHASE] + point[_SLOW_PHASE]
        for j in range(2):
            values[i, 1 + j] = point[_X + j] + point[_SLOW_X + j]
            values[i, 3 + j] = point[_VX + j]
            if rows > _UNSIZED_ROWS:
                values[i, 5 + j] = math.exp(min(point[_A + j], _LARGEST_LOG))
    return values


@njit(cache=True, nogil=True)
def predicted(mean, covariance, dt, powers, slow, kept):
    """Mean and covariance after dt seconds.

    The step is linear, and the unscented transform of a linear step is exact: it is written out.

    Args:
        mean, covariance: (12,) and (12, 12).
        dt: seconds.
        powers: of the hub's acceleration, the sizes' walk and the phase's jerk.
        slow: variances of the lasting errors of hub and phase.
        kept: share of these that is left.
    """
    moved = mean.copy()
    noise = covariance.copy()
    # Rows, then columns.
    for turn in range(2):
        for j in range(_STATES):
            row = noise[:, j] if turn == 0 else noise[j]
            for x in range(2):
                row[_X + x] += dt * row[_VX + x]
            row[PHASE] += dt * (row[SPEED] + 0.5 * dt * row[_RATE])
            row[SPEED] += dt * row[_RATE]
            for x in range(_SLOW_X, _STATES):
                row[x] *= kept
    for x in range(2):
        moved[_X + x] += dt * moved[_VX + x]
        noise[_X + x, _X + x] += powers[0] * dt**3 / 3
        noise[_X + x, _VX + x] += powers[0] * dt**2 / 2
        noise[_VX + x, _X + x] += powers[0] * dt**2 / 2
        noise[_VX + x, _VX + x] += powers[0] * dt
        noise[_A + x, _A + x] += powers[1] * dt
        noise[_SLOW_X + x, _SLOW_X + x] += slow[0] * (1.0 - kept * kept)
    noise[_SLOW_PHASE, _SLOW_PHASE] += slow[1] * (1.0 - kept * kept)
    moved[PHASE] += dt * (moved[SPEED] + 0.5 * dt * moved[_RATE])
    moved[SPEED] += dt * moved[_RATE]
    for x in range(_SLOW_X, _STATES):
        moved[x] *= kept
    jerk = (dt**5 / 20, dt**4 / 8, dt**3 / 6, dt**3 / 3, dt**2 / 2, dt)
    place = 0
    for i in range(3):
        for j in range(i, 3):
            noise[PHASE + i, PHASE + j] += powers[2] * jerk[place]
            if i != j:
                noise[PHASE + j, PHASE + i] += powers[2] * jerk[place]
            place += 1
    for i in range(_STATES):
        for j in range(i):
            noise[i, j] = noise[j, i] = 0.5 * (noise[i, j] + noise[j, i])
    return moved, noise
