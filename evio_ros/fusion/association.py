"""Which estimate, and which object, belongs to which rotor.

Method: a linear assignment (R. Jonker, A. Volgenant, "A shortest augmenting path algorithm for
dense and sparse linear assignment problems", 1987) of least cost, where place counts most and
speed, sense, blades and the detector's own numbers decide between rotors that are near one another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit

from evio_ros.estimate import RotorEstimate
from evio_ros.tracked_object import TrackedObject

__all__ = ["Expected", "assign", "object_at"]

_APART = 1e3
"""Cost of those that cannot belong together."""
_SPEED_COST, _SENSE_COST, _BLADES_COST, _NUMBER_COST = 0.3, 0.3, 0.2, 0.3
"""What differences cost, where a hub at the edge of a rotor's reach costs 1; together less than
twice that, so that a rotor is found again after its speed has changed."""
_MARGIN = 0.1
"""A hub may lie outside an object's box by this share of its size."""


class Expected(NamedTuple):
    """A rotor as it is expected in a window.

    Attributes:
        x, y: its hub in pixels.
        reach_px: how far from there an estimate may be.
        rpm: its speed.
        blade_count: its blades, 0 unknown.
        detector_id: its number with the detector.
    """

    x: float
    y: float
    reach_px: float
    rpm: float
    blade_count: int
    detector_id: int


def assign(rotors: Sequence[Expected], estimates: Sequence[RotorEstimate]) -> list[tuple[int, int]]:
    """Pairs (rotor, estimate) that belong together, each in one pair at the most."""
    if not rotors or not estimates:
        return []
    told = [(*one.center, one.rpm, one.blade_count, one.id) for one in estimates]
    cost = _cost(np.array(rotors, np.float64), np.array(told, np.float64))
    if len(rotors) <= len(estimates):
        pairs = [(row, column) for row, column in enumerate(_columns(cost).tolist())]
    else:
        pairs = sorted((row, column) for column, row in enumerate(_columns(cost.T.copy()).tolist()))
    return [pair for pair in pairs if cost[pair] < _APART]


@njit(cache=True, nogil=True)
def _cost(rotors, estimates):
    """(n, m) costs of n rotors, as `Expected`, and m estimates.

    Args:
        rotors: (n, 6).
        estimates: (m, 5) of hub x, y, rpm, blade count and number.
    """
    cost = np.empty((len(rotors), len(estimates)))
    for row in range(len(rotors)):
        x, y, reach_px, rpm, blades, number = rotors[row]
        for column in range(len(estimates)):
            at_x, at_y, at_rpm, at_blades, at_number = estimates[column]
            distance = ((at_x - x) ** 2 + (at_y - y) ** 2) / reach_px**2
            largest = max(abs(rpm), abs(at_rpm), 1.0)
            apart = abs(abs(rpm) - abs(at_rpm)) / (0.1 * largest)
            total = distance + _SPEED_COST * min(apart, 1.0)
            if rpm * at_rpm < 0:
                total += _SENSE_COST
            if blades != at_blades and blades > 0 and at_blades > 0:
                total += _BLADES_COST
            if number != at_number:
                total += _NUMBER_COST
            cost[row, column] = total if distance <= 1.0 else _APART
    return cost


@njit(cache=True, nogil=True)
def _columns(cost):
    """The column of each of n rows, (n,), so that the sum of their costs is least.

    scipy has it too, but takes as long to be imported as the node's other parts together.

    Args:
        cost: (n, m), n <= m.
    """
    n, m = cost.shape
    # Rows and columns count from 1: 0 stands for none. Potentials keep reduced costs above 0.
    row_potential, column_potential = np.zeros(n + 1), np.zeros(m + 1)
    row_of, before = np.zeros(m + 1, np.int64), np.zeros(m + 1, np.int64)
    for start in range(1, n + 1):
        # The shortest path from this row to a column without one.
        row_of[0], column = start, 0
        least, is_reached = np.full(m + 1, np.inf), np.zeros(m + 1, np.bool_)
        while True:
            is_reached[column] = True
            row, nearest, step = row_of[column], 0, np.inf
            for k in range(1, m + 1):
                if is_reached[k]:
                    continue
                reduced = cost[row - 1, k - 1] - row_potential[row] - column_potential[k]
                if reduced < least[k]:
                    least[k], before[k] = reduced, column
                if least[k] < step:
                    step, nearest = least[k], k
            for k in range(m + 1):
                if is_reached[k]:
                    row_potential[row_of[k]] += step
                    column_potential[k] -= step
                else:
                    least[k] -= step
            column = nearest
            if row_of[column] == 0:
                break
        while column:
            row_of[column] = row_of[before[column]]
            column = before[column]
    columns = np.empty(n, np.int64)
    for k in range(1, m + 1):
        if row_of[k]:
            columns[row_of[k] - 1] = k - 1
    return columns


def object_at(
    center: tuple[float, float], objects: Sequence[TrackedObject]
) -> TrackedObject | None:
    """The object that a hub belongs to: of all whose boxes hold it the smallest; None without.

    An object may hold several rotors, as a drone does.
    """
    return min((one for one in objects if _holds(one, center)), key=_area, default=None)


def _holds(one: TrackedObject, center: tuple[float, float]) -> bool:
    x0, y0, x1, y1 = one.corners
    dx, dy = _MARGIN * (x1 - x0), _MARGIN * (y1 - y0)
    return x0 - dx <= center[0] < x1 + dx and y0 - dy <= center[1] < y1 + dy


def _area(one: TrackedObject) -> float:
    x0, y0, x1, y1 = one.corners
    return (x1 - x0) * (y1 - y0)
