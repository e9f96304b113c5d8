"""Following a candidate through events of the past, to see whether it is a rotor."""

from __future__ import annotations

from evio_ros.ellipse import Ellipse
from evio_ros.events import EventBatch, SensorSize
from evio_ros.rotation.acquisition.work_units import Pieces
from evio_ros.rotation.tracking.pixel_table import PixelTable
from evio_ros.rotation.tracking.rotor_motion import Motion
from evio_ros.rotation.tracking.rotor_tracker import RotorTracker
from evio_ros.rotation.tracking.slice_histogram import SliceCounts
from evio_ros.rotation.tracking.template import Template
from evio_ros.rotation.tracking.tracker_bank import follow_slice
from evio_ros.rotation.tracking.tracker_parameters import TrackerParameters

__all__ = ["CandidateFollower"]

SLICES_A_PIECE = 3
UNKNOWN = -1
"""Identity of a tracker that is not yet known to be one of a rotor."""


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
        self._size = size
        self._slice_us = slice_us
        self._window_slices = window_slices
        self._tracking = tracking
        self._table = PixelTable(size, cell_px)
        self._counts = SliceCounts(1, tracking.rings, self._table.grid_shape, cell_px)
        self._others = self._counts.empty_grid()

    def begin(self, ellipse: Ellipse, template: Template, motion: Motion) -> RotorTracker:
        """A tracker of a disc, of some looks, from a time on."""
        tracker = RotorTracker(
            UNKNOWN,
            0,
            ellipse,
            template,
            motion,
            self._size,
            self._slice_us,
            self._window_slices,
            self._tracking,
        )
        self._table.put(0, tracker.disc_map())
        return tracker

    def follow(self, tracker: RotorTracker, events: EventBatch, end_us: int) -> Pieces[None]:
        """Let the tracker that was begun last take in events up to a time, a multiple of slices."""
        for index, start_us in enumerate(range(tracker.t_us, end_us, self._slice_us)):
            times_us = range(start_us, start_us + self._slice_us)
            is_last = times_us.stop >= end_us
            follow_slice(
                [tracker], events, times_us, is_last, self._table, self._counts, self._others
            )
            if index % SLICES_A_PIECE == SLICES_A_PIECE - 1:
                yield
