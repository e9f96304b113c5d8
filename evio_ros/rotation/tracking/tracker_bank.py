"""Letting rotors follow a slice of events: counted as each expects it, and handed to each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evio_ros.events import EventBatch
from evio_ros.rotation.tracking.pixel_table import PixelTable
from evio_ros.rotation.tracking.rotor_tracker import RotorTracker
from evio_ros.rotation.tracking.slice_histogram import SliceCounts

__all__ = ["follow_slice"]


def follow_slice(
    trackers: Sequence[RotorTracker],
    events: EventBatch,
    times_us: range,
    is_last: bool,
    table: PixelTable,
    counts: SliceCounts,
    free: NDArray[np.int32],
) -> None:
    """Let trackers take in a slice; discs that have moved are drawn anew.

    Args:
        trackers: those that have a disc in the table, each in its slot.
        events: the slice's events; earlier and later ones among them are left out.
        times_us: the slice's time.
        is_last: whether estimates will be asked for before the next slice.
        table: which pixel belongs to which tracker.
        counts: counters, used again for every slice.
        free: grid to which the events of no tracker are added.
    """
    phases, speeds = np.zeros((2, len(counts.counts)))
    for tracker in trackers:
        phases[tracker.slot], speeds[tracker.slot] = tracker.expected()
    counts.count(events, table, times_us, phases, speeds, free)
    for tracker in trackers:
        if tracker.take(counts.counts[tracker.slot], is_last):
            table.put(tracker.slot, tracker.disc_map())
