"""Filters that drop noise and unwanted events: background activity, hot pixels, region, mask.

The names are those of the libraries of event cameras: background-activity filter with its time, and
hot pixels learned over a time (libcaer, jAER); region and mask (DV, Metavision).
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
from evio_ros.errors import EventError, ParameterError, reason_of
from evio_ros.events import EventBatch, EventWindow, RegionOfInterest, SensorSize
from evio_ros.parameters import Parameters, parameter

__all__ = ["LEARN", "EventFilter", "FilterParameters", "WindowFilter", "find_hot_pixels"]

LEARN = "learn"
_KEPT, _REGION, _MASK, _HOT_PIXEL, _BACKGROUND = range(5)
_REASONS = ("region", "mask", "hot_pixels", "background_activity")
_REBASE_US = 1 << 30
"""Largest time since the base in µs. Times are stored in 32 bits relative to a base, which is moved
before they exceed this; half the range is left for the support time."""
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
    """Filters consecutive batches; the result does not depend on how events are split into batches.

    Background activity is detected as by Delbruck, "Frame-free dynamic digital vision", 2008: an
    event is kept if one of its 8 neighbours fired within a time before. Events dropped by another
    filter do not support their neighbours.

    Args:
        size: geometry of the sensor.
        parameters: what is dropped.
        dropped: counters to continue; None for new ones.

    Attributes:
        dropped: number of events dropped so far by each filter: region, mask, hot_pixels and
            background_activity.

    Raises:
        ParameterError: if a file cannot be read or does not fit the sensor.
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
        # A margin of one pixel makes checks at the sensor's border unnecessary.
        shape = (size.height + 2, size.width + 2) if self._support_us else (0, 0)
        self._neighbour_us = np.full(shape, _NEVER, np.int32)
        self._base_us = np.full(1, -1, np.int64)
        learns = parameters.hot_pixels == LEARN
        self._counts = np.zeros((size.height, size.width) if learns else (0, 0), np.int64)
        self._learns = learns
        self._learned_at_us: int | None = None

    @property
    def hot_pixels(self) -> list[tuple[int, int]]:
        """(x, y) of the known hot pixels."""
        y, x = np.nonzero(self._pixels == _HOT_PIXEL)
        return list(zip(x.tolist(), y.tolist(), strict=True))

    def learn(self, batches: Iterable[EventBatch]) -> None:
        """Learn hot pixels from all events of a recording; later events do not change them."""
        self._counts[:] = 0
        for batch in batches:
            _count(batch.x, batch.y, self._counts)
        self._end_learning()
        self._learns = False

    def restart(self) -> None:
        """Prepare for time to start again, as after a seek; hot pixels stay known."""
        self._neighbour_us[:] = _NEVER
        self._base_us[:] = -1
        self._learned_at_us = None
        self._counts[:] = 0

    def apply(self, batch: EventBatch) -> EventBatch:
        """The kept events; the next batch must not be earlier."""
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
        memory = (self._neighbour_us, self._base_us)
        kept = select_events(batch, _select_kept, self._pixels, memory, self._support_us, numbers)
        for reason, number in zip(_REASONS, numbers[1:].tolist(), strict=True):
            self.dropped[reason] += number
        return kept

    def _end_learning(self) -> None:
        hot = find_hot_pixels(self._counts, self._parameters.hot_pixel_factor)
        self._pixels = np.where(hot & (self._fixed == _KEPT), np.uint8(_HOT_PIXEL), self._fixed)
        self._counts[:] = 0


class WindowFilter:
    """An `EventFilter` for windows, with parameters that can be changed in between.

    Args:
        parameters: what is dropped; if nothing, windows pass unchanged.
        size: geometry of the sensor; None to take that of the first window.

    Attributes:
        dropped: as in `EventFilter`; not reset when parameters change.

    Raises:
        ParameterError: if a file cannot be read or does not fit the sensor.
    """

    def __init__(self, parameters: FilterParameters, size: SensorSize | None) -> None:
        self.dropped = dict.fromkeys(_REASONS, 0)
        self._parameters = parameters
        self._size = size
        self._filter = self._new_filter(parameters, size)

    def change(self, parameters: FilterParameters) -> None:
        """Use other parameters from the next window on; may be called from any thread.

        Raises:
            ParameterError: as for the class; the old parameters stay in use.
        """
        if parameters != self._parameters:
            self._filter = self._new_filter(parameters, self._size)
            self._parameters = parameters

    def apply(self, window: EventWindow, fresh: bool) -> EventWindow:
        """The window with the kept events.

        Args:
            window: not earlier than the previous one, unless `fresh`.
            fresh: whether time starts again with this window, as after a seek.

        Raises:
            ParameterError: as for the class, at the first window of a sensor.
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
    """Pixels with more than `factor` * (n + 1) events, where n is the most of any neighbour.

    Args:
        counts: int64 (height, width), events of each pixel.
        factor: see above.

    Returns:
        bool (height, width).
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
    """The filter that drops each pixel's events, `_KEPT` for none: uint8 (height, width)."""
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
    """Columns and rows of the pixels in a file of lines `x y` or `x,y`; # starts a comment."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(f"hot_pixels: {path} cannot be read: {reason_of(error)}") from None
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
    """Pixels of a picture or .npy file that are not black, or 0: bool (height, width)."""
    try:
        values = np.load(path, allow_pickle=False) if path.endswith(".npy") else _picture(path)
    except (OSError, ValueError, SyntaxError) as error:
        raise ParameterError(f"mask: {path} cannot be read: {reason_of(error)}") from None
    if values.ndim == 3:
        # The colour counts; an alpha channel is ignored.
        values = values[..., :1] if values.shape[2] < 3 else values[..., :3]
        values = values.max(axis=2)
    if values.shape != (size.height, size.width):
        shape = "x".join(map(str, values.shape[::-1]))
        raise ParameterError(f"mask: {path} has {shape} pixels, the sensor has {size}")
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
    """Copy the kept events and return their number; add the dropped ones to `numbers` by reason."""
    t, x, y, _ = columns
    reasons = np.empty(BLOCK, np.uint8)
    positions = np.empty(BLOCK, np.int32)
    done = np.int64(0)
    start = 0
    while start < x.size:
        stop = min(start + BLOCK, x.size)
        if support_us:
            stop = _move_base(t, start, stop, memory)
        _mark_pixels(x[start:stop], y[start:stop], pixels, reasons)
        if support_us:
            part = (t[start:stop], x[start:stop], y[start:stop])
            _mark_background(part, memory, support_us, reasons)
        _count_reasons(reasons[: stop - start], numbers)
        done += copy_marked(columns, start, stop, reasons, positions, chosen, done)
        start = stop
    return done


@njit(cache=True, nogil=True)
def _count_reasons(reasons, numbers):
    """Count each reason, then replace the reasons by marks: 1 for kept events, else 0."""
    for reason in range(1, numbers.size):
        number = 0
        for i in range(reasons.size):
            number += reasons[i] == reason
        numbers[reason] += number
    for i in range(reasons.size):
        reasons[i] = reasons[i] == 0


@njit(cache=True, nogil=True)
def _mark_pixels(x, y, pixels, reasons):
    """Write for each event the filter that drops its pixel, `_KEPT` for none."""
    # Unsigned indices avoid numba's check for negative ones.
    flat = pixels.reshape(-1)
    width = np.uint64(pixels.shape[1])
    for i in range(x.size):
        reasons[i] = flat[np.uint64(y[i]) * width + np.uint64(x[i])]


@njit(cache=True, nogil=True)
def _mark_background(events, memory, support_us, reasons):
    """Mark background activity; the time of each event is written to its 8 neighbours."""
    t, x, y = events
    neighbour_us, base = memory
    flat = neighbour_us.reshape(-1)
    width, one = np.uint64(neighbour_us.shape[1]), np.uint64(1)
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
def _move_base(t, start, stop, memory):
    """Move the base if times would exceed `_REBASE_US`; return where the block must end."""
    neighbour_us, base = memory
    if base[0] >= 0 and t[stop - 1] - base[0] <= _REBASE_US:
        return stop
    flat = neighbour_us.reshape(-1)
    step_us = t[start] - base[0]
    for place in range(flat.size):
        flat[place] = max(np.int64(flat[place]) - step_us, np.int64(_NEVER))
    base[0] = t[start]
    while t[stop - 1] - base[0] > _REBASE_US:
        stop -= 1
    return stop
