"""Expected events of a rotor over the derotated angle, for tests of templates and measurements."""

from __future__ import annotations

import math

import numpy as np

from evio_ros.rotation.tracking.slice_counts import ANGLE_BINS, BIN_RAD

RINGS = 2
EVEN = np.ones(RINGS)
"""Radii of rings at the rim, whose templates have the same blur."""
EDGE_STD_RAD = 0.05


def blade_counts(offset_rad: float = 0.0) -> np.ndarray:
    """Three blades with soft edges, (RINGS, 2, ANGLE_BINS); OFF edges 0.6 rad before ON."""
    angle = np.arange(ANGLE_BINS) * BIN_RAD
    counts = np.full((RINGS, 2, ANGLE_BINS), 2.0)
    for polarity, edge in enumerate((-0.3, 0.3)):
        away = np.remainder(3 * (angle - edge - offset_rad) + math.pi, 2 * math.pi) - math.pi
        counts[:, polarity] += 200 * np.exp(-0.5 * (away / (3 * EDGE_STD_RAD)) ** 2)
    return counts
