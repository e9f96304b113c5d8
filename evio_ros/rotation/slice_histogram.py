"""Events of a short slice of time, counted in the frame that turns with each rotor."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.events import EventBatch
from evio_ros.rotation.pixel_table import FREE, PixelTable

__all__ = ["ANGLE_BINS", "BIN_RAD", "SECTORS", "SliceCounts"]

ANGLE_BINS = 256
"""Bins of a turn in the turning frame."""
BIN_RAD = 2 * math.pi / ANGLE_BINS
SECTORS = 16
"""Sectors of the disc, fixed in the image."""


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
        self.counts: NDArray[np.int32] = np.zeros((slots, rings, SECTORS, 2, ANGLE_BINS), np.int32)
        self._grid_shape = grid_shape
        self._used = slots
        # Tables are faster than a division for each event.
        self._row = (np.arange(grid_shape[0] * cell_px) // cell_px).astype(np.uint16)
        self._column = (np.arange(grid_shape[1] * cell_px) // cell_px).astype(np.uint16)

    def count(
        self,
        events: EventBatch,
        table: PixelTable,
        reference_us: int,
        phases_rad: NDArray[np.float64],
        speeds_rad_s: NDArray[np.float64],
        free: NDArray[np.int32],
    ) -> None:
        """Count a slice; one pass for all rotors.

        Args:
            events: the slice's events.
            table: which pixel belongs to which rotor; its cells are those of the grid.
            reference_us: time to which the phases belong.
            phases_rad, speeds_rad_s: (slots,) expected motion of each rotor.
            free: grid to which the events of no rotor are added.
        """
        self.counts[: self._used] = 0
        self._used = table.slots
        turn = 65536.0 / (2 * math.pi)
        _count(
            events.x,
            events.y,
            events.t,
            events.polarity,
            table.codes,
            table.is_taken,
            reference_us,
            np.remainder(phases_rad, 2 * math.pi) * turn + 65536.0 * 256.0,
            speeds_rad_s * (turn * 1e-6),
            self.counts,
            free,
            self._row,
            self._column,
        )

    def empty_grid(self) -> NDArray[np.int32]:
        """A grid without events, int32."""
        return np.zeros(self._grid_shape, np.int32)


@njit(cache=True, nogil=True)
def _count(  # type: ignore[no-untyped-def]
    x, y, t, polarity, codes, is_taken, reference_us, phase, speed, counts, free, row, column
):
    """Add events to their rotor's counters, or to a grid where they are of no rotor."""
    for i in range(x.size):
        cell_row, cell_column = row[y[i]], column[x[i]]
        if not is_taken[cell_row, cell_column]:
            free[cell_row, cell_column] += 1
            continue
        code = codes[y[i], x[i]]
        if code >= 0:
            slot = code >> 20
            angle = code & 0xFFFF
            turned = np.int64(phase[slot] + speed[slot] * (t[i] - reference_us))
            relative = ((angle - turned + 128) & 0xFFFF) >> 8
            counts[slot, (code >> 16) & 15, angle >> 12, np.int64(polarity[i]), relative] += 1
        elif code == FREE:
            free[cell_row, cell_column] += 1
