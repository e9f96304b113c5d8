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
    # Only the part that is written to takes up memory.
    positions = np.empty(len(x) + 1, np.int64)
    positions = positions[: _list_inside(x, y, bounds, positions)]
    chosen = tuple(np.empty(len(positions), column.dtype) for column in (t, x, y, polarity))
    _pick_all((t, x, y, polarity), positions, chosen)
    return chosen  # type: ignore[return-value]


@njit(cache=True, nogil=True)
def _mark(x, y, bounds, marks):  # type: ignore[no-untyped-def]
    x0, width, y0, height = bounds
    for i in range(x.size):
        marks[i] = (np.uint16(x[i] - x0) <= width) & (np.uint16(y[i] - y0) <= height)


@njit(cache=True, nogil=True)
def _list_inside(x, y, bounds, positions):  # type: ignore[no-untyped-def]
    """Write the positions of the events inside; returns their number."""
    marks = np.empty(BLOCK, np.uint8)
    number = np.int64(0)
    for start in range(0, x.size, BLOCK):
        block = slice(start, min(start + BLOCK, x.size))
        _mark(x[block], y[block], bounds, marks)
        # Written always, kept only where marked: no branch, nothing to mispredict.
        for i in range(block.stop - start):
            positions[number] = start + i
            number += np.int64(marks[i])
    return number


@njit(cache=True, nogil=True)
def _pick(column, positions, chosen):  # type: ignore[no-untyped-def]
    for k in range(positions.size):
        chosen[k] = column[positions[k]]


@njit(cache=True, nogil=True)
def _pick_all(columns, positions, chosen):  # type: ignore[no-untyped-def]
    """Block by block, so that all columns are read while the positions are in the cache."""
    for start in range(0, positions.size, BLOCK):
        block = slice(start, min(start + BLOCK, positions.size))
        _pick(columns[0], positions[block], chosen[0][block])
        _pick(columns[1], positions[block], chosen[1][block])
        _pick(columns[2], positions[block], chosen[2][block])
        _pick(columns[3], positions[block], chosen[3][block])
