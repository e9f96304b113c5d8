"""EVT3 of Prophesee's RAW files and packets: 16-bit words that each change a part of a state.

Source: Prophesee Metavision documentation, "EVT 3.0 format".
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.events import EventBatch
from evio_ros.sources.codecs.word_decoder import NO_ANCHOR, NO_TIME, WordDecoder, next_high
from evio_ros.sources.raw_columns import RawColumns, Triggers

__all__ = ["ADDR_Y", "TIME_HIGH", "TIME_LOW", "Evt3Decoder", "Evt3Encoder"]

# Types of words, in the highest 4 bits.
ADDR_Y = 0x0
_ADDR_X = 0x2
_BASE_X = 0x3
_VECTOR_12 = 0x4
_VECTOR_8 = 0x5
TIME_LOW = 0x6
_CONTINUED_4 = 0x7
TIME_HIGH = 0x8
TRIGGER = 0xA
_OTHERS = 0xE
_CONTINUED_12 = 0xF
_TYPE_SHIFT = 12
_VALUE_MASK = (1 << _TYPE_SHIFT) - 1
_TIME_BITS = 12
"""Number of time bits in each of the two time words."""
_HIGH_WRAP = 1 << _TIME_BITS
_HALF_WRAP = _HIGH_WRAP // 2
_CHANNEL_SHIFT = 8
_POLARITY_SHIFT = 11
_SIDE_MASK = (1 << _POLARITY_SHIFT) - 1
_POLARITY_MASK = 1 << _POLARITY_SHIFT
_LONGEST_VECTOR = 12
_USUAL_TRIGGERS = 64
_SHIFT, _SIDE, _ON = np.uint16(_TYPE_SHIFT), np.uint16(_SIDE_MASK), np.uint16(_POLARITY_MASK)
# Indices of a decoder's state: time above the low 12 bits, unwrapped; low 12 bits; row; next column
# of a vector; polarity of a vector (0 or 1); whether any time-high word has been read; the anchor
# and doubt of `next_high`; and whether the last word was a time-high.
HIGH, LOW, ROW, COLUMN, POLARITY, KNOWN, ANCHOR, DOUBT, AT_HIGH = range(9)
_NEAR = 1 << 6
"""Maximum difference of time-high words of the same clock: 0.26 s."""


_MASKS = np.arange(1 << _LONGEST_VECTOR)[:, None] >> np.arange(_LONGEST_VECTOR) & 1
_BITS_SET = _MASKS.sum(axis=1).astype(np.uint8)
"""Number of events for each mask of 12 columns."""
_PLACES_EACH = 16
_PLACES = np.zeros((1 << _LONGEST_VECTOR, _PLACES_EACH), np.uint8)
_PLACES[:, :_LONGEST_VECTOR] = np.argsort(1 - _MASKS, axis=1, kind="stable")
_PLACES = _PLACES.ravel()
"""Columns of those events relative to the vector's first column, ascending; 16 entries for each
mask."""


@njit(cache=True, nogil=True)
def _next_high(raw, high, state, is_adjacent):
    """The next time-high, see `next_high`; anchor and doubt in the state are updated.

    If no other word is between, steps of half the range are those of an encoder that counts through
    a time without events.
    """
    if is_adjacent and (raw - high) & (_HIGH_WRAP - 1) == _HALF_WRAP:
        state[ANCHOR], state[DOUBT] = high, 0
        return high + _HALF_WRAP
    high, state[ANCHOR], state[DOUBT] = next_high(
        raw, high, state[ANCHOR], state[DOUBT], _HALF_WRAP, _NEAR
    )
    return high


@njit(cache=True, nogil=True)
def _begin(words, state, reached):
    """Update the state up to the first time-high, so that the kernel need not test for it."""
    for i in range(words.size):
        word = np.int64(words[i])
        kind, value = word >> _TYPE_SHIFT, word & _VALUE_MASK
        reached[0] = i + 1
        if kind == TIME_HIGH:
            state[HIGH] += value
            state[KNOWN] = state[AT_HIGH] = 1
            return
        if kind == ADDR_Y:
            state[ROW] = word & _SIDE_MASK
        elif kind == TIME_LOW:
            state[LOW] = value
        elif kind == _BASE_X:
            state[COLUMN] = word & _SIDE_MASK
            state[POLARITY] = (word >> _POLARITY_SHIFT) & 1
        elif kind in (_VECTOR_12, _VECTOR_8):
            state[COLUMN] += 12 if kind == _VECTOR_12 else 8
            reached[3] += 1
        elif kind not in (TRIGGER, _CONTINUED_4, _CONTINUED_12, _OTHERS):
            reached[3] += 1


@njit(cache=True, nogil=True)
def _decode(words, state, t, x, y, polarity, trigger_t, trigger_value, reached):
    """Decode from the position in `reached` until the words end or a column is full.

    `reached` has the numbers of words, events, triggers, invalid and continued words so far. The
    columns must have room for an event of each remaining word, which is tested before each vector.
    """
    high, row = state[HIGH], np.uint16(state[ROW])
    column, vector_on = state[COLUMN], state[POLARITY] != 0
    time = (high << _TIME_BITS) | state[LOW]
    last_high = reached[0] - 1 if state[AT_HIGH] else -2
    # Unsigned indices need no test for negative ones: a fifth faster.
    i, one, size = np.uint64(reached[0]), np.uint64(1), np.uint64(words.size)
    events, triggers = np.uint64(reached[1]), reached[2]
    invalid, continued = reached[3], reached[4]
    while i < size:
        # Usually a row and a column follow; one test for both is easier to predict than two.
        while i + one < size:
            first, word = words[i], words[i + one]
            if (first >> _SHIFT ^ ADDR_Y) | (word >> _SHIFT ^ _ADDR_X):
                break
            row = first & _SIDE
            t[events], x[events], y[events] = time, word & _SIDE, row
            polarity[events] = word & _ON != 0
            events += one
            i += np.uint64(2)
        if i >= size:
            break
        word = words[i]
        kind, value = word >> _SHIFT, np.int64(word & _VALUE_MASK)
        if kind == TIME_LOW:
            time = time & ~_VALUE_MASK | value
        elif kind == _ADDR_X:
            t[events], x[events], y[events] = time, word & _SIDE, row
            polarity[events] = word & _ON != 0
            events += one
        elif kind == ADDR_Y:
            row = word & _SIDE
        elif kind == _BASE_X:
            column, vector_on = value & _SIDE_MASK, word & _ON != 0
        elif kind in (_VECTOR_12, _VECTOR_8):
            if events + (size - i) + np.uint64(_LONGEST_VECTOR) > np.uint64(t.size):
                break
            width = _LONGEST_VECTOR if kind == _VECTOR_12 else 8
            bits = np.uint64(value & ((1 << width) - 1))
            # All entries are written, and those beyond the last event overwritten later: loops of
            # constant length use vector registers.
            for k in range(_LONGEST_VECTOR):
                t[events + np.uint64(k)] = time
            for k in range(_LONGEST_VECTOR):
                y[events + np.uint64(k)] = row
            for k in range(_LONGEST_VECTOR):
                polarity[events + np.uint64(k)] = vector_on
            for k in range(_LONGEST_VECTOR):
                place = _PLACES[bits * np.uint64(_PLACES_EACH) + np.uint64(k)]
                x[events + np.uint64(k)] = column + place
            events += np.uint64(_BITS_SET[bits])
            column += width
        elif kind == TIME_HIGH:
            before = high
            is_adjacent = last_high == np.int64(i) - 1
            high = _next_high(value, high, state, is_adjacent)
            if high != before:
                # The low bits restart at 0 with a new time-high.
                time = high << _TIME_BITS
            last_high = np.int64(i)
        elif kind == TRIGGER:
            if triggers == trigger_t.size:
                break
            trigger_t[triggers], trigger_value[triggers] = time, value
            triggers += 1
        elif kind == _CONTINUED_4:
            continued += 1
        elif kind not in (_CONTINUED_12, _OTHERS):
            invalid += 1
        i += one
    state[HIGH], state[LOW], state[ROW] = high, time & _VALUE_MASK, row
    state[COLUMN], state[POLARITY] = column, vector_on
    state[AT_HIGH] = last_high == np.int64(i) - 1
    reached[0], reached[1], reached[2] = i, events, triggers
    reached[3], reached[4] = invalid, continued


@njit(cache=True, nogil=True)
def _skip(words, state):
    """Follow only the times, because only they wrap; of everything else, the last word counts."""
    high, known = state[HIGH], state[KNOWN]
    last_high, changed_at = (-1 if state[AT_HIGH] else -2), -1
    for i in range(words.size):
        if words[i] >> _TYPE_SHIFT == TIME_HIGH:
            raw = np.int64(words[i] & _VALUE_MASK)
            if known:
                before = high
                high = _next_high(raw, high, state, last_high == i - 1)
                if high != before:
                    state[LOW], changed_at = 0, i
            else:
                high, known = high + raw, 1
            last_high = i
    state[HIGH], state[KNOWN] = high, known
    state[AT_HIGH] = last_high == words.size - 1
    low_open = row_open = column_open = True
    moved = 0
    for i in range(words.size - 1, -1, -1):
        word = np.int64(words[i])
        kind = word >> _TYPE_SHIFT
        if i == changed_at:
            low_open = False
        elif kind == TIME_LOW and low_open:
            state[LOW] = word & _VALUE_MASK
            low_open = False
        elif kind == ADDR_Y and row_open:
            state[ROW] = word & _SIDE_MASK
            row_open = False
        elif kind == _BASE_X and column_open:
            state[COLUMN] = (word & _SIDE_MASK) + moved
            state[POLARITY] = (word >> _POLARITY_SHIFT) & 1
            column_open = False
        elif kind == _VECTOR_12 and column_open:
            moved += 12
        elif kind == _VECTOR_8 and column_open:
            moved += 8
        if not (low_open or row_open or column_open):
            return
    if column_open:
        state[COLUMN] += moved


class Evt3Decoder(WordDecoder):
    """Decoder of EVT3 words, from files and from packets that begin anywhere in the stream.

    24-bit times are unwrapped. Vectors that run past column 65535 wrap, so their events are outside
    any geometry.
    """

    word_type: ClassVar[np.dtype] = np.dtype("<u2")

    wrap_us: ClassVar[int] = _HIGH_WRAP << _TIME_BITS

    def __init__(self, epoch_us: int = 0) -> None:
        self.state = np.array((epoch_us >> _TIME_BITS, 0, 0, 0, 0, 0, NO_ANCHOR, 0, 0), np.int64)
        self.invalid = 0
        self.triggers = Triggers.empty()
        # Number of events for each word so far, to allocate columns.
        self._density = 1.0

    def decode(self, words: NDArray[np.unsignedinteger]) -> RawColumns:
        """Decode uint16 words; external triggers are kept in `triggers`."""
        reached = np.zeros(5, np.int64)
        if not self.state[KNOWN]:
            _begin(words, self.state, reached)
        columns = RawColumns.empty(int(words.size * self._density) + _LONGEST_VECTOR)
        trigger_t = np.empty(_USUAL_TRIGGERS, np.int64)
        trigger_value = np.empty(_USUAL_TRIGGERS, np.uint16)
        while True:
            _decode(
                words,
                self.state,
                columns.t,
                columns.x,
                columns.y,
                columns.polarity,
                trigger_t,
                trigger_value,
                reached,
            )
            done, events, triggers, invalid, self.continued = reached.tolist()
            if done == words.size:
                break
            if triggers == len(trigger_t):
                trigger_t = np.resize(trigger_t, 2 * triggers)
                trigger_value = np.resize(trigger_value, 2 * triggers)
                continue
            # Most words give at most one event; only vectors give more.
            more = RawColumns.empty(len(columns))
            columns = RawColumns.concatenate((columns.select(slice(0, events)), more))
            self._density = min(len(columns) / words.size, _LONGEST_VECTOR)
        value = trigger_value[:triggers]
        self.triggers = Triggers(
            trigger_t[:triggers].copy(),
            (value & 1).astype(np.uint8),
            (value >> _CHANNEL_SHIFT).astype(np.uint8),
        )
        self.invalid += invalid
        return columns.select(slice(0, events))

    def skip(self, words: NDArray[np.unsignedinteger]) -> None:
        """Update the state by uint16 words without decoding events."""
        _skip(words, self.state)

    @property
    def time_us(self) -> int:
        """Sensor time of the state in µs; -1 before the first time-high word."""
        high, low = int(self.state[HIGH]), int(self.state[LOW])
        return (high << _TIME_BITS) | low if self.state[KNOWN] else NO_TIME


_LONGEST_TIME_STEP = _HIGH_WRAP // 4
"""Maximum step between written time-high words; a decoder could take longer ones for a step
back."""
_FEWEST_IN_VECTOR = 3
"""Minimum number of events in a vector: it takes two words, so fewer are written separately."""

_REPEAT = 3
"""Index in an encoder's state, after high, low and row (-1 if not sent yet): whether the time above
the low bits must be sent again."""


@njit(cache=True, nogil=True)
def _vector(t, x, y, polarity, first):
    """Number of events from `first` on that one vector of 12 columns can contain in their order."""
    length = 1
    for i in range(first + 1, min(first + 12, t.size)):
        if t[i] != t[first] or y[i] != y[first] or polarity[i] != polarity[first]:
            break
        if x[i] <= x[i - 1] or x[i] >= x[first] + 12:
            break
        length += 1
    return length


@njit(cache=True, nogil=True)
def _next_written(high, wanted):
    """The next time-high on the way to a wanted one.

    It wraps only from its largest value to 0: other decoders do not take shorter steps back for
    wraps.
    """
    step = min(high + _LONGEST_TIME_STEP, wanted)
    last_of_epoch = high | (_HIGH_WRAP - 1)
    return step if step <= last_of_epoch else max(last_of_epoch, high + 1)


@njit(cache=True, nogil=True)
def _encode_time(time, state, words, count):
    """Write the words of a time that differs from the last one; returns the number of words."""
    wanted = time >> _TIME_BITS
    while state[HIGH] != wanted or state[_REPEAT]:
        high = state[HIGH]
        state[_REPEAT] = 0
        state[HIGH] = wanted if high < 0 else _next_written(high, wanted)
        words[count] = TIME_HIGH << _TYPE_SHIFT | (state[HIGH] & _VALUE_MASK)
        count += 1
        state[LOW] = -1
    if state[LOW] != time & _VALUE_MASK:
        state[LOW] = time & _VALUE_MASK
        words[count] = TIME_LOW << _TYPE_SHIFT | state[LOW]
        count += 1
    return count


@njit(cache=True, nogil=True)
def _encode_triggers(t, value, state, words):
    """Returns the number of words."""
    count = 0
    for i in range(t.size):
        count = _encode_time(t[i], state, words, count)
        words[count] = TRIGGER << _TYPE_SHIFT | value[i]
        count += 1
    return count


@njit(cache=True, nogil=True)
def _encode(t, x, y, polarity, state, words):
    """Returns the number of words."""
    row = state[ROW]
    count, i = 0, 0
    while i < t.size:
        count = _encode_time(t[i], state, words, count)
        if row != y[i]:
            row = y[i]
            words[count] = ADDR_Y << _TYPE_SHIFT | row
            count += 1
        length = _vector(t, x, y, polarity, i)
        if length >= _FEWEST_IN_VECTOR:
            bits = 0
            for k in range(i, i + length):
                bits |= 1 << (x[k] - x[i])
            words[count] = _BASE_X << _TYPE_SHIFT | polarity[i] << _POLARITY_SHIFT | x[i]
            words[count + 1] = _VECTOR_12 << _TYPE_SHIFT | bits
            count += 2
        else:
            length = 1
            words[count] = _ADDR_X << _TYPE_SHIFT | polarity[i] << _POLARITY_SHIFT | x[i]
            count += 1
        i += length
    state[ROW] = row
    return count


class Evt3Encoder:
    """Encodes batches as EVT3 words; keeps the state between batches.

    Consecutive events of the same time, row and polarity, from left to right, share a vector, so
    that a decoder gives the same events in the same order.
    """

    def __init__(self) -> None:
        self.state = np.array((-1, -1, -1, 0), np.int64)

    def repeat_state(self) -> None:
        """Send time and row again before the next event, for decoders that start there."""
        self.state[LOW] = self.state[ROW] = -1
        self.state[_REPEAT] = 1

    def encode(self, batch: EventBatch) -> NDArray[np.uint16]:
        """Encode events with coordinates below 2048; times are kept modulo 2**24 µs."""
        if not len(batch):
            return np.empty(0, np.uint16)
        words = np.empty(3 * len(batch) + self._time_words(batch.t), np.uint16)
        polarity = batch.polarity.view(np.uint8)
        count = _encode(batch.t, batch.x, batch.y, polarity, self.state, words)
        return words[:count]

    def encode_triggers(self, triggers: Triggers) -> NDArray[np.uint16]:
        """Encode external triggers, which are in order of time and not before the last event."""
        if not len(triggers):
            return np.empty(0, np.uint16)
        words = np.empty(2 * len(triggers) + self._time_words(triggers.t), np.uint16)
        value = triggers.channel.astype(np.int64) << _CHANNEL_SHIFT | (triggers.edge & 1)
        return words[: _encode_triggers(triggers.t, value & _VALUE_MASK, self.state, words)]

    def _time_words(self, t: NDArray[np.int64]) -> int:
        """Maximum number of time-high words for these times."""
        wanted, before = t >> _TIME_BITS, int(self.state[HIGH])
        first = wanted[0] if before < 0 else before
        steps = -(-np.diff(wanted, prepend=first) // _LONGEST_TIME_STEP)
        wraps = (wanted[-1] - first) // _HIGH_WRAP + 1
        return int(np.sum(steps) + 2 * wraps) + 1
