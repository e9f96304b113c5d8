"""Events in memory: a sensor geometry and four read-only columns."""

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
        EventError: if a side is not in 1 to 65536, the range of uint16 coordinates.
    """

    width: int
    height: int

    def __post_init__(self) -> None:
        for name, value in (("width", self.width), ("height", self.height)):
            if not 1 <= value <= _LARGEST_SIDE_PX:
                raise EventError(f"sensor {name} {value} is not in 1 to {_LARGEST_SIDE_PX} pixels")

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `640x480`; raises EventError where that is not two whole numbers of pixels."""
        sides = text.split("x")
        if len(sides) != 2 or not all(side.isdecimal() for side in sides):
            raise EventError(f"{text!r} is not WIDTHxHEIGHT, as 640x480")
        return cls(*map(int, sides))

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self.width * self.height


@dataclass(frozen=True, slots=True)
class RegionOfInterest:
    """A rectangle of pixels: x0 <= x < x1 and y0 <= y < y1.

    Raises:
        EventError: if it is empty or has a negative corner.
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
        """Read `x0,y0,x1,y1`; raises EventError if the text is not four whole numbers."""
        corners = text.replace(" ", "").split(",")
        if len(corners) != 4 or not all(corner.isdecimal() for corner in corners):
            raise EventError(f"{text!r} is not x0,y0,x1,y1")
        return cls(*map(int, corners))


@dataclass(frozen=True, slots=True, eq=False)
class EventBatch:
    """Events of one sensor in order of time, as columns of equal length n.

    The columns are checked on construction and kept as read-only views.

    Attributes:
        size: geometry of the sensor.
        t: int64 (n,), sensor time in µs, never decreasing; unwrapped, so it may pass 2**32.
        x: uint16 (n,), column of the pixel, 0 at the left.
        y: uint16 (n,), row of the pixel, 0 at the top.
        polarity: bool (n,), True for ON (brighter), False for OFF (darker).

    Raises:
        EventError: if a dtype, shape or length differs, time decreases, or a coordinate is
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
                    f"{name} is a {column.ndim}-D {column.dtype} array, "
                    f"not a 1-D {np.dtype(dtype)} array"
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
        """A batch of columns already checked by a decoder or another batch; no check is made."""
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
        """Join consecutive batches; without any, the result is an empty batch.

        Raises:
            EventError: if geometries differ or a batch starts before the previous one ends.
        """
        filled = [batch for batch in batches if len(batch)]
        for batch in filled:
            if batch.size != size:
                raise EventError(f"cannot join a batch of a {batch.size} sensor to one of {size}")
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
        """Events start to stop - 1, as views."""
        return EventBatch.trusted(
            self.size,
            self.t[start:stop],
            self.x[start:stop],
            self.y[start:stop],
            self.polarity[start:stop],
        )

    def at(self, places: NDArray[np.int64]) -> EventBatch:
        """Copy of the events at the given indices, which must not decrease."""
        return EventBatch.trusted(
            self.size, self.t[places], self.x[places], self.y[places], self.polarity[places]
        )

    def between(self, start_us: int, end_us: int) -> EventBatch:
        """Events with start_us <= t < end_us, as views."""
        start, stop = np.searchsorted(self.t, (start_us, end_us))
        return self.slice(int(start), int(stop))


@dataclass(frozen=True, slots=True)
class EventWindow:
    """The events of the half-open interval [start_us, start_us + length_us) of sensor time.

    Attributes:
        start_us, length_us: the interval, sensor time in µs.
        events: its events.
        live: share of the interval for which there is data; less than 1 if events are known to be
            missing.
        missing: spans of sensor time in µs that overlap the interval and whose events are known to
            be missing; in order, without overlap.
        share: share of the events kept by random thinning, uniform over the image; less than 1 if
            events arrive faster than they can be processed.
    """

    start_us: int
    length_us: int
    events: EventBatch
    live: float = 1.0
    missing: tuple[range, ...] = ()
    share: float = 1.0

    @classmethod
    def of_missing(cls, size: SensorSize, start_us: int, end_us: int) -> Self:
        """A window whose events are all missing."""
        span = range(start_us, end_us)
        return cls(start_us, len(span), EventBatch.empty(size), missing=(span,))

    @property
    def end_us(self) -> int:
        """First microsecond after the window."""
        return self.start_us + self.length_us

    @property
    def missing_us(self) -> int:
        """Length in µs of the part of the interval that is known to be missing."""
        return sum(len(span) for span in overlaps(self.missing, self.start_us, self.end_us))

    def part(self, start_us: int, length_us: int) -> EventWindow:
        """A part of the window, with views of its events."""
        end_us = start_us + length_us
        events = self.events.between(start_us, end_us)
        missing = overlaps(self.missing, start_us, end_us)
        return EventWindow(start_us, length_us, events, missing=missing, share=self.share)

    def thinned(self, places: NDArray[np.int64] | None, share: float) -> EventWindow:
        """The window with only some of its events.

        Args:
            places: int64 (n,) indices of these events, not decreasing; None for all.
            share: their share of the window's events.
        """
        if places is None:
            return self
        return replace(self, events=self.events.at(places), share=self.share * share)

    def check(self, size: SensorSize, length_us: int) -> None:
        """Check a window given by a caller.

        Raises:
            EventError: if the events have another geometry, the window has another length, or an
                event lies outside it.
        """
        if self.events.size != size:
            raise EventError(f"events of a {self.events.size} sensor, expected {size}")
        if self.length_us != length_us:
            raise EventError(f"a window of {self.length_us} us, expected {length_us} us")
        t = self.events.t
        if len(t) and (t[0] < self.start_us or t[-1] >= self.end_us):
            raise EventError(
                f"an event at {t[0]} or {t[-1]} us lies outside {self.start_us} to {self.end_us} us"
            )


def overlaps(spans: Sequence[range], start_us: int, end_us: int) -> tuple[range, ...]:
    """Intersections of ordered, disjoint spans of time with start_us <= t < end_us."""
    first = bisect_right(spans, start_us, key=lambda span: span.stop)
    after = bisect_left(spans, end_us, lo=first, key=lambda span: span.start)
    return tuple(
        range(max(span.start, start_us), min(span.stop, end_us)) for span in spans[first:after]
    )
