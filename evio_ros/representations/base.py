"""The interface of all representations, and their base classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from evio_ros.errors import ParameterError
from evio_ros.events import EventBatch, EventWindow, SensorSize
from evio_ros.parameters import Parameters, parameter
from evio_ros.representations.open_window import NEVER_US, EventBuffer, OpenWindow

__all__ = [
    "BufferedRepresentation",
    "PersistentRepresentation",
    "Representation",
    "RepresentationParameters",
    "TensorArray",
    "WindowedRepresentation",
    "check_output",
    "represent",
]

TensorArray = NDArray[Any]


@dataclass(frozen=True)
class RepresentationParameters(Parameters):
    """Parameters that all kinds of representation share."""

    device: str = parameter(
        "numba",
        choices=("numba", "cpu", "cuda"),
        doc="Backend. numba: compiled loops on one core; cpu, cuda: PyTorch on that device.",
        read_only=True,
    )


@runtime_checkable
class Representation(Protocol):
    """Turns the events of one window into one dense tensor.

    `begin` opens a window, `push` adds events as they arrive, and `read` writes the tensor of what
    has been pushed; reading changes nothing and may be repeated. The same events pushed in other
    portions give the same tensor. A window without events gives a tensor of zeros, or, for kinds
    that remember earlier windows, of what remains of those.
    """

    @property
    def size(self) -> SensorSize:
        """Geometry of the sensor."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor; the last two axes are rows and columns."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the tensor's elements."""
        ...

    @property
    def event_count(self) -> int:
        """Number of events pushed since `begin`."""
        ...

    def bin_edges_us(self) -> NDArray[np.int64]:
        """Edges (bilinear kinds: centres) of the time bins of the current tensor.

        Returns:
            int64, µs since the window's start; empty for kinds without time bins.

        Raises:
            EventError: if no window is open and the kind has time bins.
        """
        ...

    def begin(self, start_us: int, length_us: int) -> None:
        """Open the window [start_us, start_us + length_us) of sensor time.

        Raises:
            EventError: if the window is empty or, for kinds that remember earlier windows, starts
                before the end of the last one.
        """
        ...

    def push(self, events: EventBatch) -> None:
        """Add events of the window; they must not be earlier than those already pushed.

        Batches may be kept by reference until the next `begin`; their columns must not change
        meanwhile.

        Raises:
            EventError: if no window is open, the sensor geometry differs, an event is outside the
                window or goes back in time, or a polarity is neither 0 nor 1.
        """
        ...

    def read(self, out: TensorArray) -> None:
        """Write the tensor into `out`, a C-contiguous array of `shape` and `dtype`.

        Raises:
            EventError: where no window is open.
            ParameterError: if `out` does not fit.
        """
        ...

    def reset(self) -> None:
        """Reset to the initial state."""
        ...


class WindowedRepresentation:
    """Base of all representations: a geometry and an open window."""

    def __init__(self, size: SensorSize) -> None:
        self.size = size
        self._window = OpenWindow(size)

    @property
    def event_count(self) -> int:
        """See `Representation.event_count`."""
        return self._window.event_count

    def bin_edges_us(self) -> NDArray[np.int64]:
        """See `Representation.bin_edges_us`; empty for kinds without time bins."""
        return np.empty(0, np.int64)

    def begin(self, start_us: int, length_us: int) -> None:
        """See `Representation.begin`."""
        self._window.begin(start_us, length_us)

    def reset(self) -> None:
        """See `Representation.reset`."""
        self._window.close()


class BufferedRepresentation(WindowedRepresentation):
    """Base of kinds whose bins depend on the last event: batches are buffered until `read`."""

    def __init__(self, size: SensorSize) -> None:
        super().__init__(size)
        self._buffer = EventBuffer()

    def begin(self, start_us: int, length_us: int) -> None:
        """See `Representation.begin`."""
        super().begin(start_us, length_us)
        self._buffer.clear()

    def push(self, events: EventBatch) -> None:
        """See `Representation.push`."""
        if self._window.admit(events):
            self._buffer.append(events)

    def reset(self) -> None:
        """See `Representation.reset`."""
        super().reset()
        self._buffer.clear()


class PersistentRepresentation(WindowedRepresentation):
    """Base of kinds that remember earlier windows: time must not go back."""

    def __init__(self, size: SensorSize) -> None:
        super().__init__(size)
        self._seen_until_us = NEVER_US

    def begin(self, start_us: int, length_us: int) -> None:
        """See `Representation.begin`; no window may start before the end of the last one."""
        self._window.begin(start_us, length_us, not_before_us=self._seen_until_us)
        self._seen_until_us = self._window.end_us

    def reset(self) -> None:
        """See `Representation.reset`."""
        super().reset()
        self._seen_until_us = NEVER_US


def check_output(out: TensorArray, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise a ParameterError if a tensor cannot be written into an array."""
    if out.shape != shape or out.dtype != dtype:
        raise ParameterError(f"out is {out.dtype} {out.shape}, not {dtype} {shape}")
    if not out.flags.c_contiguous or not out.flags.writeable:
        raise ParameterError("out is not a writable C-contiguous array")


def represent(representation: Representation, window: EventWindow) -> TensorArray:
    """The tensor of one window in a new array; in loops, push and read into memory of your own."""
    out = np.empty(representation.shape, representation.dtype)
    representation.begin(window.start_us, window.length_us)
    representation.push(window.events)
    representation.read(out)
    return out
