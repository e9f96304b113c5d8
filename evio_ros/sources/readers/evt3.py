"""Prophesee RAW files and packets in EVT3: words of 16 bits that change one part of the state each.

Source: Prophesee Metavision documentation, "EVT 3.0 format".
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.sources.readers.raw_words import RawWordFile, WordDecoder
from evio_ros.sources.time_order import RawColumns

__all__ = ["Evt3Decoder", "Evt3File", "Triggers"]

ADDR_Y, ADDR_X, BASE_X, VECTOR_12, VECTOR_8 = 0x0, 0x2, 0x3, 0x4, 0x5
TIME_LOW, CONTINUED_4, TIME_HIGH, TRIGGER, OTHERS, CONTINUED_12 = 0x6, 0x7, 0x8, 0xA, 0xE, 0xF
NO_TIME = -1
LONGEST_VECTOR = 12
USUAL_TRIGGERS = 64
STEP_BACK = 10
"""A time-high word that steps back by more has wrapped; real cameras step back by less."""

# Places in the decoder's state: time above the low 12 bits (counted on past its wraps; before the
# first time word -1 less what the count starts from), low 12 bits, row, next column of a vector,
# polarity of a vector (0 or 1).
HIGH, LOW, ROW, COLUMN, POLARITY = range(5)

Triggers = tuple[NDArray[np.int64], NDArray[np.uint8]]
"""int64 (n,) times of external triggers in µs and uint8 (n,) edges, 1 rising."""


_MASKS = np.arange(1 << 12)[:, None] >> np.arange(12) & 1
BITS_SET = _MASKS.sum(axis=1).astype(np.uint8)
"""Number of events of each vector of 12 columns."""
PLACES = np.argsort(1 - _MASKS, axis=1, kind="stable").astype(np.uint8)
"""Columns of those events from the vector's first column on, ascending."""


@njit(cache=True, nogil=True)
def _next_high(raw, high):
    """The 12-bit time-high word counted on past its wraps."""
    if high < 0:
        return raw - 1 - high
    before = high & 0xFFF
    epoch = high - before
    if raw < before - STEP_BACK:
        epoch += 0x1000
    elif raw > before + 0x1000 - STEP_BACK and epoch > 0:
        epoch -= 0x1000
    return epoch + raw


@njit(cache=True, nogil=True)
def _decode(words, state, t, x, y, polarity, trigger_t, trigger_edge, reached):
    """Decode from where `reached` says, until the words end or a column is full.

    `reached` holds the numbers of words, events, triggers and invalid words so far.
    """
    high, low, row = state[HIGH], state[LOW], state[ROW]
    column, vector_polarity = state[COLUMN], state[POLARITY]
    time = (high << 12) | low
    # Unsigned places need no test for a negative index: a fifth faster.
    one, last = np.uint64(1), np.uint64(t.size - LONGEST_VECTOR)
    events, triggers, invalid = np.uint64(reached[1]), reached[2], reached[3]
    end = words.size
    for i in range(reached[0], words.size):
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
            events += one
        elif kind in (VECTOR_12, VECTOR_8):
            if events > last:
                end = i
                break
            bits = np.uint64(word) & np.uint64(0xFFF if kind == VECTOR_12 else 0xFF)
            first = column
            column += 12 if kind == VECTOR_12 else 8
            if high < 0:
                invalid += 1
                continue
            for place in range(np.int64(BITS_SET[bits])):
                t[events] = time
                x[events] = first + PLACES[bits, place]
                y[events] = row
                polarity[events] = vector_polarity != 0
                events += one
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
            if triggers == trigger_t.size:
                end = i
                break
            if high >= 0:
                trigger_t[triggers] = time
                trigger_edge[triggers] = word & 1
                triggers += 1
        elif kind != CONTINUED_4 and kind != CONTINUED_12 and kind != OTHERS:
            invalid += 1
    state[HIGH], state[LOW], state[ROW] = high, low, row
    state[COLUMN], state[POLARITY] = column, vector_polarity
    reached[0], reached[1], reached[2], reached[3] = end, events, triggers, invalid


@njit(cache=True, nogil=True)
def _skip(words, state):
    """Only times wrap, so only they are followed; of all else the last word counts."""
    high = state[HIGH]
    for i in range(words.size):
        if words[i] >> 12 == TIME_HIGH:
            high = _next_high(np.int64(words[i] & 0xFFF), high)
    state[HIGH] = high
    low_open = row_open = column_open = True
    moved = 0
    for i in range(words.size - 1, -1, -1):
        word = np.int64(words[i])
        kind = word >> 12
        if kind == TIME_LOW and low_open:
            state[LOW] = word & 0xFFF
            low_open = False
        elif kind == ADDR_Y and row_open:
            state[ROW] = word & 0x7FF
            row_open = False
        elif kind == BASE_X and column_open:
            state[COLUMN] = (word & 0x7FF) + moved
            state[POLARITY] = (word >> 11) & 1
            column_open = False
        elif kind == VECTOR_12 and column_open:
            moved += 12
        elif kind == VECTOR_8 and column_open:
            moved += 8
        if not (low_open or row_open or column_open):
            return
    if column_open:
        state[COLUMN] += moved


class Evt3Decoder(WordDecoder):
    """Decoder of EVT3 words, of files and of packets that begin anywhere in the stream.

    24-bit times are counted on past their wraps. Vectors that run past column 65535 wrap and are
    then outside any geometry.

    Attributes:
        triggers: external triggers of the words decoded last.
    """

    word_type: ClassVar[np.dtype] = np.dtype("<u2")

    wrap_us: ClassVar[int] = 1 << 24

    def __init__(self, epoch_us: int = 0) -> None:
        self.state = np.array((-1 - (epoch_us >> 12), 0, 0, 0, 0), np.int64)
        self.invalid = 0
        self.triggers: Triggers = (np.empty(0, np.int64), np.empty(0, np.uint8))

    def decode(self, words: NDArray[np.unsignedinteger]) -> RawColumns:
        """Decode uint16 words; external triggers are kept in `triggers`."""
        columns = RawColumns.empty(words.size + LONGEST_VECTOR)
        trigger_t = np.empty(USUAL_TRIGGERS, np.int64)
        trigger_edge = np.empty(USUAL_TRIGGERS, np.uint8)
        reached = np.zeros(4, np.int64)
        while True:
            _decode(
                words,
                self.state,
                columns.t,
                columns.x,
                columns.y,
                columns.polarity,
                trigger_t,
                trigger_edge,
                reached,
            )
            done, events, triggers, invalid = reached.tolist()
            if done == words.size:
                break
            # Most words make one event or none; only vectors make more.
            columns = RawColumns.concatenate((columns.select(slice(0, events)), columns))
            room = 2 * triggers + USUAL_TRIGGERS
            trigger_t, trigger_edge = np.resize(trigger_t, room), np.resize(trigger_edge, room)
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
    format_key = "evt3"
    decoder_type = Evt3Decoder
