"""Estimates of rotors with known motion, as from a detector."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from evio_ros.estimate import RotorEstimate

WINDOW_US = 100_000
STEP_US = 50_000

FAN = RotorEstimate(
    id=0,
    t_us=WINDOW_US,
    window_us=WINDOW_US,
    rpm=1150.0,
    rpm_std=0.02,
    blade_count=3,
    angle_rad=0.0,
    angle_std_rad=1e-3,
    turns=0.0,
    center=(320.0, 240.0),
    axes=(70.0, 60.0),
    tilt_rad=0.3,
    velocity=(0.0, 0.0),
    confidence=0.99,
    events=1000,
    center_std=(0.05, 0.05),
)


_QUICK = 0.2
"""Standard deviation of the difference of neighbouring estimates' phases, relative to the
claimed."""


class TurningFan:
    """A fan with known motion, whose phase is 1 rad at `WINDOW_US`, the end of the first window.

    Args:
        rpm: speed at `WINDOW_US` in turns per minute.
        rate: angular acceleration in rad/s^2.
        velocity: of the hub in px/s.
        estimate: all other values.
    """

    def __init__(
        self,
        rpm: float = 1150.0,
        rate: float = 0.0,
        velocity: tuple[float, float] = (0.0, 0.0),
        estimate: RotorEstimate = FAN,
    ) -> None:
        self.speed, self.rate, self.velocity = rpm * math.pi / 30, rate, velocity
        self._estimate = estimate

    def phase(self, t_us: float) -> float:
        """Unwrapped angle of the first blade in rad."""
        t = 1e-6 * (t_us - WINDOW_US)
        return 1.0 + self.speed * t + 0.5 * self.rate * t * t

    def rpm(self, t_us: float) -> float:
        """Speed at a time in turns per minute."""
        return (self.speed + self.rate * 1e-6 * (t_us - WINDOW_US)) * 30 / math.pi

    def center(self, t_us: float) -> tuple[float, float]:
        """Position of the hub at a time."""
        x, y = self._estimate.center
        return x + self.velocity[0] * 1e-6 * t_us, y + self.velocity[1] * 1e-6 * t_us

    def estimate(
        self, end_us: int, random: np.random.Generator | None = None, **changed: object
    ) -> RotorEstimate:
        """A detector's estimate for the window that ends at a time, with errors if random."""
        e, t_us = self._estimate, end_us
        noise = random.normal(size=4) if random is not None else np.zeros(4)
        x, y = self.center(t_us)
        phase = self.phase(t_us)
        made = replace(
            e,
            t_us=t_us,
            rpm=self.rpm(t_us - 0.5 * e.window_us) + e.rpm_std * noise[0],
            angle_rad=(phase + _QUICK * e.angle_std_rad * noise[1]) % (2 * math.pi),
            turns=phase / (2 * math.pi),
            center=(x + e.center_std[0] * noise[2], y + e.center_std[1] * noise[3]),
            velocity=self.velocity,
        )
        return replace(made, **changed)  # type: ignore[arg-type]
