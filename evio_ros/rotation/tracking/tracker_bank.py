"""The trackers of all rotors, with the table of their pixels and the counts of a slice."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.events import EventBatch, SensorSize
from evio_ros.rotation.tracking.disc_filter import DiscFilter
from evio_ros.rotation.tracking.disc_map import DiscMap
from evio_ros.rotation.tracking.phase_filter import Motion, PhaseFilter
from evio_ros.rotation.tracking.pixel_table import PixelTable
from evio_ros.rotation.tracking.rotor_tracker import RotorTracker
from evio_ros.rotation.tracking.slice_counts import count_slice, make_counters
from evio_ros.rotation.tracking.template import Template, TemplateUpdater
from evio_ros.rotation.tracking.tracker_parameters import TrackerParameters

__all__ = ["TrackerBank"]

_SLOWEST_RAD_S = 1e-3
"""Minimum speed used for a rotor at rest, so that the time between blades is finite."""


class TrackerBank:
    """Updates all trackers slice by slice; each event is looked up once for all of them.

    Args:
        size: geometry of the sensor.
        capacity: maximum number of rotors.
        cell_px: side in px of the cells in which events that belong to no rotor are counted.
        window_us: length of the measured window.
        parameters: parameters of the trackers.
    """

    def __init__(
        self,
        size: SensorSize,
        capacity: int,
        cell_px: int,
        window_us: int,
        parameters: TrackerParameters,
    ) -> None:
        self._size = size
        self._window_us = window_us
        self._parameters = parameters
        # Each with its slot in the table and the counters.
        self._trackers: dict[RotorTracker, int] = {}
        self._table = PixelTable(size, cell_px)
        self._counters = make_counters(capacity, parameters.rings, self._table.grid_shape, cell_px)
        self._capacity = capacity

    def __len__(self) -> int:
        return len(self._trackers)

    def __iter__(self) -> Iterator[RotorTracker]:
        """The trackers in the order in which they were added; some may be removed meanwhile."""
        return iter(tuple(self._trackers))

    @property
    def is_full(self) -> bool:
        """Whether there is no room for another rotor."""
        return len(self._trackers) >= self._capacity

    @property
    def codes(self) -> NDArray[np.int32]:
        """Code of each pixel, int32 (height, width); see `disc_map`."""
        return self._table.codes

    @property
    def grid_shape(self) -> tuple[int, int]:
        """Rows and columns of the grid on which events that belong to no rotor are counted."""
        return self._table.grid_shape

    def tracker_of(self, ellipse: Ellipse, template: Template, motion: Motion) -> RotorTracker:
        """Make a tracker of a disc; it is not added to the bank.

        Args:
            ellipse: the disc.
            template: its first template.
            motion: its motion at the time at which tracking starts.
        """
        p = self._parameters
        updater = TemplateUpdater(template, p.template_memory_us, p.maximum_blades, motion.t_us)
        speed = max(abs(motion.state[1]), _SLOWEST_RAD_S)
        blade_period_s = 2 * math.pi / (max(updater.blades, 1) * speed)
        phase = PhaseFilter(motion, blade_period_s, self._window_us)
        disc = DiscFilter(ellipse, p.agility_px_s, p.shear_agility, blade_period_s)
        fastest_rad_s = 2 * math.pi * p.maximum_speed_hz
        return RotorTracker(motion.t_us, phase, disc, updater, fastest_rad_s)

    def disc_map(self, tracker: RotorTracker) -> DiscMap:
        """Map of the pixels of a tracker's disc."""
        p = self._parameters
        return DiscMap.of(tracker.ellipse, self._size, p.rings, p.hub_radius, p.rim_radius)

    def add(self, tracker: RotorTracker) -> None:
        """Track a rotor from the next slice on.

        Templates of rotors that overlap it contain its events, so they are faded.
        """
        for other in self._trackers:
            if _overlap(tracker.ellipse, other.ellipse):
                other.template.fade()
        slot = self._trackers[tracker] = self._table.free_slot()
        self._table.put(slot, self.disc_map(tracker))

    def remove(self, tracker: RotorTracker) -> None:
        """Stop tracking a rotor."""
        self._table.remove(self._trackers.pop(tracker))

    def clear(self) -> None:
        """Stop tracking all rotors."""
        for tracker in self:
            self.remove(tracker)

    def follow(
        self,
        events: EventBatch,
        times_us: range,
        is_last: bool,
        unassigned: NDArray[np.int32],
        live: float = 1.0,
        share: float = 1.0,
    ) -> None:
        """Update all trackers with a slice, and redraw discs that have moved.

        Args:
            events: the slice's events; earlier and later ones are ignored.
            times_us: the slice's sensor time; slices are consecutive and may be of any length.
            is_last: whether estimates will be requested before the next slice.
            unassigned: int32 grid of `grid_shape` to which events that belong to no rotor are
                added.
            live: share of the slice for which there is data.
            share: share of the slice's events that was taken.
        """
        length_us = len(times_us)
        motions = np.zeros((max(self._trackers.values(), default=-1) + 1, 2))
        for tracker, slot in self._trackers.items():
            motions[slot] = tracker.expected_motion(length_us)
        count_slice(
            self._counters,
            (events.x, events.y, events.t, events.polarity),
            (times_us.start, times_us.stop),
            self._table.codes,
            self._table.is_taken,
            motions,
            unassigned,
        )
        for tracker, slot in self._trackers.items():
            if tracker.take(self._counters.counts[slot], length_us, is_last, live, share):
                self._table.put(slot, self.disc_map(tracker))


def _overlap(one: Ellipse, other: Ellipse) -> bool:
    """Whether two discs may overlap."""
    return math.dist(one.center, other.center) < one.axes[0] + other.axes[0]
