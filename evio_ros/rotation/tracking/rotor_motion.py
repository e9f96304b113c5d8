"""A rotor's motion at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Motion"]


@dataclass(frozen=True, slots=True)
class Motion:
    """Phase in rad, speed in rad/s and acceleration in rad/s^2 at a time, and their deviations."""

    t_us: int
    state: tuple[float, float, float]
    deviations: tuple[float, float, float]

    @classmethod
    def before(
        cls, t_us: int, ago_s: float, state: NDArray[np.float64], covariance: NDArray[np.float64]
    ) -> Motion:
        """The motion at `t_us`, from the state (3,) and covariance (3, 3) known `ago_s` later."""
        phase, speed, acceleration = map(float, state)
        s0, s1, s2 = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        return cls(
            t_us,
            (
                phase - speed * ago_s + 0.5 * acceleration * ago_s**2,
                speed - acceleration * ago_s,
                acceleration,
            ),
            (
                float(s0 + s1 * ago_s + 0.5 * s2 * ago_s**2),
                float(s1 + s2 * ago_s),
                float(s2),
            ),
        )
