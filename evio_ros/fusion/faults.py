"""Plausibility checks of estimates and velocities."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from evio_ros.estimate import RotorEstimate

__all__ = ["fault_of", "is_velocity"]

_LARGEST_RPM = 1e7
_LARGEST_TURNS = 1e12
_LARGEST_ANGLE_RAD = 1e3
"""Angles are within a turn; a few turns more mean the same angle."""
_LARGEST_PX = 1e5
"""Larger than any sensor, and than any position that one can show."""
_LARGEST_PX_PER_S = 1e6
_LONGEST_US = 600_000_000


def fault_of(estimate: RotorEstimate) -> str:
    """Name of the first implausible field of an estimate; empty if there is none."""
    signed = (
        ("rpm", estimate.rpm, _LARGEST_RPM),
        ("turns", estimate.turns, _LARGEST_TURNS),
        ("angle", estimate.angle_rad, _LARGEST_ANGLE_RAD),
        ("tilt", estimate.tilt_rad, _LARGEST_ANGLE_RAD),
        *(("center", value, _LARGEST_PX) for value in estimate.center),
        *(("velocity", value, _LARGEST_PX_PER_S) for value in estimate.velocity),
    )
    for name, value, largest in signed:
        if not -largest <= value <= largest:
            return name
    # An infinite standard deviation means unknown, but a speed without one is of no use.
    not_negative = (
        ("rpm_std", estimate.rpm_std, _LARGEST_RPM),
        ("angle_std", estimate.angle_std_rad, math.inf),
        *(("axes", value, _LARGEST_PX) for value in estimate.axes),
        *(("center_std", value, math.inf) for value in estimate.center_std),
        ("confidence", estimate.confidence, 1.0),
        ("window_length", estimate.window_us, _LONGEST_US),
    )
    for name, value, largest in not_negative:
        if not 0.0 <= value <= largest:
            return name
    return ""


def is_velocity(velocity: Sequence[float], covariance: ArrayLike) -> bool:
    """Whether a hub's velocity and its covariance are plausible.

    Args:
        velocity: (2,) px/s.
        covariance: (2, 2), (px/s)^2; it need not be symmetric or positive definite.
    """
    spread = np.asarray(covariance, np.float64)
    is_bounded = (np.abs(spread) <= _LARGEST_PX_PER_S**2).all() and (np.diag(spread) >= 0.0).all()
    return bool(is_bounded) and all(abs(one) <= _LARGEST_PX_PER_S for one in velocity)
