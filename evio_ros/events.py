"""The one form of events in memory: a sensor geometry and four read-only columns."""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from evio_ros.errors import EventError

__all__ = ["EventBatch", "EventWindow", "RegionOfInterest", "SensorSize", "overlaps"]

_BoolColumn = NDArray[np.bool_]
_CoordinateColumn = NDArray[np.uint16]
_TimeColumn = NDArray[np.int64]

_LARGEST_SIDE_PX = 1 << 16


@dataclass(frozen=True, slots=True)
class SensorSize:
    """Geometry of a sensor in pixels.

    Raises:
        EventError: where a side is not in 1 to 65536, what uint16 coordinates can reach.
    """

    width: int
    height: int

    def __post_init__(self) -> None:
        for name, value in (("width", self.width), ("height", self.height)):
            if not 1 <= value <= _LARGEST_SIDE_PX:
                raise EventError(f"sensor {name} {value} is not in 1 to {_LARGEST_SIDE_PX} pixels")

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self.width * self.height


@dataclass(frozen=True, slots=True)
class RegionOfInterest:
    """A rectangle of pixels: x0 <= x < x1 and y0 <= y < y1.

    Raises:
        EventError: where it is empty or has a negative corner.
    """

    x0: int
    y0: int
    x1: int
    y1: int

    def __post_init__(self) -> None:
        if not (0 <= self.x0 < self.x1 and 0 <= self.y0 < self.y1):
            raise EventError(
                f"region ({self.x0}, {self.y0})-({self.x1}, {self.y1}) is empty or negative"
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `x0,y0,x1,y1`; raises EventError where that is not four whole numbers."""
        corners = text.replace(" ", "").split(",")
        if len(corners) != 4 or not all(corner.isdecimal() for corner in corners):
            raise EventError(f"{text!r} is not x0,y0,x1,y1")
        return cls(*map(int, corners))


@dataclass(frozen=True, slots=True, eq=False)
class EventBatch:
    """Events of one sensor in order of time, as columns of equal length n.

    The columns are checked once, here, and are read-only views from then on.

    Attributes:
        size: geometry of the sensor.
        t: int64 (n,), sensor time in µs, never decreasing; unwrapped, so it may pass 2**32.
        x: uint16 (n,), column of the pixel, 0 at the left.
        y: uint16 (n,), row of the pixel, 0 at the top.
        polarity: bool (n,), True for ON (brighter), False for OFF (darker).

    Raises:
        EventError: where a dtype, shape or length differs, time decreases, or a coordinate is
            outside `size`; the text names the first offending event.
    """

    size: SensorSize
    t: _TimeColumn
    x: _CoordinateColumn
    y: _CoordinateColumn
    polarity: _BoolColumn

    def __post_init__(self) -> None:
        for name, dtype in (
            ("t", np.int64),
            ("x", np.uint16),
            ("y", np.uint16),
            ("polarity", np.bool_),
        ):
            column = getattr(self, name)
            if not isinstance(column, np.ndarray):
                raise EventError(f"{name} is a {type(column).__name__}, not a numpy array")
            if column.dtype != dtype or column.ndim != 1:
                raise EventError(
                    f"{name} is {column.dtype} of {column.ndim} dimensions, "
                    f"not {np.dtype(dtype)} of 1"
                )
            if len(column) != len(self.t):
                raise EventError(f"{name} has {len(column)} events, t has {len(self.t)}")
        self._check_inside("x", self.x, self.size.width)
        self._check_inside("y", self.y, self.size.height)
        if len(self.t) > 1:
            backwards = self.t[1:] < self.t[:-1]
            if backwards.any():
                index = int(backwards.argmax()) + 1
                raise EventError(
                    f"time goes back from {self.t[index - 1]} to {self.t[index]} us "
                    f"at event {index}"
                )
        self._freeze()

    @staticmethod
    def _check_inside(name: str, column: _CoordinateColumn, side: int) -> None:
        if len(column) and int(column.max()) >= side:
            index = int((column >= side).argmax())
            raise EventError(
                f"{name} = {column[index]} of event {index} is outside 0 to {side - 1}"
            )

    def _freeze(self) -> None:
        for name in ("t", "x", "y", "polarity"):
            view = getattr(self, name).view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)

    @classmethod
    def trusted(
        cls,
        size: SensorSize,
        t: _TimeColumn,
        x: _CoordinateColumn,
        y: _CoordinateColumn,
        polarity: _BoolColumn,
    ) -> Self:
        """Build a batch from columns that a decoder or another batch has already checked."""
        batch = object.__new__(cls)
        for name, value in (("size", size), ("t", t), ("x", x), ("y", y), ("polarity", polarity)):
            object.__setattr__(batch, name, value)
        batch._freeze()
        return batch

    @classmethod
    def empty(cls, size: SensorSize) -> Self:
        """A batch without events."""
        return cls.trusted(
            size,
            np.empty(0, np.int64),
            np.empty(0, np.uint16),
            np.empty(0, np.uint16),
            np.empty(0, np.bool_),
        )

    @classmethod
    def concatenate(cls, size: SensorSize, batches: Iterable[EventBatch]) -> Self:
        """Join batches that follow one another in time; none gives an empty batch.

        Raises:
            EventError: where geometries differ or a batch starts before the one ahead of it ends.
        """
        filled = [batch for batch in batches if len(batch)]
        for batch in filled:
            if batch.size != size:
                raise EventError(f"batch of a {batch.size} sensor joined to one of {size}")
        for before, after in itertools.pairwise(filled):
            if after.t[0] < before.t[-1]:
                raise EventError(
                    f"time goes back from {before.t[-1]} to {after.t[0]} us between batches"
                )
        if not filled:
            return cls.empty(size)
        if len(filled) == 1:
            only = filled[0]
            return cls.trusted(size, only.t, only.x, only.y, only.polarity)
        return cls.trusted(
            size,
            np.concatenate([batch.t for batch in filled]),
            np.concatenate([batch.x for batch in filled]),
            np.concatenate([batch.y for batch in filled]),
            np.concatenate([batch.polarity for batch in filled]),
        )

    def __len__(self) -> int:
        return len(self.t)

    def slice(self, start: int, stop: int) -> EventBatch:
        """Events start to stop - 1 as views, without a copy."""
        return EventBatch.trusted(
            self.size,
            self.t[start:stop],
            self.x[start:stop],
            self.y[start:stop],
            self.polarity[start:stop],
        )

    def at(self, places: NDArray[np.int64]) -> EventBatch:
        """Copy of the events at some indices, which never decrease."""
        return EventBatch.trusted(
            self.size, self.t[places], self.x[places], self.y[places], self.polarity[places]
        )

    def between(self, start_us: int, end_us: int) -> EventBatch:
        """Events with start_us <= t < end_us as views, found by bisection."""
        start, stop = np.searchsorted(self.t, (start_us, end_us))
        return self.slice(int(start), int(stop))


@dataclass(frozen=True, slots=True)
class EventWindow:
    """All events of the half-open interval [start_us, start_us + length_us) of sensor time.

    Attributes:
        start_us, length_us: the interval.
        events: its events.
        live: share of the interval for which there is data; less than 1 where events are known to
            be missing.
        missing: spans of sensor time, within the interval or reaching into it, whose events are
            known to be missing: they do not overlap, and are in order.
        share: share of the events that were taken, at random and alike everywhere; less than 1
            where events come faster than they can be worked on.
    """

    start_us: int
    length_us: int
    events: EventBatch
    live: float = 1.0
    missing: tuple[range, ...] = ()
    share: float = 1.0

    @classmethod
    def of_missing(cls, size: SensorSize, start_us: int, end_us: int) -> Self:
        """A window of which all events are missing."""
        span = range(start_us, end_us)
        return cls(start_us, len(span), EventBatch.empty(size), missing=(span,))

    @property
    def end_us(self) -> int:
        """First microsecond after the window."""
        return self.start_us + self.length_us

    @property
    def missing_us(self) -> int:
        """How much of the interval is known to be missing."""
        return sum(len(span) for span in overlaps(self.missing, self.start_us, self.end_us))

    def part(self, start_us: int, length_us: int) -> EventWindow:
        """A shorter interval of the window, with views of its events."""
        end_us = start_us + length_us
        events = self.events.between(start_us, end_us)
        missing = overlaps(self.missing, start_us, end_us)
        return EventWindow(start_us, length_us, events, missing=missing, share=self.share)

    def thinned(self, places: NDArray[np.int64] | None, share: float) -> EventWindow:
        """The same with some of its events only.

        Args:
            places: their indices, never decreasing; None for all.
            share: what share of all events of the window they are.
        """
        if places is None:
            return self
        return replace(self, events=self.events.at(places), share=self.share * share)

    def check(self, size: SensorSize, length_us: int) -> None:
        """Check a window that someone gave.

        Raises:
            EventError: where the events are of another geometry, the window is not of the length
                that is due, or an event lies outside it.
        """
        if self.events.size != size:
            raise EventError(f"events of a {self.events.size} sensor came where {size} is due")
        if self.length_us != length_us:
            raise EventError(f"{self.length_us} us of events came where {length_us} us are due")
        t = self.events.t
        if len(t) and (t[0] < self.start_us or t[-1] >= self.end_us):
            raise EventError(
                f"an event at {t[0]} or {t[-1]} us lies outside {self.start_us} to {self.end_us} us"
            )


def overlaps(spans: Sequence[range], start_us: int, end_us: int) -> tuple[range, ...]:
    """What some spans of time, in order and apart, have in common with start_us <= t < end_us."""
    first = bisect_right(spans, start_us, key=lambda span: span.stop)
    after = bisect_left(spans, end_us, lo=first, key=lambda span: span.start)
    return tuple(
        range(max(span.start, start_us), min(span.stop, end_us)) for span in spans[first:after]
    )
