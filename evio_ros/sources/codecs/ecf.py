"""Decoder of Prophesee's ECF, the compression of events in Metavision's HDF5 files.

Source: the format of https://github.com/prophesee-ai/hdf5_ecf (Apache-2.0). A chunk contains up to
65535 events: a word with their number and two bits for the packing of the columns, the first time
and time steps with run lengths, then rows, columns and polarities. These are either packed
together, or rows are runs, and columns are either packed with the polarities, or masks of
neighbours with polarities as runs. Everything is little-endian.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from evio_ros.errors import EventError
from evio_ros.sources.raw_columns import RawColumns

__all__ = ["decode_ecf"]

_MOST_EVENTS = 65535
_HEADER_BYTES = 12
_TRUNCATED = -1


@njit(cache=True, nogil=True)
def _word(data, position, length):
    """A little-endian unsigned integer of `length` bytes."""
    value = np.uint64(0)
    for i in range(length):
        value |= np.uint64(data[position + i]) << np.uint64(8 * i)
    return np.int64(value)


@njit(cache=True, nogil=True)
def _times(data, position, t):
    """Decode time steps of four bits, or several nibbles, with their number of events."""
    time = _word(data, position, 8)
    position += 8
    done = 0
    shift = 0
    while done < t.size:
        if position >= data.size:
            return _TRUNCATED
        step, count = np.int64(data[position] >> 4), np.int64(data[position] & 15)
        position += 1
        if step == 15:
            if shift > 60:
                return _TRUNCATED
            time += count << shift
            shift += 4
            continue
        shift = 0
        time += step
        if count == 15:
            if position + 2 > data.size:
                return _TRUNCATED
            count = _word(data, position, 2)
            position += 2
        for _ in range(min(count, t.size - done)):
            t[done] = time
            done += 1
    return position


@njit(cache=True, nogil=True)
def _packed(data, position, x, y, polarity):
    """Decode 24 bits for each event, four events in three words of 32 bits."""
    for first in range(0, x.size, 4):
        if position + 12 > data.size:
            return _TRUNCATED
        a = _word(data, position, 4)
        b = _word(data, position + 4, 4)
        c = _word(data, position + 8, 4)
        position += 12
        packed = (
            a >> 8,
            (a & 0xFF) | (b >> 16) << 8,
            (b & 0xFFFF) | (c >> 24) << 16,
            c & 0xFFFFFF,
        )
        for k in range(min(4, x.size - first)):
            y[first + k] = (packed[k] >> 12) & 0x7FF
            x[first + k] = (packed[k] >> 1) & 0x7FF
            polarity[first + k] = packed[k] & 1
    return position


@njit(cache=True, nogil=True)
def _rows(data, position, y):
    """Decode runs of events in a row: 11 bits of row and 5 of length, or a separate length."""
    done = 0
    while done < y.size:
        if position + 2 > data.size:
            return _TRUNCATED
        word = _word(data, position, 2)
        position += 2
        count = word & 31
        if count == 31:
            if position + 2 > data.size:
                return _TRUNCATED
            count = _word(data, position, 2)
            position += 2
        for _ in range(min(count, y.size - done)):
            y[done] = word >> 5
            done += 1
    return position


@njit(cache=True, nogil=True)
def _packed_columns(data, position, x, polarity):
    """Decode 12 bits for each event, four events in three words of 16 bits."""
    for first in range(0, x.size, 4):
        if position + 6 > data.size:
            return _TRUNCATED
        a = _word(data, position, 2)
        b = _word(data, position + 2, 2)
        c = _word(data, position + 4, 2)
        position += 6
        packed = (a >> 4, (a & 15) | (b >> 8) << 4, (b & 0xFF) | (c >> 12) << 8, c & 0xFFF)
        for k in range(min(4, x.size - first)):
            x[first + k] = packed[k] >> 1
            polarity[first + k] = packed[k] & 1
    return position


@njit(cache=True, nogil=True)
def _masked_columns(data, position, x):
    """Decode columns, each with a mask of which of the five to its right follow."""
    done = 0
    while done < x.size:
        if position + 2 > data.size:
            return _TRUNCATED
        word = _word(data, position, 2)
        position += 2
        x[done] = word >> 5
        done += 1
        for k in range(5):
            if word & (16 >> k) and done < x.size:
                x[done] = (word >> 5) + k + 1
                done += 1
    return position


@njit(cache=True, nogil=True)
def _polarities(data, position, polarity):
    """Decode runs of a polarity: one bit and 7 of length, or a separate length."""
    done = 0
    while done < polarity.size:
        if position >= data.size:
            return _TRUNCATED
        value, count = data[position] >> 7, np.int64(data[position] & 127)
        position += 1
        if count == 127:
            if position + 2 > data.size:
                return _TRUNCATED
            count = _word(data, position, 2)
            position += 2
        for _ in range(min(count, polarity.size - done)):
            polarity[done] = value
            done += 1
    return position


@njit(cache=True, nogil=True)
def _decode(data, t, x, y, polarity):
    """Fill the columns; returns `_TRUNCATED` if the data end too early."""
    packing = data[0] & 3
    position = _times(data, 4, t)
    if position == _TRUNCATED:
        return position
    if packing & 2:
        return _packed(data, position, x, y, polarity)
    position = _rows(data, position, y)
    if position == _TRUNCATED:
        return position
    if packing & 1:
        return _packed_columns(data, position, x, polarity)
    position = _masked_columns(data, position, x)
    if position == _TRUNCATED:
        return position
    return _polarities(data, position, polarity)


def decode_ecf(chunk: bytes) -> RawColumns:
    """Decode a chunk.

    Args:
        chunk: a chunk of the dataset as stored in the file.

    Returns:
        Its events.

    Raises:
        EventError: if the chunk is truncated or declares more events than a chunk can contain.
    """
    data = np.frombuffer(chunk, np.uint8)
    count = int.from_bytes(chunk[:4], "little") >> 2
    if count and len(data) < _HEADER_BYTES:
        raise EventError(f"a chunk of {len(data)} bytes is truncated")
    if count > _MOST_EVENTS:
        raise EventError(f"a chunk declares {count} events; at most {_MOST_EVENTS} are possible")
    columns = RawColumns.empty(count)
    if count and _decode(data, columns.t, columns.x, columns.y, columns.polarity) == _TRUNCATED:
        raise EventError(f"a chunk of {count} events is truncated")
    return columns
