"""Messages of rotors, filled field by field."""

from __future__ import annotations

import math

import numpy as np
from evio_ros.msg import Blade, RotationState, RotationStateArray
from std_msgs.msg import Header

from evio_ros.ellipse import Ellipse
from evio_ros.estimate import RotorEstimate
from evio_ros.units import RAD_S_PER_RPM

UNKNOWN = -1.0


def state_message(estimate: RotorEstimate, header: Header) -> RotationState:
    """The message of one estimate; the header's stamp is the ROS time of the window's end."""
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
    """The message of all rotors of one window."""
    states = [state_message(estimate, header) for estimate in estimates]
    message = RotationStateArray(header=header, states=states, event_count=events)
    message.window_end, message.window_length = window_end, window_length
    return message


def _covariance(estimate: RotorEstimate) -> list[float]:
    """Variances of angle, speed and centre; those of the velocity are unknown."""
    covariance = [0.0] * 36
    deviations = (
        estimate.angle_std_rad,
        estimate.rpm_std,
        *estimate.center_std,
        math.inf,
        math.inf,
    )
    for index, deviation in enumerate(deviations):
        is_known = math.isfinite(deviation)
        covariance[index * 7] = deviation**2 if is_known else UNKNOWN
    return covariance


def _blades(estimate: RotorEstimate) -> list[Blade]:
    disc = Ellipse(estimate.center, estimate.axes, estimate.tilt_rad)
    count = estimate.blade_count
    angles = (estimate.angle_rad + 2 * math.pi * np.arange(count) / max(count, 1)) % (2 * math.pi)
    x, y = disc.image_point(1.0, angles)
    tips = zip(angles.tolist(), x.tolist(), y.tolist(), strict=True)
    unknown = np.diag([UNKNOWN] * 4).ravel()
    return [
        Blade(index=i, angle=angle, x=x, y=y, covariance=unknown)
        for i, (angle, x, y) in enumerate(tips)
    ]
