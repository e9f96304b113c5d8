"""Prophesee RAW files in EVT2: one event in a word of 32 bits, its coarse time in words between.

Source: Prophesee Metavision documentation, "EVT 2.0 format".
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.sources.readers.raw_words import RawWordFile, WordDecoder
from evio_ros.sources.time_order import RawColumns

__all__ = ["Evt2Decoder", "Evt2File", "unwrapped_high"]

TIME_HIGH, TRIGGER, OTHERS, CONTINUED = 0x8, 0xA, 0xE, 0xF
NO_TIME = -1


@njit(cache=True, nogil=True)
def _decode(words, state, t, x, y, polarity):
    """Returns the numbers of events and of invalid words; state is the time in units of 64 µs."""
    high = state[0]
    # An unsigned place needs no test for a negative index.
    count, invalid = np.uint64(0), 0
    for i in range(words.size):
        word = words[i]
        kind = word >> 28
        if kind <= 1:
            if high < 0:
                invalid += 1
                continue
            t[count] = (high << 6) | ((word >> 22) & 0x3F)
            x[count] = (word >> 11) & 0x7FF
            y[count] = word & 0x7FF
            polarity[count] = kind != 0
            count += np.uint64(1)
        elif kind == TIME_HIGH:
            high = unwrapped_high(np.int64(word & 0xFFFFFFF), high)
        elif kind != TRIGGER and kind != OTHERS and kind != CONTINUED:
            invalid += 1
    state[0] = high
    return count, invalid


@njit(cache=True, nogil=True)
def _skip(words, state):
    high = state[0]
    for i in range(words.size):
        if words[i] >> 28 == TIME_HIGH:
            high = unwrapped_high(np.int64(words[i] & 0xFFFFFFF), high)
    state[0] = high


@njit(cache=True, nogil=True)
def unwrapped_high(raw, before):
    """The 28-bit time counted on past its wraps: the value nearest to the one before.

    Before the first time, `before` is -1 less what the count starts from.
    """
    if before < 0:
        return raw - 1 - before
    time = (before & ~0xFFFFFFF) | raw
    if time < before - 0x8000000:
        return time + 0x10000000
    if time > before + 0x8000000 and time >= 0x10000000:
        return time - 0x10000000
    return time


class Evt2Decoder(WordDecoder):
    """Decoder of EVT2 words; 34-bit times are counted on past their wraps."""

    word_type: ClassVar[np.dtype] = np.dtype("<u4")

    wrap_us: ClassVar[int] = 1 << 34

    def __init__(self, epoch_us: int = 0) -> None:
        self.state = np.array((-1 - (epoch_us >> 6),), np.int64)
        self.invalid = 0

    def decode(self, words: NDArray[np.unsignedinteger]) -> RawColumns:
        """Decode uint32 words; those that are no contrast events give nothing."""
        columns = RawColumns.empty(words.size)
        count, invalid = _decode(
            words, self.state, columns.t, columns.x, columns.y, columns.polarity
        )
        self.invalid += invalid
        return columns.select(slice(0, count))

    def skip(self, words: NDArray[np.unsignedinteger]) -> None:
        """Bring the state beyond uint32 words without making events."""
        _skip(words, self.state)

    @property
    def time_us(self) -> int:
        """Sensor time of the last time word; -1 before the first."""
        return int(self.state[0]) << 6 if self.state[0] >= 0 else NO_TIME


class Evt2File(RawWordFile):
    """A recording in an EVT2 file."""

    format_name = "Prophesee EVT2"
    format_key = "evt2"
    decoder_type = Evt2Decoder
