"""Finding a rotor in a whole short recording, where following events as they come found none."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from evio_ros.cell_counts import activity_grid
from evio_ros.crop import crop
from evio_ros.ellipse import Ellipse, wrapped_tilt
from evio_ros.events import EventBatch, RegionOfInterest
from evio_ros.explanation import Explanation, Reason, Rejection, furthest
from evio_ros.rotation.acquisition.count_time_search import candidates
from evio_ros.rotation.acquisition.regions import Region, RegionParameters, find_regions
from evio_ros.rotation.acquisition.work_units import result_of
from evio_ros.rotation.dead_time import why_too_coarse
from evio_ros.rotation.phase_path.disc_rim import STRONG
from evio_ros.rotation.phase_path.event_count_time import (
    CountedEvents,
    active_spans,
    data_gaps,
    moving_shares,
)
from evio_ros.rotation.phase_path.phase_path import PhasePath, fit_path
from evio_ros.rotation.phase_path.view_shear import ViewShear, view_shear

__all__ = ["find_paths", "may_hold_disc"]

_MOST_EVENTS = 150_000
"""Of a region's events so many are looked at."""
_STRETCHES = 8
_REGIONS = 3
"""Only the stretches of time with most events are searched, and of each the most active regions."""
_VAIN_STRETCHES = 3
"""Where so many hold no rotor, no more are searched."""
_FEWEST_EVENTS = 2_000
"""Fewer events hold no disc that has come round."""
_MARGIN_PX = 4
"""A region's events are those of its box and so many pixels about it."""
_MOST_ON_DISC = 0.5
"""A region of which a larger share lies on a disc is part of it."""
_SAME_RADIUS = 0.5
"""A hub nearer to another's than this, in radii, is that of the same disc."""
_LEAST_CELL_EVENTS = 5
"""So many events make a cell active: what turns gives no more of them in a longer time, and however
many a camera gives, the path through all tells whether they are a rotor's."""
_LEAST_TURNS = 1.05
"""It must have come round, for only that tells turning from moving past."""
_CERTAIN = 0.9
"""Coherence of the winding beyond which no other hub is tried."""
SAME_TURNS, RIVAL = 0.05, 0.9
"""Another number of turns, by more than this share, must foretell less than this share."""
_FLATTENINGS, _ENOUGH_SHEAR = 3, 0.005
"""Maximum number of changes of the shape, and the shear below which there is no further one."""
_OTHER_SENSE = 0.7
"""Turning the other way must explain less than this share of the gain."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A path and the region in which it was found."""

    region: Region
    path: PhasePath

    def is_part_of(self, other: _Found) -> bool:
        """Whether the region lies on the disc of another path, which explains more of the events.

        A part of a disc may look like another that turns about a hub beside it.
        """
        explained, by_other = (
            one.path.foretold * len(one.path.counted) * one.path.counted.stride
            for one in (self, other)
        )
        on_disc = self.region.share_on(other.path.ellipse)
        return on_disc > _MOST_ON_DISC and explained < by_other


def find_paths(
    events: EventBatch, missing: Iterable[range] = (), beside: Sequence[Ellipse] = ()
) -> tuple[list[PhasePath], list[Explanation]]:
    """The rotors of a recording: in each stretch of time in which something moves, and in each
    region that is active then, at most one, and each disc once.

    A hand may spin a disc again after it has come to rest: then there is a path for each time.

    Args:
        events: all of a recording; a rotor makes a few turns in each stretch.
        missing: spans of time whose events are known to be missing.
        beside: discs whose events were left out.

    Returns:
        The rotors in order of time, and why other regions have none.
    """
    found: list[PhasePath] = []
    explanations: list[Explanation] = []
    gaps = data_gaps(events.t, missing)
    spans_us = _active_spans(events, gaps)[:_STRETCHES]
    for number, span_us in enumerate(spans_us):
        if number == _VAIN_STRETCHES and not found:
            break
        paths, reasons = _paths_during(span_us, events, gaps, beside)
        found += [path for path in paths if not any(_is_same(path, one) for one in found)]
        # A stretch with few events says nothing where another says more.
        explanations += [
            reason
            for reason in reasons
            if not (explanations and reason.reason is Reason.FEW_EVENTS)
        ]
    return sorted(found, key=_span_of), explanations


def may_hold_disc(events: EventBatch, stride: int, beside: Sequence[Ellipse]) -> bool:
    """Whether any region has events enough for a disc that turns.

    Args:
        events: of a stretch of time.
        stride: of so many events each is one.
        beside: discs whose events were left out.
    """
    least = _FEWEST_EVENTS / stride
    if len(events) < least:
        return False
    return any(region.events >= least for region in _regions(events, beside, stride))


def _paths_during(
    span_us: tuple[int, int],
    events: EventBatch,
    gaps: NDArray[np.int64],
    beside: Sequence[Ellipse],
) -> tuple[list[PhasePath], list[Explanation]]:
    """As `find_paths`, of what is active during one stretch of time."""
    start_us, end_us = span_us
    busy = events.between(start_us, end_us)
    found: list[_Found] = []
    explanations: list[Explanation] = []
    if len(busy) < _FEWEST_EVENTS:
        return [], explanations
    for region in _regions(busy, beside)[:_REGIONS]:
        if any(region.share_on(other.path.ellipse) > _MOST_ON_DISC for other in found):
            continue
        path = _path_in(region, _inside(events, region), gaps, span_us)
        if isinstance(path, Rejection):
            rate_hz = 1e6 * region.events / max(end_us - start_us, 1)
            explanations.append(Explanation(path, end_us, end_us - start_us, region.box, rate_hz))
        elif not any(_is_same(path, other.path) for other in found):
            new = _Found(region, path)
            found = [other for other in found if not other.is_part_of(new)]
            found.append(new)
    return [one.path for one in found], explanations


def _path_in(
    region: Region, inside: EventBatch, gaps: NDArray[np.int64], span_us: tuple[int, int]
) -> PhasePath | Rejection:
    """The path through a region's events in its own stretch of time about a given one."""
    if len(inside) < _FEWEST_EVENTS:
        return Rejection(Reason.FEW_EVENTS, len(inside), _FEWEST_EVENTS)
    spans_us = _active_spans(inside, gaps)
    own = next((own for own in spans_us if _overlap(own, span_us)), span_us)
    during = inside.between(*own)
    too_coarse = why_too_coarse(during.t)
    if too_coarse is not None:
        return too_coarse
    shares = moving_shares(during) if len(during) else np.zeros(0)
    if shares.sum() < _FEWEST_EVENTS:
        return Rejection(Reason.FEW_EVENTS, round(shares.sum()), _FEWEST_EVENTS)
    return _best_path(CountedEvents.of(during, _MOST_EVENTS, gaps, shares), region)


def _active_spans(events: EventBatch, gaps: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Stretches of time in which something moves."""
    return active_spans(events.t, gaps, moving_shares(events)) if len(events) else []


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _is_same(one: PhasePath, other: PhasePath) -> bool:
    """Whether both are at the same time and the hub of one lies on the other's disc."""
    if not _overlap(_span_of(one), _span_of(other)):
        return False
    discs = one.ellipse, other.ellipse
    apart = min(
        float(discs[0].disc_coordinates(*discs[1].center)[0]),
        float(discs[1].disc_coordinates(*discs[0].center)[0]),
    )
    return apart < _SAME_RADIUS


def _span_of(path: PhasePath) -> tuple[int, int]:
    return int(path.counted.t_us[0]), int(path.counted.t_us[-1])


def _regions(events: EventBatch, beside: Sequence[Ellipse], stride: int = 1) -> list[Region]:
    parameters = RegionParameters()
    grid = activity_grid(events, parameters.cell_px)
    span_us = 1e6 * _LEAST_CELL_EVENTS / (stride * parameters.cell_rate_hz)
    found = find_regions(grid, span_us, parameters, beside)
    if not found and not beside:
        # A disc that fills the view, of which a part saw no edge, stands out from no other cell.
        found = find_regions(np.pad(grid, ((0, 2 * len(grid)), (0, 0))), span_us, parameters)
    return found


def _inside(events: EventBatch, region: Region) -> EventBatch:
    """Events of a region's surroundings."""
    return crop(events, _surroundings(region))


def _surroundings(region: Region) -> RegionOfInterest:
    """A region's bounding box with a margin; it may reach beyond the sensor."""
    y0, x0 = np.maximum(region.cells.min(axis=0) * region.cell_px - _MARGIN_PX, 0).tolist()
    y1, x1 = ((region.cells.max(axis=0) + 1) * region.cell_px + _MARGIN_PX).tolist()
    return RegionOfInterest(x0, y0, x1, y1)


def _best_path(counted: CountedEvents, region: Region) -> PhasePath | Rejection:
    found = result_of(candidates(counted, region))
    if isinstance(found, Rejection):
        return found
    paths: list[PhasePath] = []
    rejections: list[Rejection] = []
    for candidate in found:
        path = _rotor_on(counted, candidate.disc, candidate.turns)
        if isinstance(path, Rejection):
            rejections.append(path)
            continue
        paths.append(path)
        if candidate.order > 1:
            # Of a disc whose hub is at the border one mark may look like several that turn slower.
            single = _rotor_on(counted, candidate.disc, candidate.turns * candidate.order)
            paths += [single] if isinstance(single, PhasePath) else []
        if candidate.coherence >= _CERTAIN:
            break
    if not paths:
        return furthest(rejections)
    best = max(paths, key=lambda path: path.foretold)
    others = [(other.disc, other.turns) for other in found if other.turns * best.turns < 0]
    rejection = _why_ambiguous(paths, best) or _why_either_way(counted, best, others)
    return rejection or _flattened(counted, best, _surroundings(region))


def _rotor_on(counted: CountedEvents, disc: Ellipse, turns: float) -> PhasePath | Rejection:
    """The path of a disc that makes about so many turns; why it is none of a rotor."""
    path = fit_path(counted, disc, turns)
    return path if isinstance(path, Rejection) else _why_no_rotor(path) or path


def _flattened(counted: CountedEvents, path: PhasePath, view: RegionOfInterest) -> PhasePath:
    """The path on a disc of the shape for which the evidence is strong, if there is one."""
    left = _shear_left(path, view)
    if left.log_odds < STRONG:
        return path
    for _ in range(_FLATTENINGS):
        flatter = _rotor_on(counted, _sheared(path.ellipse, left.mean), path.turns)
        if isinstance(flatter, Rejection):
            break
        path, left = flatter, _shear_left(flatter, view)
        if math.hypot(*left.mean) < _ENOUGH_SHEAR:
            break
    return replace(path, shear_doubt=left.doubt)


def _shear_left(path: PhasePath, view: RegionOfInterest) -> ViewShear:
    return view_shear(path, _shear_of(path.ellipse), view)


def _shear_of(ellipse: Ellipse) -> NDArray[np.float64]:
    """How flat an ellipse is and along which axis, (2,); 0 of a circle."""
    strength, double = 0.5 * math.log(ellipse.axes[0] / ellipse.axes[1]), 2 * ellipse.tilt_rad
    return strength * np.array((math.cos(double), math.sin(double)))


def _sheared(ellipse: Ellipse, change: NDArray[np.float64]) -> Ellipse:
    shear = _shear_of(ellipse) + change
    strength = math.hypot(*shear)
    radius = math.sqrt(ellipse.axes[0] * ellipse.axes[1])
    axes = (radius * math.exp(strength), radius * math.exp(-strength))
    tilt = 0.5 * math.atan2(shear[1], shear[0])
    return Ellipse(ellipse.center, axes, wrapped_tilt(tilt))


def _why_ambiguous(paths: list[PhasePath], best: PhasePath) -> Rejection | None:
    """Whether another number of turns explains the events about as well."""
    for path in paths:
        is_other = abs(path.turns / best.turns - 1) > SAME_TURNS
        if is_other and path.foretold > RIVAL * best.foretold:
            return Rejection(Reason.AMBIGUOUS, path.foretold / best.foretold, RIVAL)
    return None


def _why_either_way(
    counted: CountedEvents, path: PhasePath, others: list[tuple[Ellipse, float]]
) -> Rejection | None:
    """Whether a turn in the other sense explains the events about as well."""
    for disc, turns in ((path.ellipse, -path.turns), *others[:1]):
        other = _rotor_on(counted, disc, turns)
        if isinstance(other, Rejection) or other.turns * path.turns > 0:
            continue
        if other.foretold > _OTHER_SENSE * path.foretold:
            return Rejection(Reason.EITHER_WAY, other.foretold / path.foretold, _OTHER_SENSE)
    return None


def _why_no_rotor(path: PhasePath) -> Rejection | None:
    """Why a path is not that of a rotor that has come round; None where it is."""
    rejection = path.why_no_rotor()
    if rejection is None and not abs(path.turns) >= _LEAST_TURNS:
        times_us = path.counted.t_us
        speed_hz = 1e6 * path.turns / max(float(times_us[-1] - times_us[0]), 1.0)
        return Rejection(Reason.NOT_ROUND, abs(path.turns), _LEAST_TURNS, speed_hz=speed_hz)
    return rejection
