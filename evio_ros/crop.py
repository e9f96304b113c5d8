"""Selecting the events inside a rectangle, at about the speed of memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.events import EventBatch, RegionOfInterest

__all__ = ["BLOCK", "copy_marked", "crop", "select_events"]

BLOCK = 4096
"""Events marked and copied together: their columns, 13 bytes an event, stay in the cache."""
_LARGEST_COORDINATE = (1 << 16) - 1


def crop(batch: EventBatch, region: RegionOfInterest) -> EventBatch:
    """Copy the events with x0 <= x < x1 and y0 <= y < y1, in order.

    Args:
        batch: events; not modified.
        region: pixels to keep; may extend beyond the sensor.

    Returns:
        A batch of the same geometry, with coordinates on the whole sensor.
    """
    if region.x0 > _LARGEST_COORDINATE or region.y0 > _LARGEST_COORDINATE:
        return EventBatch.empty(batch.size)
    # With unsigned differences, one comparison checks both ends of an interval.
    bounds = (
        np.uint16(region.x0),
        np.uint16(min(region.x1 - 1, _LARGEST_COORDINATE) - region.x0),
        np.uint16(region.y0),
        np.uint16(min(region.y1 - 1, _LARGEST_COORDINATE) - region.y0),
    )
    return select_events(batch, _select, bounds)


def select_events(batch: EventBatch, select: Callable[..., int], *arguments: object) -> EventBatch:
    """Copy the events selected by a compiled function.

    Args:
        batch: events; not modified.
        select: takes the columns t, x, y and polarity, the arguments, and four output columns of
            the same length; fills the latter from the start and returns the number of events.
        arguments: passed on to `select`.
    """
    columns = (batch.t, batch.x, batch.y, batch.polarity)
    # The system allocates no memory that is never written; resizing returns the rest.
    chosen: tuple[NDArray[Any], ...] = tuple(
        np.empty(len(batch), column.dtype) for column in columns
    )
    number = select(columns, *arguments, chosen)
    for column in chosen:
        column.resize(number, refcheck=False)
    return EventBatch.trusted(batch.size, *chosen)


@njit(cache=True, nogil=True)
def _mark(x, y, bounds, marks):
    x0, width, y0, height = bounds
    for i in range(x.size):
        marks[i] = (np.uint16(x[i] - x0) <= width) & (np.uint16(y[i] - y0) <= height)


@njit(cache=True, nogil=True)
def _list_marked(marks, size, positions):
    # Always written, but kept only if marked: no branch that could be mispredicted.
    number = np.int64(0)
    for i in range(size):
        positions[number] = i
        number += np.int64(marks[i])
    return number


@njit(cache=True, nogil=True)
def _pick(column, positions, number, chosen):
    for k in range(number):
        chosen[k] = column[positions[k]]


@njit(cache=True, nogil=True)
def copy_marked(columns, start, stop, marks, positions, chosen, done):
    """Copy the marked events of start to stop - 1 behind the first `done`; return their number.

    Args:
        columns, chosen: t, x, y and polarity of all events and of those copied.
        start, stop: the block.
        marks: uint8 (BLOCK,), 1 for each event of the block to be copied.
        positions: int32 (BLOCK,), scratch.
        done: number of events already in `chosen`.
    """
    t, x, y, polarity = columns
    number = _list_marked(marks, stop - start, positions)
    _pick(t[start:stop], positions, number, chosen[0][done:])
    _pick(x[start:stop], positions, number, chosen[1][done:])
    _pick(y[start:stop], positions, number, chosen[2][done:])
    _pick(polarity[start:stop], positions, number, chosen[3][done:])
    return number


@njit(cache=True, nogil=True)
def _select(columns, bounds, chosen):
    """Copy the events inside, block by block, so that each block is read from the cache."""
    _, x, y, _ = columns
    marks = np.empty(BLOCK, np.uint8)
    positions = np.empty(BLOCK, np.int32)
    done = np.int64(0)
    for start in range(0, x.size, BLOCK):
        stop = min(start + BLOCK, x.size)
        _mark(x[start:stop], y[start:stop], bounds, marks)
        done += copy_marked(columns, start, stop, marks, positions, chosen, done)
    return done
