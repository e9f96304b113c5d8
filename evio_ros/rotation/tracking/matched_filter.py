"""The phase discriminator: the offset at which a slice matches the template best.

Method: the matched filter of Poisson events, their log likelihood sum(counts * log_density moved
ahead) for every offset within half a blade's pitch. With the phase that was expected, of variance
V, offsets x have the prior -x^2 / (2 V); one that is much better without it is a manoeuvre. Between
bins the vertex of a parabola is taken. See `template_tables` for the source.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.rotation.tracking.slice_counts import ANGLE_BINS, BIN_RAD
from evio_ros.rotation.tracking.template_tables import TemplateTables

__all__ = ["Match", "match_template", "vertex"]

MANOEUVRE_GAIN = 15.0
"""Log likelihood by which an offset must be better than the one near the expected phase to be
believed: e^15 outweighs the hundred offsets that are tried, and templates that are not quite right.
Fitted to simulated recordings."""


class Match(NamedTuple):
    """Where the likelihood is greatest.

    Attributes:
        offset_rad: angle by which the rotor is ahead of the expected phase.
        gain: log likelihood there, over that of events that show no pattern at all.
        is_manoeuvre: whether the rotor has left the expected motion.
    """

    offset_rad: float
    gain: float
    is_manoeuvre: bool


def match_template(
    folded: NDArray[np.int32], tables: TemplateTables, blades: int, expected_variance: float
) -> Match:
    """Find the offset within half a blade's pitch.

    Args:
        folded: int32 (rings, 2, ANGLE_BINS) of `fold_sectors`.
        tables: of the template.
        blades: number of blades; beyond half their pitch, another blade is matched.
        expected_variance: of the expected phase, rad^2.
    """
    reach = ANGLE_BINS // (2 * max(blades, 2))
    return Match(*_best_offset(folded, tables.log_density, reach, expected_variance))


@njit(cache=True, nogil=True)
def _best_offset(counts, log_density, reach, expected_variance):
    """Offset in rad, log likelihood in its bin, whether it is a manoeuvre."""
    likelihood = _likelihoods(counts, log_density, reach + 1)
    best, is_manoeuvre = _best_bin(likelihood, reach, expected_variance + BIN_RAD**2)
    middle = best + reach + 1
    before, here, after = likelihood[middle - 1], likelihood[middle], likelihood[middle + 1]
    return (best + vertex(before, here, after)) * BIN_RAD, here, is_manoeuvre


@njit(cache=True, nogil=True)
def _likelihoods(counts, log_density, reach):
    """Log likelihood, float32 (2 reach + 1,), of counts for offsets of -reach to reach bins."""
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
    """The bin within reach that fits best, near the expected one; or, if it left that, anywhere."""
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
    is_manoeuvre = gained > MANOEUVRE_GAIN
    return (anywhere if is_manoeuvre else near), is_manoeuvre


@njit(cache=True, nogil=True)
def vertex(before: float, here: float, after: float) -> float:
    """Place of the vertex of the parabola through three values, from the middle one, in steps."""
    bend = before - 2 * here + after
    return min(max(0.5 * (before - after) / bend, -0.5), 0.5) if bend < 0 else 0.0
