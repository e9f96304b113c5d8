"""Events of ideal rotors with exact speed, phase and position, for tests of the estimators.

Each event is an independent draw: a blade, an edge (leading edges give OFF, trailing edges ON: a
dark blade), a radius uniform over the disc's area, and a time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evio_ros.ellipse import Ellipse
from evio_ros.events import EventBatch, SensorSize

SIZE = SensorSize(320, 240)
DISC = Ellipse((160.3, 119.6), (60.0, 60.0), 0.0)


@dataclass(frozen=True)
class IdealRotor:
    """A rotor with exact motion; angle of blade 0 is phase + 2 pi (frequency t + rate t^2 / 2)."""

    frequency_hz: float
    blades: int = 3
    ellipse: Ellipse = DISC
    rate: float = 0.0
    phase_rad: float = 0.4
    event_rate_hz: float = 1e6
    duty: float = 0.35
    edge_std_rad: float = 0.02
    drift_px_s: tuple[float, float] = (0.0, 0.0)

    def turns(self, t_us: float) -> float:
        """Turns since time 0."""
        t = t_us * 1e-6
        return self.frequency_hz * t + 0.5 * self.rate * t * t

    def angle(self, t_us: float) -> float:
        """Unwrapped angle of blade 0."""
        return self.phase_rad + 2 * math.pi * self.turns(t_us)

    def mean_rpm(self, start_us: float, end_us: float) -> float:
        """Mean speed between two times in turns per minute."""
        return 60e6 * (self.turns(end_us) - self.turns(start_us)) / (end_us - start_us)

    def draw(self, rng: np.random.Generator, duration_us: int) -> tuple[np.ndarray, ...]:
        """Unsorted t [s], x, y (not rounded) and polarity."""
        seconds = duration_us * 1e-6
        count = rng.poisson(self.event_rate_hz * seconds)
        t = rng.uniform(0.0, seconds, count)
        radius = np.sqrt(rng.uniform(0.04, 1.0, count))
        blade = rng.integers(0, self.blades, count)
        on = rng.random(count) < 0.5
        pitch = 2 * math.pi / self.blades
        edge = 0.5 * pitch * self.duty * np.where(on, -1.0, 1.0) * np.sign(self.frequency_hz)
        turn = 2 * math.pi * (self.frequency_hz * t + 0.5 * self.rate * t**2)
        angle = self.phase_rad + turn + blade * pitch + edge
        angle += rng.normal(0.0, self.edge_std_rad, count)
        x, y = self.ellipse.image_point(radius, angle)
        return t, x + self.drift_px_s[0] * t, y + self.drift_px_s[1] * t, on


def events_of(
    rotors: list[IdealRotor],
    duration_us: int = 500_000,
    noise_hz: float = 5e4,
    size: SensorSize = SIZE,
    seed: int = 0,
) -> EventBatch:
    """Events of rotors and of noise, uniform over the sensor, in order of time."""
    rng = np.random.default_rng(seed)
    parts = [rotor.draw(rng, duration_us) for rotor in rotors]
    count = rng.poisson(noise_hz * duration_us * 1e-6)
    parts.append(
        (
            rng.uniform(0.0, duration_us * 1e-6, count),
            rng.uniform(0.0, size.width - 1.0, count),
            rng.uniform(0.0, size.height - 1.0, count),
            rng.random(count) < 0.5,
        )
    )
    t, x, y, on = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    x, y = np.rint(x), np.rint(y)
    keep = (x >= 0) & (x < size.width) & (y >= 0) & (y < size.height)
    order = np.argsort(t[keep], kind="stable")
    return EventBatch(
        size,
        (t[keep][order] * 1e6).astype(np.int64),
        x[keep][order].astype(np.uint16),
        y[keep][order].astype(np.uint16),
        on[keep][order],
    )
