"""Picking the events inside a rectangle, at about the speed of memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.events import EventBatch, RegionOfInterest

__all__ = ["BLOCK", "copy_marked", "crop", "select_events"]

BLOCK = 4096
"""Events that are marked and copied together; small enough for the first-level cache."""
_LARGEST_COORDINATE = (1 << 16) - 1


def crop(batch: EventBatch, region: RegionOfInterest) -> EventBatch:
    """Copy the events with x0 <= x < x1 and y0 <= y < y1, in their order.

    Args:
        batch: events; untouched.
        region: pixels to keep; it may reach past the sensor.

    Returns:
        A batch of the same geometry: coordinates stay those of the whole sensor.
    """
    if region.x0 > _LARGEST_COORDINATE or region.y0 > _LARGEST_COORDINATE:
        return EventBatch.empty(batch.size)
    # With unsigned differences, one comparison tells both sides of an interval.
    bounds = (
        np.uint16(region.x0),
        np.uint16(min(region.x1 - 1, _LARGEST_COORDINATE) - region.x0),
        np.uint16(region.y0),
        np.uint16(min(region.y1 - 1, _LARGEST_COORDINATE) - region.y0),
    )
    return select_events(batch, _select, bounds)


def select_events(batch: EventBatch, select: Callable[..., int], *arguments: object) -> EventBatch:
    """Copy the events that a compiled function picks.

    Args:
        batch: events; untouched.
        select: takes the columns t, x, y and polarity, the arguments, and four columns that are as
            long; fills these from their beginning, and returns how many events there are.
        arguments: for `select`.
    """
    columns = (batch.t, batch.x, batch.y, batch.polarity)
    # Memory that is not written to is never really there, and shrinking gives the rest back.
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
    # Written always, kept only where marked: no branch, nothing to mispredict.
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
    """Copy the events start to stop - 1 whose marks, from 0 on, are 1; returns their number."""
    t, x, y, polarity = columns
    number = _list_marked(marks, stop - start, positions)
    _pick(t[start:stop], positions, number, chosen[0][done:])
    _pick(x[start:stop], positions, number, chosen[1][done:])
    _pick(y[start:stop], positions, number, chosen[2][done:])
    _pick(polarity[start:stop], positions, number, chosen[3][done:])
    return number


@njit(cache=True, nogil=True)
def _select(columns, bounds, chosen):
    """Copy what is inside; block by block, so that all is read while it is in the cache."""
    _, x, y, _ = columns
    marks = np.empty(BLOCK, np.uint8)
    positions = np.empty(BLOCK, np.int32)
    done = np.int64(0)
    for start in range(0, x.size, BLOCK):
        stop = min(start + BLOCK, x.size)
        _mark(x[start:stop], y[start:stop], bounds, marks)
        done += copy_marked(columns, start, stop, marks, positions, chosen, done)
    return done
