"""Finding rotors in a region even if their speed changes.

In count time (`event_count_time`), a rotor turns almost evenly, so the phase vortex applies: with q
cycles over the whole count time u = 0 to 1, the phasor of a cell,

    z_c(q) = sum over the cell's events of exp(-2 pi i q u),   separately for each polarity,

winds m times about the hub if a pattern of angular order m makes q / m turns. The q, m and hub with
the most coherent winding (`phase_vortex`) give hub, sense and number of turns together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.explanation import Reason, Rejection
from evio_ros.rotation.acquisition.phase_vortex import best_starts, refined_hub
from evio_ros.rotation.acquisition.regions import Region
from evio_ros.rotation.acquisition.work_units import Work
from evio_ros.rotation.phase_path.event_count_time import COUNT_SPAN, CountedEvents

__all__ = ["candidates"]

_Real = NDArray[np.float64]

_FEWEST_TURNS, _MOST_CYCLES = 0.7, 80.0
"""Range of the search: minimum number of turns, and maximum number of cycles over all events."""
_CYCLE_RATIO, _CYCLE_STEP = 1.08, 0.3
"""Step between numbers of cycles: a ratio, but at most this number of cycles."""
_HIGHEST_ORDER = 8
"""Highest angular order of a pattern."""
_HUB_GRID = (-1.8, -1.4, -1.0, -0.6, -0.2, 0.2, 0.6, 1.0, 1.4, 1.8)
"""Hubs tried, in standard deviations of the region's events from their centroid."""
_REFINED = 2
"""Number of starts of each order that are refined."""
_CELLS_TRIED = 300
"""Number of cells used to find the starts."""
_MOST_CANDIDATES = 3
"""Maximum number of candidates that are fitted, the most coherent ones."""
_LEAST_COHERENCE = 0.6
"""Minimum coherence of a candidate: the share of the power that winds."""
_SAME_HUB, _SAME_TURNS = 0.4, 1.25
"""Candidates are the same if their hubs are closer than this, in radii, and their turns differ by
less than this factor."""
_RIM_SHARE = 0.97
"""Share of the events inside the rim."""


@dataclass(frozen=True, slots=True)
class _WindingDisc:
    """A candidate.

    Attributes:
        disc: a circle about the hub.
        turns: number of turns over all events, signed.
        order: angular order on which it was seen.
        coherence: share of the power that winds, 0 to 1.
    """

    disc: Ellipse
    turns: float
    order: int
    coherence: float


def candidates(
    counted: CountedEvents,
    region: Region,
    most_cycles: float = _MOST_CYCLES,
    highest_order: int = _HIGHEST_ORDER,
) -> Work[list[_WindingDisc] | Rejection]:
    """Find what winds about a hub in a region over all events.

    Args:
        counted: the events.
        region: the region to search.
        most_cycles: maximum number of cycles of a pattern over all events.
        highest_order: highest angular order of a pattern.

    Returns:
        The candidates, the most coherent first; a rejection if nothing winds.
    """
    points = region.cell_centers()
    cell = _cell_of_events(counted, region)
    inside = cell >= 0
    weight = np.bincount(cell[inside], counted.shares[inside], len(points)).astype(np.float64)
    centroid = np.average(points, axis=0, weights=weight)
    spread = np.cov(points.T, aweights=weight) + np.eye(2)
    root = np.linalg.cholesky(spread)
    shifts = np.stack([root @ np.array((i, j)) for i in _HUB_GRID for j in _HUB_GRID])
    reach = math.sqrt(float(np.trace(spread)))
    found = []
    limits = most_cycles, highest_order
    starts = yield from _starts(counted, cell, points, centroid + shifts, limits)
    for _, cycles, order, center in starts:
        yield
        phasors, scale = _phasors(counted, cell, cycles, len(points))
        coherence, center, _ = refined_hub(
            phasors, points, scale, centroid, reach, order, center - centroid, np.zeros(2)
        )
        radius = _radius(points, weight, center)
        disc = Ellipse((float(center[0]), float(center[1])), (radius, radius), 0.0)
        found.append(_WindingDisc(disc, cycles / order, abs(order), float(coherence)))
    found.sort(key=lambda candidate: -candidate.coherence)
    if not found or found[0].coherence < _LEAST_COHERENCE:
        coherence = found[0].coherence if found else 0.0
        return Rejection(Reason.NO_HUB, coherence, _LEAST_COHERENCE)
    distinct: list[_WindingDisc] = []
    for candidate in found:
        if candidate.coherence >= _LEAST_COHERENCE and not any(
            _is_same(candidate, other) for other in distinct
        ):
            distinct.append(candidate)
    return distinct[:_MOST_CANDIDATES]


def _starts(
    counted: CountedEvents,
    cell: NDArray[np.int64],
    points: _Real,
    hubs: _Real,
    limits: tuple[float, int],
) -> Work[list[tuple[float, float, int, _Real]]]:
    """Coherence, cycles, order and hub of the best starts of each order."""
    most_cycles, highest = limits
    stride = -(-len(points) // _CELLS_TRIED)
    some = np.ascontiguousarray(points[::stride])
    starts: dict[int, list[tuple[float, float, int, _Real]]] = {}
    for cycles in _cycles(most_cycles):
        yield
        phasors = np.ascontiguousarray(_phasors(counted, cell, cycles, len(points))[0][:, ::stride])
        size = np.hypot(phasors[0::2], phasors[1::2])
        scale = float((size.sum(axis=1) ** 2).sum())
        power, best, _ = best_starts(phasors, some, np.zeros(2), hubs, np.zeros((1, 2)), highest)
        for i, order in enumerate(range(-highest, highest + 1)):
            if order and cycles / abs(order) >= _FEWEST_TURNS:
                start = (float(power[i]) / max(scale, 1e-9), cycles, order, hubs[best[i]])
                starts.setdefault(order, []).append(start)
    ranked = (sorted(of_order, key=lambda start: -start[0]) for of_order in starts.values())
    return [start for of_order in ranked for start in of_order[:_REFINED]]


def _cycles(most: float) -> list[float]:
    cycles = [_FEWEST_TURNS]
    while cycles[-1] < most:
        cycles.append(min(cycles[-1] * _CYCLE_RATIO, cycles[-1] + _CYCLE_STEP))
    return cycles


def _is_same(one: _WindingDisc, other: _WindingDisc) -> bool:
    apart = math.dist(one.disc.center, other.disc.center)
    ratio = one.turns / other.turns
    return apart < _SAME_HUB * other.disc.axes[0] and 1 / _SAME_TURNS < ratio < _SAME_TURNS


def _radius(points: _Real, weight: _Real, center: _Real) -> float:
    distance = np.hypot(points[:, 0] - center[0], points[:, 1] - center[1])
    order = np.argsort(distance)
    share = np.cumsum(weight[order]) / weight.sum()
    return float(distance[order][min(int(np.searchsorted(share, _RIM_SHARE)), len(order) - 1)])


def _cell_of_events(counted: CountedEvents, region: Region) -> NDArray[np.int64]:
    """Index of each event's cell in the region, int64 (n,); -1 outside the region."""
    events = counted.events
    rows, columns = region.cells.max(axis=0) + 1
    number = np.full((int(rows), int(columns)), -1, np.int64)
    number[region.cells[:, 0], region.cells[:, 1]] = np.arange(len(region.cells))
    return _lookup(events.x, events.y, region.cell_px, number)


@njit(cache=True, nogil=True)
def _lookup(x, y, cell_px, number):
    cells = np.empty(x.size, np.int64)
    for i in range(x.size):
        row, column = y[i] // cell_px, x[i] // cell_px
        inside = row < number.shape[0] and column < number.shape[1]
        cells[i] = number[row, column] if inside else -1
    return cells


def _phasors(
    counted: CountedEvents, cell: NDArray[np.int64], cycles: float, cells: int
) -> tuple[_Real, float]:
    """Phasors in the form of `phase_vortex`, and the power if all of them wound together."""
    sums = np.zeros((2, cells), np.complex128)
    rad_per_count = 2 * math.pi * cycles / COUNT_SPAN
    events = counted.events
    _add_phasors(cell, events.t, events.polarity, counted.shares, rad_per_count, sums)
    # Square root: strong cells count more, but a few bright ones do not dominate.
    tempered = sums / np.sqrt(np.maximum(np.abs(sums), 1e-9))
    scale = float((np.abs(tempered).sum(axis=1) ** 2).sum())
    off, on = tempered
    return np.stack((off.real, off.imag, on.real, on.imag)), max(scale, 1e-9)


@njit(cache=True, nogil=True)
def _add_phasors(cell, count_times, polarity, shares, rad_per_count, sums):
    for i in range(cell.size):
        if cell[i] >= 0:
            angle = rad_per_count * count_times[i]
            sums[np.int64(polarity[i]), cell[i]] += shares[i] * complex(
                math.cos(angle), -math.sin(angle)
            )
