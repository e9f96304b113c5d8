"""Learning a rotor's looks, and with them its blades, while it is followed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evio_ros.rotation.tracking.blades import blade_angle, blade_count
from evio_ros.rotation.tracking.slice_histogram import BIN_RAD
from evio_ros.rotation.tracking.template import Template, add_turned
from evio_ros.rotation.tracking.template_drift import TemplateDrift
from evio_ros.rotation.tracking.tracker_parameters import TrackerParameters

__all__ = ["TemplateLearning"]

ORDERS = 24
"""Angular orders of the looks that tell blades."""
LESSON_US = 40_000, 100_000
LESSON_SHARE = 0.1
"""The template learns from so much at once, as its derived tables are dear: from this share of the
time for which the rotor has been followed, within bounds."""
FIRST_SLICES = 10
"""A rotor just found learns from every slice."""


class TemplateLearning:
    """Gathers slices until it is worth the while to learn from them.

    Args:
        template: what is known of the looks; it learns.
        parameters: memory and greatest number of blades.
        start_us: when the rotor begins to be followed.

    Attributes:
        template: the same.
        drift: how far it has turned while it learned.
        blades: number of blades as far as it is known.
    """

    def __init__(self, template: Template, parameters: TrackerParameters, start_us: int) -> None:
        self.template = template
        self.drift = TemplateDrift(start_us, template.first_share)
        self._parameters = parameters
        self._pending: NDArray[np.float64] = np.zeros(template.looks.slope.shape)
        self._pending_us = 0
        self._start_us = start_us
        self._blade_rad: float | None = None
        self.blades = 0
        self._count_blades()

    def add(
        self,
        t_us: int,
        folded: NDArray[np.int32],
        offset_rad: float,
        length_us: int,
        slices_seen: int,
    ) -> None:
        """Take in a slice.

        Args:
            t_us: end of the slice.
            folded: (rings, 2, ANGLE_BINS) counts in the turning frame of the positive sense.
            offset_rad: by how much the rotor was ahead.
            length_us: length of the slice.
            slices_seen: number of slices in which the rotor was seen so far.
        """
        add_turned(self._pending, folded, -offset_rad / BIN_RAD)
        self._pending_us += length_us
        shortest_us, longest_us = LESSON_US
        lesson_us = min(max(LESSON_SHARE * (t_us - self._start_us), shortest_us), longest_us)
        if self._pending_us < lesson_us and slices_seen > FIRST_SLICES:
            return
        events = float(self._pending.sum())
        memory = self._parameters.template_memory_us / self._pending_us * events
        # Without events there is nothing to learn, and nothing to be forgotten for it.
        if events > 0.0:
            turned, information = self.template.learn(self._pending, memory)
            self.drift.learn(t_us, turned, information, self.template.first_share)
            self._count_blades()
        self._pending[:] = 0.0
        self._pending_us = 0

    def blade_angle(self) -> float:
        """Angle of the middle of one blade in the turning frame, rad."""
        if self._blade_rad is None:
            pattern = self.template.pattern(ORDERS).sum(axis=0)
            self._blade_rad = blade_angle(pattern, max(self.blades, 1))
        return self._blade_rad

    def _count_blades(self) -> None:
        pattern = self.template.pattern(ORDERS)
        self.blades = blade_count(pattern, self._parameters.maximum_blades)
        self._blade_rad = None
