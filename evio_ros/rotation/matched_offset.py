"""The offset at which a slice matches the template best."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.rotation.slice_histogram import ANGLE_BINS, BIN_RAD

__all__ = ["MatchedOffset", "find_offset", "vertex"]

Real = NDArray[np.float64]

MANOEUVRE_EVIDENCE = 15.0
"""Log likelihood by which another phase must be better than the one foretold to be believed."""


@dataclass(frozen=True, slots=True)
class MatchedOffset:
    """Where the likelihood is greatest.

    Attributes:
        offset_rad: angle by which the rotor is ahead.
        gained: log likelihood there.
        is_manoeuvre: whether the rotor has left the expected motion.
    """

    offset_rad: float
    gained: float
    is_manoeuvre: bool


def find_offset(likelihood: Real, blades: int, expected_variance: float) -> MatchedOffset:
    """Find the offset within half a blade's pitch.

    Args:
        likelihood: (ANGLE_BINS,) log likelihood of `Template.match`.
        blades: number of blades; beyond half their pitch, another blade is matched.
        expected_variance: of the phase that was foretold; other offsets must be much better.
    """
    best, is_manoeuvre = _best_bin(
        likelihood, ANGLE_BINS // (2 * max(blades, 2)), expected_variance + BIN_RAD**2
    )
    neighbours = (
        likelihood[(best - 1) % ANGLE_BINS],
        likelihood[best],
        likelihood[(best + 1) % ANGLE_BINS],
    )
    offset = (best + vertex(*map(float, neighbours))) * BIN_RAD
    return MatchedOffset(offset, float(likelihood[best]), is_manoeuvre)


@njit(cache=True, nogil=True)
def _best_bin(likelihood, reach, variance):  # type: ignore[no-untyped-def]
    """The bin within reach that fits best, near the one foretold; or, if it left that, anywhere."""
    locked, free = -reach, -reach
    best_expected = -math.inf
    for i in range(-reach, reach + 1):
        expected = likelihood[i] - (i * BIN_RAD) ** 2 / (2 * variance)
        if expected > best_expected:
            locked, best_expected = i, expected
        if likelihood[i] > likelihood[free]:
            free = i
    is_manoeuvre = likelihood[free] - likelihood[locked] > MANOEUVRE_EVIDENCE
    return (free if is_manoeuvre else locked), is_manoeuvre


def vertex(before: float, here: float, after: float) -> float:
    """Place of the vertex of the parabola through three values, from the middle one, in steps."""
    bend = before - 2 * here + after
    return min(max(0.5 * (before - after) / bend, -0.5), 0.5) if bend < 0 else 0.0
