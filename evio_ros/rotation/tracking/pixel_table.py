"""Look-up table over the whole sensor: rotor, ring and angle of each pixel.

See `disc_map` for the bits of its codes.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.errors import ParameterError
from evio_ros.events import SensorSize
from evio_ros.rotation.tracking.disc_map import FREE, SHARED, SLOT_SHIFT, UNUSED, DiscMap

__all__ = ["PixelTable"]

_MOST_SLOTS = 1 << (30 - SLOT_SHIFT)
"""Number of slots that the upper bits of a positive int32 can distinguish, with one bit spare."""


class PixelTable:
    """Discs of several rotors in one table, so that one look-up per event serves all of them.

    Args:
        size: geometry of the sensor.
        cell_px: side of the cells of `is_taken` in pixels.

    Attributes:
        grid_shape: number of rows and columns of cells.
        codes: int32 (height, width); `FREE`, `SHARED`, `UNUSED` or a rotor's code.
        is_taken: bool (rows, columns), by cell; False if all pixels of the cell are free. It is
            small enough to stay in the processor's cache, so that for most noise events no look-up
            in `codes` is needed.
    """

    def __init__(self, size: SensorSize, cell_px: int) -> None:
        self.codes: NDArray[np.int32] = np.full((size.height, size.width), FREE, np.int32)
        self.grid_shape = -(-size.height // cell_px), -(-size.width // cell_px)
        self.is_taken: NDArray[np.bool_] = np.zeros(self.grid_shape, np.bool_)
        self._cell_px = cell_px
        self._maps: dict[int, DiscMap] = {}

    def free_slot(self) -> int:
        """Smallest slot that no disc uses."""
        return next(slot for slot in range(_MOST_SLOTS) if slot not in self._maps)

    def put(self, slot: int, disc: DiscMap) -> None:
        """Draw a rotor's disc, replacing the one in its slot.

        Args:
            slot: the rotor's slot.
            disc: map of the disc.

        Raises:
            ParameterError: if the slot is negative or too large for a code.
        """
        if not 0 <= slot < _MOST_SLOTS:
            raise ParameterError(f"slot: {slot} is not in 0 to {_MOST_SLOTS - 1}")
        self.remove(slot)
        self._maps[slot] = disc
        self._draw(slot, disc.box)
        _note_taken(self.codes, self.is_taken, self._cell_px, disc.box)

    def remove(self, slot: int) -> None:
        """Remove a rotor's disc from the table; does nothing if there is none."""
        old = self._maps.pop(slot, None)
        if old is None:
            return
        x0, y0, x1, y1 = old.box
        self.codes[y0:y1, x0:x1] = FREE
        for other, disc in self._maps.items():
            if _overlap(disc.box, old.box):
                self._draw(other, old.box)
        _note_taken(self.codes, self.is_taken, self._cell_px, old.box)

    def _draw(self, slot: int, box: tuple[int, int, int, int]) -> None:
        """Draw the part of a disc that is in a box, see `DiscMap.box`."""
        disc = self._maps[slot]
        _draw_codes(self.codes, disc.codes, disc.x0, disc.y0, slot << SLOT_SHIFT, box)


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    """Whether two boxes share a pixel."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


@njit(cache=True, nogil=True)
def _draw_codes(table, codes, x0, y0, slot_bits, box):
    """Draw the part of a disc's codes, whose upper left pixel is (x0, y0), that is in a box."""
    for y in range(max(y0, box[1]), min(y0 + codes.shape[0], box[3])):
        for x in range(max(x0, box[0]), min(x0 + codes.shape[1], box[2])):
            code = codes[y - y0, x - x0]
            if code >= 0:
                is_free = table[y, x] == FREE or table[y, x] == UNUSED
                table[y, x] = slot_bits | code if is_free else SHARED
            elif code == UNUSED and table[y, x] == FREE:
                table[y, x] = UNUSED


@njit(cache=True, nogil=True)
def _note_taken(codes, is_taken, cell_px, box):
    """Update, in place, which cells of a box have a pixel that is not free."""
    x0, y0, x1, y1 = box
    height, width = codes.shape
    for row in range(y0 // cell_px, (y1 - 1) // cell_px + 1):
        for column in range(x0 // cell_px, (x1 - 1) // cell_px + 1):
            taken = False
            for y in range(row * cell_px, min((row + 1) * cell_px, height)):
                for x in range(column * cell_px, min((column + 1) * cell_px, width)):
                    taken |= codes[y, x] != FREE
            is_taken[row, column] = taken
