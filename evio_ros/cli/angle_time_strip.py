"""A rotor's latest events over time and angle, as the detector sees its blades."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.estimate import RotorEstimate
from evio_ros.events import EventWindow
from evio_ros.rotation.angle_time import angle_time_histogram
from evio_ros.rotation.tracking.disc_map import DiscMap
from evio_ros.rotation.tracking.tracker_parameters import TrackerParameters

__all__ = ["AngleTimePiece", "AngleTimeStrip"]

_TURNS = 3
_LONGEST_US = 1_000_000
"""A strip holds this number of turns, or this time if the rotor turns slowly."""
_TIME_BINS = 64
"""Time bins per turn."""
_ANGLE_BINS = 128
"""Angle bins per turn."""
_TRACKER = TrackerParameters()
"""Default parameters of the tracker, for the part of a disc that it uses."""


@dataclass(frozen=True, slots=True)
class AngleTimePiece:
    """Part of a strip, with the estimate at its end.

    Attributes:
        start_us, length_us: sensor time in µs.
        counts: int32 (2, time bins, angle bins), OFF first; angles as in `RotorEstimate.angle_rad`.
        estimate: the rotor's estimate.
    """

    start_us: int
    length_us: int
    counts: NDArray[np.int32]
    estimate: RotorEstimate

    @property
    def end_us(self) -> int:
        """First microsecond after the piece."""
        return self.start_us + self.length_us

    def blade_angles(self, t_us: NDArray[np.float64]) -> NDArray[np.float64]:
        """Angles of the blades at given times by the estimate.

        A single mark, or an unknown number of blades, counts as one blade.

        Args:
            t_us: float64 (n,) sensor times in µs.

        Returns:
            float64 (blades, n), in [0, 2 pi).
        """
        blades = np.arange(max(self.estimate.blade_count, 1))[:, None]
        turned = self.estimate.rpm / 60e6 * (t_us - self.estimate.t_us)
        turns = self.estimate.angle_rad / (2 * math.pi) + turned + blades / len(blades)
        return 2 * math.pi * np.remainder(turns, 1.0)


class AngleTimeStrip:
    """The last turns of one rotor.

    Attributes:
        pieces: in order of time.
    """

    def __init__(self) -> None:
        self.pieces: deque[AngleTimePiece] = deque()

    def add(self, step: EventWindow, estimate: RotorEstimate) -> None:
        """Add the events since the previous estimate, and drop pieces older than a few turns.

        Args:
            step: events that end with the estimate's window.
            estimate: gives the rotor's disc and motion.
        """
        turn_us = min(60e6 / max(abs(estimate.rpm), 1e-3), _LONGEST_US / _TURNS)
        span_us = math.ceil(_TURNS * turn_us)
        start_us = max(step.start_us, step.end_us - span_us)
        length_us = step.end_us - start_us
        middle_us = start_us + length_us // 2
        ellipse = _disc_at(estimate, middle_us)
        disc = DiscMap.of(ellipse, step.events.size, 1, _TRACKER.hub_radius, _TRACKER.rim_radius)
        bins = max(round(_TIME_BINS * length_us / turn_us), 1)
        events = step.events.between(start_us, step.end_us)
        counts = angle_time_histogram(events, disc, start_us, length_us, bins, _ANGLE_BINS)
        self.pieces.append(AngleTimePiece(start_us, length_us, counts, estimate))
        while self.pieces[0].end_us <= step.end_us - span_us:
            self.pieces.popleft()


def _disc_at(estimate: RotorEstimate, t_us: int) -> Ellipse:
    """The disc at a time shortly before the estimate."""
    ago_s = (estimate.t_us - t_us) * 1e-6
    x, y = (
        place - speed * ago_s
        for place, speed in zip(estimate.center, estimate.velocity, strict=True)
    )
    return Ellipse((x, y), estimate.axes, estimate.tilt_rad)
