"""Event counts of a short slice of time in the frame that turns with each rotor.

An event at angle a of its rotor's disc and time t is counted at the derotated angle
a - (phase + speed (t - start)). In this frame, a pattern that turns as expected stands still, so
the counts of a slice are a sharp picture of the rotor. They are separated by polarity, ring and
sector of the disc. Sectors are fixed in the image: an error of the disc's position shows in phases
that differ from sector to sector.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.rotation.tracking.disc_map import ANGLE_BITS, FREE, MOST_RINGS, SLOT_SHIFT

__all__ = [
    "ANGLE_BINS",
    "BIN_RAD",
    "SECTORS",
    "SECTOR_BINS",
    "CoherentSlices",
    "bins_seen",
    "count_slice",
    "make_counters",
    "sector_runs",
]

_BIN_BITS = 8
ANGLE_BINS = 1 << _BIN_BITS
"""Bins of a turn in the turning frame: 25 mrad, a pixel at the rim of a disc of 40 pixels'
radius."""
BIN_RAD = 2 * math.pi / ANGLE_BINS
_SECTOR_BITS = 4
SECTORS = 1 << _SECTOR_BITS
"""Sectors of the disc, fixed in the image: enough for the second harmonic, which shows a wrong
shape, and few enough that each has events."""
SECTOR_BINS = ANGLE_BINS // SECTORS
"""Width of a sector in bins."""

_U64 = np.uint64
_TURN_BITS = 64
"""Bits of a turn in integer angles: a turn is 2^64, so that uint64 wraps by itself."""
_CODE_TO_TURN = _U64(_TURN_BITS - ANGLE_BITS)
"""Left shift from a code to its integer angle; ring and slot overflow at the top."""
_TURN_TO_BIN = _U64(_TURN_BITS - _BIN_BITS)
"""Right shift from an integer angle to its bin."""
_HALF_BIN = _U64(1 << (_TURN_BITS - _BIN_BITS - 1))
_CODE_TO_SECTOR = _U64(ANGLE_BITS - _SECTOR_BITS)
"""Right shift from a code to slot, ring and sector, in the order of the counters."""
_CODE_TO_SLOT = _U64(SLOT_SHIFT)
_COUNTER_BITS = _U64(_BIN_BITS)
_QUARTER_TURN = 2.0 ** (_TURN_BITS - 2)
"""A quarter of a turn as an integer angle: 2^62, exact in float64 and within int64."""

_BLOCK = 256
"""Number of events whose pixels are looked up in one loop, so that memory accesses overlap; the
buffers take 5 kB and stay in the first-level cache."""


class Counters(NamedTuple):
    """Counters of all rotors, reused from slice to slice.

    Attributes:
        counts: int32 (slots, rings, SECTORS, 2, ANGLE_BINS): events by slot of the rotor, ring,
            sector of the disc, polarity (OFF first) and derotated angle; bin i is centred at
            i * BIN_RAD.
        flat: flat view of the array that `counts` is a part of, which has `MOST_RINGS` rings.
        motion: uint64 (slots, 2), integer phase and speed per µs; a turn is 2^64.
        turned: (slots, 2), phase at the slice's start and its growth over the slice, rad.
        used: (1,), number of slots in use for the last slice.
        row_start, column: a pixel's cell in the flattened grid is row_start[y] + column[x]; these
            look-ups are faster than divisions.
    """

    counts: NDArray[np.int32]
    flat: NDArray[np.int32]
    motion: NDArray[np.uint64]
    turned: NDArray[np.float64]
    used: NDArray[np.int64]
    row_start: NDArray[np.uint32]
    column: NDArray[np.uint32]


def make_counters(slots: int, rings: int, grid_shape: tuple[int, int], cell_px: int) -> Counters:
    """Make counters, all 0.

    Args:
        slots: maximum number of rotors.
        rings: rings of a disc.
        grid_shape: rows and columns of the grid on which events of no rotor are counted.
        cell_px: side of a cell of that grid in pixels.
    """
    every = np.zeros((slots, MOST_RINGS, SECTORS, 2, ANGLE_BINS), np.int32)
    rows, columns = grid_shape
    return Counters(
        every[:, :rings],
        every.reshape(-1),
        np.zeros((slots, 2), np.uint64),
        np.zeros((slots, 2)),
        np.zeros(1, np.int64),
        (np.arange(rows * cell_px) // cell_px * columns).astype(np.uint32),
        (np.arange(columns * cell_px) // cell_px).astype(np.uint32),
    )


@njit(cache=True, nogil=True)
def count_slice(counters, columns, times_us, codes, is_taken, motions, unassigned):
    """Count a slice for all rotors in one pass; the counts replace those of the last slice.

    Args:
        counters: `Counters`, changed.
        columns: x, y, t and polarity of events in order of time; those before and after the slice
            are ignored.
        times_us: start and end of the slice, sensor time.
        codes, is_taken: see `PixelTable`; its cells must be those of the grid.
        motions: (n, 2) expected phase in rad at the start of the slice and speed in rad/s of the
            rotor in each slot; the table must not have slots from n on.
        unassigned: int32 grid to which events that belong to no rotor are added.
    """
    _clear(counters.counts, counters.turned, counters.used[0])
    counters.used[0] = len(motions)
    _set_motion(motions, 1e-6 * (times_us[1] - times_us[0]), counters.motion, counters.turned)
    _count(counters, columns, times_us, codes, is_taken, unassigned)


class CoherentSlices(NamedTuple):
    """One rotor's counts over one or more slices: coherent integration.

    A single slice of a slow rotor contains little information, so several slices are counted along
    one line of phase over time, summed, and measured together.

    Attributes:
        counts: int32 (rings, SECTORS, 2, ANGLE_BINS).
        folded: int32 (rings, 2, ANGLE_BINS), the same without sectors, see `fold_sectors`.
        events: number of events.
        phase, speed: the line's phase in rad at the start of the first slice, and slope in rad/s.
        lengths_us: length of each slice.
        length_us, length_s: total length.
        turned_rad: angle by which the rotor was expected to turn.
        live: share of the time for which there is data.
        share: share of the events that was taken.
    """

    counts: NDArray[np.int32]
    folded: NDArray[np.int32]
    events: int
    phase: float
    speed: float
    lengths_us: tuple[int, ...]
    length_us: int
    length_s: float
    turned_rad: float
    live: float
    share: float

    @classmethod
    def of(
        cls,
        counts: NDArray[np.int32],
        phase: float,
        speed: float,
        length_us: int,
        live: float = 1.0,
        share: float = 1.0,
    ) -> CoherentSlices:
        """A single slice.

        Args:
            counts: see above; not copied.
            phase, speed: with which it was counted.
            length_us: its length.
            live, share: see above.
        """
        rings, _, polarities, bins = counts.shape
        folded = np.empty((rings, polarities, bins), np.int32)
        length_s = 1e-6 * length_us
        turned_rad = speed * length_s
        events = fold_sectors(counts, phase, turned_rad, folded)
        lengths_us = (length_us,)
        return cls(
            counts,
            folded,
            events,
            phase,
            speed,
            lengths_us,
            length_us,
            length_s,
            turned_rad,
            live,
            share,
        )

    @property
    def exposed_rad(self) -> float:
        """Expected angle of turn while there was data, times the share of the events taken.

        A rotor's number of events is proportional to it.
        """
        return self.turned_rad * self.live * self.share

    @property
    def end(self) -> float:
        """Phase of the line at the end of the last slice, rad."""
        return self.phase + self.turned_rad

    def joined(self, later: CoherentSlices) -> CoherentSlices:
        """The sum of these and later slices of the same line."""
        lengths_us = self.lengths_us + later.lengths_us
        length_us = self.length_us + later.length_us
        # Computed by the mean length, so that times of equal slices are not rounded.
        slices, mean_s = len(lengths_us), 1e-6 * (length_us / len(lengths_us))
        return self._replace(
            counts=self.counts + later.counts,
            folded=self.folded + later.folded,
            events=self.events + later.events,
            lengths_us=lengths_us,
            length_us=length_us,
            length_s=slices * mean_s,
            turned_rad=self.speed * slices * mean_s,
            live=(self.live * self.length_us + later.live * later.length_us) / length_us,
            share=(self.share * self.length_us + later.share * later.length_us) / length_us,
        )

    def kept(self) -> CoherentSlices:
        """The same with copied counts, because the next slice overwrites the original ones."""
        return self._replace(counts=self.counts.copy())

    def middle(self) -> tuple[int, float, float]:
        """The slice that contains the middle of all.

        Returns:
            Its index; the line's phase in rad at its own middle; and the time in µs from its own
            middle to the end of the last slice.
        """
        index, before_us, half_us = 0, 0, 0.5 * self.length_us
        while before_us + self.lengths_us[index] <= half_us:
            before_us += self.lengths_us[index]
            index += 1
        mean_us = self.length_us / len(self.lengths_us)
        slices = (before_us + 0.5 * self.lengths_us[index]) / mean_us
        after_us = sum(self.lengths_us[index + 1 :]) + 0.5 * self.lengths_us[index]
        return index, self.phase + self.speed * slices * (1e-6 * mean_us), after_us


@njit(cache=True, nogil=True)
def bins_seen(start_rad, turned_rad):
    """Bins of the turning frame that the first sector sees while the rotor turns.

    Sector s sees the bins that are s * `SECTOR_BINS` higher.

    Args:
        start_rad, turned_rad: the rotor's phase at the start, and its change.

    Returns:
        The first bin, 0 to ANGLE_BINS - 1, and the number of bins, at most ANGLE_BINS.
    """
    lowest = -max(start_rad, start_rad + turned_rad) / BIN_RAD
    span = SECTOR_BINS + abs(turned_rad) / BIN_RAD + 3.0
    # All bins, also if the motion is NaN.
    if not span < ANGLE_BINS - 1:
        return 0, ANGLE_BINS
    return (math.floor(lowest) - 1) & (ANGLE_BINS - 1), math.ceil(span)


@njit(cache=True, nogil=True)
def sector_runs(first, number, sector):
    """A sector's bins, see `bins_seen`, as two ranges: [begin, near) and [0, far)."""
    begin = (first + sector * SECTOR_BINS) & (ANGLE_BINS - 1)
    end = begin + number
    return begin, min(end, ANGLE_BINS), max(end - ANGLE_BINS, 0)


@njit(cache=True, nogil=True)
def fold_sectors(counts, start_rad, turned_rad, folded):
    """Sum the counts over the sectors, as if the rotor turned in the positive sense.

    Args:
        counts: int32 (rings, SECTORS, 2, ANGLE_BINS) of one rotor.
        start_rad, turned_rad: phase with which they were counted, and its change. If that is
            negative, the polarities are exchanged.
        folded: int32 (rings, 2, ANGLE_BINS), set.

    Returns:
        The number of events.
    """
    folded[:] = 0
    first, number = bins_seen(start_rad, turned_rad)
    swapped = int(turned_rad < 0.0)
    for ring in range(counts.shape[0]):
        for polarity in range(2):
            total = folded[ring, polarity ^ swapped]
            for sector in range(SECTORS):
                begin, near, far = sector_runs(first, number, sector)
                row = counts[ring, sector, polarity]
                for i in range(begin, near):
                    total[i] += row[i]
                for i in range(far):
                    total[i] += row[i]
    return folded.sum()


@njit(cache=True, nogil=True)
def _clear(counts, turned, slots):
    """Reset the counters that the last slice may have changed."""
    for slot in range(slots):
        first, number = bins_seen(turned[slot, 0], turned[slot, 1])
        for ring in range(counts.shape[1]):
            for sector in range(SECTORS):
                begin, near, far = sector_runs(first, number, sector)
                counts[slot, ring, sector, :, begin:near] = 0
                counts[slot, ring, sector, :, :far] = 0


@njit(cache=True, nogil=True)
def _set_motion(motions, length_s, motion, turned):
    """Set each slot's motion in `Counters.motion` and `Counters.turned`.

    Args:
        motions: (n, 2), see `count_slice`.
        length_s: length of the slice.
        motion, turned: see `Counters`; changed.
    """
    for slot in range(len(motions)):
        phase, speed = motions[slot]
        turned[slot] = phase, speed * length_s
        turns = phase / (2 * math.pi)
        turns_per_us = speed * 1e-6 / (2 * math.pi)
        motion[slot, 0] = _U64(np.int64((turns - math.floor(turns)) * _QUARTER_TURN) * 4)
        motion[slot, 1] = _U64(np.int64(turns_per_us * _QUARTER_TURN) * 4)


@njit(cache=True, nogil=True)
def _count(counters, columns, times_us, codes, is_taken, unassigned):
    """Add the events of a slice to the counters of their rotors, or to a grid if they have none.

    The tables are larger than the processor's fastest caches. In loops that only look up values,
    memory accesses overlap; mispredicted branches would make them wait for one another.
    """
    x, y, t, polarity = columns
    row_start, column = counters.row_start, counters.column
    motion, counts = counters.motion, counters.flat
    is_taken, unassigned = is_taken.reshape(is_taken.size), unassigned.reshape(unassigned.size)
    # Events in cells with rotors, and cells of the other events.
    near, free_cells = np.empty(_BLOCK, _U64), np.empty(_BLOCK, _U64)
    found = np.empty(_BLOCK, codes.dtype)
    start = _U64(times_us[0])
    last = np.searchsorted(t, times_us[1])
    for begin in range(np.searchsorted(t, times_us[0]), last, _BLOCK):
        inside = outside = 0
        for i in range(begin, min(begin + _BLOCK, last)):
            cell = _U64(row_start[y[i]] + column[x[i]])
            near[inside], free_cells[outside] = _U64(i), cell
            inside += is_taken[cell]
            outside += not is_taken[cell]
        for j in range(inside):
            found[j] = codes[y[near[j]], x[near[j]]]
        for j in range(inside):
            i = near[j]
            if found[j] >= 0:
                code = _U64(found[j])
                slot = code >> _CODE_TO_SLOT
                turned = motion[slot, 0] + motion[slot, 1] * (_U64(t[i]) - start)
                angle = ((code << _CODE_TO_TURN) - turned + _HALF_BIN) >> _TURN_TO_BIN
                channel = (code >> _CODE_TO_SECTOR) << _U64(1) | _U64(polarity[i])
                counts[channel << _COUNTER_BITS | angle] += 1
            elif found[j] == FREE:
                unassigned[row_start[y[i]] + column[x[i]]] += 1
        for j in range(outside):
            unassigned[free_cells[j]] += 1
