"""Looking back: the windows of a recording before a rotor was found are measured as well.

Following events as they come, a detector needs some time to find a rotor. Of a recording that time
can be measured too:

- A rotor that has been found is followed back to where it began to turn, see `backward_tracking`;
  once more when the errors of its phase are known, for then its first windows are known better too.
- Where most windows of a short recording stay without a rotor that one can be sure of, the
  recording is looked at as a whole, see `path_search`: that finds discs whose speed changes too
  much to follow, as when a hand spins one that comes to rest within a second.
- Where rotors are sure, the same is done with what moves beside them, see `beside_rotors`.

Measurements are held back for that, for a limited time and number of events.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from evio_ros.ellipse import Ellipse
from evio_ros.errors import EventError
from evio_ros.estimate import Measurement, RotorEstimate
from evio_ros.events import EventWindow
from evio_ros.explanation import Box, Explanation, in_order, with_explanation, without_place
from evio_ros.rotation.detector import RotationDetector
from evio_ros.rotation.looking_back.backward_tracking import BackwardTracking, KnownRotor
from evio_ros.rotation.looking_back.beside_rotors import (
    ENOUGH_SURE,
    SURE,
    SteadyDisc,
    is_active_beside,
    paths_beside,
    steady_discs,
)
from evio_ros.rotation.looking_back.path_estimate import PathEstimates

__all__ = ["add_earlier_windows"]

_HELD_US = 1_000_000
"""For so long at least measurements are held back; a rotor is followed back no further than so
long before it was found."""
_SHORT_US = 80_000_000
"""A recording no longer than this is looked at as a whole, where it has few events."""
_MOST_EVENTS = 10_000_000
"""Of more events than these the oldest are given up."""
_RUN_UPS_US = 300_000, 1_000_000
"""A rotor is followed back from so long after it was found: when its disc is better known, and
when what comes again in every turn is. It may have stopped in between."""
_CLEARLY_BETTER = 0.7
"""An estimate takes the place of another of the same window where its standard deviation is less
than this share of the other's, half the variance; what is hardly better stays as it was live."""
_WATCHED_US, _WATCH_US = 1_000_000, 500_000
"""Whether anything moves beside rotors that are sure is told of so long a past, so often."""
_SAME_SPEED = 0.05
"""Speeds that differ by less than this share are of the same rotor, if its disc is the same."""


def add_earlier_windows(
    measurements: Iterable[Measurement], detector: RotationDetector
) -> Iterator[Measurement]:
    """The same measurements in the same order, with those of earlier windows added.

    Args:
        measurements: what `detector` says of one step after the other, each with its events.
        detector: as it is after the latest measurement.

    Yields:
        Measurements as they were, but with more rotors; those that were added are marked.

    Raises:
        EventError: where a measurement has no events.
    """
    held = _HeldMeasurements(detector)
    for measurement in measurements:
        held.add(measurement)
        yield from held.released()
    held.complete()
    yield from held.rest()


@dataclass(slots=True)
class _Pending:
    """A rotor that is to be followed back.

    Attributes:
        rotor: what is known of it by now.
        found_us: end of the first window in which it was seen.
        run_up: number of the run-up after which it is followed back next.
    """

    rotor: KnownRotor
    found_us: int
    run_up: int = 0

    @property
    def due_us(self) -> int:
        """When it is followed back next, if it is seen until then."""
        return self.found_us + _RUN_UPS_US[self.run_up]


class _HeldMeasurements:
    """Measurements that may still be added to."""

    def __init__(self, detector: RotationDetector) -> None:
        self._detector = detector
        self._window_us = detector.parameters.window_us
        self._backward = BackwardTracking(detector.size, detector.settings)
        self._held: deque[Measurement] = deque()
        self._events = 0
        self._known: set[int] = set()
        # Rotors that are still to be followed back.
        self._pending: dict[int, _Pending] = {}
        # Whether paths are searched for yet: not where events were given up.
        self._searches = True
        # Whether all since the first window is held, and whether anything moves beside the rotors.
        self._is_whole = True
        self._is_active = False
        self._watched_us: int | None = None

    def add(self, measurement: Measurement) -> None:
        """Hold a measurement; rotors that were found some time before are followed back."""
        step = _step_of(measurement)
        if self._held and self._held[-1].t_us != step.start_us:
            self._follow_all_back()
            self._searches = False
        self._held.append(measurement)
        self._events += len(step.events)
        self._note(measurement)
        seen = {rotor.id for rotor in measurement.rotors}
        for identity, pending in list(self._pending.items()):
            is_gone = identity not in seen
            if is_gone or measurement.t_us >= pending.due_us:
                self._follow_back(pending)
                pending.run_up += 1
            if is_gone or pending.run_up == len(_RUN_UPS_US):
                del self._pending[identity]

    def _note(self, measurement: Measurement) -> None:
        """Keep what is known of rotors that are to be followed back."""
        trackers = {tracker.identity: tracker for tracker in self._detector.trackers}
        for rotor in measurement.rotors:
            tracker = trackers.get(rotor.id)
            if tracker is None or (rotor.id in self._known and rotor.id not in self._pending):
                continue
            self._known.add(rotor.id)
            known = KnownRotor.of(rotor, tracker)
            self._pending.setdefault(rotor.id, _Pending(known, rotor.t_us)).rotor = known

    def released(self) -> Iterator[Measurement]:
        """Measurements that are held for long enough."""
        self._watch()
        while self._held:
            held_us = self._held[-1].t_us - self._held[0].t_us
            waits = self._searches and (self._is_whole or self._is_active)
            is_long = held_us > (_SHORT_US if waits else self._usually_held_us)
            if not is_long and self._events <= _MOST_EVENTS:
                return
            if waits or self._events > _MOST_EVENTS:
                self._searches = False
            yield self._next()

    @property
    def _usually_held_us(self) -> int:
        return _HELD_US + (_RUN_UPS_US[-1] if self._pending else 0)

    def _watch(self) -> None:
        """Notice when rotors are sure, and since when nothing moves beside them any more."""
        now_us = self._held[-1].t_us
        if not self._searches:
            return
        if self._is_whole:
            if now_us - self._held[0].t_us <= 2 * _HELD_US or not self._is_sure():
                return
            self._is_whole = False
        if self._watched_us is not None and now_us - self._watched_us < _WATCH_US:
            return
        since_us = self._held[0].t_us if self._watched_us is None else now_us - _WATCHED_US
        recent = [measurement for measurement in self._held if measurement.t_us > since_us]
        was_active, self._is_active = self._is_active, self._is_active_beside(recent)
        self._watched_us = now_us
        if was_active and not self._is_active:
            self._look_beside()

    def rest(self) -> Iterator[Measurement]:
        """All that is left."""
        while self._held:
            yield self._next()

    def complete(self) -> None:
        """Follow back what is left, and search it for paths if need be."""
        self._follow_all_back()
        if not self._searches or not self._held:
            return
        if not self._is_whole or self._is_sure():
            self._look_beside()
            return
        self._look_at(list(self._held))

    def _look_beside(self) -> None:
        """Search what moves beside rotors that are sure."""
        held = list(self._held)
        discs = steady_discs(held, sum(map(self._is_full, held)))
        if discs and is_active_beside(held, discs):
            self._look_at(held, discs)

    def _look_at(self, held: Sequence[Measurement], steady: Sequence[SteadyDisc] = ()) -> None:
        """Search what is held for paths on none of some discs, and add their estimates."""
        paths, explanations = paths_beside(held, steady)
        measured = []
        for path in paths:
            estimates = PathEstimates(path)
            found = [estimates.estimate(m.t_us, self._window_us) for m in self._held]
            confidences = [estimate.confidence for estimate in found if estimate is not None]
            if confidences:
                measured.append(path.ellipse.box)
            # Estimates of what a steady disc leaves at its rim are not sure.
            if not steady or (confidences and float(np.median(confidences)) >= SURE):
                self._number(estimates)
                self._fill_in(estimates, found)
        self._explain(measured, explanations)

    def _next(self) -> Measurement:
        measurement = self._held.popleft()
        self._events -= len(_step_of(measurement).events)
        return measurement

    def _is_sure(self) -> bool:
        """Whether most of the windows that are held have a rotor that is sure."""
        windows = [m for m in self._held if self._is_full(m)]
        sure = sum(any(rotor.confidence >= SURE for rotor in m.rotors) for m in windows)
        return sure >= ENOUGH_SURE * len(windows)

    def _is_active_beside(self, recent: list[Measurement]) -> bool:
        """Whether anything moves beside rotors that were sure of late."""
        discs = steady_discs(recent, sum(map(self._is_full, recent)))
        return bool(discs) and is_active_beside(recent, discs)

    def _is_full(self, measurement: Measurement) -> bool:
        """Whether a measurement's window lies in the events that are held."""
        return measurement.t_us - self._window_us >= _step_of(self._held[0]).start_us

    def _number(self, estimates: PathEstimates) -> None:
        """Give a path its rotor; one that was tracked on its disc keeps number and turns."""
        path = estimates.path
        tracked = [
            rotor
            for measurement in self._held
            for rotor in measurement.rotors
            if _is_same_disc(rotor, path.ellipse)
        ]
        if not tracked:
            estimates.identity = self._detector.new_identity()
            return
        # Spun again after a rest, its turns go on from there.
        before = [rotor for rotor in tracked if rotor.t_us <= path.counted.t_us[0]]
        best = (
            max(before, key=lambda rotor: rotor.t_us)
            if before
            else max(tracked, key=lambda rotor: rotor.confidence)
        )
        since = float(path.phase_at(np.array([best.t_us], np.float64))[0] - path.phase[0])
        estimates.identity = best.id
        estimates.turns = best.turns - since / (2 * math.pi)

    def _follow_all_back(self) -> None:
        for pending in self._pending.values():
            self._follow_back(pending)
        self._pending.clear()

    def _follow_back(self, pending: _Pending) -> None:
        rotor, since_us = pending.rotor, pending.found_us - _HELD_US
        steps = _steps_between(self._held, since_us, rotor.estimate.t_us)
        if not steps:
            return
        places = {measurement.t_us: place for place, measurement in enumerate(self._held)}
        for estimate in self._backward.follow(rotor, steps):
            self._put_if_better(places[estimate.t_us], estimate)

    def _fill_in(self, path: PathEstimates, found: Sequence[RotorEstimate | None]) -> None:
        """Add a path's estimates; those of the detector that belong to the same disc give way.

        Args:
            path: the path, numbered.
            found: its estimate of each window that is held, made before it was numbered.
        """
        for place, (measurement, unnumbered) in enumerate(zip(self._held, found, strict=True)):
            if unnumbered is None:
                self._held[place] = _without_contradicted(measurement, path, self._window_us)
                continue
            if not self._is_full(measurement):
                continue
            turns = path.turns + unnumbered.turns
            estimate = replace(unnumbered, id=path.identity, turns=turns)
            others = [rotor for rotor in measurement.rotors if not _is_same_disc(rotor, estimate)]
            agreeing = [
                rotor
                for rotor in measurement.rotors
                if _is_same_disc(rotor, estimate)
                and abs(rotor.rpm - estimate.rpm) <= _SAME_SPEED * abs(estimate.rpm)
                and rotor.confidence >= estimate.confidence
            ]
            if not agreeing:
                self._put(place, [*others, estimate])

    def _explain(self, found: Iterable[Box], explanations: Iterable[Explanation]) -> None:
        """Have the last measurement say why nothing was found in the other places."""
        known = self._held[-1].explanations
        for explanation in explanations:
            known = tuple(
                old
                for old in known
                if not (old.reason.is_settled_by_looking_back and old.is_at(explanation.box))
            )
            known = with_explanation(known, explanation)
        for box in found:
            known = without_place(known, box)
        self._held[-1] = replace(self._held[-1], explanations=in_order(known))

    def _put_if_better(self, place: int, estimate: RotorEstimate) -> None:
        """Add an estimate of a rotor, in the place of a clearly less certain one of the same."""
        measurement = self._held[place]
        known = [rotor for rotor in measurement.rotors if rotor.id == estimate.id]
        if any(estimate.rpm_std > _CLEARLY_BETTER * rotor.rpm_std for rotor in known):
            return
        others = [rotor for rotor in measurement.rotors if rotor.id != estimate.id]
        self._put(place, [*others, estimate])

    def _put(self, place: int, rotors: list[RotorEstimate]) -> None:
        """Have a measurement tell some rotors, the most confident first."""
        rotors = sorted(rotors, key=lambda rotor: -rotor.confidence)
        self._held[place] = replace(self._held[place], rotors=rotors)


def _step_of(measurement: Measurement) -> EventWindow:
    if measurement.step is None:
        raise EventError(f"the measurement at {measurement.t_us} us has no events to look back on")
    return measurement.step


def _steps_between(held: Iterable[Measurement], start_us: int, end_us: int) -> list[EventWindow]:
    """Steps that end at a time or before, as far as they follow on one another."""
    steps: list[EventWindow] = []
    for step in map(_step_of, reversed(list(held))):
        if step.start_us < start_us:
            break
        if step.end_us == (steps[-1].start_us if steps else end_us):
            steps.append(step)
        elif steps:
            break
    return steps[::-1]


def _without_contradicted(
    measurement: Measurement, path: PathEstimates, window_us: int
) -> Measurement:
    """The measurement without rotors that turn the other way than a path inside its window.

    As a path begins after a lull, nothing turned before: a tracker may take the wrong sense as the
    disc starts.
    """
    if measurement.t_us <= path.start_us or measurement.t_us - window_us >= path.end_us:
        return measurement
    turns, disc = path.path.turns, path.path.ellipse
    rotors = [r for r in measurement.rotors if r.rpm * turns >= 0 or not _is_same_disc(r, disc)]
    return replace(measurement, rotors=rotors)


def _is_same_disc(one: RotorEstimate, other: RotorEstimate | Ellipse) -> bool:
    return math.dist(one.center, other.center) < max(one.axes[0], other.axes[0])
