"""Number and angle of the blades, from the angular harmonics of their edges.

Method: a pattern of N equal blades has only multiples of N among its angular orders. The blade
count is the largest number whose multiples hold clearly more power than expected by chance. If
blades are swept or tapered, their edges are at different angles on each ring, but the orders are
the same. The angle of a blade follows from the phases of order N of both polarities.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["blade_angle", "blade_count"]

_LEAST_AGREEMENT = 0.65
"""Minimum correlation of neighbouring rings for a pattern of blades: a texture has a different
pattern on every ring. Fitted to simulated recordings."""
_CORRELATION_STEPS = 256
"""Number of steps per turn in which the shift that aligns two rings best is searched: 25 mrad."""
_LEAST_POLARITY = 0.1
"""A polarity whose edges have less than this share of the other's counts as not seen."""
_LEAST_SHARE = 0.4
"""Minimum share of the power on the multiples of a blade count, from 0 (as by chance) to 1 (all):
it separates blades from a single mark. Fitted to simulated recordings."""
_LEAST_RING_POWER = 0.02
"""Rings with less than this share of the power need not agree in the blade count: their harmonics
are mostly noise. Set by hand."""
_NEARLY_BEST = 0.7
"""The largest number whose share is at least this fraction of the best share is taken: a divisor of
the true number has the same multiples and more. Fitted to simulated recordings."""


def blade_angle(pattern: NDArray[np.complex128], blades: int) -> float:
    """Angle of the centre line of one blade.

    One edge of a blade causes ON events and the other OFF events; the blade is the narrower of the
    two gaps between them. If only one polarity is seen, the angle is that of its edge.

    Args:
        pattern: complex128 (2, orders + 1), sums of exp(-i k angle) over the events; OFF first.
        blades: number of blades, at least 1; the harmonic of this order is used.

    Returns:
        Angle in rad, at most three quarters of a blade's pitch from 0.
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
    """Number of blades of a pattern, from its angular orders.

    N equal blades have power only at multiples of N; unequal ones at all orders, but mostly at
    those multiples. N is the largest number whose multiples hold clearly more power than the 1 / N
    expected by chance. If all rings agree in N, their phases may differ. Otherwise the rings must
    be alike, as a blade or mark extends over several; a pattern that differs from ring to ring is a
    texture.

    Args:
        pattern: complex128 (rings, 2, orders + 1), harmonics of the events' angles, OFF first;
            order 0 holds the numbers of events.
        maximum: largest number considered.

    Returns:
        Number of blades; 1 if no number of two or more stands out, 0 for a texture and if there is
        no pattern.
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
    """Share of the power (orders,) on the multiples of a count: 0 if as by chance, 1 if all."""
    share = by_order[count - 1 :: count].sum() / by_order.sum()
    return float((share - 1 / count) / (1 - 1 / count))


def _ring_agreement(pattern: NDArray[np.complex128], power: NDArray[np.float64]) -> float:
    """Correlation of neighbouring rings' patterns, 0 to 1, at the best shift of each pair.

    Args:
        pattern: see `blade_count`.
        power: (rings, 2, orders) power of its orders without noise.
    """
    if len(pattern) < 2:
        return 1.0
    cross = (pattern[:-1, :, 1:] * np.conj(pattern[1:, :, 1:])).sum(axis=1)
    correlation = np.abs(np.fft.fft(cross, _CORRELATION_STEPS, axis=1)).max(axis=1)
    energy = power.sum(axis=(1, 2))
    norm = np.sqrt(energy[:-1] * energy[1:])
    return float(correlation.sum() / max(norm.sum(), 1e-300))
