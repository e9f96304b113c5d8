"""What one slice says of a rotor's phase and of its disc's place and shape."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.rotation.slice_histogram import ANGLE_BINS, BIN_RAD, SECTORS
from evio_ros.rotation.template import Looks

__all__ = ["GEOMETRY", "SliceInformation", "in_turning_frame", "measure_slice"]

Real = NDArray[np.float64]

GEOMETRY = 4
"""Shift (x, y) of the disc in radii and shear [[s0, s1], [s1, -s0]] of its shape."""


@dataclass(frozen=True, slots=True)
class SliceInformation:
    """Log likelihood of a slice around a bin's offset, to second order.

    With u = (offset beyond the bin's, shift x, shift y, shear 0, shear 1) it is
    score . u - u . information . u / 2.

    Attributes:
        score: (5,).
        information: (5, 5).
    """

    score: Real
    information: Real


def in_turning_frame(counts: NDArray[np.int32]) -> NDArray[np.int32]:
    """Counts without the sectors: (rings, 2, ANGLE_BINS)."""
    return counts.sum(axis=1, dtype=np.int32)


def measure_slice(
    counts: NDArray[np.int32],
    looks: Looks,
    radii: Real,
    offset_bins: int,
    start_rad: float,
    turned_rad: float,
) -> SliceInformation:
    """Compare every sector and ring of a slice with the template.

    On the disc (radius 1), with the centre wrong by (ex, ey) and the shape by the symmetric shear
    [[s0, s1], [s1, -s0]], the angle a of a point at radius r is taken too small by
    (ex sin a - ey cos a) / r + s0 sin 2a - s1 cos 2a, and there the pattern seems to lag by as
    much.

    A sector may be hidden, dark or have few pixels: the likelihood is that of the events' angles
    given the number of events in each sector, so how much a sector sees does not matter.

    Args:
        counts: int32 (rings, SECTORS, 2, ANGLE_BINS) of one rotor.
        looks: the template, polarities as they are seen now.
        radii: (rings,) middle radii.
        offset_bins: whole bins by which the rotor is ahead.
        start_rad, turned_rad: expected phase at the slice's start, and by how much it grows.
    """
    score, information = np.zeros(1 + GEOMETRY), np.zeros((1 + GEOMETRY, 1 + GEOMETRY))
    _accumulate(
        counts,
        looks.slope,
        looks.density,
        looks.integral,
        looks.second_integral,
        radii,
        offset_bins % ANGLE_BINS,
        math.remainder(start_rad + offset_bins * BIN_RAD, 2 * math.pi),
        turned_rad,
        score,
        information,
    )
    return SliceInformation(score, information)


@njit(cache=True, nogil=True)
def _at(table, angle):  # type: ignore[no-untyped-def]
    """Value of a periodic table, straight between bins."""
    place = angle * (ANGLE_BINS / (2 * math.pi))
    whole = math.floor(place)
    share = place - whole
    index = int(whole) & (ANGLE_BINS - 1)
    return table[index] * (1 - share) + table[(index + 1) & (ANGLE_BINS - 1)] * share


@njit(cache=True, nogil=True)
def _sector_mean(table, integral, begin, width, start, turned):  # type: ignore[no-untyped-def]
    """Mean of a density over a sector and over the slice's time."""
    if abs(turned) < 0.01:
        middle = start + 0.5 * turned
        return (_at(table, begin + width - middle) - _at(table, begin - middle)) / width
    end = start + turned
    first = _at(integral, begin + width - start) - _at(integral, begin - start)
    last = _at(integral, begin + width - end) - _at(integral, begin - end)
    return (first - last) / (width * turned)


@njit(cache=True, nogil=True)
def _accumulate(  # type: ignore[no-untyped-def]
    counts,
    slope,
    density,
    integral,
    second_integral,
    radii,
    shift,
    start,
    turned,
    score,
    information,
):
    design = np.empty(5)
    design[0] = 1.0
    width = 2 * math.pi / SECTORS
    for ring in range(counts.shape[0]):
        for sector in range(SECTORS):
            push, weight = 0.0, 0.0
            for polarity in range(2):
                total, first, second = 0, 0.0, 0.0
                for i in range(ANGLE_BINS):
                    n = counts[ring, sector, polarity, i]
                    if n > 0:
                        s = slope[ring, polarity, (i - shift) & (ANGLE_BINS - 1)]
                        total += n
                        first += n * s
                        second += n * s * s
                if total == 0:
                    continue
                begin = sector * width
                mean = 1.0 + _sector_mean(
                    integral[ring, polarity],
                    second_integral[ring, polarity],
                    begin,
                    width,
                    start,
                    turned,
                )
                rise = _sector_mean(
                    density[ring, polarity],
                    integral[ring, polarity],
                    begin,
                    width,
                    start,
                    turned,
                )
                expected = rise / max(mean, 0.02)
                push -= first - total * expected
                weight += max(second - total * expected**2, 0.0)
            if weight == 0.0:
                continue
            angle = (sector + 0.5) * width
            design[1] = -math.sin(angle) / radii[ring]
            design[2] = math.cos(angle) / radii[ring]
            design[3] = -math.sin(2 * angle)
            design[4] = math.cos(2 * angle)
            for i in range(5):
                score[i] += push * design[i]
                for j in range(5):
                    information[i, j] += weight * design[i] * design[j]
