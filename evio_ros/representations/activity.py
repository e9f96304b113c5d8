"""Activity: an exponentially decaying count of events for display (a leaky integrator)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from evio_ros.events import EventBatch, SensorSize
from evio_ros.parameters import parameter
from evio_ros.representations.base import (
    PersistentRepresentation,
    RepresentationParameters,
    TensorArray,
    check_output,
)
from evio_ros.representations.decay import DecayTable, decayed

__all__ = ["NEGLIGIBLE", "Activity", "ActivityParameters"]

NEGLIGIBLE = 1e-20
"""Sums below this are set to 0 at the next window: denormal numbers slow the processor down."""


@dataclass(frozen=True)
class ActivityParameters(RepresentationParameters):
    """How fast activity decays."""

    tau_us: int = parameter(
        30_000, unit="us", minimum=1, maximum=100_000_000, doc="Time constant of the decay."
    )


class Activity(PersistentRepresentation):
    """Sum of exp(-(t_end - t) / tau) over all events so far, by polarity and pixel.

    Tensor: float32 (2, rows, columns), events, OFF first; t_end is the window's end. Every event is
    added when it is pushed, with the weight that it will have at the window's end; `read` copies.

    Args:
        size: geometry of the sensor.
        parameters: how fast it decays.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, size: SensorSize, parameters: ActivityParameters | None = None) -> None:
        super().__init__(size)
        self.parameters = parameters or ActivityParameters()
        self.shape = (2, size.height, size.width)
        self._table = DecayTable.of(self.parameters.tau_us)
        self._sums = np.zeros(self.shape, np.float32)

    def begin(self, start_us: int, length_us: int) -> None:
        """See `Representation.begin`; no window may start before the end of the last one."""
        ahead_us = self._seen_until_us
        super().begin(start_us, length_us)
        faded = math.exp(-(self._window.end_us - ahead_us) / self.parameters.tau_us)
        self._fade(np.float32(faded))

    def _fade(self, remaining: np.float32) -> None:
        _fade(self._sums.reshape(-1), remaining, np.float32(NEGLIGIBLE))

    def push(self, events: EventBatch) -> None:
        """See `Representation.push`."""
        if self._window.admit(events):
            columns = (events.t, events.x, events.y, events.polarity)
            _add(*columns, self._window.end_us, self._table, self._sums)

    def read(self, out: TensorArray) -> None:
        """See `Representation.read`."""
        check_output(out, self.shape, self.dtype)
        self._window.check_open()
        np.copyto(out, self._sums)

    def reset(self) -> None:
        """See `Representation.reset`."""
        super().reset()
        self._sums.fill(0)


@njit(cache=True, nogil=True)
def _fade(sums, remaining, negligible):
    for j in range(sums.size):
        faded = sums[j] * remaining
        sums[j] = faded if faded >= negligible else np.float32(0.0)


@njit(cache=True, nogil=True)
def _add(t, x, y, polarity, end_us, table, sums):
    flat = sums.reshape(-1)
    width = sums.shape[2]
    plane = sums.shape[1] * width
    for i in range(t.size):
        weight = decayed(end_us - t[i], table)
        flat[np.int64(y[i]) * width + x[i] + polarity[i] * plane] += weight
