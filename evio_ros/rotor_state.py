"""The state of a rotor at a time: what fusion makes of estimates, and what a robot acts on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse

__all__ = ["BladeState", "RotorState", "Source"]

_Real = NDArray[np.float64]


class Source(IntFlag):
    """What took part in a state; the bits of RotationState.sources."""

    ROTATION_DETECTOR = 1
    RVT_DETECTOR = 2
    MOTION = 4
    PREDICTION = 8


@dataclass(frozen=True, slots=True)
class BladeState:
    """One blade of a rotor.

    Attributes:
        index: number of the blade, counted in the sense of rising angle from the reference blade.
        angle_rad: angle on the rotor's disc, in [0, 2 pi).
        tip: (x, y) of its tip in pixels.
        velocity: (x, y) motion of the tip in pixels a second.
        covariance: (4, 4) of tip and velocity.
    """

    index: int
    angle_rad: float
    tip: tuple[float, float]
    velocity: tuple[float, float]
    covariance: _Real


@dataclass(frozen=True, slots=True)
class RotorState:
    """A rotor at a time, whether it was measured then or predicted.

    Angles and axes are those of `RotorEstimate`.

    Attributes:
        id: number of the rotor, kept as long as it is known.
        t_us: sensor time for which the state holds.
        window_us: time up to `t_us` over which `rpm` is the mean; 0 for the speed at that time.
        events: events of the newest window that belong to the rotor.
        rpm, rpm_std: mechanical speed in turns a minute, signed, and its standard deviation.
        rpm_rate: change of the speed, turns a minute each second.
        angle_rad: angle of the reference blade at `t_us`, in [0, 2 pi).
        turns: turns since the rotor was first seen, signed.
        blade_count: blades; 1 for a single mark, 0 unknown.
        center: (x, y) of the hub in pixels.
        axes: semi-axes of the disc's ellipse in the image, pixels, the longer first.
        tilt_rad: direction of the longer axis, in [-pi/2, pi/2).
        velocity: (x, y) motion of the hub in pixels a second.
        covariance: (6, 6) of angle [rad], rpm, center x, y [px] and velocity x, y [px/s].
        confidence: probability that `rpm` is right to 1 %.
        sources: what took part.
        blades: `blade_count` blades.
        group: number of the vehicle whose rotors move together; 0 for a rotor by itself.
        class_id, track_id: class and track of the object that is seen there; empty where none.
        normal: unit normal of the disc, towards the camera, in the camera's frame; zero if unknown.
        normal_covariance: (3, 3) of it.
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
        """The disc's outline in the image; ParameterError where the axes are those of none."""
        return Ellipse(self.center, self.axes, self.tilt_rad)
