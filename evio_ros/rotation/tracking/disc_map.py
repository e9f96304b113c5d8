"""Mapping the pixels of a rotor's disc to rings and angles, and the layout of a pixel's code.

A pixel's code is an int32. Negative codes mean that no rotor uses the pixel, see `FREE`, `SHARED`,
`UNUSED` and `OUTSIDE`. The others consist of, from the upper bits to the lower ones,

    slot of the rotor | ring, 4 bits | angle, ANGLE_BITS

The angle is in units of 1 / ANGLE_STEPS of a turn, so that it wraps like an integer. In the map of
a single disc, the slot is 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.events import SensorSize

__all__ = [
    "ANGLE_BITS",
    "ANGLE_MASK",
    "ANGLE_STEPS",
    "FREE",
    "MOST_RINGS",
    "SHARED",
    "SLOT_SHIFT",
    "UNUSED",
    "DiscMap",
    "ring_radii",
]

ANGLE_BITS = 16
"""Bits of the angle, whose unit is then 1e-4 rad: far less than a pixel at the rim of any disc."""
_RING_BITS = 4
SLOT_SHIFT = ANGLE_BITS + _RING_BITS
"""Number of bits below the slot."""
MOST_RINGS = 1 << _RING_BITS
"""Number of rings that a code can distinguish."""
ANGLE_STEPS = 1 << ANGLE_BITS
"""A turn in units of a code's angle."""
ANGLE_MASK = ANGLE_STEPS - 1

FREE = -1
"""Code of a pixel that belongs to no rotor."""
SHARED = -2
"""Code of a pixel where discs overlap: its events are used for none of the rotors."""
UNUSED = -3
"""Code of a pixel at the hub or just outside the rim: it belongs to the rotor but is not used."""
OUTSIDE = -4
"""Code of a pixel in the box of a map that does not belong to the disc."""

_MARGIN = 0.15
"""Width of the unused margin around the rim, in radii of the disc: it takes events of the blades'
tips while the disc is not yet well known. Fitted to simulated recordings."""


@dataclass(frozen=True, slots=True)
class DiscMap:
    """Look-up table from the pixels of a disc's bounding box to ring and angle on the disc.

    Attributes:
        x0, y0: upper left pixel of the box.
        codes: int32 (rows, columns); `OUTSIDE` outside the disc, `UNUSED` at the hub and the rim,
            else ring and angle of the pixel's centre.
        rings: number of rings, counted from the hub.
    """

    x0: int
    y0: int
    codes: NDArray[np.int32]
    rings: int

    @classmethod
    def of(
        cls, ellipse: Ellipse, size: SensorSize, rings: int, hub_radius: float, rim_radius: float
    ) -> DiscMap:
        """Make the table; pixels with hub_radius <= radius <= rim_radius on the disc are used.

        Args:
            ellipse: the disc.
            size: geometry of the sensor; the table is clipped to it.
            rings: number of rings, at most `MOST_RINGS`; used pixels outside radius 1 belong to
                the last one.
            hub_radius, rim_radius: in radii of the disc.
        """
        half_width, half_height = ellipse.scaled(rim_radius + _MARGIN).half_extent()
        x0 = int(np.clip(math.floor(ellipse.center[0] - half_width), 0, size.width - 1))
        y0 = int(np.clip(math.floor(ellipse.center[1] - half_height), 0, size.height - 1))
        x1 = int(np.clip(math.ceil(ellipse.center[0] + half_width) + 1, x0 + 1, size.width))
        y1 = int(np.clip(math.ceil(ellipse.center[1] + half_height) + 1, y0 + 1, size.height))
        codes = np.empty((y1 - y0, x1 - x0), np.int32)
        shape = np.array((*ellipse.center, *ellipse.axes, ellipse.tilt_rad))
        _encode(codes, x0, y0, shape, rings, hub_radius, rim_radius)
        return cls(x0, y0, codes, rings)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """(x0, y0, x1, y1) with x0 <= x < x1 and y0 <= y < y1."""
        rows, columns = self.codes.shape
        return self.x0, self.y0, self.x0 + columns, self.y0 + rows


def ring_radii(rings: int, hub_radius: float) -> NDArray[np.float64]:
    """Mean radius of each ring, (rings,); rings are equally wide from the hub to the rim at 1."""
    return hub_radius + (1.0 - hub_radius) * (np.arange(rings) + 0.5) / rings


@njit(cache=True, nogil=True)
def _encode(codes, x0, y0, shape, rings, hub_radius, rim_radius):
    """Set the codes of all pixels; radius and angle are those of `Ellipse.disc_coordinates`."""
    center_x, center_y, major, minor, tilt = shape
    cosine, sine = math.cos(tilt), math.sin(tilt)
    per_ring = rings / (1.0 - hub_radius)
    for row in range(codes.shape[0]):
        for column in range(codes.shape[1]):
            dx, dy = column + x0 - center_x, row + y0 - center_y
            along = (dx * cosine + dy * sine) / major
            across = (dy * cosine - dx * sine) / minor
            radius = math.hypot(along, across)
            if radius > rim_radius + _MARGIN:
                codes[row, column] = OUTSIDE
                continue
            if radius < hub_radius or radius > rim_radius:
                codes[row, column] = UNUSED
                continue
            turn = (math.atan2(across, along) + tilt) / (2 * math.pi)
            angle = int((turn - math.floor(turn)) * ANGLE_STEPS + 0.5) & ANGLE_MASK
            ring = min(int((radius - hub_radius) * per_ring), rings - 1)
            codes[row, column] = (ring << ANGLE_BITS) | angle
