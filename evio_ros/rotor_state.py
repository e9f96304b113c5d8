"""The fused state of a rotor at a time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse

__all__ = ["BladeState", "RotorState", "Source"]

_Real = NDArray[np.float64]


class Source(IntFlag):
    """Sources of information in a state; the bits of `sources` in RotationState.msg."""

    ROTATION_DETECTOR = 1
    RVT_DETECTOR = 2
    MOTION = 4
    PREDICTION = 8


@dataclass(frozen=True, slots=True)
class BladeState:
    """One blade of a rotor.

    Attributes:
        index: number of the blade, counted from the reference blade (0) towards greater angles.
        angle_rad: angle on the rotor's disc, in [0, 2 pi).
        tip: (x, y) of its tip in pixels.
        velocity: (x, y) velocity of the tip in px/s.
        covariance: float64 (4, 4) of tip [px] and velocity [px/s].
    """

    index: int
    angle_rad: float
    tip: tuple[float, float]
    velocity: tuple[float, float]
    covariance: _Real


@dataclass(frozen=True, slots=True)
class RotorState:
    """A rotor at a time, measured or predicted.

    Angles and axes are defined as in `RotorEstimate`.

    Attributes:
        id: number of the rotor, kept as long as it is tracked.
        t_us: sensor time of the state in µs.
        window_us: time in µs up to `t_us` over which `rpm` is averaged; 0 for the speed at `t_us`.
        events: number of the newest window's events that belong to the rotor.
        rpm, rpm_std: mechanical speed in turns per minute, signed, and its standard deviation.
        rpm_rate: acceleration in turns per minute per second.
        angle_rad: angle of the reference blade at `t_us`, in [0, 2 pi).
        turns: turns since the rotor was first seen, signed.
        blade_count: number of blades; 1 for a single mark, 0 if unknown.
        center: (x, y) of the hub in pixels.
        axes: semi-axes of the disc's ellipse in the image in pixels, the longer first.
        tilt_rad: direction of the longer axis, in [-pi/2, pi/2).
        velocity: (x, y) velocity of the hub in px/s.
        covariance: float64 (6, 6) of angle [rad], rpm, center x, y [px] and velocity x, y [px/s].
        confidence: probability, 0 to 1, that the relative error of `rpm` is at most 1 %.
        sources: sources of information.
        blades: `blade_count` blades.
        group: number of the vehicle whose rotors move together; 0 for a single rotor.
        class_id, track_id: class and track of the object detected there; empty if there is none.
        normal: unit normal of the disc, towards the camera, in the camera's frame; zero if unknown.
        normal_covariance: (3, 3) covariance of the normal, row-major.
    """

    id: int
    t_us: int
    window_us: int
    events: int
    rpm: float
    rpm_std: float
    rpm_rate: float
    angle_rad: float
    turns: float
    blade_count: int
    center: tuple[float, float]
    axes: tuple[float, float]
    tilt_rad: float
    velocity: tuple[float, float]
    covariance: _Real
    confidence: float
    sources: Source
    blades: tuple[BladeState, ...] = ()
    group: int = 0
    class_id: str = ""
    track_id: str = ""
    normal: tuple[float, float, float] = (0.0, 0.0, 0.0)
    normal_covariance: tuple[float, ...] = (0.0,) * 9

    @property
    def ellipse(self) -> Ellipse:
        """The disc's outline in the image."""
        return Ellipse(self.center, self.axes, self.tilt_rad)
