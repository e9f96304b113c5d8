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
from evio_ros.sources.raw_columns import RawColumns, Triggers

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
    "triggers_of",
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
CHANNEL_SHIFT = 8
CHANNEL_MASK = (1 << 5) - 1
LOW_BITS = 6
"""Bits of time in an event's own word; those above are in the last time word."""
LOW_MASK = (1 << LOW_BITS) - 1
HIGH_MASK = (1 << TYPE_SHIFT) - 1
HIGH_WRAP = 1 << TYPE_SHIFT
HALF_WRAP = HIGH_WRAP // 2
SIDE_MASK = (1 << X_SHIFT) - 1
WRAP_US = HIGH_WRAP << LOW_BITS

# Places in a decoder's state: time above the low bits, counted on past its wraps; and whether any
# time word has come.
HIGH, KNOWN = range(2)

LONGEST_TIME_STEP = HIGH_WRAP // 4
"""Steps of the written time words; longer ones could be taken for a step back by a decoder."""


@njit(cache=True, nogil=True)
def _decode(words, state, t, x, y, polarity):
    """Returns the numbers of events and of words of other or unknown types, triggers among them."""
    # An unsigned place needs no test for a negative index.
    count, others, first = np.uint64(0), 0, 0
    while not state[KNOWN] and first < words.size:
        if words[first] >> TYPE_SHIFT == TIME_HIGH:
            state[HIGH] += np.int64(words[first] & HIGH_MASK)
            state[KNOWN] = 1
        else:
            others += 1
        first += 1
    high, words = state[HIGH], words[first:]
    for i in range(words.size):
        word = words[i]
        kind = word >> TYPE_SHIFT
        if kind <= 1:
            t[count] = (high << LOW_BITS) | ((word >> LOW_SHIFT) & LOW_MASK)
            x[count] = (word >> X_SHIFT) & SIDE_MASK
            y[count] = word & SIDE_MASK
            polarity[count] = kind != 0
            count += np.uint64(1)
        elif kind == TIME_HIGH:
            high = _nearest(np.int64(word & HIGH_MASK), high)
        else:
            others += 1
    state[HIGH] = high
    return count, others


@njit(cache=True, nogil=True)
def _count_others(words, known):
    """Numbers of triggers and of invalid words; events before the first time are invalid."""
    triggers, invalid = 0, 0
    for i in range(words.size):
        kind = words[i] >> TYPE_SHIFT
        if kind == TIME_HIGH:
            known = 1
        elif kind == TRIGGER:
            triggers += 1
        elif kind <= 1:
            invalid += not known
        elif kind != OTHERS and kind != CONTINUED:
            invalid += 1
    return triggers, invalid


@njit(cache=True, nogil=True)
def _decode_triggers(words, state, t, edge, channel):
    """Decode the external triggers among words of 32 bits; returns their number.

    `state` is that of before the words.
    """
    high, known = state[HIGH], state[KNOWN]
    count = 0
    for i in range(words.size):
        word = np.int64(words[i])
        kind = word >> TYPE_SHIFT
        if kind == TIME_HIGH:
            high = unwrapped_high(word & HIGH_MASK, high, known)
            known = 1
        elif kind == TRIGGER and known:
            t[count] = (high << LOW_BITS) | ((word >> LOW_SHIFT) & LOW_MASK)
            edge[count] = word & 1
            channel[count] = (word >> CHANNEL_SHIFT) & CHANNEL_MASK
            count += 1
    return count


@njit(cache=True, nogil=True)
def _skip(words, state):
    for i in range(words.size):
        if words[i] >> TYPE_SHIFT == TIME_HIGH:
            high = np.int64(words[i] & HIGH_MASK)
            state[HIGH] = unwrapped_high(high, state[HIGH], state[KNOWN])
            state[KNOWN] = 1


@njit(cache=True, nogil=True)
def _nearest(raw, before):
    """The 28-bit time counted on past its wraps: the value nearest to the one before.

    So a wrap is a step back of more than half the range, and a single wrong word does no harm to
    the next: the step to it and the step back cancel.
    """
    return before + ((raw - before + HALF_WRAP) & HIGH_MASK) - HALF_WRAP


@njit(cache=True, nogil=True)
def unwrapped_high(raw, before, known):
    """The value of a time word; while none is `known`, `before` is what the count starts from."""
    return _nearest(raw, before) if known else before + raw


def triggers_of(words: NDArray[np.uint32], state: NDArray[np.int64], most: int) -> Triggers:
    """External triggers among words; `state` is that of before them, `most` their number."""
    found = Triggers(np.empty(most, np.int64), np.empty(most, np.uint8), np.empty(most, np.uint8))
    if not most:
        return found
    count = _decode_triggers(words, state, found.t, found.edge, found.channel)
    return found.select(slice(0, count))


class Evt2Decoder(WordDecoder):
    """Decoder of EVT2 words; 34-bit times are counted on past their wraps."""

    word_type: ClassVar[np.dtype] = np.dtype("<u4")

    wrap_us: ClassVar[int] = WRAP_US

    def __init__(self, epoch_us: int = 0) -> None:
        self.state = np.array((epoch_us >> LOW_BITS, 0), np.int64)
        self.invalid = 0
        self.triggers = Triggers.empty()

    def decode(self, words: NDArray[np.unsignedinteger]) -> RawColumns:
        """Decode uint32 words; those that are no contrast events give nothing."""
        columns, before = RawColumns.empty(words.size), self.state.copy()
        count, others = _decode(
            words, self.state, columns.t, columns.x, columns.y, columns.polarity
        )
        # Most pieces hold none, and the kernel is faster where it does not tell them apart.
        triggers, invalid = _count_others(words, before[KNOWN]) if others else (0, 0)
        self.invalid += invalid
        self.triggers = triggers_of(words, before, triggers)
        return columns.select(slice(0, count))

    def skip(self, words: NDArray[np.unsignedinteger]) -> None:
        """Bring the state beyond uint32 words without making events."""
        _skip(words, self.state)

    @property
    def time_us(self) -> int:
        """Sensor time of the last time word; -1 before the first."""
        return int(self.state[HIGH]) << LOW_BITS if self.state[KNOWN] else NO_TIME


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
