"""One table over the whole sensor that says which rotor, ring and angle a pixel belongs to."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.errors import ParameterError
from evio_ros.events import SensorSize
from evio_ros.rotation.disc_map import UNUSED, DiscMap

__all__ = ["FREE", "SHARED", "SLOT_SHIFT", "PixelTable"]

SLOT_SHIFT = 20
"""Codes are slot << SLOT_SHIFT | ring << ANGLE_BITS | angle."""
FREE = -1
"""Code of a pixel without rotor."""
SHARED = -2
"""Code of a pixel where discs overlap: its events tell of neither rotor."""
MOST_SLOTS = 1 << 10


class PixelTable:
    """Discs of several rotors in one table, so that one look-up an event serves all of them.

    Args:
        size: geometry of the sensor.

    Attributes:
        codes: int32 (height, width); `FREE`, `SHARED`, `UNUSED` or a rotor's code.
    """

    def __init__(self, size: SensorSize) -> None:
        self.codes: NDArray[np.int32] = np.full((size.height, size.width), FREE, np.int32)
        self._maps: dict[int, DiscMap] = {}

    def free_slot(self) -> int:
        """Smallest slot that no disc has."""
        return next(slot for slot in range(MOST_SLOTS) if slot not in self._maps)

    @property
    def slots(self) -> int:
        """One more than the greatest slot that has a disc."""
        return max(self._maps, default=-1) + 1

    def put(self, slot: int, disc: DiscMap) -> None:
        """Draw a rotor's disc, in place of the one that the slot had.

        Raises:
            ParameterError: where the slot is not in 0 to 1023.
        """
        if not 0 <= slot < MOST_SLOTS:
            raise ParameterError(f"slot: {slot} is not in 0 to {MOST_SLOTS - 1}")
        self.remove(slot)
        self._maps[slot] = disc
        self._draw(slot, disc.box)

    def remove(self, slot: int) -> None:
        """Take a rotor's disc off the table; nothing happens where there is none."""
        old = self._maps.pop(slot, None)
        if old is None:
            return
        x0, y0, x1, y1 = old.box
        self.codes[y0:y1, x0:x1] = FREE
        for other, disc in self._maps.items():
            if _overlap(disc.box, old.box):
                self._draw(other, old.box)

    def _draw(self, slot: int, box: tuple[int, int, int, int]) -> None:
        disc = self._maps[slot]
        _draw_codes(self.codes, disc.codes, disc.x0, disc.y0, slot << SLOT_SHIFT, box)


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


@njit(cache=True, nogil=True)
def _draw_codes(table, codes, x0, y0, slot_bits, box):  # type: ignore[no-untyped-def]
    for y in range(max(y0, box[1]), min(y0 + codes.shape[0], box[3])):
        for x in range(max(x0, box[0]), min(x0 + codes.shape[1], box[2])):
            code = codes[y - y0, x - x0]
            if code >= 0:
                is_free = table[y, x] == FREE or table[y, x] == UNUSED
                table[y, x] = slot_bits | code if is_free else SHARED
            elif code == UNUSED and table[y, x] == FREE:
                table[y, x] = UNUSED
