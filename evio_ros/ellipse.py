"""The elliptic image of a rotor's disc, and angles on that disc."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evio_ros.units import TURN_RAD

__all__ = ["Ellipse", "wrapped_tilt"]


@dataclass(frozen=True, slots=True)
class Ellipse:
    """Image of a rotor's disc: an affine view of a circle.

    Attributes:
        center: (x, y) of the hub in pixels.
        axes: semi-axes (a, b) in pixels, a >= b > 0; not checked.
        tilt_rad: direction of axis a, from +x towards +y.
    """

    center: tuple[float, float]
    axes: tuple[float, float]
    tilt_rad: float

    def disc_coordinates(
        self, x: ArrayLike, y: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Radius (1 at the rim) and angle on the disc of points in the image.

        The ellipse is stretched along its axes to a circle, on which the angle is measured from the
        image's +x towards +y. On a disc seen face-on this is the angle in the image.

        Args:
            x, y: image coordinates in pixels, any shape.

        Returns:
            Radius, and angle in (-pi + tilt, pi + tilt] rad; float64 of the shape of x and y.
        """
        dx = np.asarray(x, np.float64) - self.center[0]
        dy = np.asarray(y, np.float64) - self.center[1]
        cosine, sine = math.cos(self.tilt_rad), math.sin(self.tilt_rad)
        along = (dx * cosine + dy * sine) / self.axes[0]
        across = (dy * cosine - dx * sine) / self.axes[1]
        return np.hypot(along, across), np.arctan2(across, along) + self.tilt_rad

    def image_point(self, radius: ArrayLike, angle_rad: ArrayLike) -> NDArray[np.float64]:
        """Image coordinates in pixels, (2, ...), of disc points: inverse of `disc_coordinates`."""
        relative = np.asarray(angle_rad, np.float64) - self.tilt_rad
        along = self.axes[0] * np.asarray(radius) * np.cos(relative)
        across = self.axes[1] * np.asarray(radius) * np.sin(relative)
        cosine, sine = math.cos(self.tilt_rad), math.sin(self.tilt_rad)
        return np.stack(
            (
                self.center[0] + along * cosine - across * sine,
                self.center[1] + along * sine + across * cosine,
            )
        )

    def rim(self, points: int) -> NDArray[np.float64]:
        """Image coordinates, (2, points + 1), of a closed line along the rim from angle 0."""
        return self.image_point(1.0, np.linspace(0.0, TURN_RAD, points + 1))

    def scaled(self, factor: float) -> Ellipse:
        """The same ellipse with both axes multiplied by `factor`."""
        return Ellipse(self.center, (self.axes[0] * factor, self.axes[1] * factor), self.tilt_rad)

    def half_extent(self) -> tuple[float, float]:
        """Half the width and half the height of the upright bounding box in pixels."""
        cosine, sine = math.cos(self.tilt_rad), math.sin(self.tilt_rad)
        a, b = self.axes
        return math.hypot(a * cosine, b * sine), math.hypot(a * sine, b * cosine)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Upright bounding box (x0, y0, x1, y1) in whole pixels, x1 and y1 exclusive."""
        (x, y), (half_width, half_height) = self.center, self.half_extent()
        return (
            math.floor(x - half_width),
            math.floor(y - half_height),
            math.ceil(x + half_width),
            math.ceil(y + half_height),
        )


def wrapped_tilt(tilt_rad: float) -> float:
    """The same direction of an axis in [-pi / 2, pi / 2): an axis has no sense."""
    return (tilt_rad + math.pi / 2) % math.pi - math.pi / 2
