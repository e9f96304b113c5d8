"""The rotors that are followed at once: trackers, the table of their pixels, counts of a slice."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.events import EventBatch, SensorSize
from evio_ros.rotation.tracking.pixel_table import PixelTable
from evio_ros.rotation.tracking.rotor_motion import Motion
from evio_ros.rotation.tracking.rotor_tracker import RotorTracker
from evio_ros.rotation.tracking.slice_histogram import SliceCounts
from evio_ros.rotation.tracking.template import Template
from evio_ros.rotation.tracking.tracker_parameters import TrackerParameters

__all__ = ["TrackerBank"]

UNKNOWN = -1
"""Identity of a tracker that is not yet known to be one of a rotor."""


class TrackerBank:
    """Lets its trackers follow slice after slice; events are looked up once for all of them.

    Args:
        size: geometry of the sensor.
        capacity: so many rotors at the most.
        cell_px: side of the cells in which events of no rotor are counted.
        slice_us: length of the slices.
        window_slices: slices of the measured window.
        parameters: how rotors are followed.
    """

    def __init__(
        self,
        size: SensorSize,
        capacity: int,
        cell_px: int,
        slice_us: int,
        window_slices: int,
        parameters: TrackerParameters,
    ) -> None:
        self._size = size
        self._slice_us = slice_us
        self._window_slices = window_slices
        self._parameters = parameters
        # Each with the slot that it has in table and counts.
        self._trackers: dict[RotorTracker, int] = {}
        self._table = PixelTable(size, cell_px)
        self._counts = SliceCounts(capacity, parameters.rings, self._table.grid_shape, cell_px)
        self._capacity = capacity

    def __len__(self) -> int:
        return len(self._trackers)

    def __iter__(self) -> Iterator[RotorTracker]:
        """The trackers in the order in which they were added; the bank may change meanwhile."""
        return iter(tuple(self._trackers))

    @property
    def is_full(self) -> bool:
        """Whether there is no room for another rotor."""
        return len(self._trackers) >= self._capacity

    @property
    def codes(self) -> NDArray[np.int32]:
        """Which pixel belongs to which rotor, int32 (height, width); see `PixelTable`."""
        return self._table.codes

    @property
    def grid_shape(self) -> tuple[int, int]:
        """Rows and columns of the grid on which events of no rotor are counted."""
        return self._table.grid_shape

    def tracker_of(self, ellipse: Ellipse, template: Template, motion: Motion) -> RotorTracker:
        """A tracker of a disc that looks like a template, from a time on; it is not yet added."""
        return RotorTracker(
            UNKNOWN,
            ellipse,
            template,
            motion,
            self._size,
            self._slice_us,
            self._window_slices,
            self._parameters,
        )

    def add(self, tracker: RotorTracker) -> None:
        """Follow a rotor from the next slice on."""
        slot = self._trackers[tracker] = self._table.free_slot()
        self._table.put(slot, tracker.disc_map())

    def remove(self, tracker: RotorTracker) -> None:
        """Follow a rotor no more."""
        self._table.remove(self._trackers.pop(tracker))

    def clear(self) -> None:
        """Follow none of the rotors any more."""
        for tracker in self:
            self.remove(tracker)

    def follow(
        self,
        events: EventBatch,
        times_us: range,
        is_last: bool,
        unassigned: NDArray[np.int32],
    ) -> None:
        """Let all trackers take in a slice; discs that have moved are drawn anew.

        Args:
            events: the slice's events; earlier and later ones among them are left out.
            times_us: the slice's time.
            is_last: whether estimates will be asked for before the next slice.
            unassigned: int32 grid of `grid_shape` to which the events of no tracker are added.
        """
        phases, speeds = np.zeros((2, self._capacity))
        for tracker, slot in self._trackers.items():
            phases[slot], speeds[slot] = tracker.expected()
        self._counts.count(events, self._table, times_us, phases, speeds, unassigned)
        for tracker, slot in self._trackers.items():
            if tracker.take(self._counts.counts[slot], is_last):
                self._table.put(slot, tracker.disc_map())
