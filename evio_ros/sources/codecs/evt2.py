"""EVT2 of Prophesee's RAW files: a 32-bit word for each event, and words with the coarse time.

Source: Prophesee Metavision documentation, "EVT 2.0 format".
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.events import EventBatch
from evio_ros.sources.codecs.word_decoder import NO_ANCHOR, NO_TIME, WordDecoder, next_high
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
    "update_high",
]

# Types of words, in the highest 4 bits; 0 and 1 are OFF and ON events.
TIME_HIGH = 0x8
TRIGGER = 0xA
OTHERS = 0xE
CONTINUED = 0xF
TYPE_SHIFT = 28
LOW_SHIFT = 22
X_SHIFT = 11
_CHANNEL_SHIFT = 8
_CHANNEL_MASK = (1 << 5) - 1
LOW_BITS = 6
"""Number of time bits in an event's word; the higher bits are in the last time word."""
LOW_MASK = (1 << LOW_BITS) - 1
HIGH_MASK = (1 << TYPE_SHIFT) - 1
_HIGH_WRAP = 1 << TYPE_SHIFT
_HALF_WRAP = _HIGH_WRAP // 2
SIDE_MASK = (1 << X_SHIFT) - 1
WRAP_US = _HIGH_WRAP << LOW_BITS

_ZEROS_STEP = 64
"""Every 64th word is examined to find blocks of zeros, which a disk's block of 512 bytes
contains."""
_FEWEST_ZEROS = 16
"""Minimum number of consecutive zero words left out: fewer may be valid events of the pixel (0,
0)."""

# Indices of a decoder's state: time above the low bits, unwrapped; whether any time word has been
# read; and anchor and doubt of `next_high`.
HIGH, KNOWN, ANCHOR, DOUBT = range(4)
_NEAR = 1 << 14
"""Maximum difference of time words of the same clock: about a second."""

_LONGEST_TIME_STEP = _HIGH_WRAP // 4
"""Maximum step between written time words; a decoder could take longer ones for a step back."""


@njit(cache=True, nogil=True)
def _decode(words, state, t, x, y, polarity):
    """Returns the numbers of events and of other words, including triggers and unknown types."""
    # Unsigned indices need no test for negative ones, and runs of events have a loop of their own:
    # a tenth faster.
    count, i, one, others = np.uint64(0), np.uint64(0), np.uint64(1), 0
    size = np.uint64(words.size)
    while i < size:
        base, known = state[HIGH] << LOW_BITS, state[KNOWN] != 0
        while known and i < size:
            word = words[i]
            if word >> np.uint32(TYPE_SHIFT + 1):
                break
            t[count] = base | np.int64((word >> np.uint32(LOW_SHIFT)) & np.uint32(LOW_MASK))
            x[count] = (word >> np.uint32(X_SHIFT)) & np.uint32(SIDE_MASK)
            y[count] = word & np.uint32(SIDE_MASK)
            polarity[count] = word >> np.uint32(TYPE_SHIFT) != 0
            count += one
            i += one
        if i < size:
            if words[i] >> TYPE_SHIFT == TIME_HIGH:
                update_high(np.int64(words[i] & HIGH_MASK), state)
            else:
                others += 1
            i += one
    return count, others


@njit(cache=True, nogil=True)
def _count_others(words, known):
    """Numbers of triggers and of invalid words; events before the first time word are invalid."""
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
    """Decode the external triggers among 32-bit words; returns their number.

    `state` is the decoder's state before these words.
    """
    count = 0
    for i in range(words.size):
        word = np.int64(words[i])
        kind = word >> TYPE_SHIFT
        if kind == TIME_HIGH:
            update_high(word & HIGH_MASK, state)
        elif kind == TRIGGER and state[KNOWN]:
            t[count] = (state[HIGH] << LOW_BITS) | ((word >> LOW_SHIFT) & LOW_MASK)
            edge[count] = word & 1
            channel[count] = (word >> _CHANNEL_SHIFT) & _CHANNEL_MASK
            count += 1
    return count


@njit(cache=True, nogil=True)
def _skip(words, state):
    for i in range(words.size):
        if words[i] >> TYPE_SHIFT == TIME_HIGH:
            update_high(np.int64(words[i] & HIGH_MASK), state)


@njit(cache=True, nogil=True)
def update_high(raw, state):
    """Update the state by the value of a time word."""
    if state[KNOWN]:
        state[HIGH], state[ANCHOR], state[DOUBT] = next_high(
            raw, state[HIGH], state[ANCHOR], state[DOUBT], _HALF_WRAP, _NEAR
        )
    else:
        state[HIGH] += raw
        state[KNOWN] = 1


def triggers_of(words: NDArray[np.uint32], state: NDArray[np.int64], most: int) -> Triggers:
    """External triggers among words.

    Args:
        words: uint32 (n,).
        state: the decoder's state before these words.
        most: maximum number of triggers.
    """
    found = Triggers(np.empty(most, np.int64), np.empty(most, np.uint8), np.empty(most, np.uint8))
    if not most:
        return found
    count = _decode_triggers(words, state, found.t, found.edge, found.channel)
    return found.select(slice(0, count))


def _without_zeros(words: NDArray[np.unsignedinteger]) -> NDArray[np.unsignedinteger]:
    """The words without long runs of zeros, which a lost block leaves and which would be events."""
    if words[::_ZEROS_STEP].all():
        return words
    edges = np.flatnonzero(np.diff(np.concatenate(([True], words != 0, [True]))))
    starts, ends = edges[::2], edges[1::2]
    are_long = ends - starts >= _FEWEST_ZEROS
    change = np.zeros(len(words) + 1, np.int64)
    change[starts[are_long]] = 1
    change[ends[are_long]] = -1
    return words[np.cumsum(change[:-1]) == 0]


class Evt2Decoder(WordDecoder):
    """Decoder of EVT2 words; 34-bit times are unwrapped."""

    word_type: ClassVar[np.dtype] = np.dtype("<u4")

    wrap_us: ClassVar[int] = WRAP_US

    def __init__(self, epoch_us: int = 0) -> None:
        self.state = np.array((epoch_us >> LOW_BITS, 0, NO_ANCHOR, 0), np.int64)
        self.invalid = 0
        self.triggers = Triggers.empty()

    def decode(self, words: NDArray[np.unsignedinteger]) -> RawColumns:
        """Decode uint32 words; words other than contrast events give no events."""
        all_words, words = words.size, _without_zeros(words)
        self.invalid += all_words - words.size
        columns, before = RawColumns.empty(words.size), self.state.copy()
        count, others = _decode(
            words, self.state, columns.t, columns.x, columns.y, columns.polarity
        )
        # Most pieces have none, and the first kernel is faster because it does not distinguish
        # them.
        triggers, invalid = _count_others(words, before[KNOWN]) if others else (0, 0)
        self.invalid += invalid
        self.triggers = triggers_of(words, before, triggers)
        return columns.select(slice(0, count))

    def skip(self, words: NDArray[np.unsignedinteger]) -> None:
        """Update the state by uint32 words without decoding events."""
        _skip(words, self.state)

    @property
    def time_us(self) -> int:
        """Sensor time of the last time word in µs; -1 before the first."""
        return int(self.state[HIGH]) << LOW_BITS if self.state[KNOWN] else NO_TIME


@njit(cache=True, nogil=True)
def _encode(t, rest, high, words):
    """Add times to words that have everything else, with time words between.

    Returns the number of words and the new time in units of 64 µs.
    """
    count = 0
    for i in range(t.size):
        while high != t[i] >> LOW_BITS:
            high = (
                t[i] >> LOW_BITS if high < 0 else min(high + _LONGEST_TIME_STEP, t[i] >> LOW_BITS)
            )
            words[count] = TIME_HIGH << TYPE_SHIFT | (high & HIGH_MASK)
            count += 1
        words[count] = rest[i] | (t[i] & LOW_MASK) << LOW_SHIFT
        count += 1
    return count, high


class Evt2Encoder:
    """Encodes batches as EVT2 words; keeps the time word between batches."""

    def __init__(self) -> None:
        self._high = -1

    def encode(self, batch: EventBatch) -> NDArray[np.uint32]:
        """Encode events with coordinates below 2048; times are kept modulo `WRAP_US`."""
        rest = batch.polarity.astype(np.uint32) << TYPE_SHIFT
        rest |= batch.x.astype(np.uint32) << X_SHIFT
        return self._with_times(batch.t, rest | batch.y)

    def encode_triggers(self, triggers: Triggers) -> NDArray[np.uint32]:
        """Encode external triggers, which are in order of time and not before the last event."""
        rest = (triggers.channel.astype(np.uint32) & _CHANNEL_MASK) << _CHANNEL_SHIFT
        rest |= triggers.edge & 1
        return self._with_times(triggers.t, rest | np.uint32(TRIGGER << TYPE_SHIFT))

    def _with_times(self, t: NDArray[np.int64], rest: NDArray[Any]) -> NDArray[np.uint32]:
        if not len(t):
            return np.empty(0, np.uint32)
        first = t[0] >> LOW_BITS if self._high < 0 else self._high
        highs = np.diff(t >> LOW_BITS, prepend=first)
        steps = int(np.sum(-(-highs // _LONGEST_TIME_STEP))) + 1
        words = np.empty(len(t) + steps, np.uint32)
        count, self._high = _encode(t, rest, self._high, words)
        return words[:count]
