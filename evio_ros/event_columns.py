"""Events of a message: columns with times relative to a base, checked in a single pass.

A message is about as large as a core's cache, so several passes would read it from memory each
time.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.errors import EventError
from evio_ros.events import EventBatch, SensorSize

__all__ = ["batch_of_columns"]

_LAST_US = np.iinfo(np.int64).max


def batch_of_columns(
    width: int,
    height: int,
    span_us: tuple[int, int],
    offsets_us: NDArray[np.uint32],
    x: NDArray[np.uint16],
    y: NDArray[np.uint16],
    polarity: NDArray[np.uint8],
) -> EventBatch:
    """Check columns and convert them to a batch; coordinates and polarities are views.

    Args:
        width, height: geometry of the sensor in pixels.
        span_us: sensor time to which the offsets are relative, and length of the message, in µs.
        offsets_us: uint32 (n,), times of the events in µs; below the length, never decreasing.
        x, y: uint16 (n,), pixels.
        polarity: uint8 (n,), 0 for OFF and 1 for ON.

    Raises:
        EventError: if the columns differ in length, a polarity is neither 0 nor 1, a time is
            outside the message's interval, or another rule of `EventBatch` is violated.
    """
    base_us, length_us = span_us
    count = len(offsets_us)
    if count == len(x) == len(y) == len(polarity) and base_us <= _LAST_US - length_us:
        t = np.empty(count, np.int64)
        columns = _read_only(offsets_us), _read_only(x), _read_only(y), _read_only(polarity)
        if _convert(columns, base_us, length_us, width, height, t):
            on = polarity.view(np.bool_)
            return EventBatch.trusted(SensorSize(width, height), t, x, y, on)
    # Something is wrong: check again column by column, to name the problem and the event.
    if len(polarity) and int(polarity.max()) > 1:
        index = int((polarity > 1).argmax())
        raise EventError(f"polarity of event {index} is {polarity[index]}, not 0 or 1")
    if count and int(offsets_us.max()) >= length_us:
        index = int((offsets_us >= length_us).argmax())
        raise EventError(
            f"t of event {index} is {offsets_us[index]} us, the message ends at {length_us}"
        )
    t = np.add(offsets_us, base_us, dtype=np.int64)
    return EventBatch(SensorSize(width, height), t, x, y, polarity.view(np.bool_))


@njit(cache=True, nogil=True)
def _convert(columns, base_us, length_us, width, height, t):
    """Write the sensor times into `t`; return whether all events are valid."""
    offsets_us, x, y, polarity = columns
    wrong = False
    before_us = np.uint32(0)
    for k in range(len(t)):
        offset_us = offsets_us[k]
        wrong |= (offset_us < before_us) | (offset_us >= length_us)
        wrong |= (x[k] >= width) | (y[k] >= height) | (polarity[k] > 1)
        t[k] = base_us + np.int64(offset_us)
        before_us = offset_us
    return not wrong


def _read_only(column: NDArray) -> NDArray:
    """A read-only view; the kernel is compiled for these only."""
    view = column.view()
    view.flags.writeable = False
    return view
