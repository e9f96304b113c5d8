"""Records of Prophesee DAT files: two little-endian uint32 for each event.

Source: Prophesee Metavision documentation, "DAT file format". The first word is the time in µs. The
second has x in bits 0 to 13, y in bits 14 to 27 and polarity in bits 28 to 31. In files before
version 2, from ATIS sensors of 304x240 pixels, these are bits 0 to 8, 9 to 16 and 17 (Prophesee's
MATLAB scripts, load_atis_data.m).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.events import EventBatch
from evio_ros.sources.codecs.wrapped_time import AGREEING_TIMES, middle_time, unwrap
from evio_ros.sources.raw_columns import RawColumns

__all__ = [
    "EVENT_TYPES",
    "OLD_WORD_BITS",
    "RECORD_BYTES",
    "WRAP_US",
    "decode_records",
    "encode_records",
    "from_old_layout",
]

RECORD_BYTES = 8
EVENT_TYPES = (0, 12)
"""Types of contrast events, which precede the records; 12 is used today."""
WRAP_US = 1 << 32

_Y_SHIFT, _POLARITY_SHIFT = 14, 28
_SIDE_MASK = (1 << 14) - 1
OLD_WORD_BITS = 18
"""Number of used bits in the second word before version 2."""
_OLD_Y_SHIFT, _OLD_POLARITY_SHIFT = 9, 17
_OLD_X_MASK, _OLD_Y_MASK = (1 << 9) - 1, (1 << 8) - 1


@njit(cache=True, nogil=True)
def _decode(words, base, t, x, y, polarity):
    """Split words into columns, times counted from `base`; returns the largest polarity field."""
    largest = np.uint32(0)
    for i in range(t.size):
        t[i] = base + np.int64(words[2 * i])
        word = words[2 * i + 1]
        x[i] = word & np.uint32(_SIDE_MASK)
        y[i] = (word >> np.uint32(_Y_SHIFT)) & np.uint32(_SIDE_MASK)
        largest = max(largest, word >> np.uint32(_POLARITY_SHIFT))
        polarity[i] = (word >> np.uint32(_POLARITY_SHIFT)) != np.uint32(0)
    return largest


@njit(cache=True, nogil=True)
def _range(values):
    lowest, highest = values[0], values[0]
    for i in range(values.size):
        lowest, highest = min(lowest, values[i]), max(highest, values[i])
    return lowest, highest


def decode_records(words: NDArray[np.uint32], before_us: int) -> tuple[RawColumns, int, int]:
    """Decode records.

    Args:
        words: uint32 (2 n,), n at least 1.
        before_us: unwrapped time of the previous event, in µs; the first event is within half a
            wrap of it.

    Returns:
        The events, the number of invalid records left out, and the unwrapped time reached, in µs.
    """
    columns = RawColumns.empty(len(words) // 2)
    base = before_us & ~(WRAP_US - 1)
    largest = _decode(words, base, columns.t, columns.x, columns.y, columns.polarity)
    lowest, highest = _range(columns.t)
    if highest - lowest > WRAP_US // 2 or abs(int(columns.t[0]) - before_us) > WRAP_US // 2:
        reached_us = int(unwrap(columns.t, before_us, WRAP_US))
    else:
        reached_us = middle_time(columns.t[-AGREEING_TIMES:])
    if largest <= 1:
        return columns, 0, reached_us
    valid = columns.select(words[1::2] >> _POLARITY_SHIFT <= 1)
    return valid, len(columns) - len(valid), reached_us


def from_old_layout(words: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Convert records from before version 2 to the present layout; undefined bits stay invalid.

    Args:
        words: uint32 (2 n,).

    Returns:
        uint32 (2 n,).
    """
    new = words.copy()
    old = words[1::2]
    new[1::2] = (
        old & _OLD_X_MASK
        | (old >> _OLD_Y_SHIFT & _OLD_Y_MASK) << _Y_SHIFT
        | (old >> _OLD_POLARITY_SHIFT) << _POLARITY_SHIFT
    )
    new[1::2][old >> OLD_WORD_BITS > 0] |= np.uint32(2 << _POLARITY_SHIFT)
    return new


def encode_records(batch: EventBatch) -> NDArray[np.uint32]:
    """Encode a batch as records, uint32 (n, 2); times are kept modulo `WRAP_US`."""
    records = np.empty((len(batch), 2), "<u4")
    records[:, 0] = batch.t & (WRAP_US - 1)
    records[:, 1] = batch.x | batch.y.astype(np.uint32) << _Y_SHIFT
    records[:, 1] |= batch.polarity.astype(np.uint32) << _POLARITY_SHIFT
    return records
