"""Where the blades are, from the angular harmonics of their edges."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["blade_angle"]


def blade_angle(pattern: NDArray[np.complex128], blades: int) -> float:
    """Angle of the middle of one blade.

    One edge of a blade gives ON events and the other OFF events; the blade is the narrower of the
    two gaps between them. Where only one polarity is seen, its edge stands for the blade.

    Args:
        pattern: complex128 (2, orders + 1), harmonics sum of exp(-i k angle); OFF first.
        blades: number of blades, at least 1; the harmonic of this order is read.

    Returns:
        Angle in (-pi / blades, pi / blades] or one blade pitch off it, in radians.
    """
    off, on = pattern[:, blades]
    pitch = 2 * math.pi / blades
    if abs(on) < 0.1 * abs(off):
        return float(-np.angle(off) / blades)
    on_angle = -np.angle(on) / blades
    if abs(off) < 0.1 * abs(on):
        return float(on_angle)
    off_angle = -np.angle(off) / blades
    gap = (off_angle - on_angle + pitch / 2) % pitch - pitch / 2
    return float(on_angle + gap / 2)
