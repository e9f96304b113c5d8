"""What no rotor can be."""

from __future__ import annotations

import math

from evio_ros.estimate import RotorEstimate

__all__ = ["fault_of"]

_LARGEST_RPM = 1e7
_LARGEST_TURNS = 1e12
_LARGEST_PX = 1e6
"""No sensor is so large; nothing farther away has been seen by one."""
_LARGEST_PX_PER_S = 1e9


def fault_of(estimate: RotorEstimate) -> str:
    """Name of the first value that no rotor can have; empty where all can be."""
    signed = (
        ("rpm", estimate.rpm, _LARGEST_RPM),
        ("turns", estimate.turns, _LARGEST_TURNS),
        ("angle", estimate.angle_rad, _LARGEST_TURNS),
        ("tilt", estimate.tilt_rad, _LARGEST_TURNS),
        *(("center", value, _LARGEST_PX) for value in estimate.center),
        *(("velocity", value, _LARGEST_PX_PER_S) for value in estimate.velocity),
    )
    for name, value, largest in signed:
        if not -largest <= value <= largest:
            return name
    # Infinite deviations are unknown ones, but a speed without a deviation is of no use.
    not_negative = (
        ("rpm_std", estimate.rpm_std, _LARGEST_RPM),
        ("angle_std", estimate.angle_std_rad, math.inf),
        *(("axes", value, _LARGEST_PX) for value in estimate.axes),
        *(("center_std", value, math.inf) for value in estimate.center_std),
        ("confidence", estimate.confidence, 1.0),
    )
    for name, value, largest in not_negative:
        if not 0.0 <= value <= largest:
            return name
    return ""
