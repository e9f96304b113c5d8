"""Time surface: exponentially decaying time since each pixel's last event of each polarity.

Lagorce, Orchard, Galluppi, Shi and Benosman, "HOTS: A Hierarchy of Event-Based Time-Surfaces for
Pattern Recognition", IEEE Transactions on Pattern Analysis and Machine Intelligence, 2017, over
the whole sensor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from evio_ros.errors import EventError
from evio_ros.events import EventBatch, SensorSize
from evio_ros.parameters import parameter
from evio_ros.representations.base import (
    PersistentRepresentation,
    RepresentationParameters,
    TensorArray,
    check_output,
)
from evio_ros.representations.decay import DecayTable
from evio_ros.representations.open_window import NEVER_US

__all__ = ["TimeSurface", "TimeSurfaceParameters"]

_UNSEEN = 1 << 31
"""Time of a pixel without events; so far from all others that its weight is 0."""
_LONGEST_VISIBLE_US = 1 << 30
"""Longer than the longest decay, `DecayTable`'s time constants at the greatest tau."""
_LONGEST_WINDOW_US = 1_000_000_000


@dataclass(frozen=True)
class TimeSurfaceParameters(RepresentationParameters):
    """Parameters of a time surface."""

    tau_us: int = parameter(
        50_000, unit="us", minimum=1, maximum=10_000_000, doc="Time constant of the decay."
    )


class TimeSurface(PersistentRepresentation):
    """exp(-(t_end - t_last) / tau) by polarity and pixel.

    Tensor: float32 (2, rows, columns), 0 to 1, OFF first. t_end is the window's end, t_last the
    time of the pixel's last event of that polarity in this or any earlier window; 0 where there was
    none. Times are stored when events are pushed; `read` computes the exponential, exact to one
    unit in the last place of float32.

    Args:
        size: geometry of the sensor.
        parameters: time constant and device.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, size: SensorSize, parameters: TimeSurfaceParameters | None = None) -> None:
        super().__init__(size)
        self.parameters = parameters or TimeSurfaceParameters()
        self.shape = (2, size.height, size.width)
        self._table = DecayTable.of(self.parameters.tau_us)
        # µs since a moving origin, in half the memory of int64, which takes half the time.
        self._origin_us = NEVER_US
        self._last = np.full(self.shape, _UNSEEN, np.uint32)

    def begin(self, start_us: int, length_us: int) -> None:
        """See `Representation.begin`; a window must not be longer than 1000 s."""
        if length_us > _LONGEST_WINDOW_US:
            raise EventError(f"a window of {length_us} us is longer than {_LONGEST_WINDOW_US} us")
        super().begin(start_us, length_us)
        if self._window.end_us - self._origin_us >= _UNSEEN:
            origin_us = start_us - _LONGEST_VISIBLE_US
            _move_origin(self._last, origin_us - self._origin_us)
            self._origin_us = origin_us

    def push(self, events: EventBatch) -> None:
        """See `Representation.push`."""
        if self._window.admit(events):
            columns = (events.t, events.x, events.y, events.polarity)
            _note_times(*columns, self._origin_us, self._last)

    def read(self, out: TensorArray) -> None:
        """See `Representation.read`."""
        check_output(out, self.shape, self.dtype)
        end = np.uint32(self._window.end_us - self._origin_us)
        _decay(self._last, end, self._table, out)

    def reset(self) -> None:
        """See `Representation.reset`."""
        super().reset()
        self._origin_us = NEVER_US
        self._last.fill(_UNSEEN)


@njit(cache=True, nogil=True)
def _note_times(t, x, y, polarity, origin_us, last):
    flat = last.reshape(-1)
    width = last.shape[2]
    plane = last.shape[1] * width
    for i in range(t.size):
        flat[np.int64(y[i]) * width + x[i] + polarity[i] * plane] = t[i] - origin_us


@njit(cache=True, nogil=True)
def _decay(last, end, table, out):
    times, values = last.reshape(-1), out.reshape(-1)
    coarse, fine = table.coarse, table.fine
    bits, low = np.uint32(table.fine_bits), np.uint32(fine.size - 1)
    oldest = np.uint32((coarse.size - 1) << table.fine_bits)
    for j in range(times.size):
        # Branch-free: whether a pixel has ever seen an event cannot be predicted.
        age = min(np.uint32(end - times[j]), oldest)
        values[j] = coarse[np.uint32(age >> bits)] * fine[np.uint32(age & low)]


@njit(cache=True, nogil=True)
def _move_origin(last, shift):
    times = last.reshape(-1)
    for j in range(times.size):
        seen = times[j] < _UNSEEN and times[j] >= shift
        times[j] = times[j] - shift if seen else _UNSEEN
