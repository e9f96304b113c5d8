"""What one slice says of a rotor's phase and of its disc's place and shape."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.rotation.tracking.slice_histogram import (
    ANGLE_BINS,
    BIN_RAD,
    SECTOR_BINS,
    SECTORS,
    bins_seen,
    sector_runs,
)
from evio_ros.rotation.tracking.template import Looks, add_turned

__all__ = ["GEOMETRY", "SliceInformation", "fold_sectors", "measure_slice"]

Real = NDArray[np.float64]

GEOMETRY = 4
"""Shift (x, y) of the disc in radii and shear [[s0, s1], [s1, -s0]] of its shape."""
PLACE_ERROR_PX = 0.05
"""Standard deviation of a sector's place that does not go away with the number of events."""
LOOKS_ERROR = 0.1
"""Relative error of what the template leads to expect in a sector that an edge cuts."""
LEAST_DENSITY = 0.02
"""Least that is expected in a sector, over the mean; smoothed looks may fall below 0."""
_MIDDLE_RAD = (np.arange(SECTORS) + 0.5) * (2 * math.pi / SECTORS)
LAG = np.stack(
    (-np.sin(_MIDDLE_RAD), np.cos(_MIDDLE_RAD), -np.sin(2 * _MIDDLE_RAD), np.cos(2 * _MIDDLE_RAD)),
    axis=1,
)
"""By how much the pattern lags in each sector for a shift x, y at radius 1 and a shear 0, 1."""


class SliceInformation(NamedTuple):
    """Log likelihood of a slice around an offset, to second order.

    With u = (offset beyond the given one, shift x, shift y, shear 0, shear 1) it is
    score . u - u . information . u / 2.

    Attributes:
        score: (5,).
        information: (5, 5).
        scatter: sum over the sectors of their own score squared over its variance.
        sectors: number of sectors of rings that saw the pattern.
        explained: how much of the scatter the best place and shape explain.
    """

    score: Real
    information: Real
    scatter: float
    sectors: int
    explained: float

    def excess(self) -> float | None:
        """Scatter of the sectors about the best place and shape, over what events explain."""
        freedom = self.sectors - len(self.score)
        if freedom < 4:
            return None
        return (self.scatter - self.explained) / freedom


@njit(cache=True, nogil=True)
def fold_sectors(counts, start_rad, turned_rad, folded):
    """Counts without the sectors, as a rotor of the positive sense would show them.

    Args:
        counts: int32 (rings, SECTORS, 2, ANGLE_BINS) of one rotor.
        start_rad, turned_rad: phase with which they were counted, and by how much it grew. Where
            it shrank, bright and dark edges change places.
        folded: int32 (rings, 2, ANGLE_BINS), set.

    Returns:
        The number of events.
    """
    folded[:] = 0
    first, number = bins_seen(start_rad, turned_rad)
    swapped = int(turned_rad < 0.0)
    for ring in range(counts.shape[0]):
        for polarity in range(2):
            total = folded[ring, polarity ^ swapped]
            for sector in range(SECTORS):
                begin, near, far = sector_runs(first, number, sector)
                row = counts[ring, sector, polarity]
                for i in range(begin, near):
                    total[i] += row[i]
                for i in range(far):
                    total[i] += row[i]
    return folded.sum()


def measure_slice(
    counts: NDArray[np.int32],
    looks: Looks,
    radii: Real,
    pixel_rad: float,
    response: float,
    offset_rad: float,
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
        looks: the template.
        radii: (rings,) middle radii.
        pixel_rad: angle that a pixel takes up at the rim.
        response: of the template.
        offset_rad: angle by which the rotor is about ahead.
        start_rad, turned_rad: phase with which the slice was counted, and by how much it grew;
            where it shrank, bright and dark edges of the template change places.
    """
    score, information = np.zeros(1 + GEOMETRY), np.zeros((1 + GEOMETRY, 1 + GEOMETRY))
    scatter, sectors, explained = _compare(
        counts,
        looks.slope,
        looks.integral,
        looks.second_integral,
        looks.pull,
        looks.pull_integral,
        looks.pull_second_integral,
        radii,
        PLACE_ERROR_PX * pixel_rad,
        response,
        offset_rad,
        start_rad,
        turned_rad,
        score,
        information,
    )
    return SliceInformation(score, information, scatter, sectors, explained)


@njit(cache=True, nogil=True)
def _sector_means(integral, second_integral, start, turned, means):
    """Means of a function, of which two integrals are given, over every sector and a slice's time.

    Args:
        integral, second_integral: (ANGLE_BINS,) of a function of the angle in the turning frame.
        start, turned: the frame's angle at first, and by how much it grows.
        means: (SECTORS,), set.
    """
    width = 2 * math.pi / SECTORS
    means[:] = 0.0
    if abs(turned) < 0.01:
        _steps(integral, -(start + 0.5 * turned), 1.0 / width, means)
        return
    _steps(second_integral, -start, 1.0 / (width * turned), means)
    _steps(second_integral, -(start + turned), -1.0 / (width * turned), means)


@njit(cache=True, nogil=True)
def _steps(table, angle, factor, total):
    """Add to each sector a factor times the growth of a periodic table over it.

    Sectors begin at `angle`; between bins the table is straight.
    """
    place = angle / BIN_RAD
    whole = math.floor(place)
    share = place - whole
    index = int(whole) & (ANGLE_BINS - 1)
    before = table[index] * (1 - share) + table[(index + 1) & (ANGLE_BINS - 1)] * share
    for sector in range(SECTORS):
        index = (index + SECTOR_BINS) & (ANGLE_BINS - 1)
        after = table[index] * (1 - share) + table[(index + 1) & (ANGLE_BINS - 1)] * share
        total[sector] += factor * (after - before)
        before = after


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _moments(counts, slope):
    """Number of events, and sums of their slope and of its square."""
    total, first, second = 0, np.float32(0.0), np.float32(0.0)
    for i in range(len(counts)):
        weighted = np.float32(counts[i]) * slope[i]
        total += counts[i]
        first += weighted
        second += weighted * slope[i]
    return total, float(first), float(second)


@njit(cache=True, nogil=True)
def _compare(
    counts,
    looks_slope,
    integral,
    second_integral,
    pull,
    pull_integral,
    pull_second_integral,
    radii,
    place_error,
    response,
    offset,
    start,
    turned,
    score,
    information,
):
    """Sum score and information up; scatter, number of sectors and what is explained."""
    slope = np.zeros_like(looks_slope)
    add_turned(slope, looks_slope, offset / BIN_RAD)
    design, density, pulled = np.ones(1 + GEOMETRY), np.empty(SECTORS), np.empty(SECTORS)
    expected = np.empty((2, SECTORS))
    scatter, sectors = 0.0, 0
    first, number = bins_seen(start, turned)
    swapped = int(turned < 0.0)
    for ring in range(counts.shape[0]):
        for seen in range(2):
            of = ring, seen ^ swapped
            begin = start + offset
            _sector_means(integral[of], second_integral[of], begin, turned, density)
            _sector_means(pull_integral[of], pull_second_integral[of], begin, turned, pulled)
            for sector in range(SECTORS):
                mean = max(1.0 + density[sector], LEAST_DENSITY)
                expected[seen, sector] = (pull[of] + pulled[sector]) / mean
        for sector in range(SECTORS):
            push, weight, doubt = 0.0, 0.0, 0.0
            begin, near, far = sector_runs(first, number, sector)
            for seen in range(2):
                row, slopes = counts[ring, sector, seen], slope[ring, seen ^ swapped]
                events, steep, squared = _moments(row[begin:near], slopes[begin:near])
                if far:
                    more = _moments(row[:far], slopes[:far])
                    events, steep, squared = events + more[0], steep + more[1], squared + more[2]
                usual = expected[seen, sector]
                push -= steep - events * usual
                weight += max(squared - events * usual**2, 0.0)
                doubt += (LOOKS_ERROR * events * usual) ** 2
            if weight == 0.0:
                continue
            # The edges in one sector are few and pixels discrete: no sector is known without end.
            doubt += (place_error / radii[ring] * weight) ** 2
            trust = weight / (weight + doubt)
            push, weight = push * trust, weight * trust
            scatter += push * push / weight
            sectors += 1
            for i in range(GEOMETRY):
                design[1 + i] = LAG[sector, i] / (radii[ring] if i < 2 else 1.0)
            for i in range(1 + GEOMETRY):
                score[i] += push * design[i]
                for j in range(1 + GEOMETRY):
                    information[i, j] += weight * design[i] * design[j]
    # An offset u changes the score by response * information * u.
    score *= response
    information *= response**2
    return scatter, sectors, _explained(score, information)


@njit(cache=True, nogil=True)
def _explained(score, information):
    """Squared score over its variance that the best place and shape explain."""
    # A touch of prior keeps the solution finite where some sectors saw nothing.
    rest, left, explained = information.copy(), score.copy(), 0.0
    for i in range(len(score)):
        rest[i, i] += 1e-6 * rest[i, i] + 1e-9
    # Unknowns are eliminated one after the other.
    for i in range(len(score)):
        explained += left[i] ** 2 / rest[i, i]
        for j in range(i + 1, len(score)):
            share = rest[j, i] / rest[i, i]
            left[j] -= share * left[i]
            for k in range(i + 1, len(score)):
                rest[j, k] -= share * rest[i, k]
    return explained
