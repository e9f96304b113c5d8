"""Backward tracking: the same tracker follows a rotor in events with reversed time.

In reversed time s from T on, a rotor with phase phi(T - s) turns at -omega, and an edge that made a
pixel brighter makes it darker. So events with time T - 1 - t and the opposite polarity are those of
the reversed motion, and the tracker starts from phase, template, disc and their variances at T.
Nothing is extrapolated: tracking stops where the rotor is not seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from evio_ros.crop import crop
from evio_ros.ellipse import Ellipse
from evio_ros.estimate import RotorEstimate
from evio_ros.events import EventBatch, EventWindow, RegionOfInterest, SensorSize
from evio_ros.rotation.dead_time import DeadTime
from evio_ros.rotation.detector_parameters import DetectorSettings
from evio_ros.rotation.tracking.phase_filter import Motion
from evio_ros.rotation.tracking.rotor_tracker import LearnedErrors, RotorTracker
from evio_ros.rotation.tracking.template import Template
from evio_ros.rotation.tracking.tracker_bank import TrackerBank

__all__ = ["BackwardTracking", "KnownRotor"]

_RAD_PER_RPM_US = 2 * math.pi / 60e6
_BOX_RADII = 2.0
"""Distance from the hub, in radii, within which events are kept: the disc may have come from
there."""


@dataclass(frozen=True, slots=True)
class KnownRotor:
    """State of a rotor at a time.

    Attributes:
        estimate: of the window that ends then.
        ellipse, template, motion: its disc, template and motion.
        errors: observed errors of its phase.
    """

    estimate: RotorEstimate
    ellipse: Ellipse
    template: Template
    motion: Motion
    errors: LearnedErrors

    @classmethod
    def of(cls, estimate: RotorEstimate, tracker: RotorTracker) -> KnownRotor:
        """State of its tracker at the end of the estimate's window."""
        return cls(estimate, *tracker.extrapolated_to(estimate.t_us), tracker.learned_errors())


class BackwardTracking:
    """Tracks single rotors backwards through events.

    Args:
        size: geometry of the sensor.
        settings: of the detector that found the rotors.
    """

    def __init__(self, size: SensorSize, settings: DetectorSettings) -> None:
        p = settings.detector
        self._window_us = p.window_us
        self._slice_lengths_us = p.slice_lengths_us[::-1]
        self._bank = TrackerBank(size, 1, settings.regions.cell_px, p.window_us, settings.tracking)
        # Filled by the bank, not used here.
        self._unassigned = np.zeros(self._bank.grid_shape, np.int32)

    def follow(self, rotor: KnownRotor, steps: Sequence[EventWindow]) -> Iterator[RotorEstimate]:
        """Estimates of the previous windows, latest first, as long as the rotor is seen turning.

        Args:
            rotor: its state at the end of the last step.
            steps: consecutive steps up to then.
        """
        end_us, step_us = steps[-1].end_us, steps[-1].length_us
        events = _reversed(steps, rotor.ellipse.center, _BOX_RADII * rotor.ellipse.axes[0])
        tracker = self._begin(rotor)
        live = self._live_shares(steps)
        # Estimates in reversed time, by their sensor time.
        made: dict[int, RotorEstimate] = {}
        for back_us in range(step_us, end_us - steps[0].start_us + 1, step_us):
            self._take_step(tracker, events, live)
            if tracker.stopped or tracker.unseen_us > 0:
                return
            estimate = tracker.estimate()
            if estimate is None or not tracker.is_credible():
                continue
            at_us = end_us - back_us
            made[at_us] = estimate
            at_end = made.get(at_us + self._window_us, estimate)
            if back_us > self._window_us and estimate.window_us == self._window_us:
                turned = estimate.rpm * _RAD_PER_RPM_US * self._window_us
                since = tracker.expected_motion(step_us)[0] - turned - rotor.motion.state[0]
                yield _forwards(estimate, at_end, rotor.estimate, turned, since)

    def _begin(self, rotor: KnownRotor) -> RotorTracker:
        """A tracker that starts from the given state at reversed time 0."""
        phase, speed, acceleration = rotor.motion.state
        motion = Motion(0, (phase, -speed, acceleration), rotor.motion.deviations)
        self._bank.clear()
        tracker = self._bank.tracker_of(rotor.ellipse, rotor.template, motion)
        tracker.start_with(rotor.errors)
        self._bank.add(tracker)
        return tracker

    def _live_shares(self, steps: Sequence[EventWindow]) -> list[float]:
        """Share of each slice with data, in order of time."""
        dead_time = DeadTime()
        shares = []
        for step in steps:
            start_us = step.start_us
            for length_us in reversed(self._slice_lengths_us):
                shares.append(dead_time.mark(step.part(start_us, length_us)).live)
                start_us += length_us
        return shares

    def _take_step(self, tracker: RotorTracker, events: EventBatch, live: list[float]) -> None:
        """Process a step, and remove the live shares of its slices from the end of the list."""
        last = len(self._slice_lengths_us) - 1
        for index, length_us in enumerate(self._slice_lengths_us):
            times_us = range(tracker.t_us, tracker.t_us + length_us)
            self._bank.follow(events, times_us, index == last, self._unassigned, live.pop())


def _forwards(
    estimate: RotorEstimate,
    at_end: RotorEstimate,
    known: RotorEstimate,
    turned: float,
    since: float,
) -> RotorEstimate:
    """Convert an estimate in reversed time to one of the same window in forward time.

    Args:
        estimate: in reversed time, in which the window ends at its real start.
        at_end: estimate at the window's start in reversed time, for the disc at its real end; the
            same one if the disc was not yet seen well there.
        known: state from which the rotor was tracked backwards.
        turned: angle by which it turns in the window, in reversed time, rad.
        since: angle of the rotor at the window's real end minus that of `known`, rad.
    """
    std = estimate.rpm_std * _RAD_PER_RPM_US * estimate.window_us
    return replace(
        estimate,
        id=known.id,
        t_us=known.t_us - estimate.t_us + estimate.window_us,
        rpm=-estimate.rpm,
        angle_rad=(estimate.angle_rad - turned) % (2 * math.pi),
        angle_std_rad=math.hypot(estimate.angle_std_rad, std),
        turns=known.turns + since / (2 * math.pi),
        center=at_end.center,
        axes=at_end.axes,
        tilt_rad=at_end.tilt_rad,
        velocity=(-at_end.velocity[0], -at_end.velocity[1]),
        center_std=at_end.center_std,
        looked_back=True,
    )


def _reversed(
    steps: Sequence[EventWindow], center: tuple[float, float], reach_px: float
) -> EventBatch:
    """Events near a hub in reversed time from 0, the end of the last step."""
    end_us = steps[-1].end_us
    x0, y0 = (max(math.floor(middle - reach_px) + 1, 0) for middle in center)
    x1, y1 = (max(math.ceil(middle + reach_px), 1) for middle in center)
    region = RegionOfInterest(x0, y0, x1, y1)
    parts = [crop(step.events, region) for step in steps]
    events = EventBatch.concatenate(steps[0].events.size, parts)
    return EventBatch.trusted(
        events.size,
        np.ascontiguousarray(end_us - 1 - events.t[::-1]),
        np.ascontiguousarray(events.x[::-1]),
        np.ascontiguousarray(events.y[::-1]),
        np.ascontiguousarray(~events.polarity[::-1]),
    )
