"""Writing Prophesee RAW files in EVT2; the format is described in `readers.evt2`."""

from __future__ import annotations

from contextlib import ExitStack
from typing import ClassVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.events import EventBatch
from evio_ros.sources.readers.evt2 import TIME_HIGH, Evt2Decoder
from evio_ros.sources.writers.prophesee import PropheseeWriter

__all__ = ["Evt2Writer"]

LONGEST_TIME_STEP = 1 << 26
"""Steps of the 28-bit time word; longer ones could be taken for a step back by a decoder."""


@njit(cache=True, nogil=True)
def _encode(t, x, y, polarity, high, words):
    """Returns the number of words and the new time in units of 64 µs."""
    count = 0
    for i in range(t.size):
        while high != t[i] >> 6:
            high = t[i] >> 6 if high < 0 else min(high + LONGEST_TIME_STEP, t[i] >> 6)
            words[count] = TIME_HIGH << 28 | (high & 0xFFFFFFF)
            count += 1
        words[count] = polarity[i] << 28 | (t[i] & 0x3F) << 22 | x[i] << 11 | y[i]
        count += 1
    return count, high


class Evt2Writer(PropheseeWriter):
    """Writes an EVT2 file."""

    format_name = "EVT2"
    largest_side_px: ClassVar[int] = 1 << 11
    wrap_us: ClassVar[int] = Evt2Decoder.wrap_us

    def _open(self, stack: ExitStack) -> None:
        super()._open(stack)
        self._high = -1

    def _header_lines(self) -> list[str]:
        width, height = self.size.width, self.size.height
        return [
            "evt 2.0",
            f"format EVT2;height={height};width={width}",
            f"geometry {self.size}",
            "integrator_name Prophesee",
        ]

    def _encoded(self, batch: EventBatch) -> NDArray[np.generic]:
        highs = np.diff(batch.t >> 6, prepend=batch.t[0] >> 6 if self._high < 0 else self._high)
        steps = int(np.sum(-(-highs // LONGEST_TIME_STEP))) + 1
        words = np.empty(len(batch) + steps, np.uint32)
        polarity = batch.polarity.view(np.uint8)
        count, self._high = _encode(batch.t, batch.x, batch.y, polarity, self._high, words)
        return words[:count]
