"""Encoding events as EVT3 words; the format is described in `evio_ros.sources.readers.evt3`."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.events import EventBatch
from evio_ros.sources.readers.evt3 import ADDR_X, ADDR_Y, BASE_X, TIME_HIGH, TIME_LOW, VECTOR_12

__all__ = ["Evt3Encoder"]

LONGEST_TIME_STEP = 1 << 11
"""Steps of the time-high word; longer ones could be taken for a step back by a decoder."""
FEWEST_IN_VECTOR = 3
"""A vector costs two words, so fewer events are written one by one."""

# Places in the encoder's state: time above the low 12 bits, low 12 bits, row (-1 for not sent yet),
# and whether the time above the low bits must be sent again.
HIGH, LOW, ROW, REPEAT = range(4)


@njit(cache=True, nogil=True)
def _vector(t, x, y, polarity, first):
    """Number of events from `first` on that one vector of 12 columns can hold in their order."""
    length = 1
    for i in range(first + 1, min(first + 12, t.size)):
        if t[i] != t[first] or y[i] != y[first] or polarity[i] != polarity[first]:
            break
        if x[i] <= x[i - 1] or x[i] >= x[first] + 12:
            break
        length += 1
    return length


@njit(cache=True, nogil=True)
def _encode(t, x, y, polarity, state, words):
    """Returns the number of words."""
    high, low, row = state[HIGH], state[LOW], state[ROW]
    count, i = 0, 0
    while i < t.size:
        while high != t[i] >> 12 or state[REPEAT]:
            state[REPEAT] = 0
            high = t[i] >> 12 if high < 0 else min(high + LONGEST_TIME_STEP, t[i] >> 12)
            words[count] = TIME_HIGH << 12 | (high & 0xFFF)
            count += 1
            low = -1
        if low != t[i] & 0xFFF:
            low = t[i] & 0xFFF
            words[count] = TIME_LOW << 12 | low
            count += 1
        if row != y[i]:
            row = y[i]
            words[count] = ADDR_Y << 12 | row
            count += 1
        length = _vector(t, x, y, polarity, i)
        if length >= FEWEST_IN_VECTOR:
            bits = 0
            for k in range(i, i + length):
                bits |= 1 << (x[k] - x[i])
            words[count] = BASE_X << 12 | polarity[i] << 11 | x[i]
            words[count + 1] = VECTOR_12 << 12 | bits
            count += 2
        else:
            length = 1
            words[count] = ADDR_X << 12 | polarity[i] << 11 | x[i]
            count += 1
        i += length
    state[HIGH], state[LOW], state[ROW] = high, low, row
    return count


class Evt3Encoder:
    """Turns batches into EVT3 words; the state is carried from batch to batch.

    Events of one time, row and polarity that follow one another from left to right share a vector,
    so that a decoder gives back the same events in the same order.
    """

    def __init__(self) -> None:
        self.state = np.array((-1, -1, -1, 0), np.int64)

    def repeat_state(self) -> None:
        """Send time and row again before the next event, for decoders that begin there."""
        self.state[LOW] = self.state[ROW] = -1
        self.state[REPEAT] = 1

    def encode(self, batch: EventBatch) -> NDArray[np.uint16]:
        """Encode events whose coordinates are below 2048; times are kept modulo 2**24 µs."""
        if not len(batch):
            return np.empty(0, np.uint16)
        before = int(self.state[HIGH])
        highs = np.diff(batch.t >> 12, prepend=batch.t[0] >> 12 if before < 0 else before)
        steps = int(np.sum(-(-highs // LONGEST_TIME_STEP)))
        words = np.empty(3 * len(batch) + steps + 1, np.uint16)
        polarity = batch.polarity.view(np.uint8)
        count = _encode(batch.t, batch.x, batch.y, polarity, self.state, words)
        return words[:count]
