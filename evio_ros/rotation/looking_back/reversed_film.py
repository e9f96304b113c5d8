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
from dataclasses import replace

import numpy as np

from evio_ros.estimate import RotorEstimate
from evio_ros.events import EventBatch, EventWindow
from evio_ros.rotation.acquisition.verification import CandidateFollower
from evio_ros.rotation.acquisition.work_units import all_at_once
from evio_ros.rotation.tracking.rotor_motion import Motion
from evio_ros.rotation.tracking.rotor_tracker import RotorTracker

__all__ = ["follow_back"]

RAD_PER_RPM_US = 2 * math.pi / 60e6
BOX_RADII = 2.0
"""Events so far from the hub are kept: the disc may have come from there."""


def follow_back(
    tracker: RotorTracker,
    now: RotorEstimate,
    steps: Sequence[EventWindow],
    window_us: int,
    follower: CandidateFollower,
) -> Iterator[RotorEstimate]:
    """Estimates of the windows before the present one, latest first, as far as it is seen.

    Args:
        tracker: of the rotor, as it is now, at the end of the last step; it is not changed.
        now: its estimate.
        steps: consecutive steps up to now.
        window_us: length of a window, a multiple of the steps'.
        follower: for slices and windows as the tracker's.
    """
    end_us, step_us = steps[-1].end_us, steps[-1].length_us
    ellipse, template, motion = tracker.retraced(end_us)
    film = _reversed_film(steps, ellipse.center, BOX_RADII * ellipse.axes[0])
    phase, speed, acceleration = motion.state
    backwards = follower.begin(
        ellipse, template, Motion(0, (phase, -speed, acceleration), motion.deviations)
    )
    for back_us in range(step_us, end_us - steps[0].start_us + 1, step_us):
        all_at_once(follower.follow(backwards, film, back_us))
        if not backwards.is_seen():
            return
        estimate = backwards.estimate()
        if back_us <= window_us or estimate is None:
            continue
        if estimate.window_us == window_us:
            turned = estimate.rpm * RAD_PER_RPM_US * window_us
            at_end = backwards.expected()[0] - turned
            yield _forwards(estimate, now, end_us - back_us + window_us, turned, at_end - phase)


def _forwards(
    estimate: RotorEstimate, now: RotorEstimate, end_us: int, turned: float, since: float
) -> RotorEstimate:
    """An estimate of the reversed film as one of the window that ends at `end_us`.

    Args:
        estimate: of the reversed film, in which the window ends where it really starts.
        now: from where it was followed back.
        end_us: end of the window.
        turned: angle by which it turns in the window of the reversed film.
        since: angle of the rotor at the window's end less that of now.
    """
    window_s = 1e-6 * estimate.window_us
    x, y = np.subtract(estimate.center, np.multiply(estimate.velocity, window_s))
    std = estimate.rpm_std * RAD_PER_RPM_US * estimate.window_us
    return replace(
        estimate,
        id=now.id,
        t_us=end_us,
        rpm=-estimate.rpm,
        angle_rad=(estimate.angle_rad - turned) % (2 * math.pi),
        angle_std_rad=math.hypot(estimate.angle_std_rad, std),
        turns=now.turns + since / (2 * math.pi),
        center=(float(x), float(y)),
        velocity=(-estimate.velocity[0], -estimate.velocity[1]),
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
