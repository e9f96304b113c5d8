"""Templates of the ideal rotors of `rotor_events`, from their definition."""

from __future__ import annotations

import math

import numpy as np
from rotor_events import IdealRotor

from evio_ros.rotation.tracking.disc_map import ring_radii
from evio_ros.rotation.tracking.slice_counts import ANGLE_BINS, BIN_RAD
from evio_ros.rotation.tracking.template import Template
from evio_ros.rotation.tracking.tracker_parameters import TrackerParameters

RINGS = TrackerParameters().rings
EDGE_STD_RAD = 0.05
"""Greater than that of the events: as blurred as the template of a first guess."""


def template_of(rotor: IdealRotor) -> Template:
    """The rotor's template for rotation in the positive sense, with blade 0 at angle 0."""
    angle = np.arange(ANGLE_BINS) * BIN_RAD
    pitch = 2 * math.pi / rotor.blades
    counts = np.empty((RINGS, 2, ANGLE_BINS))
    for polarity, sense in enumerate((1, -1)):
        edge = sense * 0.5 * pitch * rotor.duty
        away = (angle - edge + pitch / 2) % pitch - pitch / 2
        counts[:, polarity] = 1.0 + 40.0 * np.exp(-0.5 * (away / EDGE_STD_RAD) ** 2)
    return Template(counts, ring_radii(RINGS, TrackerParameters().hub_radius))
