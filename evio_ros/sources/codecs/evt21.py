"""EVT2.1 of Prophesee's RAW files: 64-bit words with up to 32 events of one row.

Source: Prophesee Metavision documentation, "EVT 2.1 format". From the top, a word has 4 bits of
type, 6 of time, 11 of x and 11 of y, laid out as a word of EVT2, and a 32-bit mask of the pixels
from x on that fired. Older cameras ("legacy") send the two halves of a word in the opposite order.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.sources.codecs.evt2 import (
    CONTINUED,
    HIGH_MASK,
    LOW_BITS,
    LOW_MASK,
    LOW_SHIFT,
    OTHERS,
    SIDE_MASK,
    TIME_HIGH,
    TRIGGER,
    TYPE_SHIFT,
    WRAP_US,
    X_SHIFT,
    triggers_of,
    update_high,
)
from evio_ros.sources.codecs.word_decoder import NO_ANCHOR, NO_TIME, WordDecoder
from evio_ros.sources.raw_columns import RawColumns, Triggers

__all__ = ["Evt21Decoder", "LegacyEvt21Decoder"]


@njit(cache=True, nogil=True)
def _count(words):
    """Maximum number of events of words, which are pairs of a low and a high half."""
    events = np.int64(0)
    for i in range(len(words)):
        bits = words[i, 0] * np.uint32(words[i, 1] >> np.uint32(29) == 0)
        bits = bits - ((bits >> np.uint32(1)) & np.uint32(0x55555555))
        bits = (bits & np.uint32(0x33333333)) + ((bits >> np.uint32(2)) & np.uint32(0x33333333))
        bits = (bits + (bits >> np.uint32(4))) & np.uint32(0x0F0F0F0F)
        events += np.int64((bits * np.uint32(0x01010101)) >> np.uint32(24) & np.uint32(0xFF))
    return events


@njit(cache=True, nogil=True)
def _decode(words, state, t, x, y, polarity):
    """Returns the numbers of events, of triggers and of invalid words."""
    events, triggers, invalid = 0, 0, 0
    for i in range(len(words)):
        head = np.int64(words[i, 1])
        kind = head >> TYPE_SHIFT
        if kind <= 1:
            if not state[1]:
                invalid += 1
                continue
            time = (state[0] << LOW_BITS) | ((head >> LOW_SHIFT) & LOW_MASK)
            column, row = (head >> X_SHIFT) & SIDE_MASK, head & SIDE_MASK
            bits = np.int64(words[i, 0])
            while bits:
                if bits & 1:
                    t[events] = time
                    x[events] = column
                    y[events] = row
                    polarity[events] = kind != 0
                    events += 1
                column += 1
                bits >>= 1
        elif kind == TIME_HIGH:
            update_high(head & HIGH_MASK, state)
        elif kind == TRIGGER:
            triggers += 1
        elif kind != OTHERS and kind != CONTINUED:
            invalid += 1
    return events, triggers, invalid


@njit(cache=True, nogil=True)
def _skip(words, state):
    for i in range(len(words)):
        if words[i, 1] >> TYPE_SHIFT == TIME_HIGH:
            update_high(np.int64(words[i, 1] & HIGH_MASK), state)


class Evt21Decoder(WordDecoder):
    """Decoder of EVT2.1 words; 34-bit times are unwrapped."""

    word_type: ClassVar[np.dtype] = np.dtype("<u8")
    wrap_us: ClassVar[int] = WRAP_US
    head: ClassVar[int] = 1
    """Index of the half, in the file's order, that has type, time and pixel."""

    def __init__(self, epoch_us: int = 0) -> None:
        self.state = np.array((epoch_us >> LOW_BITS, 0, NO_ANCHOR, 0), np.int64)
        self.invalid = 0
        self.triggers = Triggers.empty()

    def decode(self, words: NDArray[np.unsignedinteger]) -> RawColumns:
        """Decode uint64 words; words other than contrast events give no events."""
        halves = self._halves(words)
        columns, before = RawColumns.empty(_count(halves)), self.state.copy()
        events, triggers, invalid = _decode(
            halves, self.state, columns.t, columns.x, columns.y, columns.polarity
        )
        self.invalid += invalid
        self.triggers = Triggers.empty()
        if triggers:
            # A trigger's edge is the lowest bit of the lower half; the rest is as in EVT2.
            words32 = halves[:, 1] & ~np.uint32(1) | halves[:, 0] & np.uint32(1)
            words32 = np.where(halves[:, 1] >> TYPE_SHIFT == TRIGGER, words32, halves[:, 1])
            self.triggers = triggers_of(words32, before, triggers)
        return columns.select(slice(0, events))

    def skip(self, words: NDArray[np.unsignedinteger]) -> None:
        """Update the state by uint64 words without decoding events."""
        _skip(self._halves(words), self.state)

    @property
    def time_us(self) -> int:
        """Sensor time of the last time word in µs; -1 before the first."""
        return int(self.state[0]) << LOW_BITS if self.state[1] else NO_TIME

    def _halves(self, words: NDArray[np.unsignedinteger]) -> NDArray[np.uint32]:
        """The words as uint32 (n, 2): the mask of pixels, and the rest."""
        halves = words.view("<u4").reshape(-1, 2)
        return halves if self.head == 1 else np.ascontiguousarray(halves[:, ::-1])


class LegacyEvt21Decoder(Evt21Decoder):
    """Decoder of EVT2.1 words whose halves are in the opposite order."""

    head = 0
