"""Payloads of event packets from libcaer_driver (DAVIS and DVXplorer cameras) and "mono".

Source: the codecs of the ros-event-camera project, package event_camera_codecs. Times are relative
to a packet's time base, so every packet can be decoded independently.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.sources.raw_columns import RawColumns

__all__ = ["decode_libcaer", "decode_libcaer_compressed", "decode_mono"]

# Types of words of "libcaer_cmp", in the highest 4 of 16 bits.
TIME_HIGH, TIME_LOW, ADDR_X, ADDR_Y, BASE_Y, VECTOR_8 = range(6)
_TYPE_SHIFT = _TIME_BITS = 12
_VALUE_MASK = (1 << _TYPE_SHIFT) - 1
POLARITY_SHIFT = 11
_POLARITY_MASK = 1 << POLARITY_SHIFT
SIDE_MASK = _POLARITY_MASK - 1

# An event of "libcaer" is two 32-bit words: pixel and polarity, then 31 bits of time in µs.
LIBCAER_X_SHIFT, LIBCAER_Y_SHIFT = 17, 2
_LIBCAER_SIDE_MASK = (1 << 15) - 1
_LIBCAER_POLARITY = 1 << 1
_LIBCAER_WRAP_US = 1 << 31

# An event of "mono" is a 64-bit word, with the time in ns in its lowest 32 bits.
_MONO_X_SHIFT, _MONO_Y_SHIFT, _MONO_POLARITY_SHIFT = np.uint64(32), np.uint64(48), np.uint64(63)
_MONO_TIME_MASK = np.uint64((1 << 32) - 1)
_MONO_Y_MASK = np.uint16((1 << 15) - 1)


def decode_libcaer(payload: NDArray[np.uint8], base_ns: int) -> tuple[RawColumns, int]:
    """Decode encoding "libcaer": 32-bit words for pixel and polarity, and for the time in µs.

    Args:
        payload: uint8 (8 n,).
        base_ns: the packet's time base in ns.

    Returns:
        The events, and the number of invalid ones; an incomplete event at the end counts as one.
    """
    words = payload[: len(payload) // 8 * 8].view("<u4").reshape(-1, 2)
    low = words[:, 1].view("<i4").astype(np.int64)
    # The 31 bits of time may wrap within a packet.
    wraps = np.cumsum(np.diff(low, prepend=low[:1]) < -_LIBCAER_WRAP_US // 2)
    t = base_ns // 1000 + low + wraps * _LIBCAER_WRAP_US
    x = (words[:, 0] >> LIBCAER_X_SHIFT & _LIBCAER_SIDE_MASK).astype(np.uint16)
    y = (words[:, 0] >> LIBCAER_Y_SHIFT & _LIBCAER_SIDE_MASK).astype(np.uint16)
    return RawColumns(t, x, y, (words[:, 0] & _LIBCAER_POLARITY) != 0), int(len(payload) % 8 > 0)


def decode_mono(payload: NDArray[np.uint8], base_ns: int) -> tuple[RawColumns, int]:
    """Decode encoding "mono": 32 bits of ns since the time base, 16 of x, 15 of y, 1 of polarity.

    Times are truncated to whole µs. Arguments and results as for `decode_libcaer`.
    """
    words = payload[: len(payload) // 8 * 8].view("<u8")
    t = (base_ns + (words & _MONO_TIME_MASK).astype(np.int64)) // 1000
    x = (words >> _MONO_X_SHIFT).astype(np.uint16)
    y = (words >> _MONO_Y_SHIFT).astype(np.uint16) & _MONO_Y_MASK
    return RawColumns(t, x, y, (words >> _MONO_POLARITY_SHIFT) != 0), int(len(payload) % 8 > 0)


@njit(cache=True, nogil=True)
def _count_compressed(words):
    events = 0
    for i in range(words.size):
        kind = words[i] >> _TYPE_SHIFT
        if kind == ADDR_Y:
            events += 1
        elif kind == VECTOR_8:
            events += 8
    return events


@njit(cache=True, nogil=True)
def _decode_compressed(words, base_us, t, x, y, polarity):
    """Returns the numbers of events and of invalid words."""
    column, row, vector_polarity = np.int64(0), np.int64(0), np.int64(0)
    high, low = np.int64(0), np.int64(0)
    count, invalid = 0, 0
    for i in range(words.size):
        word = np.int64(words[i])
        kind = word >> _TYPE_SHIFT
        if kind == ADDR_Y:
            t[count] = base_us + (high << _TIME_BITS | low)
            x[count] = column
            y[count] = word & SIDE_MASK
            polarity[count] = (word & _POLARITY_MASK) != 0
            count += 1
        elif kind == ADDR_X:
            column = word & SIDE_MASK
        elif kind == TIME_LOW:
            low = word & _VALUE_MASK
        elif kind == TIME_HIGH:
            high = word & _VALUE_MASK
        elif kind == BASE_Y:
            row, vector_polarity = word & SIDE_MASK, word >> POLARITY_SHIFT & 1
        elif kind == VECTOR_8:
            for place in range(8):
                if word >> place & 1:
                    t[count] = base_us + (high << _TIME_BITS | low)
                    x[count] = column
                    y[count] = row + place
                    polarity[count] = vector_polarity != 0
                    count += 1
            row += 8
        else:
            invalid += 1
    return count, invalid


def decode_libcaer_compressed(payload: NDArray[np.uint8], base_ns: int) -> tuple[RawColumns, int]:
    """Decode encoding "libcaer_cmp": 16-bit words that each change a part of a state.

    Like EVT3 with rows and columns exchanged: an ADDR_Y word is an event in the column of the last
    ADDR_X word. The state is reset with each packet. Arguments and results as for
    `decode_libcaer`.
    """
    words = payload[: len(payload) // 2 * 2].view("<u2")
    columns = RawColumns.empty(_count_compressed(words))
    count, invalid = _decode_compressed(
        words, base_ns // 1000, columns.t, columns.x, columns.y, columns.polarity
    )
    return columns.select(slice(0, count)), invalid + len(payload) % 2
