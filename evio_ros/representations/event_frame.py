"""Event frame: how many events of each polarity every pixel has seen in a window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from evio_ros.events import EventBatch, SensorSize
from evio_ros.representations.base import (
    RepresentationParameters,
    TensorArray,
    Windowed,
    check_output,
)

__all__ = ["EventFrame", "EventFrameParameters"]


@dataclass(frozen=True)
class EventFrameParameters(RepresentationParameters):
    """How an event frame is made."""


class EventFrame(Windowed):
    """Counts of events by polarity and pixel.

    Tensor: int32 (2, rows, columns), events, OFF first. Counted as events are pushed; `read`
    copies.

    Args:
        size: geometry of the sensor.
        parameters: how it is made.
    """

    dtype = np.dtype(np.int32)

    def __init__(self, size: SensorSize, parameters: EventFrameParameters | None = None) -> None:
        super().__init__(size)
        self.parameters = parameters or EventFrameParameters()
        self.shape = (2, size.height, size.width)
        self._counts = np.zeros(self.shape, np.int32)

    def begin(self, start_us: int, length_us: int) -> None:
        """See `Representation.begin`."""
        super().begin(start_us, length_us)
        self._counts.fill(0)

    def push(self, events: EventBatch) -> None:
        """See `Representation.push`."""
        if self._window.admit(events):
            _count(events.x, events.y, events.polarity, self._counts)

    def read(self, out: TensorArray) -> None:
        """See `Representation.read`."""
        check_output(out, self.shape, self.dtype)
        self._window.check_open()
        np.copyto(out, self._counts)

    def reset(self) -> None:
        """See `Representation.reset`."""
        super().reset()
        self._counts.fill(0)


@njit(cache=True, nogil=True)
def _count(x, y, polarity, counts):  # type: ignore[no-untyped-def]
    flat = counts.reshape(-1)
    width = counts.shape[2]
    plane = counts.shape[1] * width
    for i in range(x.size):
        flat[np.int64(y[i]) * width + x[i] + polarity[i] * plane] += 1
