"""Events of a short slice of time, counted in the frame that turns with each rotor."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.events import EventBatch
from evio_ros.rotation.tracking.pixel_table import FREE, SLOT_SHIFT, PixelTable

__all__ = [
    "ANGLE_BINS",
    "BIN_RAD",
    "SECTORS",
    "SECTOR_BINS",
    "SliceCounts",
    "bins_seen",
    "sector_runs",
]

ANGLE_BINS = 256
"""Bins of a turn in the turning frame."""
BIN_RAD = 2 * math.pi / ANGLE_BINS
SECTORS = 16
"""Sectors of the disc, fixed in the image."""
SECTOR_BINS = ANGLE_BINS // SECTORS
"""Bins of the width of a sector."""
MOST_RINGS = 16
"""Rings that a code of `PixelTable` has room for."""
BLOCK = 256
"""Events that are looked up together, so that the processor waits for many of them at once."""
U64 = np.uint64


class SliceCounts:
    """Counters of all rotors for one slice after another.

    Args:
        slots: number of rotors there is room for.
        rings: rings of a disc.
        grid_shape: rows and columns of the grid on which events of no rotor are counted.
        cell_px: side of a cell of that grid in pixels.

    Attributes:
        counts: int32 (slots, rings, SECTORS, 2, ANGLE_BINS): events by rotor, ring, sector of the
            disc, polarity (OFF first) and angle in the turning frame.
    """

    def __init__(self, slots: int, rings: int, grid_shape: tuple[int, int], cell_px: int) -> None:
        every = np.zeros((slots, MOST_RINGS, SECTORS, 2, ANGLE_BINS), np.int32)
        self.counts: NDArray[np.int32] = every[:, :rings]
        self._flat = every.reshape(-1)
        self._grid_shape = grid_shape
        self._motion = np.zeros((slots, 2), U64)
        # Phase at the start and by how much it grew, of slots that were counted.
        self._turned = np.zeros((slots, 2))
        self._used = 0
        # Tables are faster than a division for each event.
        rows, columns = grid_shape
        self._row_start = (np.arange(rows * cell_px) // cell_px * columns).astype(np.uint32)
        self._column = (np.arange(columns * cell_px) // cell_px).astype(np.uint32)

    def count(
        self,
        events: EventBatch,
        table: PixelTable,
        times_us: range,
        phases_rad: NDArray[np.float64],
        speeds_rad_s: NDArray[np.float64],
        free: NDArray[np.int32],
    ) -> None:
        """Count a slice; one pass for all rotors.

        Args:
            events: the slice's events; earlier and later ones among them are left out.
            table: which pixel belongs to which rotor; its cells are those of the grid.
            times_us: the slice's time; the phases belong to its start.
            phases_rad, speeds_rad_s: (slots,) expected motion of each rotor.
            free: grid to which the events of no rotor are added.
        """
        _clear(self.counts, self._turned, self._used)
        self._used = table.slots
        _set_motion(phases_rad, speeds_rad_s, len(times_us) * 1e-6, self._motion, self._turned)
        _count(
            events.x,
            events.y,
            events.t,
            events.polarity,
            times_us.start,
            times_us.stop,
            table.codes,
            table.is_taken,
            self._row_start,
            self._column,
            self._motion,
            self._flat,
            free,
        )

    def empty_grid(self) -> NDArray[np.int32]:
        """A grid without events, int32."""
        return np.zeros(self._grid_shape, np.int32)


@njit(cache=True, nogil=True)
def bins_seen(start_rad, turned_rad):
    """Bins of the turning frame that pass the first sector while a rotor turns.

    Sector s sees those `SECTOR_BINS` * s further on.

    Args:
        start_rad, turned_rad: the rotor's phase at first, and by how much it grows.

    Returns:
        The first bin, 0 to ANGLE_BINS - 1, and how many they are, at most ANGLE_BINS.
    """
    lowest = -max(start_rad, start_rad + turned_rad) / BIN_RAD
    span = SECTOR_BINS + abs(turned_rad) / BIN_RAD + 3.0
    # Also where the motion is no number.
    if not span < ANGLE_BINS - 1:
        return 0, ANGLE_BINS
    return (math.floor(lowest) - 1) & (ANGLE_BINS - 1), math.ceil(span)


@njit(cache=True, nogil=True)
def sector_runs(first, number, sector):
    """A sector's bins, see `bins_seen`, as two runs: from begin to near and from 0 to far."""
    begin = (first + sector * SECTOR_BINS) & (ANGLE_BINS - 1)
    end = begin + number
    return begin, min(end, ANGLE_BINS), max(end - ANGLE_BINS, 0)


@njit(cache=True, nogil=True)
def _clear(counts, turned, slots):
    """Set the counters of some slots to 0: those that a slice may have changed."""
    for slot in range(slots):
        first, number = bins_seen(turned[slot, 0], turned[slot, 1])
        for ring in range(counts.shape[1]):
            for sector in range(SECTORS):
                begin, near, far = sector_runs(first, number, sector)
                counts[slot, ring, sector, :, begin:near] = 0
                counts[slot, ring, sector, :, :far] = 0


@njit(cache=True, nogil=True)
def _set_motion(phases, speeds, length_s, motion, turned):
    """Write down each slot's motion, as is and in whole numbers: a turn is 2^64, a microsecond 1.

    Such numbers overflow exactly as angles do.
    """
    quarter_turn = 2.0**62
    for slot in range(len(phases)):
        turned[slot] = phases[slot], speeds[slot] * length_s
        turns = phases[slot] / (2 * math.pi)
        turns_per_us = speeds[slot] * 1e-6 / (2 * math.pi)
        motion[slot, 0] = U64(np.int64((turns - math.floor(turns)) * quarter_turn) * 4)
        motion[slot, 1] = U64(np.int64(turns_per_us * quarter_turn) * 4)


@njit(cache=True, nogil=True)
def _count(
    x,
    y,
    t,
    polarity,
    start_us,
    end_us,
    codes,
    is_taken,
    row_start,
    column,
    motion,
    counts,
    free,
):
    """Add the events of a slice to their rotor's counters, or to a grid if they are of none.

    Tables do not fit the processor's first caches. Where a loop does no more than look things up,
    the waits overlap; a branch that was foretold wrongly would make each wait for itself.
    """
    is_taken, free = is_taken.reshape(is_taken.size), free.reshape(free.size)
    near, far = np.empty(BLOCK, U64), np.empty(BLOCK, U64)
    found = np.empty(BLOCK, codes.dtype)
    half_bin, start = U64(1 << 55), U64(start_us)
    last = np.searchsorted(t, end_us)
    for begin in range(np.searchsorted(t, start_us), last, BLOCK):
        inside = outside = 0
        for i in range(begin, min(begin + BLOCK, last)):
            cell = U64(row_start[y[i]] + column[x[i]])
            near[inside], far[outside] = U64(i), cell
            inside += is_taken[cell]
            outside += not is_taken[cell]
        for j in range(inside):
            found[j] = codes[y[near[j]], x[near[j]]]
        for j in range(inside):
            i = near[j]
            if found[j] >= 0:
                code = U64(found[j])
                slot = code >> U64(SLOT_SHIFT)
                turned = motion[slot, 0] + motion[slot, 1] * (U64(t[i]) - start)
                angle = ((code << U64(48)) - turned + half_bin) >> U64(56)
                # Slot, ring and sector are the code's upper bits, in the order of the counters.
                channel = (code >> U64(12)) << U64(1) | U64(polarity[i])
                counts[channel << U64(8) | angle] += 1
            elif found[j] == FREE:
                free[row_start[y[i]] + column[x[i]]] += 1
        for j in range(outside):
            free[far[j]] += 1
