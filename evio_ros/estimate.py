"""The result of measuring rotors over one window."""

from __future__ import annotations

import math
from dataclasses import dataclass

from evio_ros.ellipse import Ellipse
from evio_ros.events import EventWindow
from evio_ros.explanation import Explanation

__all__ = ["RIGHT_ERROR", "Measurement", "RotorEstimate"]

RIGHT_ERROR = 0.01
"""Relative error up to which an estimate's `rpm` is counted as correct, see
`RotorEstimate.confidence`."""


@dataclass(frozen=True, slots=True)
class RotorEstimate:
    """Rotation of one rotor over one window of sensor time.

    Image axes: x right, y down; angles from +x towards +y, so a positive rpm looks clockwise.

    Attributes:
        id: number of the rotor, kept from window to window.
        t_us: end of the window, sensor time in µs.
        window_us: length of the window in µs.
        rpm: mean mechanical speed over the window in turns per minute, signed.
        rpm_std: standard deviation of `rpm`.
        blade_count: number of blades; 1 for a single mark, 0 if unknown.
        angle_rad: angle of the reference blade at the window's end, in [0, 2 pi), measured on the
            rotor's own disc (the ellipse corrected to a circle).
        angle_std_rad: standard deviation of `angle_rad`.
        turns: turns since the rotor was first seen, signed.
        center: (x, y) of the hub in pixels.
        axes: semi-axes (a, b) of the disc's ellipse in the image, pixels, a >= b.
        tilt_rad: direction of axis a, in [-pi/2, pi/2).
        velocity: (x, y) velocity of the hub in px/s.
        confidence: probability, 0 to 1, that the relative error of `rpm` is at most 1 %
            (`RIGHT_ERROR`).
        events: number of the window's events that belong to the rotor.
        center_std: standard deviations of `center` in pixels; infinite if unknown.
        looked_back: whether events after the window were used too, which a live camera would not
            yet have sent.
    """

    id: int
    t_us: int
    window_us: int
    rpm: float
    rpm_std: float
    blade_count: int
    angle_rad: float
    angle_std_rad: float
    turns: float
    center: tuple[float, float]
    axes: tuple[float, float]
    tilt_rad: float
    velocity: tuple[float, float]
    confidence: float
    events: int
    center_std: tuple[float, float] = (math.inf, math.inf)
    looked_back: bool = False

    @property
    def ellipse(self) -> Ellipse:
        """The disc's outline in the image."""
        return Ellipse(self.center, self.axes, self.tilt_rad)


@dataclass(frozen=True, slots=True)
class Measurement:
    """All rotors of one window.

    Attributes:
        t_us: end of the window, sensor time in µs.
        window_us: length of the window in µs.
        step: the events since the previous window; None if they were not kept.
        rotors: the most confident first; empty if no rotor is visible.
        explanations: why no rotor has been found in other places so far, the most relevant first,
            see `RotationDetector.explanations`. With looking back, those for the whole recording
            come with its last measurement.
    """

    t_us: int
    window_us: int
    step: EventWindow | None
    rotors: list[RotorEstimate]
    explanations: tuple[Explanation, ...] = ()
