"""Picking the events inside a rectangle, at about the speed of memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.events import EventBatch, RegionOfInterest

__all__ = ["crop"]

_BLOCK = 4096
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
    columns = (batch.t, batch.x, batch.y, batch.polarity)
    # Memory that is not written to is never really there, and shrinking gives the rest back.
    chosen: tuple[NDArray[Any], ...] = tuple(
        np.empty(len(batch), column.dtype) for column in columns
    )
    number = _select(columns, bounds, chosen)
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
def _select(columns, bounds, chosen):
    """Copy what is inside; block by block, so that all is read while it is in the cache."""
    t, x, y, polarity = columns
    marks = np.empty(_BLOCK, np.uint8)
    positions = np.empty(_BLOCK, np.int32)
    done = np.int64(0)
    for start in range(0, x.size, _BLOCK):
        block = slice(start, min(start + _BLOCK, x.size))
        _mark(x[block], y[block], bounds, marks)
        number = _list_marked(marks, block.stop - start, positions)
        _pick(t[block], positions, number, chosen[0][done:])
        _pick(x[block], positions, number, chosen[1][done:])
        _pick(y[block], positions, number, chosen[2][done:])
        _pick(polarity[block], positions, number, chosen[3][done:])
        done += number
    return done
