"""From the pixels of a rotor's disc to angles on it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.events import SensorSize

__all__ = ["OUTSIDE", "DiscMap"]

OUTSIDE = np.uint16(0xFFFF)
"""Marks a pixel that does not belong to the disc in `DiscMap.angle_index`."""


@dataclass(frozen=True, slots=True)
class DiscMap:
    """Table from the pixels of a disc's bounding box to bins of angle on the disc.

    Attributes:
        x0, y0: upper left pixel of the box.
        angle_index: uint16 (rows, columns), bin of the pixel's angle; `OUTSIDE` off the disc.
        angle_bins: number of bins in a turn; bin i is centred at 2 pi i / angle_bins.
    """

    x0: int
    y0: int
    angle_index: NDArray[np.uint16]
    angle_bins: int

    @classmethod
    def of(
        cls,
        ellipse: Ellipse,
        size: SensorSize,
        angle_bins: int,
        hub_radius: float,
        rim_radius: float,
    ) -> DiscMap:
        """Make the table of the pixels with hub_radius <= radius <= rim_radius on the disc."""
        half_width, half_height = ellipse.scaled(rim_radius).half_extent()
        x0 = int(np.clip(math.floor(ellipse.center[0] - half_width), 0, size.width - 1))
        y0 = int(np.clip(math.floor(ellipse.center[1] - half_height), 0, size.height - 1))
        x1 = int(np.clip(math.ceil(ellipse.center[0] + half_width) + 1, x0 + 1, size.width))
        y1 = int(np.clip(math.ceil(ellipse.center[1] + half_height) + 1, y0 + 1, size.height))
        y, x = np.mgrid[y0:y1, x0:x1]
        radius, angle = ellipse.disc_coordinates(x, y)
        index = np.rint(angle * (angle_bins / (2 * math.pi))).astype(np.int64) % angle_bins
        on_disc = (radius >= hub_radius) & (radius <= rim_radius)
        return cls(x0, y0, np.where(on_disc, index, OUTSIDE).astype(np.uint16), angle_bins)
