"""Motion beside rotors that are measured with confidence: the events outside their discs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.estimate import Measurement, RotorEstimate
from evio_ros.events import EventBatch, SensorSize
from evio_ros.explanation import Explanation
from evio_ros.rotation.acquisition.regions import DISC_REACH
from evio_ros.rotation.looking_back.path_search import find_paths, may_hold_disc
from evio_ros.rotation.phase_path.phase_path import PhasePath

__all__ = ["ENOUGH_SURE", "SURE", "SteadyDisc", "is_active_beside", "paths_beside", "steady_discs"]

SURE = 0.5
"""Minimum confidence of a sure estimate: more likely right than wrong."""
ENOUGH_SURE = 0.7
"""Minimum share of windows in which a rotor must be sure for its disc to be excluded from the
search."""
_SAMPLE_RATE_HZ = 100_000.0
"""Maximum event rate: of more events, every second, third, ... is used to decide whether anything
moves."""
_SAME_DISC = 0.1
"""Maximum shift or growth of a disc, in radii, to count as the same: well within the margin of
`DISC_REACH`."""

_Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SteadyDisc:
    """The disc of a rotor that is sure in most windows.

    Attributes:
        places: int64 (n,), ascending indices of the measurements in which it is sure.
        rotors: its estimates there.
    """

    places: NDArray[np.int64]
    rotors: tuple[RotorEstimate, ...]

    def at(self, place: int) -> Ellipse:
        """The disc in the measurement with a given index, or in the next one that has it."""
        number = min(int(np.searchsorted(self.places, place)), len(self.rotors) - 1)
        return self.rotors[number].ellipse

    @property
    def last(self) -> Ellipse:
        """The latest disc."""
        return self.at(int(self.places[-1]))

    def holds(self, disc: Ellipse) -> bool:
        """Whether another disc has the same hub at any time."""
        return any(
            math.dist(rotor.center, disc.center) < max(rotor.axes[0], disc.axes[0])
            for rotor in self.rotors
        )


def steady_discs(measurements: Sequence[Measurement], windows: int) -> list[SteadyDisc]:
    """Discs of rotors that are sure in most windows.

    Args:
        measurements: in order of time.
        windows: number of those whose window is entirely within the events.
    """
    found: list[dict[int, RotorEstimate]] = []
    of_identity: dict[int, dict[int, RotorEstimate]] = {}
    for place, measurement in enumerate(measurements):
        for rotor in measurement.rotors:
            if rotor.confidence < SURE:
                continue
            if rotor.id not in of_identity:
                # A rotor that was lost and found again has another number.
                before = next((seen for seen in found if _goes_on(seen, rotor)), None)
                if before is None:
                    before = {}
                    found.append(before)
                of_identity[rotor.id] = before
            of_identity[rotor.id][place] = rotor
    return [
        SteadyDisc(np.fromiter(seen, np.int64), tuple(seen.values()))
        for seen in found
        if len(seen) >= ENOUGH_SURE * windows
    ]


def _goes_on(seen: dict[int, RotorEstimate], rotor: RotorEstimate) -> bool:
    """Whether a rotor is at the last known place of another one."""
    last = next(reversed(seen.values()))
    return last.t_us < rotor.t_us and math.dist(last.center, rotor.center) < rotor.axes[0]


def is_active_beside(measurements: Sequence[Measurement], discs: Sequence[SteadyDisc]) -> bool:
    """Whether there is enough motion beside the discs for another rotor, by a sample of the events.

    Args:
        measurements: in order of time, at least one, each with its events.
        discs: of these measurements.
    """
    events = [m.step.events for m in measurements if m.step is not None]
    start_us = measurements[0].t_us
    span_us = max(measurements[-1].t_us - start_us, 1)
    rate_hz = 1e6 * sum(map(len, events)) / span_us
    stride = max(math.ceil(rate_hz / _SAMPLE_RATE_HZ), 1)
    sample = [part.at(np.arange(0, len(part), stride)) for part in events]
    return may_hold_disc(_beside(sample, discs), stride, [disc.last for disc in discs])


def paths_beside(
    measurements: Sequence[Measurement], discs: Sequence[SteadyDisc]
) -> tuple[list[PhasePath], list[Explanation]]:
    """The rotors of a recording that are not on any of the discs, see `path_search`.

    Args:
        measurements: as for `is_active_beside`.
        discs: of these measurements; empty to search the whole view.

    Returns:
        The rotors in order of time, and why other regions have none.
    """
    steps = [m.step for m in measurements if m.step is not None]
    missing = [span for step in steps for span in step.missing]
    events = [step.events for step in steps]
    events_beside = (
        _beside(events, discs) if discs else EventBatch.concatenate(events[0].size, events)
    )
    paths, explanations = find_paths(events_beside, missing, [disc.last for disc in discs])
    beside = [path for path in paths if not any(disc.holds(path.ellipse) for disc in discs)]
    return beside, explanations


def _beside(parts: Sequence[EventBatch], discs: Sequence[SteadyDisc]) -> EventBatch:
    masks = _free_pixels(parts[0].size, len(parts), discs)
    kept = [
        part.at(np.flatnonzero(is_free[part.y, part.x]))
        for part, is_free in zip(parts, masks, strict=True)
    ]
    return EventBatch.concatenate(parts[0].size, kept)


def _free_pixels(size: SensorSize, number: int, discs: Sequence[SteadyDisc]) -> Iterator[_Bools]:
    """For each measurement, which pixels are not on any of the discs, bool (height, width)."""
    drawn: list[Ellipse] = []
    is_free = np.ones((size.height, size.width), np.bool_)
    for place in range(number):
        now = [disc.at(place) for disc in discs]
        if not drawn or not all(map(_is_alike, drawn, now)):
            drawn = now
            is_free = np.ones((size.height, size.width), np.bool_)
            for disc in now:
                _take_out(is_free, disc)
        yield is_free


def _is_alike(one: Ellipse, other: Ellipse) -> bool:
    changes = np.subtract((*one.center, *one.axes), (*other.center, *other.axes))
    return bool(np.abs(changes).max() < _SAME_DISC * one.axes[1])


def _take_out(is_free: _Bools, disc: Ellipse) -> None:
    x0, y0, x1, y1 = disc.scaled(DISC_REACH).box
    x0, y0 = max(x0, 0), max(y0, 0)
    part = is_free[y0 : max(y1, 0), x0 : max(x1, 0)]
    rows, columns = np.ogrid[: part.shape[0], : part.shape[1]]
    part &= disc.disc_coordinates(columns + x0, rows + y0)[0] >= DISC_REACH
