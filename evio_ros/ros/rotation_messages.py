"""Rotors in messages and reports."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from evio_ros.estimate import RotorEstimate
from evio_ros.msg import RotationState
from evio_ros.rotor_state import RotorState
from evio_ros.units import RAD_S_PER_RPM, TURN_RAD

__all__ = [
    "UNKNOWN_VARIANCE",
    "estimate_of",
    "joint_state",
    "rotor_values",
]

UNKNOWN_VARIANCE = -1.0
"""The variance in messages that means unknown."""
_COVARIANCE_SIDE = 6
_CENTER = 2
"""Row of the centre's x in the covariance."""


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
    """The state of each rotor as text, as values of a report."""
    return {
        f"rotor_{one.id}": f"{one.rpm:.1f} rpm, std {one.rpm_std:.2g}, "
        f"confidence {one.confidence:.3f}, {one.events} events"
        for one in rotors
    }


def _deviation(message: RotationState, index: int) -> float:
    variance = float(message.covariance[index * (_COVARIANCE_SIDE + 1)])
    return math.inf if variance < 0 else math.sqrt(variance)
