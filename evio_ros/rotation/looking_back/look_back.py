"""Looking back: the windows of a recording before a rotor was found are measured as well.

A detector that processes events as they arrive needs some time to find a rotor. In a recording,
that time can be measured too:

- A rotor that has been found is tracked backwards to where it began to turn, see
  `backward_tracking`; and again once the errors of its phase are known, which improves its first
  windows.
- If most windows of a short recording have no sure rotor, the recording is searched as a whole, see
  `path_search`. This finds discs whose speed changes too much to be tracked, such as one that is
  spun by hand and comes to rest within a second.
- If rotors are sure, the same is done with the motion beside them, see `beside_rotors`.

For this, measurements are held back, for a limited time and number of events.
"""

from __future__ import annotations

import math
from collections import Counter, deque
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
"""Minimum time for which measurements are held back; a rotor is tracked back at most that far
before the moment at which it was found."""
_SHORT_US = 80_000_000
"""Maximum length of a recording that is searched as a whole, if it has few events."""
_MOST_EVENTS = 10_000_000
"""Maximum number of events held; of more, the oldest are dropped."""
_RUN_UPS_US = 300_000, 1_000_000
"""Times after a rotor was found at which it is tracked backwards: when its disc is better known,
and when its cyclic errors are. It may have stopped in between."""
_CLEARLY_BETTER = 0.7
"""An estimate replaces another one of the same window if its standard deviation is less than this
share of the other's, which is half the variance; otherwise the live estimate is kept."""
_WATCHED_US, _WATCH_US = 1_000_000, 500_000
"""Length of the past in which motion beside sure rotors is detected, and time between two
checks."""
_SAME_SPEED = 0.05
"""Maximum relative difference of speeds of the same rotor, if its disc is the same."""


def add_earlier_windows(
    measurements: Iterable[Measurement], detector: RotationDetector
) -> Iterator[Measurement]:
    """Yield the same measurements in the same order, with those of earlier windows added.

    Args:
        measurements: those of `detector`, one per step, each with its events.
        detector: its state is that after the latest measurement.

    Yields:
        The measurements, possibly with more rotors; those that were added are marked.

    Raises:
        EventError: if a measurement has no events.
    """
    held = _HeldMeasurements(detector)
    for measurement in measurements:
        held.add(measurement)
        yield from held.released()
    held.complete()
    yield from held.remaining()


@dataclass(slots=True)
class _Pending:
    """A rotor that is to be tracked backwards.

    Attributes:
        rotor: its latest state.
        found_us: end of the first window in which it was seen, sensor time in µs.
        run_up: index of the run-up after which it is tracked backwards next.
    """

    rotor: KnownRotor
    found_us: int
    run_up: int = 0

    @property
    def due_us(self) -> int:
        """When it is tracked backwards next, if it is seen until then; sensor time in µs."""
        return self.found_us + _RUN_UPS_US[self.run_up]


class _HeldMeasurements:
    """Measurements to which rotors may still be added."""

    def __init__(self, detector: RotationDetector) -> None:
        self._detector = detector
        self._window_us = detector.parameters.window_us
        self._backward = BackwardTracking(detector.size, detector.settings)
        self._held: deque[Measurement] = deque()
        self._events = 0
        self._known: set[int] = set()
        # Rotors that are still to be tracked backwards.
        self._pending: dict[int, _Pending] = {}
        # Whether paths are still searched; no longer if events were dropped.
        self._searches = True
        # Whether everything since the first window is held, and whether anything moves beside the
        # rotors.
        self._is_whole = True
        self._is_active = False
        self._watched_us: int | None = None

    def add(self, measurement: Measurement) -> None:
        """Hold a measurement; rotors that were found some time before are tracked backwards."""
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
        """Keep the state of rotors that are to be tracked backwards."""
        trackers = {tracker.identity: tracker for tracker in self._detector.trackers}
        for rotor in measurement.rotors:
            tracker = trackers.get(rotor.id)
            if tracker is None or (rotor.id in self._known and rotor.id not in self._pending):
                continue
            self._known.add(rotor.id)
            known = KnownRotor.of(rotor, tracker)
            self._pending.setdefault(rotor.id, _Pending(known, rotor.t_us)).rotor = known

    def released(self) -> Iterator[Measurement]:
        """Measurements that have been held long enough."""
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
        """Notice when rotors are sure, and since when nothing moves beside them."""
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
            self._search_beside()

    def remaining(self) -> Iterator[Measurement]:
        """All remaining measurements."""
        while self._held:
            yield self._next()

    def complete(self) -> None:
        """Track the remaining rotors backwards, and search for paths if necessary."""
        self._follow_all_back()
        if not self._searches or not self._held:
            return
        if not self._is_whole or self._is_sure():
            self._search_beside()
            return
        self._search_held(list(self._held))

    def _search_beside(self) -> None:
        """Search the motion beside sure rotors."""
        held = list(self._held)
        discs = steady_discs(held, sum(map(self._is_full, held)))
        if discs and is_active_beside(held, discs):
            self._search_held(held, discs)

    def _search_held(self, held: Sequence[Measurement], steady: Sequence[SteadyDisc] = ()) -> None:
        """Search the held measurements for paths outside the discs, and add their estimates."""
        paths, explanations = paths_beside(held, steady)
        measured = []
        for path in paths:
            estimates = PathEstimates(path)
            found = [estimates.estimate(m.t_us, self._window_us) for m in self._held]
            confidences = [estimate.confidence for estimate in found if estimate is not None]
            if confidences:
                measured.append(path.ellipse.box)
            # Estimates from the rest of a steady disc at its rim are not sure.
            if not steady or (confidences and float(np.median(confidences)) >= SURE):
                self._number(estimates)
                self._fill_in(estimates, found)
        self._explain(measured, explanations)

    def _next(self) -> Measurement:
        measurement = self._held.popleft()
        self._events -= len(_step_of(measurement).events)
        return measurement

    def _is_sure(self) -> bool:
        """Whether most of the held windows have a sure rotor."""
        windows = [m for m in self._held if self._is_full(m)]
        sure = sum(any(rotor.confidence >= SURE for rotor in m.rotors) for m in windows)
        return sure >= ENOUGH_SURE * len(windows)

    def _is_active_beside(self, recent: list[Measurement]) -> bool:
        """Whether anything moves beside rotors that were sure recently."""
        discs = steady_discs(recent, sum(map(self._is_full, recent)))
        return bool(discs) and is_active_beside(recent, discs)

    def _is_full(self, measurement: Measurement) -> bool:
        """Whether a measurement's window is entirely within the held events."""
        return measurement.t_us - self._window_us >= _step_of(self._held[0]).start_us

    def _number(self, estimates: PathEstimates) -> None:
        """Assign a rotor to a path; one that was tracked on its disc keeps number and turns."""
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
        # If it was spun again after a rest, its turns continue from there.
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
        """Add a path's estimates; they replace those of the detector on the same disc.

        Args:
            path: the path, with its number.
            found: its estimate of each held window, made before the path was numbered.
        """
        wrong = _contradicted(zip(self._held, found, strict=True))
        for place, (measurement, unnumbered) in enumerate(zip(self._held, found, strict=True)):
            if unnumbered is None:
                self._held[place] = _without_contradicted(measurement, path, self._window_us, wrong)
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
                and _is_same_speed(rotor, estimate)
                and rotor.confidence >= estimate.confidence
            ]
            if not agreeing:
                self._put(place, [*others, estimate])

    def _explain(self, found: Iterable[Box], explanations: Iterable[Explanation]) -> None:
        """Add explanations for the other places to the last measurement."""
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
        """Add an estimate of a rotor, or replace a clearly less certain one of the same rotor."""
        measurement = self._held[place]
        known = [rotor for rotor in measurement.rotors if rotor.id == estimate.id]
        if any(estimate.rpm_std > _CLEARLY_BETTER * rotor.rpm_std for rotor in known):
            return
        others = [rotor for rotor in measurement.rotors if rotor.id != estimate.id]
        self._put(place, [*others, estimate])

    def _put(self, place: int, rotors: list[RotorEstimate]) -> None:
        """Set the rotors of a measurement, the most confident first."""
        rotors = sorted(rotors, key=lambda rotor: -rotor.confidence)
        self._held[place] = replace(self._held[place], rotors=rotors)


def _step_of(measurement: Measurement) -> EventWindow:
    if measurement.step is None:
        raise EventError(f"the measurement at {measurement.t_us} us has no events to look back on")
    return measurement.step


def _steps_between(held: Iterable[Measurement], start_us: int, end_us: int) -> list[EventWindow]:
    """Steps that end at a time or before, as far as they are consecutive."""
    steps: list[EventWindow] = []
    for step in map(_step_of, reversed(list(held))):
        if step.start_us < start_us:
            break
        if step.end_us == (steps[-1].start_us if steps else end_us):
            steps.append(step)
        elif steps:
            break
    return steps[::-1]


def _contradicted(windows: Iterable[tuple[Measurement, RotorEstimate | None]]) -> set[int]:
    """Numbers of rotors on a path's disc that have other speeds than the path in most windows.

    Args:
        windows: measurements, each with the path's estimate of the window if it covers it.
    """
    balance: Counter[int] = Counter()
    for measurement, estimate in windows:
        if estimate is None:
            continue
        for rotor in measurement.rotors:
            if _is_same_disc(rotor, estimate):
                balance[rotor.id] += 1 if _is_same_speed(rotor, estimate) else -1
    return {number for number, agreeing in balance.items() if agreeing < 0}


def _without_contradicted(
    measurement: Measurement, path: PathEstimates, window_us: int, wrong: set[int]
) -> Measurement:
    """The measurement without rotors that the path within its window contradicts.

    They turn in the opposite sense, as a tracker may assume the wrong one when the disc starts; or
    they have other speeds than the path in the windows that it covers.
    """
    if measurement.t_us <= path.start_us or measurement.t_us - window_us >= path.end_us:
        return measurement
    turns, disc = path.path.turns, path.path.ellipse
    rotors = [
        rotor
        for rotor in measurement.rotors
        if not _is_same_disc(rotor, disc) or (rotor.rpm * turns >= 0 and rotor.id not in wrong)
    ]
    return replace(measurement, rotors=rotors)


def _is_same_speed(one: RotorEstimate, other: RotorEstimate) -> bool:
    return abs(one.rpm - other.rpm) <= _SAME_SPEED * abs(other.rpm)


def _is_same_disc(one: RotorEstimate, other: RotorEstimate | Ellipse) -> bool:
    return math.dist(one.center, other.center) < max(one.axes[0], other.axes[0])
