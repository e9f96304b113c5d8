"""Event frame: the number of events of each polarity and pixel in a window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from evio_ros.events import EventBatch, SensorSize
from evio_ros.representations.base import (
    RepresentationParameters,
    TensorArray,
    WindowedRepresentation,
    check_output,
)

__all__ = ["EventFrame", "EventFrameParameters"]


@dataclass(frozen=True)
class EventFrameParameters(RepresentationParameters):
    """Parameters of an event frame."""


class EventFrame(WindowedRepresentation):
    """Counts of events by polarity and pixel.

    Tensor: int32 (2, rows, columns), events, OFF first. Events are counted when they are pushed, in
    bytes, which fit into the cache better; carries go to a second array.

    Args:
        size: geometry of the sensor.
        parameters: the device that computes it.
    """

    dtype = np.dtype(np.int32)

    def __init__(self, size: SensorSize, parameters: EventFrameParameters | None = None) -> None:
        super().__init__(size)
        self.parameters = parameters or EventFrameParameters()
        self.shape = (2, size.height, size.width)
        self._low = np.zeros(self.shape, np.uint8)
        self._carried = np.zeros(self.shape, np.int32)
        self._has_carried = False

    def begin(self, start_us: int, length_us: int) -> None:
        """See `Representation.begin`."""
        super().begin(start_us, length_us)
        self._clear()

    def push(self, events: EventBatch) -> None:
        """See `Representation.push`."""
        if self._window.admit(events):
            columns = (events.x, events.y, events.polarity)
            self._has_carried |= _count(*columns, self._low, self._carried)

    def read(self, out: TensorArray) -> None:
        """See `Representation.read`."""
        check_output(out, self.shape, self.dtype)
        self._window.check_open()
        if self._has_carried:
            np.add(self._low, self._carried, out=out)
        else:
            np.copyto(out, self._low)

    def reset(self) -> None:
        """See `Representation.reset`."""
        super().reset()
        self._clear()

    def _clear(self) -> None:
        self._low.fill(0)
        if self._has_carried:
            self._carried.fill(0)
            self._has_carried = False


@njit(cache=True, nogil=True)
def _count(x, y, polarity, low, carried):
    """Count in `low`, and 256 at a time in `carried`; returns whether anything was carried."""
    counts, carries = low.reshape(-1), carried.reshape(-1)
    width = low.shape[2]
    plane = low.shape[1] * width
    has_carried = False
    for i in range(x.size):
        index = np.int64(y[i]) * width + x[i] + polarity[i] * plane
        if counts[index] < 255:
            counts[index] += np.uint8(1)
        else:
            counts[index] = 0
            carries[index] += 256
            has_carried = True
    return has_carried
