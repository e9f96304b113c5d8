"""Finding a rotor in a whole short recording, where following events as they come found none."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from evio_ros.cell_counts import activity_grid
from evio_ros.events import EventBatch
from evio_ros.rotation.acquisition.regions import Region, RegionParameters, find_regions
from evio_ros.rotation.looking_back.clock_search import ClockCandidate, candidates
from evio_ros.rotation.looking_back.event_clock import EventClock, active_span
from evio_ros.rotation.looking_back.phase_path import PhasePath, fit_path

__all__ = ["find_paths", "is_rotor"]

MOST_EVENTS = 150_000
"""Of a region's events so many are looked at."""
REGIONS = 3
FEWEST_EVENTS = 2_000
MARGIN_PX = 4
LEAST_TURNS = 1.05
"""It must have come round, for only that tells turning from moving past."""
LEAST_GAIN = 0.4
LEAST_FORETOLD = 0.85
"""Of the gain: what one half of the path foretells of the other."""
LEAST_STIFFNESS = 1.0
LARGEST_DISAGREEMENT = 0.05
OTHER_SENSE = 0.7
"""Turning the other way must explain less than this share of the gain."""


def find_paths(events: EventBatch) -> list[PhasePath]:
    """The rotors of a recording, at most one in each active region.

    Args:
        events: all of a recording of a few turns.
    """
    if len(events) < FEWEST_EVENTS:
        return []
    start_us, end_us = active_span(events.t)
    busy = events.between(start_us, end_us)
    found = []
    for region in _regions(busy, end_us - start_us)[:REGIONS]:
        inside = _inside(events, region)
        if len(inside) < FEWEST_EVENTS:
            continue
        clock = EventClock.of(inside.between(*active_span(inside.t)), MOST_EVENTS)
        path = _best_path(clock, region)
        if path is not None:
            found.append(path)
    return found


def _regions(events: EventBatch, span_us: int) -> list[Region]:
    parameters = RegionParameters()
    grid = activity_grid(events, parameters.cell_px)
    # A disc that fills the view is busier nowhere than at its median cell.
    return find_regions(grid, span_us, parameters) or find_regions(
        grid, span_us, replace(parameters, contrast=1.0)
    )


def _inside(events: EventBatch, region: Region) -> EventBatch:
    """Events of a region's bounding box with a margin."""
    low = region.cells.min(axis=0) * region.cell_px - MARGIN_PX
    high = (region.cells.max(axis=0) + 1) * region.cell_px + MARGIN_PX
    x, y = events.x.astype(np.int64), events.y.astype(np.int64)
    inside = (y >= low[0]) & (y < high[0]) & (x >= low[1]) & (x < high[1])
    columns = (column[inside] for column in (events.t, events.x, events.y, events.polarity))
    return EventBatch.trusted(events.size, *columns)


def _best_path(clock: EventClock, region: Region) -> PhasePath | None:
    found = candidates(clock, region)
    for candidate in found:
        path = fit_path(clock, candidate)
        if path is not None and is_rotor(path):
            others = [other for other in found if other.turns * path.turns < 0]
            return None if _turns_either_way(clock, path, others) else path
    return None


def _turns_either_way(clock: EventClock, path: PhasePath, others: list[ClockCandidate]) -> bool:
    """Whether a turn in the other sense explains the events about as well."""
    radius = math.sqrt(path.ellipse.axes[0] * path.ellipse.axes[1])
    same_hub = ClockCandidate(path.ellipse.center, radius, -path.turns, 1, 0.0)
    for candidate in (same_hub, *others[:1]):
        other = fit_path(clock, candidate)
        if other is None or other.turns * path.turns > 0 or not is_rotor(other):
            continue
        if other.foretold > OTHER_SENSE * path.foretold:
            return True
    return False


def is_rotor(path: PhasePath) -> bool:
    """Whether a path is that of a rotor, and not a way to describe some other motion."""
    return (
        abs(path.turns) >= LEAST_TURNS
        and path.gain >= LEAST_GAIN
        and path.foretold >= LEAST_FORETOLD * path.gain
        and path.smooth.stiffness >= LEAST_STIFFNESS
        and float(np.median(path.disagreement)) <= LARGEST_DISAGREEMENT
    )
