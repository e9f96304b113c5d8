"""Motion and measurement model of a rotor, used by `RotorFilter`.

The state has twelve elements, in rad, pixels and seconds:

    hub x, y and its velocity    white acceleration
    log a, log b                 semi-axes, a random walk
    phase, speed, rate           the phase counts turns and is never wrapped; white jerk
    slow x, y, phase             slow errors of the detector's hub and phase

Rate is the rate of change of the speed, the angular acceleration.

A detector's estimate is two measurements: the mean speed over its window, which is the speed at its
middle; and, at its end, the phase, the hub x, y, its velocity x, y, and the semi-axes.
docs/fusion.md has the equations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evio_ros.estimate import RotorEstimate
from evio_ros.fusion.rotor_steps import (
    LARGEST_LOG,
    PHASE,
    RATE,
    SLOW_PHASE,
    SLOW_X,
    SPEED,
    UNSIZED_ROWS,
    X,
    mean_covariance,
)
from evio_ros.fusion.unscented import positive_definite
from evio_ros.parameters import Parameters, parameter
from evio_ros.units import RAD_S_PER_RPM, RPM_PER_RAD_S, TURN_RAD

__all__ = [
    "UNKNOWN_CENTER_PX",
    "FilterParameters",
    "RotorMotion",
    "SpeedMeasured",
    "State",
    "begin",
    "expected_phase",
    "least_rpm_std",
    "measured_speed",
    "measured_values",
    "scale_of",
    "slow_phase_rad",
]

_Real = NDArray[np.float64]

_SLOWEST_RAD_S = 1.0
"""Slower rotors have the process noise of this speed, a sixth of a turn per second."""
_LEAST_ANGLE_RAD = 1e-5
_LEAST_SPEED = 1e-7
_LEAST_CENTER_PX = 0.01
"""Minimum standard deviations of an estimate, whatever it claims; that of the speed is relative."""
UNKNOWN_CENTER_PX = 2.0
"""Standard deviation of a hub that claims none."""
_MOST_CENTER_PX = 1e4
"""Maximum standard deviation of a hub, whatever it claims: it is on the sensor."""
_LEAST_AXIS_PX = 0.01
"""Semi-axes below this mean that the size is unknown."""
_UNKNOWN_SIZE = 1.0
"""Standard deviation of the logarithm of an unknown semi-axis."""
_FIRST_RATE = 0.3
"""First standard deviation of the acceleration, as a share of the speed per second."""
_MOST_OVERLAP = 100.0
"""Greatest overlap of windows; more is that of a detector that sends estimates twice."""


@dataclass(frozen=True)
class FilterParameters(Parameters):
    """Motion model of rotors, and how far a detector's estimates are trusted."""

    calm_rate_walk: float = parameter(
        0.00002,
        unit="1/s^1.5",
        minimum=1e-6,
        maximum=100.0,
        doc="Minimum process noise of the acceleration: its random walk in one second, relative "
        "to the speed.",
    )
    unseen_rate_walk: float = parameter(
        0.001,
        unit="1/s^1.5",
        minimum=1e-6,
        maximum=100.0,
        doc="Minimum process noise of the acceleration in predictions beyond the newest estimate.",
    )
    agile_rate_walk: float = parameter(
        10.0,
        unit="1/s^1.5",
        minimum=1e-6,
        maximum=1000.0,
        doc="Maximum process noise of the acceleration; changes that it does not explain are "
        "rejected.",
    )
    calm_hub_walk: float = parameter(
        3.0,
        unit="px/s^1.5",
        minimum=1e-3,
        maximum=1e5,
        doc="Minimum process noise of the hub's velocity: its random walk in one second.",
    )
    agile_hub_walk: float = parameter(
        1000.0,
        unit="px/s^1.5",
        minimum=1e-3,
        maximum=1e6,
        doc="Maximum process noise of the hub's velocity.",
    )
    size_walk: float = parameter(
        0.3,
        unit="1/s^0.5",
        minimum=1e-4,
        maximum=10.0,
        doc="Process noise of the semi-axes: their relative random walk in one second.",
    )
    size_std: float = parameter(
        0.02,
        minimum=1e-4,
        maximum=1.0,
        doc="Relative standard deviation of the semi-axes that a detector reports.",
    )
    velocity_std_px_s: float = parameter(
        50.0,
        unit="px/s",
        minimum=0.01,
        maximum=1e4,
        doc="Standard deviation of the hub velocity that a detector reports; estimates do not "
        "carry one.",
    )
    slow_time_s: float = parameter(
        1.0,
        unit="s",
        minimum=0.01,
        maximum=60.0,
        doc="Correlation time of the slow errors of a detector's phase and hub.",
    )
    quick_phase_share: float = parameter(
        0.2,
        minimum=0.01,
        maximum=100.0,
        doc="Part of a detector's phase error that differs from window to window, relative to "
        "the standard deviation that it claims.",
    )
    slow_phase_share: float = parameter(
        1.5,
        minimum=0.0,
        maximum=100.0,
        doc="Slow part of a detector's phase error, relative to the standard deviation that it "
        "claims.",
    )
    slow_center_px: float = parameter(
        0.2,
        unit="px",
        minimum=0.0,
        maximum=100.0,
        doc="Slow error of a detector's hub.",
    )
    claims_std: float = parameter(
        1.8,
        minimum=0.0,
        maximum=4.0,
        doc="How far the claimed variances of speed and phase may be off before this has been "
        "learned for a rotor: standard deviation of their logarithm to base 2; 0.0 takes "
        "claims as they are.",
    )
    gate_probability: float = parameter(
        0.9999,
        minimum=0.5,
        maximum=0.999999999,
        doc="Share of correct estimates that passes the innovation gate.",
    )
    latest_us: int = parameter(
        200_000,
        unit="us",
        minimum=0,
        maximum=10_000_000,
        doc="Measurements that arrive later than this are dropped; less late ones are inserted "
        "at their own time.",
    )


class State(NamedTuple):
    """Mean (12,) and covariance (12, 12); elements as in the module's docstring."""

    mean: _Real
    covariance: _Real


class SpeedMeasured(NamedTuple):
    """A mean speed, used as a measurement of the speed at one time.

    Attributes:
        value: the speed, rad/s.
        variance: claimed variance, (rad/s)^2.
        wander: variance that each unit of the power of jerk adds, s^3.
    """

    value: float
    variance: float
    wander: float


class RotorMotion(NamedTuple):
    """The filtered motion of a rotor at a time.

    Attributes:
        t_us: sensor time in µs.
        center, velocity: position and velocity of the hub in px and px/s.
        axes: semi-axes in pixels, the longer first.
        phase_rad: angle of the reference blade, not wrapped.
        speed_rad_s, rate_rad_s2: speed and acceleration.
        covariance: (7, 7) of phase, speed, hub x, y, velocity x, y and acceleration.
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
    def of(cls, mean: _Real, covariance: _Real, t_us: int) -> RotorMotion:
        """The motion at a time, from a state's mean (12,) and the covariance (7, 7)."""
        x, y, vx, vy, log_a, log_b, phase, speed, rate = mean[:SLOW_X].tolist()
        a, b = (math.exp(min(log, LARGEST_LOG)) for log in (log_a, log_b))
        axes = (a, b) if a >= b else (b, a)
        return cls(t_us, (x, y), (vx, vy), axes, phase, speed, rate, covariance)

    @property
    def rpm(self) -> float:
        """Speed in turns per minute."""
        return self.speed_rad_s * RPM_PER_RAD_S

    @property
    def rpm_rate(self) -> float:
        """Acceleration in turns per minute per second."""
        return self.rate_rad_s2 * RPM_PER_RAD_S

    @property
    def turns(self) -> float:
        """Turns of the reference blade."""
        return self.phase_rad / TURN_RAD

    def mean_rpm(self, window_us: int) -> tuple[float, _Real]:
        """Mean speed over the time before, and covariance (6, 6).

        Args:
            window_us: length of that time in µs; 0 for the speed now.

        Returns:
            Speed in rpm; covariance of angle [rad], speed [rpm], center x, y [px] and velocity x, y
            [px/s].
        """
        window_s = 1e-6 * window_us
        covariance = mean_covariance(self.covariance, window_s)
        return self.rpm - 0.5 * window_s * self.rpm_rate, covariance


def begin(estimate: RotorEstimate, parameters: FilterParameters, phase: float) -> State:
    """The state after the first estimate.

    Args:
        estimate: the estimate.
        parameters: how far it is trusted.
        phase: its unwrapped angle, rad.
    """
    values, variances = measured_values(estimate, parameters)
    half_s = 0.5e-6 * estimate.window_us
    speed, speed_variance, _ = measured_speed(estimate, estimate.window_us, 0.0)
    rate_variance = (_FIRST_RATE * scale_of(estimate)) ** 2
    is_sized = _is_sized(estimate)
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
        (SPEED, RATE, rate_variance * half_s),
        (X, SLOW_X, -slow_center),
        (X + 1, SLOW_X + 1, -slow_center),
        (PHASE, SLOW_PHASE, -slow_phase),
    )
    for first, second, value in ties:
        covariance[first, second] = covariance[second, first] = value
    return State(mean, positive_definite(covariance))


def scale_of(estimate: RotorEstimate) -> float:
    """Speed that the process noise after an estimate is proportional to, rad/s."""
    return max(abs(estimate.rpm) * RAD_S_PER_RPM, _SLOWEST_RAD_S)


def least_rpm_std(estimate: RotorEstimate) -> float:
    """Minimum standard deviation of an estimate's speed in rpm, whatever it claims."""
    return _LEAST_SPEED * scale_of(estimate) * RPM_PER_RAD_S


def slow_phase_rad(estimate: RotorEstimate, parameters: FilterParameters) -> float:
    """Standard deviation of the slow error of an estimate's phase, rad."""
    return parameters.slow_phase_share * _claimed_angle_std(estimate)


def measured_speed(estimate: RotorEstimate, since_us: int, lag_s: float) -> SpeedMeasured:
    """Mean speed of an estimate's window.

    Args:
        estimate: the estimate.
        since_us: time in µs since the last estimate, whose window may overlap this one's.
        lag_s: time from the middle of the window to the time at which the speed is applied.
    """
    overlap = min(max(estimate.window_us / max(since_us, 1), 1.0), _MOST_OVERLAP)
    std = math.hypot(estimate.rpm_std, least_rpm_std(estimate)) * RAD_S_PER_RPM
    # White jerk separates the mean from the speed at the middle, and that from the later speed.
    wander = (1e-6 * estimate.window_us) ** 3 / 320 + lag_s**3 / 3
    return SpeedMeasured(estimate.rpm * RAD_S_PER_RPM, overlap * std * std, wander)


def measured_values(estimate: RotorEstimate, parameters: FilterParameters) -> tuple[_Real, _Real]:
    """Values and variances at a window's end, each (7,), or (5,) if the size is unknown.

    Args:
        estimate: the estimate.
        parameters: how far it is trusted.
    """
    center_std = [
        min(max(std, _LEAST_CENTER_PX), _MOST_CENTER_PX)
        if math.isfinite(std)
        else UNKNOWN_CENTER_PX
        for std in estimate.center_std
    ]
    velocity_std = parameters.velocity_std_px_s
    values = [estimate.angle_rad, *estimate.center, *estimate.velocity, *estimate.axes]
    deviations = [
        parameters.quick_phase_share * _claimed_angle_std(estimate),
        *center_std,
        velocity_std,
        velocity_std,
        *(parameters.size_std * axis for axis in estimate.axes),
    ]
    if not _is_sized(estimate):
        values, deviations = values[:UNSIZED_ROWS], deviations[:UNSIZED_ROWS]
    return np.array(values), np.square(deviations)


def _claimed_angle_std(estimate: RotorEstimate) -> float:
    """Claimed standard deviation of an angle, rad; at most that of an unknown angle."""
    return min(max(estimate.angle_std_rad, _LEAST_ANGLE_RAD), math.pi)


def _is_sized(estimate: RotorEstimate) -> bool:
    """Whether an estimate has semi-axes."""
    return min(estimate.axes) >= _LEAST_AXIS_PX


def expected_phase(state: State) -> float:
    """The phase that a detector would measure, including its slow error, rad."""
    return float(state.mean[PHASE] + state.mean[SLOW_PHASE])
