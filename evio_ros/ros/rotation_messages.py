"""Rotor estimates as messages and back."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from evio_ros.ellipse import Ellipse
from evio_ros.estimate import RotorEstimate
from evio_ros.msg import Blade, RotationState, RotationStateArray
from evio_ros.rotor_state import RotorState
from evio_ros.units import RAD_S_PER_RPM, TURN_RAD

__all__ = [
    "UNKNOWN_VARIANCE",
    "estimate_of",
    "joint_state",
    "rotor_values",
    "state_array",
]

UNKNOWN_VARIANCE = -1.0
"""As messages tell a variance that is not known."""
_COVARIANCE_SIDE = 6
_BLADE_SIDE = 4
_CENTER = 2
"""Row of the centre's x in the covariance."""


def state_message(estimate: RotorEstimate, header: Header) -> RotationState:
    """Make the message of one estimate; the header's stamp is the ROS time of the window's end."""
    message = RotationState(header=header)
    message.id = estimate.id
    message.window_end = estimate.t_us
    message.window_length = estimate.window_us
    message.event_count = estimate.events
    message.rpm, message.rpm_std = estimate.rpm, estimate.rpm_std
    message.angular_velocity = estimate.rpm * RAD_S_PER_RPM
    message.angular_velocity_std = estimate.rpm_std * RAD_S_PER_RPM
    message.angle, message.angle_std = estimate.angle_rad, estimate.angle_std_rad
    message.turns = estimate.turns
    message.blade_count = estimate.blade_count
    message.center_x, message.center_y = estimate.center
    message.axis_major, message.axis_minor = estimate.axes
    message.tilt = estimate.tilt_rad
    message.velocity_x, message.velocity_y = estimate.velocity
    message.covariance = _covariance(estimate)
    message.confidence = estimate.confidence
    message.sources = RotationState.SOURCE_ROTATION_DETECTOR
    message.blades = _blades(estimate)
    return message


def state_array(
    estimates: list[RotorEstimate], header: Header, window_end: int, window_length: int, events: int
) -> RotationStateArray:
    """Make the message of all rotors of one window; none gives an empty array."""
    states = [state_message(estimate, header) for estimate in estimates]
    message = RotationStateArray(header=header, states=states, event_count=events)
    message.window_end, message.window_length = window_end, window_length
    return message


def joint_state(states: Sequence[RotorState], header: Header) -> JointState:
    """Make the message of one joint for each rotor: radians turned since it was seen, rad/s."""
    message = JointState(header=header)
    message.name = [f"rotor_{state.id}" for state in states]
    message.position = [TURN_RAD * state.turns for state in states]
    message.velocity = [RAD_S_PER_RPM * state.rpm for state in states]
    return message


def estimate_of(message: RotationState) -> RotorEstimate:
    """The estimate in a message."""
    return RotorEstimate(
        id=message.id,
        t_us=message.window_end,
        window_us=message.window_length,
        rpm=message.rpm,
        rpm_std=message.rpm_std,
        blade_count=message.blade_count,
        angle_rad=message.angle,
        angle_std_rad=message.angle_std,
        turns=message.turns,
        center=(message.center_x, message.center_y),
        axes=(message.axis_major, message.axis_minor),
        tilt_rad=message.tilt,
        velocity=(message.velocity_x, message.velocity_y),
        confidence=message.confidence,
        events=message.event_count,
        center_std=(_deviation(message, _CENTER), _deviation(message, _CENTER + 1)),
    )


def rotor_values(rotors: Iterable[RotorEstimate | RotorState]) -> dict[str, object]:
    """The state of each rotor in words, as values of a report."""
    return {
        f"rotor_{one.id}": f"{one.rpm:.1f} rpm, std {one.rpm_std:.2g}, "
        f"confidence {one.confidence:.3f}, {one.events} events"
        for one in rotors
    }


def _covariance(estimate: RotorEstimate) -> list[float]:
    """Variances of angle, speed and centre; that of the velocity is not estimated."""
    covariance = [0.0] * _COVARIANCE_SIDE**2
    deviations = (
        estimate.angle_std_rad,
        estimate.rpm_std,
        *estimate.center_std,
        math.inf,
        math.inf,
    )
    for index, deviation in enumerate(deviations):
        is_known = math.isfinite(deviation)
        covariance[index * (_COVARIANCE_SIDE + 1)] = deviation**2 if is_known else UNKNOWN_VARIANCE
    return covariance


def _deviation(message: RotationState, index: int) -> float:
    variance = float(message.covariance[index * (_COVARIANCE_SIDE + 1)])
    return math.inf if variance < 0 else math.sqrt(variance)


def _blades(estimate: RotorEstimate) -> list[Blade]:
    disc = Ellipse(estimate.center, estimate.axes, estimate.tilt_rad)
    count = estimate.blade_count
    angles = (estimate.angle_rad + 2 * math.pi * np.arange(count) / max(count, 1)) % (2 * math.pi)
    x, y = disc.image_point(1.0, angles)
    tips = zip(angles.tolist(), x.tolist(), y.tolist(), strict=True)
    unknown = np.diag([UNKNOWN_VARIANCE] * _BLADE_SIDE).ravel()
    return [
        Blade(index=i, angle=angle, x=x, y=y, covariance=unknown)
        for i, (angle, x, y) in enumerate(tips)
    ]
