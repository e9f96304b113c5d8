"""The log likelihood of slices under a template: matched filter, score and Fisher information.

The matched filter is the phase discriminator. For every offset within half a blade's pitch it gives
the log likelihood of Poisson events, the sum of counts times the log density rotated by the offset;
see `template` for the source. The prior of an offset x from the expected phase with variance V is
-x^2 / (2 V). If another offset is much more likely without the prior, the rotor manoeuvres. Between
bins, the vertex of a parabola is used.

About that offset, score and information separate the phase from the disc's position and shape:
maximum likelihood to second order (Kay, Fundamentals of Statistical Signal Processing: Estimation
Theory, 1993, chapters 3 and 7). With the template's density f over the derotated angle a, n events
of sector j at the angles a_i and a lag u_j of the pattern there, the log likelihood of the angles
given n is

    L_j = sum_i log f(a_i - u_j) - n log F_j(u_j),  F_j the mean of f over what the sector sees,

and with the slope s = f' / f and its mean S_j over what the sector sees, weighted by f,

    score        g_j = dL_j / du_j = -(sum_i s(a_i - u_j) - n S_j)
    information  I_j = sum_i s(a_i - u_j)^2 - n S_j^2

The lag is linear in five unknowns, u_j = d_j . (offset, shift x, shift y, shear 0, shear 1), so
that score and information of these are the sums of g_j d_j and of I_j d_j d_j'. The inverse of the
information is the Cramer-Rao bound. A sector may be hidden, dark or have few pixels: the likelihood
is conditional on n, so it does not matter how much a sector sees.

On the disc (radius 1), with the centre wrong by (ex, ey) and the shape by the symmetric shear [[s0,
s1], [s1, -s0]], the angle a of a point at radius r is too small by (ex sin a - ey cos a) / r + s0
sin 2a - s1 cos 2a, and the pattern seems to lag there by as much.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.rotation.parabola import vertex
from evio_ros.rotation.tracking.slice_counts import (
    ANGLE_BINS,
    BIN_RAD,
    SECTOR_BINS,
    SECTORS,
    CoherentSlices,
    bins_seen,
    sector_runs,
)
from evio_ros.rotation.tracking.template import Template, TemplateTables, add_turned

__all__ = [
    "GEOMETRY",
    "LARGEST_STEP_RAD",
    "Match",
    "Score",
    "match_template",
    "score_of",
]

_Real = NDArray[np.float64]

_MANOEUVRE_GAIN = 15.0
"""Log likelihood by which an offset must exceed the one near the expected phase to count as a
manoeuvre: e^15 outweighs the hundred offsets tried, and errors of the template. Fitted to simulated
recordings."""

GEOMETRY = 4
"""Number of unknowns of the disc: shift (x, y) in radii and shear [[s0, s1], [s1, -s0]]."""
LARGEST_STEP_RAD = 4 * BIN_RAD
"""Corrections of the matched filter's offset that are larger than this are rejected: the score is
assumed to be linear, which holds for a few bins at blades' edges."""
_PLACE_ERROR_PX = 0.05
"""Standard deviation of the position of the edges in a sector that does not average out with more
events: pixels are discrete, and a sector sees few edges. Fitted to simulated recordings."""
_TEMPLATE_ERROR = 0.1
"""Relative error of the score expected from the template in a sector that an edge crosses. Fitted
to simulated recordings."""
_LEAST_DENSITY = 0.02
"""Minimum expected density in a sector, relative to the mean; that of a smoothed template may be
negative. Fitted to simulated recordings."""
_SHORT_RAD = 0.01
"""If a rotor turns by less than this in a slice, a sector's means are evaluated at the middle of
the slice: this is half a bin, over which tables are linear, and dividing by a smaller angle would
amplify rounding errors."""
_MIDDLE_RAD = (np.arange(SECTORS) + 0.5) * (2 * math.pi / SECTORS)
_LAG = np.stack(
    (-np.sin(_MIDDLE_RAD), np.cos(_MIDDLE_RAD), -np.sin(2 * _MIDDLE_RAD), np.cos(2 * _MIDDLE_RAD)),
    axis=1,
)
"""Lag of the pattern in each sector, (SECTORS, 4), for a unit of shift x, y at radius 1 and of
shear 0, 1."""

_LEAST_FREEDOM = 4
"""Minimum degrees of freedom (sectors minus unknowns) for an estimate of the scatter."""


class Match(NamedTuple):
    """The offset of the greatest likelihood.

    Attributes:
        offset_rad: angle by which the rotor leads the expected phase.
        gain: log likelihood there, relative to that of no pattern.
        is_manoeuvre: whether the rotor has departed from the expected motion.
    """

    offset_rad: float
    gain: float
    is_manoeuvre: bool


def match_template(
    folded: NDArray[np.int32], tables: TemplateTables, blades: int, expected_variance: float
) -> Match:
    """Find the most likely offset within half a blade's pitch.

    Args:
        folded: int32 (rings, 2, ANGLE_BINS), counts in the turning frame, see `CoherentSlices`.
        tables: tables of the template.
        blades: number of blades; beyond half their pitch, another blade would match.
        expected_variance: variance of the expected phase, rad^2.
    """
    reach = ANGLE_BINS // (2 * max(blades, 2))
    return Match(*_best_offset(folded, tables.log_density, reach, expected_variance))


class Score(NamedTuple):
    """Log likelihood of slices about an offset, to second order.

    For u = (correction of the offset, shift x, shift y, shear 0, shear 1), the log likelihood is
    gradient . u - u . information . u / 2, relative to u = 0.

    Attributes:
        gradient: (5,), the score.
        information: (5, 5), the Fisher information.
        scatter: sum over the sectors of the squared score over its variance.
        sectors: number of sectors, over all rings, that saw the pattern.
        explained: part of the scatter that the best position and shape explain.
    """

    gradient: _Real
    information: _Real
    scatter: float
    sectors: int
    explained: float

    def over_dispersion(self) -> float | None:
        """Over-dispersion of the sectors' scores about the best disc; None for too few sectors."""
        freedom = self.sectors - len(self.gradient)
        if freedom < _LEAST_FREEDOM:
            return None
        return (self.scatter - self.explained) / freedom


def score_of(
    slices: CoherentSlices, template: Template, offset_rad: float, pixel_rad: float
) -> Score:
    """Score and information of slices, over all sectors and rings.

    Args:
        slices: slices of one rotor. If it turned in the negative sense, the polarities of the
            template are exchanged.
        template: the rotor's template.
        offset_rad: angle by which the rotor approximately leads, see `match_template`.
        pixel_rad: angle that a pixel spans at the rim.
    """
    return Score(
        *_total_score(
            slices.counts,
            template.tables,
            template.radii,
            template.response,
            _PLACE_ERROR_PX * pixel_rad,
            (offset_rad, slices.phase, slices.turned_rad),
        )
    )


@njit(cache=True, nogil=True)
def _best_offset(counts, log_density, reach, expected_variance):
    """The fields of `Match`; within `reach` bins, see `match_template`."""
    likelihood = _likelihoods(counts, log_density, reach + 1)
    best, is_manoeuvre = _best_bin(likelihood, reach, expected_variance + BIN_RAD**2)
    middle = best + reach + 1
    before, here, after = likelihood[middle - 1], likelihood[middle], likelihood[middle + 1]
    beyond = min(max(vertex(before, here, after), -0.5), 0.5)
    return (best + beyond) * BIN_RAD, here, is_manoeuvre


@njit(cache=True, nogil=True)
def _likelihoods(counts, log_density, reach):
    """Log likelihood, float32 (2 reach + 1,), of counts for offsets of -reach to reach bins."""
    rings, polarities, bins = counts.shape
    offsets = 2 * reach + 1
    likelihood = np.zeros(offsets, np.float32)
    # Reversed, so that the offsets of a bin are contiguous.
    backwards = np.empty(bins + offsets, np.float32)
    for ring in range(rings):
        for polarity in range(polarities):
            row = counts[ring, polarity]
            for i in range(bins + offsets):
                backwards[i] = log_density[ring, polarity, (bins - 1 + reach - i) & (bins - 1)]
            # Four bins at a time, so that the sums are written back a quarter as often.
            for i in range(0, bins, 4):
                a, b = np.float32(row[i]), np.float32(row[i + 1])
                c, d = np.float32(row[i + 2]), np.float32(row[i + 3])
                if a or b or c or d:
                    run = backwards[bins - 4 - i : bins - i + offsets]
                    for j in range(offsets):
                        likelihood[j] += (
                            a * run[j + 3] + b * run[j + 2] + c * run[j + 1] + d * run[j]
                        )
    return likelihood


@njit(cache=True, nogil=True)
def _best_bin(likelihood, reach, variance):
    """Bin of the best offset, and whether that is a manoeuvre.

    It is the most likely bin under the prior of a variance; for a manoeuvre, without the prior.
    """
    middle = len(likelihood) // 2
    near, anywhere = -reach, -reach
    best_expected = -math.inf
    for i in range(-reach, reach + 1):
        here = likelihood[middle + i]
        expected = here - (i * BIN_RAD) ** 2 / (2 * variance)
        if expected > best_expected:
            near, best_expected = i, expected
        if here > likelihood[middle + anywhere]:
            anywhere = i
    gained = likelihood[middle + anywhere] - likelihood[middle + near]
    is_manoeuvre = gained > _MANOEUVRE_GAIN
    return (anywhere if is_manoeuvre else near), is_manoeuvre


@njit(cache=True, nogil=True)
def _sector_means(integral, second_integral, start, turned, means):
    """Means of a function over each sector and the time of a slice.

    Args:
        integral, second_integral: (ANGLE_BINS,) integrals of the function over the angle in the
            turning frame.
        start, turned: angle of the frame at the start of the slice, and its change over the slice.
        means: (SECTORS,), set.
    """
    width = 2 * math.pi / SECTORS
    means[:] = 0.0
    if abs(turned) < _SHORT_RAD:
        _add_differences(integral, -(start + 0.5 * turned), 1.0 / width, means)
        return
    _add_differences(second_integral, -start, 1.0 / (width * turned), means)
    _add_differences(second_integral, -(start + turned), -1.0 / (width * turned), means)


@njit(cache=True, nogil=True)
def _add_differences(table, angle, factor, total):
    """Add a factor times the differences of a periodic table between the sectors' ends.

    Args:
        table: (ANGLE_BINS,), interpolated linearly between bins.
        angle: start of the first sector, rad.
        factor: the factor.
        total: (SECTORS,), to which the differences are added.
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


@njit(cache=True, nogil=True)
def _expected_slopes(tables, ring, start, turned, means, expected):
    """Set the expected mean slope of a ring's events, (2, SECTORS), by polarity and sector.

    Args:
        tables: tables of the template.
        ring: the ring.
        start, turned: see `_sector_means`; if the rotor turns in the negative sense, the polarities
            of the template are exchanged.
        means: (2, SECTORS), a buffer.
        expected: (2, SECTORS), set.
    """
    density, slope = means
    swapped = int(turned < 0.0)
    for polarity in range(2):
        of = ring, polarity ^ swapped
        _sector_means(
            tables.density_integral[of], tables.density_second_integral[of], start, turned, density
        )
        _sector_means(
            tables.slope_integral[of], tables.slope_second_integral[of], start, turned, slope
        )
        for sector in range(SECTORS):
            mean = max(1.0 + density[sector], _LEAST_DENSITY)
            expected[polarity, sector] = (tables.mean_slope[of] + slope[sector]) / mean


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _moments(counts, slope):
    """Number of events, sum of their slopes, and sum of the squared slopes.

    Args:
        counts: int32 (n,) number of events of each bin.
        slope: float32 (n,) slope of the log density in each bin.
    """
    total, first, second = 0, np.float32(0.0), np.float32(0.0)
    for i in range(len(counts)):
        weighted = np.float32(counts[i]) * slope[i]
        total += counts[i]
        first += weighted
        second += weighted * slope[i]
    return total, float(first), float(second)


@njit(cache=True, nogil=True)
def _score_sectors(counts, slope, expected, ring, motion, place_error, scores):
    """Score and information of each sector of a ring for its lag.

    Args:
        counts: int32 (rings, SECTORS, 2, ANGLE_BINS).
        slope: float32 (rings, 2, ANGLE_BINS) of the template.
        expected: (2, SECTORS) expected mean slopes, see `_expected_slopes`.
        ring: the ring.
        motion: phase with which the slices were counted, and its change over the slices.
        place_error: standard deviation of the angle of a sector's edges, rad.
        scores: (2, SECTORS), set to score in 1 / rad and information in 1 / rad^2, reduced by the
            errors of the template and of the edges' positions; 0 if the sector saw no edge.
    """
    start, turned = motion
    first, number = bins_seen(start, turned)
    swapped = int(turned < 0.0)
    for sector in range(SECTORS):
        score, information, error = 0.0, 0.0, 0.0
        begin, near, far = sector_runs(first, number, sector)
        for polarity in range(2):
            row, slopes = counts[ring, sector, polarity], slope[ring, polarity ^ swapped]
            events, total, squared = _moments(row[begin:near], slopes[begin:near])
            if far:
                more = _moments(row[:far], slopes[:far])
                events, total, squared = events + more[0], total + more[1], squared + more[2]
            mean = expected[polarity, sector]
            score -= total - events * mean
            information += max(squared - events * mean**2, 0.0)
            error += (_TEMPLATE_ERROR * events * mean) ** 2
        trust = 0.0
        if information > 0.0:
            # A sector has few edges, and pixels are discrete: its information is bounded.
            error += (place_error * information) ** 2
            trust = information / (information + error)
        scores[0, sector], scores[1, sector] = score * trust, information * trust


@njit(cache=True, nogil=True)
def _total_score(counts, tables, radii, response, place_error, motion):
    """The fields of `Score`.

    Args:
        counts, tables, radii, response: see `CoherentSlices` and `Template`.
        place_error: standard deviation of the position of a sector's edges at the rim, rad.
        motion: angle by which the rotor leads, phase with which the slices were counted, and its
            change over the slices.
    """
    offset, start, turned = motion
    gradient, information = np.zeros(1 + GEOMETRY), np.zeros((1 + GEOMETRY, 1 + GEOMETRY))
    slope = np.zeros_like(tables.slope)
    add_turned(slope, tables.slope, offset / BIN_RAD)
    design, means, expected = np.ones(1 + GEOMETRY), np.empty((2, SECTORS)), np.empty((2, SECTORS))
    scores = np.empty((2, SECTORS))
    scatter, sectors = 0.0, 0
    for ring in range(counts.shape[0]):
        _expected_slopes(tables, ring, start + offset, turned, means, expected)
        error = place_error / radii[ring]
        _score_sectors(counts, slope, expected, ring, (start, turned), error, scores)
        for sector in range(SECTORS):
            own_score, own = scores[0, sector], scores[1, sector]
            if own == 0.0:
                continue
            scatter += own_score * own_score / own
            sectors += 1
            for i in range(GEOMETRY):
                design[1 + i] = _LAG[sector, i] / (radii[ring] if i < 2 else 1.0)
            for i in range(1 + GEOMETRY):
                gradient[i] += own_score * design[i]
                for j in range(1 + GEOMETRY):
                    information[i, j] += own * design[i] * design[j]
    # An offset u changes the score by response * information * u.
    gradient *= response
    information *= response**2
    return gradient, information, scatter, sectors, _explained(gradient, information)


@njit(cache=True, nogil=True)
def _explained(score, information):
    """Part of the scatter that the best offset, position and shape explain.

    It is score' information^-1 score, computed by Gaussian elimination.
    """
    # A weak prior keeps the solution finite if some sectors saw nothing.
    rest, left, explained = information.copy(), score.copy(), 0.0
    for i in range(len(score)):
        rest[i, i] += 1e-6 * rest[i, i] + 1e-9
    # Eliminate the unknowns one after the other.
    for i in range(len(score)):
        explained += left[i] ** 2 / rest[i, i]
        for j in range(i + 1, len(score)):
            share = rest[j, i] / rest[i, i]
            left[j] -= share * left[i]
            for k in range(i + 1, len(score)):
                rest[j, k] -= share * rest[i, k]
    return explained
