"""Events of a disc that is spun and slows down to a stop, with exact motion."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evio_ros.ellipse import Ellipse
from evio_ros.events import EventBatch, SensorSize

SIZE = SensorSize(100, 100)
DISC = Ellipse((58.4, 47.3), (70.0, 70.0), 0.0)


@dataclass(frozen=True)
class SpunDisc:
    """A disc with sectors that starts at `rpm` and slows down uniformly to a stop.

    The number of events per angle does not depend on the speed: OFF at the leading edge of a
    sector, ON at the trailing edge. Events outside the sensor are dropped.
    """

    rpm: float = 420.0
    start_us: int = 200_000
    length_us: int = 500_000
    sectors: int = 1
    ellipse: Ellipse = DISC
    events_per_turn: int = 60_000
    edge_std_rad: float = 0.04

    def turns(self, t_us: float) -> float:
        """Turns since the start, signed."""
        share = min(max((t_us - self.start_us) / self.length_us, 0.0), 1.0)
        return self.rpm / 60e6 * self.length_us * (share - 0.5 * share**2)

    def mean_rpm(self, start_us: float, end_us: float) -> float:
        """Mean speed between two times in turns per minute."""
        return 60e6 * (self.turns(end_us) - self.turns(start_us)) / (end_us - start_us)

    def events(self, seed: int = 0, noise_hz: float = 10_000.0) -> EventBatch:
        """Events of the disc and of noise, from time 0 to 200 ms after it has stopped."""
        rng = np.random.default_rng(seed)
        total = abs(self.turns(self.start_us + self.length_us))
        count = rng.poisson(self.events_per_turn * total)
        turned = np.sort(rng.uniform(0.0, total, count))
        share = 1.0 - np.sqrt(np.maximum(1.0 - turned / total, 0.0))
        t = self.start_us + share * self.length_us
        on = rng.random(count) < 0.5
        sector = rng.integers(0, self.sectors, count) + 0.5 * on
        angle = 2 * math.pi * (math.copysign(1.0, self.rpm) * turned + sector / self.sectors)
        angle += rng.normal(0.0, self.edge_std_rad, count)
        x, y = self.ellipse.image_point(np.sqrt(rng.uniform(0.01, 1.0, count)), angle)
        end_us = self.start_us + self.length_us + 200_000
        noise = rng.poisson(noise_hz * end_us * 1e-6)
        t = np.concatenate((t, rng.uniform(0, end_us, noise))).astype(np.int64)
        x = np.rint(np.concatenate((x, rng.uniform(0, SIZE.width - 1, noise))))
        y = np.rint(np.concatenate((y, rng.uniform(0, SIZE.height - 1, noise))))
        on = np.concatenate((on, rng.random(noise) < 0.5))
        seen = (x >= 0) & (x < SIZE.width) & (y >= 0) & (y < SIZE.height)
        order = np.flatnonzero(seen)[np.argsort(t[seen], kind="stable")]
        return EventBatch(
            SIZE, t[order], x[order].astype(np.uint16), y[order].astype(np.uint16), on[order]
        )
