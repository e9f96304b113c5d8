"""Throughput of the rotation detector, compared with a bare pass over the same events.

python bench/throughput.py
python bench/throughput.py --rate 20 --rotors 1 4 --step-ms 10

Events of ideal rotors are drawn at a given rate. The detector acquires the rotors in the first 0.4
s and is timed after that. The bare pass counts the events of each pixel in a numba loop, so its
time is that of memory access. A step's time is the latency added by the measurement: from the
step's last event to its estimates.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import time
from dataclasses import dataclass

import numpy as np
from numba import njit
from rich.console import Console
from rich.table import Table

from evio_ros.events import EventBatch, EventWindow, SensorSize
from evio_ros.rotation.detector import RotationDetector
from evio_ros.rotation.detector_parameters import RotationDetectorParameters

SIZE = SensorSize(1280, 720)
PLACES = ((320.3, 180.6), (960.2, 180.4), (320.7, 540.1), (960.5, 540.2))
SPEEDS_HZ = (19.2, -24.1, 31.3, -27.7)
RADIUS_PX = 110.0
BLADES = 3
NOISE_SHARE = 0.1
ACQUISITION_STEPS = 8


@njit(cache=True)
def _count_pixels(x, y, polarity, counts):
    for i in range(x.size):
        counts[np.int64(polarity[i]), y[i], x[i]] += 1


def draw(rotors: int, rate_mev_s: float, start_us: int, length_us: int) -> EventBatch:
    """Events of rotors, and of noise, in [start_us, start_us + length_us)."""
    random = np.random.default_rng(start_us)
    count = round(rate_mev_s * length_us)
    t = np.sort(random.integers(start_us, start_us + length_us, count))
    rotor = random.integers(0, rotors, count)
    on = random.random(count) < 0.5
    pitch = 2 * math.pi / BLADES
    speed = np.array(SPEEDS_HZ)[rotor]
    angle = 2 * math.pi * speed * 1e-6 * t + pitch * random.integers(0, BLADES, count)
    angle += np.where(on, -0.3, 0.3) * np.sign(speed) + random.normal(0.0, 0.02, count)
    radius = RADIUS_PX * np.sqrt(random.uniform(0.04, 1.0, count))
    x = np.array(PLACES)[rotor, 0] + radius * np.cos(angle)
    y = np.array(PLACES)[rotor, 1] + radius * np.sin(angle)
    noise = random.random(count) < NOISE_SHARE
    x[noise] = random.uniform(0, SIZE.width - 1, int(noise.sum()))
    y[noise] = random.uniform(0, SIZE.height - 1, int(noise.sum()))
    return EventBatch(SIZE, t, np.rint(x).astype(np.uint16), np.rint(y).astype(np.uint16), on)


@dataclass(frozen=True)
class Measured:
    """Times of the detector and of a bare pass.

    Attributes:
        seconds: processor time of each step in s.
        plain_s: processor time of the bare pass over the events of all steps in s.
        events: number of events.
        seen: number of rotors in the last step.
    """

    seconds: list[float]
    plain_s: float
    events: int
    seen: int

    @property
    def mev_s(self) -> float:
        """Million events per second of the detector's processor time."""
        return 1e-6 * self.events / sum(self.seconds)


def measure(rotors: int, rate_mev_s: float, window_us: int, step_us: int, steps: int) -> Measured:
    """Time steps while rotors are tracked."""
    parameters = RotationDetectorParameters(window_us=window_us, step_us=step_us)
    detector = RotationDetector(SIZE, parameters)
    settle = max(ACQUISITION_STEPS, math.ceil(400_000 / step_us))
    seconds, plain_s, events, seen = [], 0.0, 0, 0
    counts = np.zeros((2, SIZE.height, SIZE.width), np.int32)
    for index in range(settle + steps):
        batch = draw(rotors, rate_mev_s, index * step_us, step_us)
        start = time.process_time()
        estimates = detector.process(EventWindow(index * step_us, step_us, batch))
        middle = time.process_time()
        _count_pixels(batch.x, batch.y, batch.polarity, counts)
        if index >= settle:
            seconds.append(middle - start)
            plain_s += time.process_time() - middle
            events += len(batch)
            seen = len(estimates)
    return Measured(seconds, plain_s, events, seen)


def main() -> int:
    """Run the benchmark; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--rotors", type=int, nargs="+", default=[1, 4], choices=range(1, len(PLACES) + 1))
    add("--rate", type=float, nargs="+", default=[2.0, 10.0, 50.0], help="million events a second")
    add("--window-ms", type=float, default=100.0)
    add("--step-ms", type=float, nargs="+", default=[50.0, 10.0])
    add("--seconds", type=float, default=1.0, help="measured sensor time")
    options = parser.parse_args()
    table = Table(title="Rotation detector, one core, CPU time")
    for column in ("rotors", "Mev/s", "step ms", "seen", "detector Mev/s", "times a bare pass"):
        table.add_column(column, justify="right")
    for column in ("times the first number of rotors", "median ms per step", "longest ms"):
        table.add_column(column, justify="right")
    window_us = round(1e3 * options.window_ms)
    measure(1, 1.0, window_us, round(1e3 * options.step_ms[0]), 2)
    for step_ms in options.step_ms:
        step_us = round(1e3 * step_ms)
        steps = max(round(1e6 * options.seconds / step_us), 1)
        first: dict[float, float] = {}
        for rotors, rate in itertools.product(options.rotors, options.rate):
            measured = measure(rotors, rate, window_us, step_us, steps)
            total = sum(measured.seconds)
            table.add_row(
                f"{rotors}",
                f"{rate:g}",
                f"{step_ms:g}",
                f"{measured.seen}",
                f"{measured.mev_s:.0f}",
                f"{total / measured.plain_s:.1f}",
                f"{total / first.setdefault(rate, total):.1f}",
                f"{1e3 * float(np.median(measured.seconds)):.2f}",
                f"{1e3 * max(measured.seconds):.2f}",
            )
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
