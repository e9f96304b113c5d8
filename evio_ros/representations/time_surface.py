"""Time surface: how long ago each pixel last saw an event of each polarity, decaying exponentially.

Lagorce, Orchard, Galluppi, Shi and Benosman, "HOTS: A Hierarchy of Event-Based Time-Surfaces for
Pattern Recognition", IEEE Transactions on Pattern Analysis and Machine Intelligence, 2017, over
the whole sensor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from evio_ros.events import EventBatch, SensorSize
from evio_ros.parameters import parameter
from evio_ros.representations.base import (
    LastingWindow,
    RepresentationParameters,
    TensorArray,
    check_output,
)
from evio_ros.representations.decay import DecayTable, decayed
from evio_ros.representations.open_window import NEVER_US

__all__ = ["TimeSurface", "TimeSurfaceParameters"]


@dataclass(frozen=True)
class TimeSurfaceParameters(RepresentationParameters):
    """How a time surface is made."""

    tau_us: int = parameter(
        50_000, unit="us", minimum=1, maximum=100_000_000, doc="Time constant of the decay."
    )


class TimeSurface(LastingWindow):
    """exp(-(t_end - t_last) / tau) by polarity and pixel.

    Tensor: float32 (2, rows, columns), 0 to 1, OFF first. t_end is the window's end, t_last the
    time of the pixel's last event of that polarity, in this window or any before; 0 where there was
    none. The times are noted as events are pushed; `read` takes the exponential, right to the last
    bit of float32 or the one beside it.

    Args:
        size: geometry of the sensor.
        parameters: how it is made.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, size: SensorSize, parameters: TimeSurfaceParameters | None = None) -> None:
        super().__init__(size)
        self.parameters = parameters or TimeSurfaceParameters()
        self.shape = (2, size.height, size.width)
        self._table = DecayTable.of(self.parameters.tau_us)
        self._last_us = np.full(self.shape, NEVER_US, np.int64)

    def push(self, events: EventBatch) -> None:
        """See `Representation.push`."""
        if self._window.admit(events):
            _note_times(events.t, events.x, events.y, events.polarity, self._last_us)

    def read(self, out: TensorArray) -> None:
        """See `Representation.read`."""
        check_output(out, self.shape, self.dtype)
        _decay(self._last_us, self._window.end_us, self._table, out)

    def reset(self) -> None:
        """See `Representation.reset`."""
        super().reset()
        self._last_us.fill(NEVER_US)


@njit(cache=True, nogil=True)
def _note_times(t, x, y, polarity, last_us):  # type: ignore[no-untyped-def]
    flat = last_us.reshape(-1)
    width = last_us.shape[2]
    plane = last_us.shape[1] * width
    for i in range(t.size):
        flat[np.int64(y[i]) * width + x[i] + polarity[i] * plane] = t[i]


@njit(cache=True, nogil=True)
def _decay(last_us, end_us, table, out):  # type: ignore[no-untyped-def]
    times = last_us.reshape(-1)
    values = out.reshape(-1)
    for j in range(times.size):
        values[j] = decayed(end_us - times[j], table)
