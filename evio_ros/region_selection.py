"""Picking the events inside a rectangle, at about the speed of memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from evio_ros.events import (
        BoolColumn,
        CoordinateColumn,
        RegionOfInterest,
        TimeColumn,
    )

__all__ = ["select_inside"]

BLOCK = 4096
LARGEST_COORDINATE = (1 << 16) - 1


def select_inside(
    region: RegionOfInterest,
    t: TimeColumn,
    x: CoordinateColumn,
    y: CoordinateColumn,
    polarity: BoolColumn,
) -> tuple[TimeColumn, CoordinateColumn, CoordinateColumn, BoolColumn]:
    """Copy the events of four columns with x0 <= x < x1 and y0 <= y < y1, in their order."""
    if region.x0 > LARGEST_COORDINATE or region.y0 > LARGEST_COORDINATE:
        return t[:0].copy(), x[:0].copy(), y[:0].copy(), polarity[:0].copy()
    # With unsigned differences, one comparison tells both sides of an interval.
    bounds = (
        np.uint16(region.x0),
        np.uint16(min(region.x1 - 1, LARGEST_COORDINATE) - region.x0),
        np.uint16(region.y0),
        np.uint16(min(region.y1 - 1, LARGEST_COORDINATE) - region.y0),
    )
    number = int(_count(x, y, bounds))
    chosen = tuple(np.empty(number, column.dtype) for column in (t, x, y, polarity))
    _select(t, x, y, polarity, bounds, chosen)
    return chosen  # type: ignore[return-value]


@njit(cache=True, nogil=True)
def _is_inside(x, y, bounds):  # type: ignore[no-untyped-def]
    x0, width, y0, height = bounds
    return (np.uint16(x - x0) <= width) & (np.uint16(y - y0) <= height)


@njit(cache=True, nogil=True)
def _count(x, y, bounds):  # type: ignore[no-untyped-def]
    number = np.int64(0)
    for i in range(x.size):
        number += np.int64(_is_inside(x[i], y[i], bounds))
    return number


@njit(cache=True, nogil=True)
def _mark(x, y, bounds, marks):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        marks[i] = _is_inside(x[i], y[i], bounds)


@njit(cache=True, nogil=True)
def _list_marked(marks, size, positions):  # type: ignore[no-untyped-def]
    # Written always, kept only where marked: no branch, nothing to mispredict.
    number = np.int64(0)
    for i in range(size):
        positions[number] = i
        number += np.int64(marks[i])
    return number


@njit(cache=True, nogil=True)
def _pick(column, positions, number, out):  # type: ignore[no-untyped-def]
    for k in range(number):
        out[k] = column[positions[k]]


@njit(cache=True, nogil=True)
def _select(t, x, y, polarity, bounds, chosen):  # type: ignore[no-untyped-def]
    """Block by block, so that marks and positions stay in the innermost cache."""
    marks = np.empty(BLOCK, np.uint8)
    positions = np.empty(BLOCK, np.int32)
    done = np.int64(0)
    for start in range(0, x.size, BLOCK):
        block = slice(start, min(start + BLOCK, x.size))
        _mark(x[block], y[block], bounds, marks)
        number = _list_marked(marks, block.stop - start, positions)
        _pick(t[block], positions, number, chosen[0][done:])
        _pick(x[block], positions, number, chosen[1][done:])
        _pick(y[block], positions, number, chosen[2][done:])
        _pick(polarity[block], positions, number, chosen[3][done:])
        done += number
