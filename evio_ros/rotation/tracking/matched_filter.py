"""The offset at which a slice matches the template best."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.rotation.tracking.slice_histogram import ANGLE_BINS, BIN_RAD

__all__ = ["MatchedOffset", "find_offset", "vertex"]


MANOEUVRE_EVIDENCE = 15.0
"""Log likelihood by which another phase must be better than the one foretold to be believed."""


class MatchedOffset(NamedTuple):
    """Where the likelihood is greatest.

    Attributes:
        offset_rad: angle by which the rotor is ahead.
        gained: log likelihood there.
        is_manoeuvre: whether the rotor has left the expected motion.
    """

    offset_rad: float
    gained: float
    is_manoeuvre: bool


def find_offset(
    counts: NDArray[np.int32],
    log_density: NDArray[np.float32],
    blades: int,
    expected_variance: float,
) -> MatchedOffset:
    """Find the offset within half a blade's pitch by a matched filter.

    Args:
        counts: int32 (rings, 2, ANGLE_BINS) of `fold_sectors`.
        log_density: (rings, 2, ANGLE_BINS) of `Looks`.
        blades: number of blades; beyond half their pitch, another blade is matched.
        expected_variance: of the phase that was foretold; other offsets must be much better.
    """
    reach = ANGLE_BINS // (2 * max(blades, 2))
    return MatchedOffset(*_best_offset(counts, log_density, reach, expected_variance))


@njit(cache=True, nogil=True)
def _best_offset(counts, log_density, reach, expected_variance):
    likelihood = _match(counts, log_density, reach + 1)
    best, is_manoeuvre = _best_bin(likelihood, reach, expected_variance + BIN_RAD**2)
    middle = best + reach + 1
    before, here, after = likelihood[middle - 1], likelihood[middle], likelihood[middle + 1]
    return (best + vertex(before, here, after)) * BIN_RAD, here, is_manoeuvre


@njit(cache=True, nogil=True)
def _match(counts, log_density, reach):
    """Log likelihood, float32 (2 reach + 1,), of counts for offsets of -reach to reach bins.

    It is the sum of counts times the log density moved ahead; zero is that of a rotor that shows no
    pattern at all.
    """
    rings, polarities, bins = counts.shape
    offsets = 2 * reach + 1
    likelihood = np.zeros(offsets, np.float32)
    # Back to front, so that the offsets of a bin are one straight run.
    backwards = np.empty(bins + offsets, np.float32)
    for ring in range(rings):
        for polarity in range(polarities):
            row = counts[ring, polarity]
            for i in range(bins + offsets):
                backwards[i] = log_density[ring, polarity, (bins - 1 + reach - i) & (bins - 1)]
            # Four bins at a time: the sums are written back a quarter as often.
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
    """The bin within reach that fits best, near the one foretold; or, if it left that, anywhere."""
    middle = len(likelihood) // 2
    locked, free = -reach, -reach
    best_expected = -math.inf
    for i in range(-reach, reach + 1):
        here = likelihood[middle + i]
        expected = here - (i * BIN_RAD) ** 2 / (2 * variance)
        if expected > best_expected:
            locked, best_expected = i, expected
        if here > likelihood[middle + free]:
            free = i
    gained = likelihood[middle + free] - likelihood[middle + locked]
    is_manoeuvre = gained > MANOEUVRE_EVIDENCE
    return (free if is_manoeuvre else locked), is_manoeuvre


@njit(cache=True, nogil=True)
def vertex(before: float, here: float, after: float) -> float:
    """Place of the vertex of the parabola through three values, from the middle one, in steps."""
    bend = before - 2 * here + after
    return min(max(0.5 * (before - after) / bend, -0.5), 0.5) if bend < 0 else 0.0
