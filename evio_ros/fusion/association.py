"""Assigning estimates and objects to rotors.

Method: the linear assignment of least cost (D. F. Crouse, "On implementing 2D rectangular
assignment algorithms", 2016, as implemented in scipy). Position counts most; speed, sense of
rotation, blade count and the detector's own numbers decide between rotors that are close together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit
from scipy.optimize import linear_sum_assignment

from evio_ros.estimate import RotorEstimate
from evio_ros.tracked_object import TrackedObject

__all__ = ["Expected", "assign", "object_at"]

_APART = 1e3
"""Cost of a pair that cannot belong together."""
_SPEED_COST, _SENSE_COST, _BLADES_COST, _NUMBER_COST = 0.3, 0.3, 0.2, 0.3
"""Costs of differences, on a scale on which a hub at the edge of a rotor's reach costs 1. Their sum
is less than 2, so that a rotor is still recognised after its speed has changed."""
_MARGIN = 0.1
"""A hub may lie outside an object's box by this share of the box's size."""


class Expected(NamedTuple):
    """A rotor as it is expected in a window.

    Attributes:
        x, y: its hub in pixels.
        reach_px: how far from there an estimate may be, in pixels.
        rpm: its signed speed in turns per minute.
        blade_count: number of blades, 0 if unknown.
        detector_id: its number in the detector's estimates.
    """

    x: float
    y: float
    reach_px: float
    rpm: float
    blade_count: int
    detector_id: int


def assign(rotors: Sequence[Expected], estimates: Sequence[RotorEstimate]) -> list[tuple[int, int]]:
    """Indices (rotor, estimate) of pairs that belong together, each index in one pair at most."""
    if not rotors or not estimates:
        return []
    measured = [(*one.center, one.rpm, one.blade_count, one.id) for one in estimates]
    cost = _cost(np.array(rotors, np.float64), np.array(measured, np.float64))
    rows, columns = linear_sum_assignment(cost)
    is_near = cost[rows, columns] < _APART
    return list(zip(rows[is_near].tolist(), columns[is_near].tolist(), strict=True))


@njit(cache=True, nogil=True)
def _cost(rotors, estimates):
    """Costs (n, m) of assigning m estimates to n rotors.

    Args:
        rotors: (n, 6), the fields of `Expected`.
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


def object_at(
    center: tuple[float, float], objects: Sequence[TrackedObject]
) -> TrackedObject | None:
    """The object that a hub belongs to: the smallest whose box contains it; None if there is none.

    An object can have several rotors, as a drone has.
    """
    return min((one for one in objects if _holds(one, center)), key=_area, default=None)


def _holds(one: TrackedObject, center: tuple[float, float]) -> bool:
    x0, y0, x1, y1 = one.corners
    dx, dy = _MARGIN * (x1 - x0), _MARGIN * (y1 - y0)
    return x0 - dx <= center[0] < x1 + dx and y0 - dy <= center[1] < y1 + dy


def _area(one: TrackedObject) -> float:
    x0, y0, x1, y1 = one.corners
    return (x1 - x0) * (y1 - y0)
