"""Prophesee RAW files and packets in EVT3: words of 16 bits that change one part of the state each.

Source: Prophesee Metavision documentation, "EVT 3.0 format".
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.sources.raw_words import RawWordFile, WordDecoder
from evio_ros.sources.time_order import RawColumns

__all__ = ["Evt3Decoder", "Evt3File", "Triggers"]

ADDR_Y, ADDR_X, BASE_X, VECTOR_12, VECTOR_8 = 0x0, 0x2, 0x3, 0x4, 0x5
TIME_LOW, CONTINUED_4, TIME_HIGH, TRIGGER, OTHERS, CONTINUED_12 = 0x6, 0x7, 0x8, 0xA, 0xE, 0xF
NO_TIME = -1
STEP_BACK = 10
"""A time-high word that steps back by more has wrapped; real cameras step back by less."""

# Places in the decoder's state: time above the low 12 bits (counted on past its wraps), low 12
# bits, row, next column of a vector, polarity of a vector (0 or 1).
HIGH, LOW, ROW, COLUMN, POLARITY = range(5)

Triggers = tuple[NDArray[np.int64], NDArray[np.uint8]]
"""int64 (n,) times of external triggers in µs and uint8 (n,) edges, 1 rising."""


@njit(cache=True, nogil=True)
def _count(words):  # type: ignore[no-untyped-def]
    """Events that the words can make at most, and triggers."""
    events, triggers = 0, 0
    for i in range(words.size):
        kind = words[i] >> 12
        if kind == ADDR_X:
            events += 1
        elif kind == VECTOR_12:
            bits = words[i] & 0xFFF
            bits = bits - ((bits >> 1) & 0x555)
            bits = (bits & 0x333) + ((bits >> 2) & 0x333)
            events += ((bits + (bits >> 4)) & 0xF0F) % 255
        elif kind == VECTOR_8:
            bits = words[i] & 0xFF
            bits = bits - ((bits >> 1) & 0x55)
            bits = (bits & 0x33) + ((bits >> 2) & 0x33)
            events += (bits + (bits >> 4)) & 0xF
        elif kind == TRIGGER:
            triggers += 1
    return events, triggers


@njit(cache=True, nogil=True)
def _next_high(raw, high):  # type: ignore[no-untyped-def]
    """The 12-bit time-high word counted on past its wraps."""
    if high < 0:
        return raw
    before = high & 0xFFF
    epoch = high - before
    if raw < before - STEP_BACK:
        epoch += 0x1000
    elif raw > before + 0x1000 - STEP_BACK and epoch > 0:
        epoch -= 0x1000
    return epoch + raw


@njit(cache=True, nogil=True)
def _decode(words, state, t, x, y, polarity, trigger_t, trigger_edge):  # type: ignore[no-untyped-def]
    """Returns the numbers of events, of triggers and of invalid words."""
    high, low, row = state[HIGH], state[LOW], state[ROW]
    column, vector_polarity = state[COLUMN], state[POLARITY]
    time = (high << 12) | low
    events, triggers, invalid = 0, 0, 0
    for i in range(words.size):
        word = np.int64(words[i])
        kind = word >> 12
        if kind == ADDR_X:
            if high < 0:
                invalid += 1
                continue
            t[events] = time
            x[events] = word & 0x7FF
            y[events] = row
            polarity[events] = (word & 0x800) != 0
            events += 1
        elif kind in (VECTOR_12, VECTOR_8):
            bits = word & (0xFFF if kind == VECTOR_12 else 0xFF)
            at = column
            column += 12 if kind == VECTOR_12 else 8
            if high < 0:
                invalid += 1
                continue
            while bits:
                if bits & 1:
                    t[events] = time
                    x[events] = at
                    y[events] = row
                    polarity[events] = vector_polarity != 0
                    events += 1
                at += 1
                bits >>= 1
        elif kind == ADDR_Y:
            row = word & 0x7FF
        elif kind == TIME_LOW:
            low = word & 0xFFF
            time = (high << 12) | low
        elif kind == BASE_X:
            column = word & 0x7FF
            vector_polarity = (word >> 11) & 1
        elif kind == TIME_HIGH:
            high = _next_high(word & 0xFFF, high)
            time = (high << 12) | low
        elif kind == TRIGGER:
            if high >= 0:
                trigger_t[triggers] = time
                trigger_edge[triggers] = word & 1
                triggers += 1
        elif kind != CONTINUED_4 and kind != CONTINUED_12 and kind != OTHERS:
            invalid += 1
    state[HIGH], state[LOW], state[ROW] = high, low, row
    state[COLUMN], state[POLARITY] = column, vector_polarity
    return events, triggers, invalid


@njit(cache=True, nogil=True)
def _skip(words, state):  # type: ignore[no-untyped-def]
    high, low, row = state[HIGH], state[LOW], state[ROW]
    column, vector_polarity = state[COLUMN], state[POLARITY]
    for i in range(words.size):
        word = np.int64(words[i])
        kind = word >> 12
        if kind == ADDR_Y:
            row = word & 0x7FF
        elif kind == TIME_LOW:
            low = word & 0xFFF
        elif kind == BASE_X:
            column = word & 0x7FF
            vector_polarity = (word >> 11) & 1
        elif kind == VECTOR_12:
            column += 12
        elif kind == VECTOR_8:
            column += 8
        elif kind == TIME_HIGH:
            high = _next_high(word & 0xFFF, high)
    state[HIGH], state[LOW], state[ROW] = high, low, row
    state[COLUMN], state[POLARITY] = column, vector_polarity


class Evt3Decoder(WordDecoder):
    """Decoder of EVT3 words, of files and of packets that begin anywhere in the stream.

    24-bit times are counted on past their wraps. Vectors that run past column 65535 wrap and are
    then outside any geometry.

    Attributes:
        triggers: external triggers of the words decoded last.
    """

    word_type: ClassVar[np.dtype] = np.dtype("<u2")

    def __init__(self) -> None:
        self.state = np.array((NO_TIME, 0, 0, 0, 0), np.int64)
        self.invalid = 0
        self.triggers: Triggers = (np.empty(0, np.int64), np.empty(0, np.uint8))

    def decode(self, words: NDArray[np.unsignedinteger]) -> RawColumns:
        """Decode uint16 words; external triggers are kept in `triggers`."""
        events, triggers = _count(words)
        columns = RawColumns(
            np.empty(events, np.int64),
            np.empty(events, np.uint16),
            np.empty(events, np.uint16),
            np.empty(events, np.bool_),
        )
        trigger_t, trigger_edge = np.empty(triggers, np.int64), np.empty(triggers, np.uint8)
        events, triggers, invalid = _decode(
            words,
            self.state,
            columns.t,
            columns.x,
            columns.y,
            columns.polarity,
            trigger_t,
            trigger_edge,
        )
        self.triggers = (trigger_t[:triggers], trigger_edge[:triggers])
        self.invalid += invalid
        return columns.select(slice(0, events))

    def skip(self, words: NDArray[np.unsignedinteger]) -> None:
        """Bring the state beyond uint16 words without making events."""
        _skip(words, self.state)

    @property
    def time_us(self) -> int:
        """Sensor time that the state stands at; -1 before the first time-high word."""
        high, low = int(self.state[HIGH]), int(self.state[LOW])
        return (high << 12) | low if high >= 0 else NO_TIME


class Evt3File(RawWordFile):
    """A recording in an EVT3 file."""

    format_name = "Prophesee EVT3"
    decoder_type = Evt3Decoder
