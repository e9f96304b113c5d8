"""Following a rotor back in time: the same tracker, on the film run backwards.

Seen backwards, from the time T on, a rotor at phase phi(T - s) turns with -omega, and an edge that
made a pixel brighter makes it darker. So events with time T - 1 - t and the opposite polarity are
what a camera would give of the reversed motion, and phase, template, disc and their variances as
they are known at T are where the tracker goes on from. Nothing is extrapolated: it stops where the
rotor is not seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from evio_ros.ellipse import Ellipse
from evio_ros.estimate import RotorEstimate
from evio_ros.events import EventBatch, EventWindow
from evio_ros.rotation.acquisition.verification import CandidateFollower
from evio_ros.rotation.acquisition.work_units import all_at_once
from evio_ros.rotation.tracking.rotor_motion import Motion
from evio_ros.rotation.tracking.rotor_tracker import RotorTracker
from evio_ros.rotation.tracking.template import Template

__all__ = ["KnownRotor", "follow_back"]

RAD_PER_RPM_US = 2 * math.pi / 60e6
BOX_RADII = 2.0
"""Events so far from the hub are kept: the disc may have come from there."""


@dataclass(frozen=True, slots=True)
class KnownRotor:
    """What is known of a rotor at a time.

    Attributes:
        estimate: of the window that ends then.
        ellipse, template, motion: its disc, looks and motion.
    """

    estimate: RotorEstimate
    ellipse: Ellipse
    template: Template
    motion: Motion

    @classmethod
    def of(cls, estimate: RotorEstimate, tracker: RotorTracker) -> KnownRotor:
        """What its tracker knows at the end of the estimate's window."""
        return cls(estimate, *tracker.retraced(estimate.t_us))


def follow_back(
    rotor: KnownRotor, steps: Sequence[EventWindow], window_us: int, follower: CandidateFollower
) -> Iterator[RotorEstimate]:
    """Estimates of the windows before, latest first, as far as it is seen turning.

    Args:
        rotor: as it is at the end of the last step.
        steps: consecutive steps up to then.
        window_us: length of a window, a multiple of the steps'.
        follower: for slices and windows as its tracker's.
    """
    end_us, step_us = steps[-1].end_us, steps[-1].length_us
    film = _reversed_film(steps, rotor.ellipse.center, BOX_RADII * rotor.ellipse.axes[0])
    phase, speed, acceleration = rotor.motion.state
    motion = Motion(0, (phase, -speed, acceleration), rotor.motion.deviations)
    backwards = follower.begin(rotor.ellipse, rotor.template, motion)
    # Estimates of the film by the real time at which they were made.
    of_film: dict[int, RotorEstimate] = {}
    for back_us in range(step_us, end_us - steps[0].start_us + 1, step_us):
        all_at_once(follower.follow(backwards, film, back_us))
        if backwards.stopped or backwards.unseen_us > 0:
            return
        estimate = backwards.estimate()
        if estimate is None or not backwards.is_credible():
            continue
        at_us = end_us - back_us
        of_film[at_us] = estimate
        at_end = of_film.get(at_us + window_us, estimate)
        if back_us > window_us and estimate.window_us == window_us:
            turned = estimate.rpm * RAD_PER_RPM_US * window_us
            since = backwards.expected()[0] - turned - phase
            yield _forwards(estimate, at_end, rotor.estimate, turned, since)


def _forwards(
    estimate: RotorEstimate,
    at_end: RotorEstimate,
    known: RotorEstimate,
    turned: float,
    since: float,
) -> RotorEstimate:
    """An estimate of the reversed film as one of the same window with time running forwards.

    Args:
        estimate: of the reversed film, in which the window ends where it really begins.
        at_end: that of the reversed film where the window begins, for the disc at its real end; the
            same one where the disc was not yet seen well there.
        known: from where it was followed back.
        turned: angle by which it turns in the window of the reversed film.
        since: angle of the rotor at the window's real end less that of `known`.
    """
    std = estimate.rpm_std * RAD_PER_RPM_US * estimate.window_us
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


def _reversed_film(
    steps: Sequence[EventWindow], center: tuple[float, float], reach_px: float
) -> EventBatch:
    """Events near a hub with the time run backwards from 0, the end of the last step."""
    end_us = steps[-1].end_us
    parts = [_near(step.events, center, reach_px) for step in steps]
    events = EventBatch.concatenate(steps[0].events.size, parts)
    return EventBatch.trusted(
        events.size,
        np.ascontiguousarray(end_us - 1 - events.t[::-1]),
        np.ascontiguousarray(events.x[::-1]),
        np.ascontiguousarray(events.y[::-1]),
        np.ascontiguousarray(~events.polarity[::-1]),
    )


def _near(events: EventBatch, center: tuple[float, float], reach_px: float) -> EventBatch:
    near = np.abs(events.x - np.float32(center[0])) < reach_px
    near &= np.abs(events.y - np.float32(center[1])) < reach_px
    columns = (column[near] for column in (events.t, events.x, events.y, events.polarity))
    return EventBatch.trusted(events.size, *columns)
