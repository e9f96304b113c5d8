"""Finding a rotor in a whole short recording, where following events as they come found none."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from evio_ros.cell_counts import activity_grid
from evio_ros.ellipse import Ellipse
from evio_ros.events import EventBatch
from evio_ros.rotation.acquisition.regions import Region, RegionParameters, find_regions
from evio_ros.rotation.looking_back.clock_search import candidates
from evio_ros.rotation.looking_back.event_clock import EventClock, active_span
from evio_ros.rotation.looking_back.phase_path import PhasePath, fit_path, shear_left

__all__ = ["find_paths", "is_rotor"]

MOST_EVENTS = 150_000
"""Of a region's events so many are looked at."""
REGIONS = 3
FEWEST_EVENTS = 2_000
MARGIN_PX = 4
DISC_RADIUS, SAME_RADIUS = 1.25, 0.5
"""Of the rim: cells nearer are the disc's, and a hub nearer than this is that of the same disc."""
LONGEST_COUNT_US = 2_000_000
LEAST_TURNS = 1.05
"""It must have come round, for only that tells turning from moving past."""
LEAST_GAIN = 0.4
LEAST_FORETOLD = 0.85
"""Of the gain: what one half of the path foretells of the other."""
LEAST_STIFFNESS = 0.1
"""Of the path over the clock: what does not turn jumps."""
LARGEST_DISAGREEMENT = 0.05
CERTAIN = 0.9
"""Coherence of the winding beyond which no other hub is tried."""
SAME_TURNS, RIVAL = 0.05, 0.9
FLATTENINGS, LEAST_SHEAR, ENOUGH_SHEAR = 3, 0.03, 0.005
"""What is less may come from a contrast that is not the same all round."""
OTHER_SENSE = 0.7
"""Turning the other way must explain less than this share of the gain."""


def find_paths(events: EventBatch) -> list[PhasePath]:
    """The rotors of a recording, at most one in each active region, each disc once.

    Args:
        events: all of a recording of a few turns.
    """
    if len(events) < FEWEST_EVENTS:
        return []
    start_us, end_us = active_span(events.t)
    busy = events.between(start_us, end_us)
    found: list[PhasePath] = []
    for region in _regions(busy, end_us - start_us)[:REGIONS]:
        inside = _inside(events, region)
        if len(inside) < FEWEST_EVENTS or any(_is_part(region, path.ellipse) for path in found):
            continue
        clock = EventClock.of(inside.between(*active_span(inside.t)), MOST_EVENTS)
        path = _best_path(clock, region)
        if path is not None and not any(_is_same(path.ellipse, one.ellipse) for one in found):
            found.append(path)
    return found


def _is_part(region: Region, ellipse: Ellipse) -> bool:
    """Whether most of a region lies on a disc."""
    points = region.cell_centers()
    radius, _ = ellipse.disc_coordinates(points[:, 0], points[:, 1])
    return float((radius < DISC_RADIUS).mean()) > 0.5


def _is_same(one: Ellipse, other: Ellipse) -> bool:
    """Whether a hub lies on the other's disc."""
    apart = min(
        float(one.disc_coordinates(*other.center)[0]), float(other.disc_coordinates(*one.center)[0])
    )
    return apart < SAME_RADIUS


def _regions(events: EventBatch, span_us: int) -> list[Region]:
    parameters = RegionParameters()
    grid = activity_grid(events, parameters.cell_px)
    # What turns slowly gives as many events, but in a longer time.
    span_us = min(span_us, LONGEST_COUNT_US)
    found = find_regions(grid, span_us, parameters)
    if not found:
        # A disc that fills the view stands out from no median: compare with cells beside it.
        found = find_regions(np.pad(grid, ((0, 2 * len(grid)), (0, 0))), span_us, parameters)
    return found


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
    paths: list[PhasePath] = []
    for candidate in found:
        path = fit_path(clock, candidate.disc, candidate.turns)
        if path is None or not is_rotor(path):
            continue
        paths.append(path)
        if candidate.coherence >= CERTAIN:
            break
    if not paths:
        return None
    best = max(paths, key=lambda path: path.foretold)
    others = [(other.disc, other.turns) for other in found if other.turns * best.turns < 0]
    if any(_is_rival(path, best) for path in paths) or _turns_either_way(clock, best, others):
        return None
    return _flattened(clock, best)


def _flattened(clock: EventClock, path: PhasePath) -> PhasePath:
    """The path on a flattened disc, where that explains the events better."""
    least = LEAST_SHEAR
    for _ in range(FLATTENINGS):
        shear = shear_left(path)
        if math.hypot(*shear) < least:
            return path
        flatter = fit_path(clock, _sheared(path.ellipse, shear), path.turns)
        if flatter is None or flatter.foretold < path.foretold:
            return path
        path, least = flatter, ENOUGH_SHEAR
    return path


def _sheared(ellipse: Ellipse, change: NDArray[np.float64]) -> Ellipse:
    strength = 0.5 * math.log(ellipse.axes[0] / ellipse.axes[1])
    double = 2 * ellipse.tilt_rad
    shear = strength * np.array((math.cos(double), math.sin(double))) + change
    strength = math.hypot(*shear)
    radius = math.sqrt(ellipse.axes[0] * ellipse.axes[1])
    axes = (radius * math.exp(strength), radius * math.exp(-strength))
    tilt = 0.5 * math.atan2(shear[1], shear[0])
    return Ellipse(ellipse.center, axes, (tilt + math.pi / 2) % math.pi - math.pi / 2)


def _is_rival(path: PhasePath, best: PhasePath) -> bool:
    """Whether another number of turns explains the events about as well."""
    is_other = abs(path.turns / best.turns - 1) > SAME_TURNS
    return is_other and path.foretold > RIVAL * best.foretold


def _turns_either_way(
    clock: EventClock, path: PhasePath, others: list[tuple[Ellipse, float]]
) -> bool:
    """Whether a turn in the other sense explains the events about as well."""
    for disc, turns in ((path.ellipse, -path.turns), *others[:1]):
        other = fit_path(clock, disc, turns)
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
