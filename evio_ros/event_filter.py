"""Leaving out events that are noise or not wanted: background activity, hot pixels, regions, masks.

Libraries of event cameras name these filters alike: libcaer's and jAER's background-activity filter
with its time, and hot pixels learned in a time; the regions and masks of DV and of Metavision.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.crop import BLOCK, copy_marked, select_events
from evio_ros.errors import EventError, ParameterError
from evio_ros.events import EventBatch, EventWindow, RegionOfInterest, SensorSize
from evio_ros.parameters import Parameters, parameter

__all__ = ["LEARN", "EventFilter", "FilterParameters", "WindowFilter", "find_hot_pixels"]

LEARN = "learn"
_KEPT, _REGION, _MASK, _HOT_PIXEL, _BACKGROUND = range(5)
_REASONS = ("region", "mask", "hot_pixels", "background_activity")
_REBASE_US = 1 << 30
"""Times are kept in 32 bits since a base that is moved up every so often."""
_NEVER = np.int32(-(1 << 31))


@dataclass(frozen=True)
class FilterParameters(Parameters):
    """Which events are left out; by default none."""

    background_activity_time_us: int = parameter(
        0,
        unit="us",
        minimum=0,
        maximum=10_000_000,
        doc="Leave out events for which none of the 8 neighbouring pixels had an event within "
        "this time before; 0 turns the filter off.",
    )
    hot_pixels: str = parameter(
        "",
        doc="Leave out hot pixels: a file of lines `x y`, or learn for those that fire far more "
        "often than any neighbour; empty turns the filter off.",
    )
    hot_pixel_factor: float = parameter(
        10.0,
        minimum=2.0,
        maximum=1e6,
        doc="A pixel is learned as hot if it has this many times as many events as any neighbour.",
    )
    hot_pixel_time_us: int = parameter(
        1_000_000,
        unit="us",
        minimum=10_000,
        maximum=3_600_000_000,
        doc="Time over which hot pixels are learned, again and again; in the first one, nothing "
        "is left out.",
    )
    region: str = parameter(
        "",
        doc="Leave out events outside the pixels x0,y0,x1,y1 with x0 <= x < x1 and y0 <= y < y1; "
        "empty turns the filter off.",
    )
    mask: str = parameter(
        "",
        doc="Leave out events of pixels that are black, or 0, in this picture or .npy file of the "
        "sensor's size; empty turns the filter off.",
    )

    def check_together(self) -> None:
        """Check the form of `region`."""
        _ = self.rectangle

    @property
    def rectangle(self) -> RegionOfInterest | None:
        """The rectangle of `region`; None for the whole sensor."""
        if not self.region:
            return None
        try:
            return RegionOfInterest.parse(self.region)
        except EventError as error:
            raise ParameterError(f"region: {error}") from None

    @property
    def is_on(self) -> bool:
        """Whether anything is left out."""
        named = (self.hot_pixels, self.region, self.mask)
        return bool(self.background_activity_time_us or any(named))


class EventFilter:
    """Leaves events out of batches that follow one another; the same however they are cut.

    An event of a pixel that is left out supports no other. Background activity is told as by
    Delbruck, "Frame-free dynamic digital vision", 2008: an event is kept where one of the 8 pixels
    around it has fired within a time before.

    Args:
        size: geometry of the sensor.
        parameters: what is left out.
        dropped: counters to go on with; None for new ones.

    Attributes:
        dropped: events left out so far, by the filter: region, mask, hot_pixels and
            background_activity.

    Raises:
        ParameterError: where a file cannot be read or does not go with the sensor.
    """

    def __init__(
        self,
        size: SensorSize,
        parameters: FilterParameters,
        dropped: dict[str, int] | None = None,
    ) -> None:
        self.dropped = dict.fromkeys(_REASONS, 0) if dropped is None else dropped
        self._size = size
        self._parameters = parameters
        self._support_us = parameters.background_activity_time_us
        self._fixed = _unwanted_pixels(size, parameters)
        self._pixels = self._fixed
        # A frame of one pixel around it spares asking for the sensor's edges.
        shape = (size.height + 2, size.width + 2) if self._support_us else (0, 0)
        self._lent = np.full(shape, _NEVER, np.int32)
        self._base_us = np.full(1, -1, np.int64)
        learns = parameters.hot_pixels == LEARN
        self._counts = np.zeros((size.height, size.width) if learns else (0, 0), np.int64)
        self._learns = learns
        self._learned_at_us: int | None = None

    @property
    def hot_pixels(self) -> list[tuple[int, int]]:
        """(x, y) of the pixels that are known to be hot."""
        y, x = np.nonzero(self._pixels == _HOT_PIXEL)
        return list(zip(x.tolist(), y.tolist(), strict=True))

    def learn(self, batches: Iterable[EventBatch]) -> None:
        """Learn hot pixels from all of a recording's events, and from none later."""
        self._counts[:] = 0
        for batch in batches:
            _count(batch.x, batch.y, self._counts)
        self._end_learning()
        self._learns = False

    def restart(self) -> None:
        """Say that time begins anew, as after a seek; hot pixels stay known."""
        self._lent[:] = _NEVER
        self._base_us[:] = -1
        self._learned_at_us = None
        self._counts[:] = 0

    def apply(self, batch: EventBatch) -> EventBatch:
        """The events that are kept; those of the next call must not be earlier."""
        if not self._learns:
            return self._filtered(batch)
        parts = []
        while len(batch):
            if self._learned_at_us is None:
                self._learned_at_us = int(batch.t[0])
            end_us = self._learned_at_us + self._parameters.hot_pixel_time_us
            due = int(np.searchsorted(batch.t, end_us))
            part, batch = batch.slice(0, due), batch.slice(due, len(batch))
            _count(part.x, part.y, self._counts)
            parts.append(self._filtered(part))
            if len(batch):
                self._end_learning()
                self._learned_at_us = int(batch.t[0])
        return EventBatch.concatenate(self._size, parts)

    def _filtered(self, batch: EventBatch) -> EventBatch:
        numbers = np.zeros(1 + len(_REASONS), np.int64)
        memory = (self._lent, self._base_us)
        kept = select_events(batch, _select_kept, self._pixels, memory, self._support_us, numbers)
        for reason, number in zip(_REASONS, numbers[1:].tolist(), strict=True):
            self.dropped[reason] += number
        return kept

    def _end_learning(self) -> None:
        hot = find_hot_pixels(self._counts, self._parameters.hot_pixel_factor)
        self._pixels = np.where(hot & (self._fixed == _KEPT), np.uint8(_HOT_PIXEL), self._fixed)
        self._counts[:] = 0


class WindowFilter:
    """An `EventFilter` for windows, whose parameters may change while they come.

    Args:
        parameters: what is left out; where that is nothing, windows pass as they are.
        size: geometry of the sensor; None where the first window tells it.

    Attributes:
        dropped: as of `EventFilter`, since the beginning.

    Raises:
        ParameterError: where a file cannot be read or does not go with the sensor.
    """

    def __init__(self, parameters: FilterParameters, size: SensorSize | None) -> None:
        self.dropped = dict.fromkeys(_REASONS, 0)
        self._parameters = parameters
        self._size = size
        self._filter = self._new_filter(parameters, size)

    def change(self, parameters: FilterParameters) -> None:
        """Take over other parameters from the next window on; may be called from any thread.

        Raises:
            ParameterError: as of the class; all goes on as before.
        """
        if parameters != self._parameters:
            self._filter = self._new_filter(parameters, self._size)
            self._parameters = parameters

    def apply(self, window: EventWindow, fresh: bool) -> EventWindow:
        """The window with the events that are kept.

        Args:
            window: not earlier than the one before, but where time begins anew.
            fresh: whether it does, as after a seek.

        Raises:
            ParameterError: as of the class, where the window is the first one of a sensor.
        """
        if window.events.size != self._size:
            self._size = window.events.size
            self._filter = self._new_filter(self._parameters, self._size)
        chosen = self._filter
        if chosen is None:
            return window
        if fresh:
            chosen.restart()
        events = chosen.apply(window.events)
        return EventWindow(window.start_us, window.length_us, events, window.live)

    def _new_filter(
        self, parameters: FilterParameters, size: SensorSize | None
    ) -> EventFilter | None:
        if size is None or not parameters.is_on:
            return None
        return EventFilter(size, parameters, self.dropped)


def find_hot_pixels(counts: NDArray[np.int64], factor: float) -> NDArray[np.bool_]:
    """Pixels with more than `factor` times as many events, and one, as any of the 8 around them.

    Args:
        counts: (height, width) events of each pixel.
        factor: how many times as many.
    """
    padded = np.pad(counts, 1)
    rows, columns = counts.shape
    around = np.zeros_like(counts)
    for i in range(3):
        for j in range(3):
            if (i, j) != (1, 1):
                np.maximum(around, padded[i : i + rows, j : j + columns], out=around)
    return counts > factor * (around + 1)


def _unwanted_pixels(size: SensorSize, parameters: FilterParameters) -> NDArray[np.uint8]:
    """uint8 (height, width): why each pixel's events are left out, 0 for those kept."""
    pixels = np.full((size.height, size.width), _KEPT, np.uint8)
    if parameters.hot_pixels not in ("", LEARN):
        x, y = _read_hot_pixels(parameters.hot_pixels, size)
        pixels[y, x] = _HOT_PIXEL
    if parameters.mask:
        pixels[~_read_mask(parameters.mask, size)] = _MASK
    rectangle = parameters.rectangle
    if rectangle is not None:
        if rectangle.x1 > size.width or rectangle.y1 > size.height:
            corner = f"({rectangle.x1}, {rectangle.y1})"
            raise ParameterError(f"region: {corner} is outside the sensor of {size} pixels")
        outside = np.ones(pixels.shape, np.bool_)
        outside[rectangle.y0 : rectangle.y1, rectangle.x0 : rectangle.x1] = False
        pixels[outside] = _REGION
    return pixels


def _read_hot_pixels(path: str, size: SensorSize) -> tuple[list[int], list[int]]:
    """Columns and rows of the pixels in a file of lines `x y` or `x,y`; # begins a comment."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(f"hot_pixels: {path} cannot be read: {error}") from None
    x: list[int] = []
    y: list[int] = []
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].replace(",", " ").split()
        if not words:
            continue
        if len(words) < 2 or not all(word.isdecimal() for word in words[:2]):
            raise ParameterError(f"hot_pixels: {path}, line {number}: {line!r} is not x y")
        column, row = int(words[0]), int(words[1])
        if column >= size.width or row >= size.height:
            raise ParameterError(
                f"hot_pixels: {path}, line {number}: ({column}, {row}) is outside the sensor "
                f"of {size} pixels"
            )
        x.append(column)
        y.append(row)
    return x, y


def _read_mask(path: str, size: SensorSize) -> NDArray[np.bool_]:
    """The pixels of a picture or .npy file that are not black; bool (height, width)."""
    try:
        values = np.load(path, allow_pickle=False) if path.endswith(".npy") else _picture(path)
    except (OSError, ValueError, SyntaxError) as error:
        raise ParameterError(f"mask: {path} cannot be read: {error}") from None
    if values.ndim == 3:
        # What is drawn counts, whether or not it shines through.
        values = values[..., :1] if values.shape[2] < 3 else values[..., :3]
        values = values.max(axis=2)
    if values.shape != (size.height, size.width):
        shape = "x".join(map(str, values.shape[::-1]))
        raise ParameterError(f"mask: {path} is of {shape} pixels, the sensor of {size}")
    return np.asarray(values != 0)


def _picture(path: str) -> NDArray[Any]:
    from matplotlib.image import imread

    return np.asarray(imread(path))


@njit(cache=True, nogil=True)
def _count(x, y, counts):
    for i in range(x.size):
        counts[y[i], x[i]] += 1


@njit(cache=True, nogil=True)
def _select_kept(columns, pixels, memory, support_us, numbers, chosen):
    """Copy what is kept; `numbers` become how many events were left out for each reason."""
    t, x, y, _ = columns
    reasons = np.empty(BLOCK, np.uint8)
    positions = np.empty(BLOCK, np.int32)
    done = np.int64(0)
    start = 0
    while start < x.size:
        stop = min(start + BLOCK, x.size)
        if support_us:
            stop = _settle_base(t, start, stop, memory)
        _judge_pixels(x[start:stop], y[start:stop], pixels, reasons)
        if support_us:
            part = (t[start:stop], x[start:stop], y[start:stop])
            _judge_support(part, memory, support_us, reasons)
        _count_reasons(reasons[: stop - start], numbers)
        done += copy_marked(columns, start, stop, reasons, positions, chosen, done)
        start = stop
    return done


@njit(cache=True, nogil=True)
def _count_reasons(reasons, numbers):
    """Count each reason, and leave marks: 1 for the events that are kept."""
    for reason in range(1, numbers.size):
        number = 0
        for i in range(reasons.size):
            number += reasons[i] == reason
        numbers[reason] += number
    for i in range(reasons.size):
        reasons[i] = reasons[i] == 0


@njit(cache=True, nogil=True)
def _judge_pixels(x, y, pixels, reasons):
    """Note why each event's pixel is unwanted, 0 where it is not."""
    # Unsigned indices spare asking whether they are counted from the end.
    flat = pixels.reshape(-1)
    width = np.uint64(pixels.shape[1])
    for i in range(x.size):
        reasons[i] = flat[np.uint64(y[i]) * width + np.uint64(x[i])]


@njit(cache=True, nogil=True)
def _judge_support(events, memory, support_us, reasons):
    """Note which events are background activity; each lends its time to the 8 pixels around."""
    t, x, y = events
    lent, base = memory
    flat = lent.reshape(-1)
    width, one = np.uint64(lent.shape[1]), np.uint64(1)
    base_us = base[0]
    for i in range(x.size):
        if reasons[i]:
            continue
        now = np.int32(t[i] - base_us)
        place = (np.uint64(y[i]) + one) * width + np.uint64(x[i]) + one
        above, below = place - width, place + width
        reasons[i] = np.uint8(_BACKGROUND) * np.uint8(flat[place] < now - support_us)
        flat[above - one] = now
        flat[above] = now
        flat[above + one] = now
        flat[place - one] = now
        flat[place + one] = now
        flat[below - one] = now
        flat[below] = now
        flat[below + one] = now


@njit(cache=True, nogil=True)
def _settle_base(t, start, stop, memory):
    """Keep times since the base small, however long it runs; returns where the block must end."""
    lent, base = memory
    if base[0] >= 0 and t[stop - 1] - base[0] <= _REBASE_US:
        return stop
    flat = lent.reshape(-1)
    step_us = t[start] - base[0]
    for place in range(flat.size):
        flat[place] = max(np.int64(flat[place]) - step_us, np.int64(_NEVER))
    base[0] = t[start]
    while t[stop - 1] - base[0] > _REBASE_US:
        stop -= 1
    return stop
