"""How many blades there are and where, from the angular harmonics of their edges.

Method: N equal blades leave only multiples of N among the angular orders; the number is the largest
of which the multiples hold clearly more power than chance. Blades may be swept and tapered: their
edges then lie at other angles on every ring, and the orders stay the same. The angle of a blade is
read from the phases of order N, of both polarities.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["blade_angle", "blade_count"]

_LEAST_AGREEMENT = 0.65
"""Least correlation of neighbouring rings for what turns to be blades: a texture
has another pattern on every ring. Fitted to simulated recordings."""
_CORRELATION_STEPS = 64
"""A turn is tried in four times as many steps for the shift that suits two rings best: 25 mrad."""
_LEAST_POLARITY = 0.1
"""A polarity whose edges have less than this share of the other's is not seen."""
_LEAST_SHARE = 0.4
"""Least power on the multiples of a number of blades, 0 where chance has it and 1 for all: it tells
blades from a single mark. Fitted to simulated recordings."""
_LEAST_RING_POWER = 0.02
"""Rings with less than this share of all power are not asked whether they show the same number of
blades: their harmonics are mostly noise. Set by hand."""
_NEARLY_BEST = 0.7
"""The largest number counts whose share is at least this part of the best: the divisors of the true
number have all of its multiples too. Fitted to simulated recordings."""


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
    if abs(on) < _LEAST_POLARITY * abs(off):
        return float(-np.angle(off) / blades)
    on_angle = -np.angle(on) / blades
    if abs(off) < _LEAST_POLARITY * abs(on):
        return float(on_angle)
    off_angle = -np.angle(off) / blades
    gap = (off_angle - on_angle + pitch / 2) % pitch - pitch / 2
    return float(on_angle + gap / 2)


def blade_count(pattern: NDArray[np.complex128], maximum: int) -> int:
    """Number of blades of a pattern from the angular orders that it holds.

    N equal blades leave only multiples of N; unequal ones leave all orders but most power in the
    multiples. The largest N whose multiples hold clearly more than chance gives them, 1 / N. Where
    every ring agrees in N, each may have a phase of its own. Else the rings must look alike, as a
    blade or mark reaches over several; what has another pattern on every ring is a texture.

    Args:
        pattern: complex128 (rings, 2, orders + 1), harmonics of the events' angles, OFF first;
            order 0 holds the numbers of events.
        maximum: largest number considered.

    Returns:
        Number of blades; 1 where no number of two or more stands out, 0 for a texture and where
        nothing is seen.
    """
    noise = pattern[:, :, :1].real
    power = np.maximum(np.abs(pattern[:, :, 1:]) ** 2 - noise, 0.0)
    by_ring = power.sum(axis=1)
    total = by_ring.sum()
    if total <= 0.0:
        return 0
    scores = np.zeros(maximum + 1)
    for count in range(2, maximum + 1):
        scores[count] = _share_on_multiples(by_ring.sum(axis=0), count)
    best = scores.max()
    if best >= _LEAST_SHARE:
        blades = int(np.flatnonzero(scores >= _NEARLY_BEST * best)[-1])
        rings = by_ring[by_ring.sum(axis=1) > _LEAST_RING_POWER * total]
        if min(_share_on_multiples(ring, blades) for ring in rings) >= _LEAST_SHARE:
            return blades
    else:
        blades = 1
    return blades if _ring_agreement(pattern, power) >= _LEAST_AGREEMENT else 0


def _share_on_multiples(by_order: NDArray[np.float64], count: int) -> float:
    """Power of (orders,) 1, 2, ... on the multiples of a count: 0 for chance, 1 for all."""
    share = by_order[count - 1 :: count].sum() / by_order.sum()
    return float((share - 1 / count) / (1 - 1 / count))


def _ring_agreement(pattern: NDArray[np.complex128], power: NDArray[np.float64]) -> float:
    """Correlation of neighbouring rings' patterns, 0 to 1, at the shift that suits each pair best.

    Args:
        pattern: see `blade_count`.
        power: (rings, 2, orders) power of its orders without noise.
    """
    if len(pattern) < 2:
        return 1.0
    cross = (pattern[:-1, :, 1:] * np.conj(pattern[1:, :, 1:])).sum(axis=1)
    correlation = np.abs(np.fft.fft(cross, 4 * _CORRELATION_STEPS, axis=1)).max(axis=1)
    energy = power.sum(axis=(1, 2))
    norm = np.sqrt(energy[:-1] * energy[1:])
    return float(correlation.sum() / max(norm.sum(), 1e-300))
