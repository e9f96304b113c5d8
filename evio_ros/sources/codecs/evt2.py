"""EVT2 of Prophesee's RAW files: one event in a word of 32 bits, its coarse time in words between.

Source: Prophesee Metavision documentation, "EVT 2.0 format".
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.events import EventBatch
from evio_ros.sources.codecs.word_decoder import NO_TIME, WordDecoder
from evio_ros.sources.time_order import RawColumns

__all__ = [
    "CONTINUED",
    "HIGH_MASK",
    "LOW_BITS",
    "LOW_MASK",
    "LOW_SHIFT",
    "OTHERS",
    "SIDE_MASK",
    "TIME_HIGH",
    "TRIGGER",
    "TYPE_SHIFT",
    "WRAP_US",
    "X_SHIFT",
    "Evt2Decoder",
    "Evt2Encoder",
    "unwrapped_high",
]

# Types of words, in the highest 4 bits; 0 and 1 are events, OFF and ON.
TIME_HIGH = 0x8
TRIGGER = 0xA
OTHERS = 0xE
CONTINUED = 0xF
TYPE_SHIFT = 28
LOW_SHIFT = 22
X_SHIFT = 11
LOW_BITS = 6
"""Bits of time in an event's own word; those above are in the last time word."""
LOW_MASK = (1 << LOW_BITS) - 1
HIGH_MASK = (1 << TYPE_SHIFT) - 1
HIGH_WRAP = 1 << TYPE_SHIFT
HALF_WRAP = HIGH_WRAP // 2
SIDE_MASK = (1 << X_SHIFT) - 1
WRAP_US = HIGH_WRAP << LOW_BITS
LONGEST_TIME_STEP = HIGH_WRAP // 4
"""Steps of the written time words; longer ones could be taken for a step back by a decoder."""


@njit(cache=True, nogil=True)
def _decode(words, state, t, x, y, polarity):
    """Returns the numbers of events and of invalid words; state is the time in units of 64 µs."""
    high = state[0]
    # An unsigned place needs no test for a negative index.
    count, invalid = np.uint64(0), 0
    for i in range(words.size):
        word = words[i]
        kind = word >> TYPE_SHIFT
        if kind <= 1:
            if high < 0:
                invalid += 1
                continue
            t[count] = (high << LOW_BITS) | ((word >> LOW_SHIFT) & LOW_MASK)
            x[count] = (word >> X_SHIFT) & SIDE_MASK
            y[count] = word & SIDE_MASK
            polarity[count] = kind != 0
            count += np.uint64(1)
        elif kind == TIME_HIGH:
            high = unwrapped_high(np.int64(word & HIGH_MASK), high)
        elif kind != TRIGGER and kind != OTHERS and kind != CONTINUED:
            invalid += 1
    state[0] = high
    return count, invalid


@njit(cache=True, nogil=True)
def _skip(words, state):
    high = state[0]
    for i in range(words.size):
        if words[i] >> TYPE_SHIFT == TIME_HIGH:
            high = unwrapped_high(np.int64(words[i] & HIGH_MASK), high)
    state[0] = high


@njit(cache=True, nogil=True)
def unwrapped_high(raw, before):
    """The 28-bit time counted on past its wraps: the value nearest to the one before.

    Before the first time, `before` is -1 less what the count starts from.
    """
    if before < 0:
        return raw - 1 - before
    time = (before & ~HIGH_MASK) | raw
    if time < before - HALF_WRAP:
        return time + HIGH_WRAP
    if time > before + HALF_WRAP and time >= HIGH_WRAP:
        return time - HIGH_WRAP
    return time


class Evt2Decoder(WordDecoder):
    """Decoder of EVT2 words; 34-bit times are counted on past their wraps."""

    word_type: ClassVar[np.dtype] = np.dtype("<u4")

    wrap_us: ClassVar[int] = WRAP_US

    def __init__(self, epoch_us: int = 0) -> None:
        self.state = np.array((-1 - (epoch_us >> LOW_BITS),), np.int64)
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
        return int(self.state[0]) << LOW_BITS if self.state[0] >= 0 else NO_TIME


@njit(cache=True, nogil=True)
def _encode(t, x, y, polarity, high, words):
    """Returns the number of words and the new time in units of 64 µs."""
    count = 0
    for i in range(t.size):
        while high != t[i] >> LOW_BITS:
            high = t[i] >> LOW_BITS if high < 0 else min(high + LONGEST_TIME_STEP, t[i] >> LOW_BITS)
            words[count] = TIME_HIGH << TYPE_SHIFT | (high & HIGH_MASK)
            count += 1
        words[count] = (
            polarity[i] << TYPE_SHIFT | (t[i] & LOW_MASK) << LOW_SHIFT | x[i] << X_SHIFT | y[i]
        )
        count += 1
    return count, high


class Evt2Encoder:
    """Turns batches into EVT2 words; the time word is carried from batch to batch."""

    def __init__(self) -> None:
        self._high = -1

    def encode(self, batch: EventBatch) -> NDArray[np.uint32]:
        """Encode events whose coordinates are below 2048; times are kept modulo `WRAP_US`."""
        first = batch.t[0] >> LOW_BITS if self._high < 0 else self._high
        highs = np.diff(batch.t >> LOW_BITS, prepend=first)
        steps = int(np.sum(-(-highs // LONGEST_TIME_STEP))) + 1
        words = np.empty(len(batch) + steps, np.uint32)
        polarity = batch.polarity.view(np.uint8)
        count, self._high = _encode(batch.t, batch.x, batch.y, polarity, self._high, words)
        return words[:count]
