"""Verification: tracking a candidate through the past decides whether it is a rotor.

It is tracked twice: the second pass starts with the disc, template and motion learned in the first.
A candidate that gains evidence from slice to slice is a rotor; a disc that spans two rotors, or
lies beside one, fails to explain its events (`tracking.lock_detector`).

Under flickering light, a rotor also seems to turn at other speeds, as under a stroboscope: those at
which the blade-pass frequency differs by a multiple of the flicker frequency. The rotor's own speed
is the one at which the events of a time span gain the most evidence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from evio_ros.events import EventBatch, SensorSize
from evio_ros.explanation import Reason, Rejection, furthest
from evio_ros.rotation.acquisition.path_lock import lock_along_path
from evio_ros.rotation.acquisition.pull_in import pull_in
from evio_ros.rotation.acquisition.region_events import RegionEvents, SearchWindow
from evio_ros.rotation.acquisition.winding import RotorCandidate
from evio_ros.rotation.acquisition.work_units import Work
from evio_ros.rotation.detector_parameters import DetectorSettings
from evio_ros.rotation.tracking.phase_filter import Motion
from evio_ros.rotation.tracking.rotor_tracker import RotorTracker
from evio_ros.rotation.tracking.template import Template
from evio_ros.rotation.tracking.tracker_bank import TrackerBank

__all__ = ["Verifier", "is_surely_rotor"]

_LEAST_TURNS = 0.9
"""Minimum number of turns along a path: with fewer, it may as well be something that moves past."""
_SURE = 0.9
"""Minimum probability at which a candidate tracked along its path is accepted as a rotor."""
_MOST_FLICKERS = 3
"""Maximum difference of the blade-pass frequency from the observed one, in multiples of the flicker
frequency."""
_SLICES_A_UNIT = 3
"""Number of slices of a tracker in one work unit, a millisecond."""


@dataclass(frozen=True, slots=True)
class _Verified:
    """A tracker of a candidate that turns.

    Attributes:
        tracker: it has processed the window.
        gain_per_us: log likelihood that it gains per microsecond.
        rejection: why it is not a rotor nevertheless; None if it is one.
    """

    tracker: RotorTracker
    gain_per_us: float
    rejection: Rejection | None


def is_surely_rotor(tracker: RotorTracker) -> bool:
    """Whether a rotor is seen; its speed may be uncertain if it changes all the time."""
    return tracker.why_not_seen() is None and tracker.probability > _SURE


def _with_speed(rejection: Rejection, candidate: RotorCandidate) -> Rejection:
    """A rejection with a speed: its own or the candidate's."""
    if math.isnan(rejection.speed_hz):
        return replace(rejection, speed_hz=candidate.frequency_hz)
    return rejection


class Verifier:
    """Tracks one candidate at a time, through events that belong to no other rotor.

    Args:
        size: geometry of the sensor.
        settings: slices and window, cells, rings and agility.

    Attributes:
        is_promising: set if something turns, but more events must be seen.
    """

    def __init__(self, size: SensorSize, settings: DetectorSettings) -> None:
        self.is_promising = False
        self._acquisition, self._tracking = settings.acquisition, settings.tracking
        self._bank = TrackerBank(
            size,
            1,
            settings.regions.cell_px,
            settings.detector.window_us,
            settings.tracking,
        )
        # Filled by the bank, not used here.
        self._unassigned = np.zeros(self._bank.grid_shape, np.int32)

    def verify(
        self, candidate: RotorCandidate, events: RegionEvents, by_path: bool = False
    ) -> Work[RotorTracker | Rejection]:
        """Verify a candidate: its tracker at the end of the events, or why it is not a rotor.

        A candidate whose speed is not constant is tracked along the path of its phase, which also
        corrects the hub.

        Args:
            candidate: a possible rotor.
            events: in which it was seen.
            by_path: whether its hub is too uncertain for tracking other than along a path.
        """
        steady: RotorTracker | Rejection = Rejection(Reason.CUT_OFF, 0.0)
        if not by_path:
            steady = yield from self._verify_under_flicker(candidate, events)
        if not isinstance(steady, Rejection):
            return steady
        along = yield from self._verify_path(candidate, events)
        if not isinstance(along, Rejection):
            return along or _with_speed(steady, candidate)
        return _with_speed(furthest((along, steady)), candidate)

    def _verify_path(
        self, candidate: RotorCandidate, events: RegionEvents
    ) -> Work[RotorTracker | Rejection | None]:
        """The same as `verify` along a path; None if there is no path."""
        lock = yield from lock_along_path(events, candidate, self._tracking)
        if lock is None or isinstance(lock, Rejection):
            return lock
        if abs(lock.turns) < _LEAST_TURNS:
            self.is_promising = True
            turns = abs(lock.turns)
            return Rejection(Reason.NOT_ROUND, turns, _LEAST_TURNS, speed_hz=lock.frequency_hz)
        if lock.rejection is not None:
            self.is_promising = True
            return lock.rejection
        candidate = replace(candidate, ellipse=lock.ellipse, frequency_hz=lock.frequency_hz)
        if lock.is_even:
            steady = yield from self._verify_under_flicker(candidate, events)
            if not isinstance(steady, Rejection):
                return steady
        tracker = yield from self.track(lock.window, candidate, lock.template, lock.motion)
        if is_surely_rotor(tracker):
            return tracker
        self.is_promising = True
        return tracker.why_not_credible()

    def _verify_under_flicker(
        self, candidate: RotorCandidate, events: RegionEvents
    ) -> Work[RotorTracker | Rejection]:
        """The same as `_verify_steady`, at the likeliest of speeds that look alike in flicker."""
        best = yield from self._verify_steady(candidate, events)
        if isinstance(best, Rejection):
            return best
        if best.rejection is not None:
            return best.rejection
        for frequency_hz in self._seen_alike(candidate):
            other = yield from self._verify_steady(
                replace(candidate, frequency_hz=frequency_hz), events
            )
            if not isinstance(other, Rejection) and other.gain_per_us > best.gain_per_us:
                best = other
        if best.rejection is not None:
            return best.rejection
        # Later slices are for this candidate, not for the previous one.
        self._bank.clear()
        self._bank.add(best.tracker)
        return best.tracker

    def _seen_alike(self, candidate: RotorCandidate) -> list[float]:
        """Speeds, turns per second, that look like a candidate's under flickering light."""
        if not candidate.flicker_hz:
            return []
        order, passes_hz = candidate.order, candidate.frequency_hz * candidate.order
        flickers = (n for n in range(-_MOST_FLICKERS, _MOST_FLICKERS + 1) if n)
        alike = (passes_hz + n * candidate.flicker_hz for n in flickers)
        return [hz / order for hz in alike if abs(hz) >= self._acquisition.minimum_hz]

    def _verify_steady(
        self, candidate: RotorCandidate, events: RegionEvents
    ) -> Work[_Verified | Rejection]:
        lock = yield from pull_in(events, candidate, self._tracking)
        if isinstance(lock, Rejection):
            return lock
        first = yield from self.track(lock.window, candidate, lock.template, lock.motion)
        rejection = first.why_not_seen()
        if rejection is not None:
            return rejection
        ellipse, template, motion = first.extrapolated_to(lock.window.start_us)
        candidate = replace(candidate, ellipse=ellipse)
        tracker = yield from self.track(lock.window, candidate, template, motion, first)
        gain_per_us = tracker.gain / lock.window.span_us
        return _Verified(tracker, gain_per_us, tracker.why_not_credible())

    def track(
        self,
        window: SearchWindow,
        candidate: RotorCandidate,
        template: Template,
        motion: Motion,
        before: RotorTracker | None = None,
    ) -> Work[RotorTracker]:
        """A new tracker that has processed all slices of a window.

        Args:
            window: the events.
            candidate: gives the disc to track.
            template: initial template.
            motion: at the start of the window.
            before: tracker that has learned the errors of the slices; None for none.
        """
        self._bank.clear()
        tracker = self._bank.tracker_of(candidate.ellipse, template, motion)
        if before is not None:
            tracker.start_with(before.learned_errors())
        self._bank.add(tracker)
        for number, times_us in enumerate(window.slices, start=1):
            live, share = window.live[number - 1], window.shares[number - 1]
            is_last = number == len(window.slices)
            self._bank.follow(window.events, times_us, is_last, self._unassigned, live, share)
            if number % _SLICES_A_UNIT == 0:
                yield
        return tracker

    def extend(
        self, events: EventBatch, times_us: range, live: float = 1.0, share: float = 1.0
    ) -> None:
        """Update the latest tracker with one more slice.

        Args:
            events: the slice's events.
            times_us: its start and end.
            live: share of it with data.
            share: share of its events that was taken.
        """
        self._bank.follow(events, times_us, True, self._unassigned, live, share)
