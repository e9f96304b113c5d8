"""Following a candidate through events of the past, to see whether it is a rotor."""

from __future__ import annotations

import numpy as np

from evio_ros.ellipse import Ellipse
from evio_ros.events import EventBatch, SensorSize
from evio_ros.rotation.acquisition.work_units import Pieces
from evio_ros.rotation.tracking.phase_filter import Motion
from evio_ros.rotation.tracking.rotor_tracker import RotorTracker
from evio_ros.rotation.tracking.template import Template
from evio_ros.rotation.tracking.tracker_bank import TrackerBank
from evio_ros.rotation.tracking.tracker_parameters import TrackerParameters

__all__ = ["CandidateFollower"]

SLICES_A_PIECE = 3


class CandidateFollower:
    """Lets one tracker at a time follow events that belong to no other rotor.

    Args:
        size: geometry of the sensor.
        cell_px: side of the cells of the pixel table.
        slice_us: length of the slices.
        window_slices: slices of the measured window.
        tracking: how to follow.
    """

    def __init__(
        self,
        size: SensorSize,
        cell_px: int,
        slice_us: int,
        window_slices: int,
        tracking: TrackerParameters,
    ) -> None:
        self._slice_us = slice_us
        self._bank = TrackerBank(size, 1, cell_px, slice_us * window_slices, tracking)
        self._unassigned = np.zeros(self._bank.grid_shape, np.int32)

    def begin(self, ellipse: Ellipse, template: Template, motion: Motion) -> RotorTracker:
        """A tracker of a disc that looks like a template, from a time on."""
        self._bank.clear()
        tracker = self._bank.tracker_of(ellipse, template, motion)
        self._bank.add(tracker)
        return tracker

    def follow(self, tracker: RotorTracker, events: EventBatch, end_us: int) -> Pieces[None]:
        """Let the tracker that was begun last take in events up to a time, a multiple of slices."""
        for index, start_us in enumerate(range(tracker.t_us, end_us, self._slice_us)):
            times_us = range(start_us, start_us + self._slice_us)
            is_last = times_us.stop >= end_us
            self._bank.follow(events, times_us, is_last, self._unassigned)
            if index % SLICES_A_PIECE == SLICES_A_PIECE - 1:
                yield
