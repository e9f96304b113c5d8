"""Compiling and importing everything that the detector needs before the first event arrives."""

from __future__ import annotations

import math

import numpy as np

from evio_ros.events import EventBatch, EventWindow, SensorSize
from evio_ros.rotation.detector import RotationDetector

__all__ = ["warm_up"]

_SIZE = SensorSize(160, 160)
_RADIUS_PX = 60.0
_SPEED_HZ = 40.0
_BLADES = 3
_EDGE_RAD = 0.2
"""Sensor, radius, speed and blades of a small rotor that is found quickly, and the angle from a
blade's centre line to its edges."""
_EVENTS_PER_US = 0.4
_SPAN_US = 400_000
"""Event rate of this rotor, and a time span that suffices to find it, after 250 ms, and to measure
it."""


def warm_up(detector: RotationDetector) -> None:
    """Run a detector with the same parameters on a synthetic rotor, so that all kernels are loaded.

    After the first time on a machine, compiled kernels come from numba's cache.

    Args:
        detector: the detector whose parameters are used; it is not changed.
    """
    rehearsal = RotationDetector(_SIZE, *detector.settings)
    step_us = detector.parameters.step_us
    span_us = max(_SPAN_US, 2 * detector.parameters.window_us)
    for start_us in range(0, span_us, step_us):
        rehearsal.process(EventWindow(start_us, step_us, _blades(start_us, step_us)))


def _blades(start_us: int, length_us: int) -> EventBatch:
    """Events of blades' edges that turn about the middle of the image, evenly over the disc."""
    random = np.random.default_rng(start_us)
    count = int(_EVENTS_PER_US * length_us)
    t = np.sort(random.integers(start_us, start_us + length_us, count))
    polarity = random.random(count) < 0.5
    pitch = 2 * math.pi / _BLADES
    angle = 2 * math.pi * _SPEED_HZ * 1e-6 * t + pitch * random.integers(0, _BLADES, count)
    angle += np.where(polarity, _EDGE_RAD, -_EDGE_RAD)
    radius = _RADIUS_PX * np.sqrt(random.random(count))
    x = _SIZE.width / 2 + radius * np.cos(angle)
    y = _SIZE.height / 2 + radius * np.sin(angle)
    return EventBatch(_SIZE, t, x.astype(np.uint16), y.astype(np.uint16), polarity)
