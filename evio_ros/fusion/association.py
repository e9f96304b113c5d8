"""Which estimate, and which object, belongs to which rotor.

Method: a linear assignment (D. F. Crouse, "On implementing 2D rectangular assignment algorithms",
2016, as scipy has it) of least cost, where place counts most and speed, sense, blades and the
detector's own numbers decide between rotors that are near one another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

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
    cost = _cost(np.array(rotors), np.array([_told(estimate) for estimate in estimates]))
    pairs = zip(*linear_sum_assignment(cost), strict=True)
    return [(int(row), int(column)) for row, column in pairs if cost[row, column] < _APART]


def _told(estimate: RotorEstimate) -> tuple[float, ...]:
    return (*estimate.center, estimate.rpm, estimate.blade_count, estimate.id)


def _cost(rotors: NDArray[np.float64], estimates: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, m) costs of n rotors, as `Expected`, and m estimates, as of `_told`."""
    x, y, reach_px, rpm, blades, number = rotors.T[:, :, None]
    at_x, at_y, at_rpm, at_blades, at_number = estimates.T
    distance = ((at_x - x) ** 2 + (at_y - y) ** 2) / reach_px**2
    largest = np.maximum(np.maximum(np.abs(rpm), np.abs(at_rpm)), 1.0)
    apart = np.abs(np.abs(rpm) - np.abs(at_rpm)) / (0.1 * largest)
    cost = (
        distance
        + _SPEED_COST * np.minimum(apart, 1.0)
        + _SENSE_COST * (rpm * at_rpm < 0)
        + _BLADES_COST * ((blades != at_blades) & (blades > 0) & (at_blades > 0))
        + _NUMBER_COST * (number != at_number)
    )
    return np.where(distance > 1.0, _APART, cost)


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
