"""Pull-in along a path: first template and motion of a rotor whose speed changes within a turn.

The angle-time spectrum of `pull_in` assumes that the speed, or its change, is constant. For a disc
spun by hand, or a starting motor, it is not even within a turn. There the most probable path of the
phase through all events of a region (`phase_path`) gives hub, template and motion at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.explanation import Rejection
from evio_ros.rotation.acquisition.region_events import RegionEvents, SearchWindow
from evio_ros.rotation.acquisition.winding import RotorCandidate
from evio_ros.rotation.acquisition.work_units import Work
from evio_ros.rotation.angle_time import angle_time_histogram
from evio_ros.rotation.phase_path.event_count_time import CountedEvents, active_span
from evio_ros.rotation.phase_path.phase_path import PhasePath, fit_path_by_units
from evio_ros.rotation.tracking.disc_map import DiscMap, ring_radii
from evio_ros.rotation.tracking.phase_filter import Motion
from evio_ros.rotation.tracking.slice_counts import ANGLE_BINS
from evio_ros.rotation.tracking.template import Template
from evio_ros.rotation.tracking.tracker_parameters import TrackerParameters

__all__ = ["FEWEST_EVENTS", "MOST_EVENTS", "lock_along_path"]

MOST_EVENTS = 20_000
"""With more events, only every second, third, ... one is used: a disc with a radius of 60 pixels is
then known to a tenth of a pixel."""
FEWEST_EVENTS = 2_000
"""Minimum number of events of a disc that has made a turn."""
_SLACK = 30.0
"""Factor on the path's tolerance: it need only be good enough to start a tracker, 30 mrad and 0.15
px."""
_TURNS = 0.5, 4.0
"""Minimum and maximum number of turns in the events: fewer do not determine the hub; with more, the
speed is constant enough for `pull_in`."""
_LATE_US = 120_000
"""Time before the end of the events at which the tracker starts."""
_EVEN_RAD = 0.06
"""Maximum deviation from a constant acceleration of a rotor that may also hold its speed, seen on a
slightly wrong disc."""
_BINS_PER_TURN = 128
_FITTED_US = 50_000
_FITTED_POINTS = 11
"""A parabola through the path over this time gives the first motion."""
_PHASE_STD_RAD, _SPEED_STD_SHARE, _CHANGE_STD_HZ = 0.05, 0.1, 2.0
"""Standard deviations of that motion: of the phase, of the speed as a share of the mean speed, and
of the acceleration relative to it. Set by hand."""


@dataclass(frozen=True, slots=True)
class _PathLock:
    """Result of following a candidate along its path.

    Attributes:
        ellipse: its disc, a circle: within few turns, the shape of a disc and changes of the speed
            cannot be distinguished.
        turns: angle turned in the events, in turns, signed.
        frequency_hz: mean speed, turns per second.
        is_even: whether its acceleration was approximately constant.
        rejection: why it does not explain the events as a rotor does; None if it does.
        template: its template.
        motion: its motion at the start of the window.
        window: the latest of the events, whole slices.
    """

    ellipse: Ellipse
    turns: float
    frequency_hz: float
    is_even: bool
    rejection: Rejection | None
    template: Template
    motion: Motion
    window: SearchWindow


def lock_along_path(
    events: RegionEvents, candidate: RotorCandidate, parameters: TrackerParameters
) -> Work[_PathLock | Rejection | None]:
    """Follow a candidate's phase through all events.

    Args:
        events: the events.
        candidate: approximate disc and speed.
        parameters: rings of the disc.

    Returns:
        What was found; a rejection if no rotor explains the events; None if there are too few
        events, or too many or too few turns for a path.
    """
    past = yield from events.last(events.span_us)
    if len(past.events) < FEWEST_EVENTS:
        return None
    start_us, end_us = active_span(past.events.t)
    active = past.events.between(start_us, end_us)
    turns = candidate.frequency_hz * 1e-6 * (end_us - start_us)
    if not _TURNS[0] <= abs(turns) <= _TURNS[1] or len(active) < FEWEST_EVENTS:
        return None
    counted = CountedEvents.of(active, MOST_EVENTS)
    path = yield from fit_path_by_units(counted, _circle(candidate.ellipse), turns, _SLACK)
    if isinstance(path, Rejection):
        return path
    window = yield from events.last_slices(min(_LATE_US, past.end_us - start_us))
    template = _template_of(path, SearchWindow(start_us, end_us, active, (), (), ()), parameters)
    motion = _motion_of(path, window.start_us, (start_us, end_us))
    return _PathLock(
        ellipse=path.ellipse,
        turns=path.turns,
        frequency_hz=path.turns / (1e-6 * (end_us - start_us)),
        is_even=_unevenness_rad(path, start_us, end_us) < _EVEN_RAD,
        rejection=path.why_no_rotor(),
        template=template,
        motion=motion,
        window=window,
    )


def _unevenness_rad(path: PhasePath, start_us: int, end_us: int) -> float:
    """Root mean square of the difference from the nearest motion of constant acceleration."""
    times = np.linspace(-1.0, 1.0, len(path.phase))
    phases = path.phase_at(start_us + 0.5 * (times + 1.0) * (end_us - start_us))
    nearest = np.polyval(np.polyfit(times, phases, 2), times)
    return float(np.sqrt(np.mean((phases - nearest) ** 2)))


def _circle(ellipse: Ellipse) -> Ellipse:
    """The circle of the same area."""
    radius = math.sqrt(ellipse.axes[0] * ellipse.axes[1])
    return Ellipse(ellipse.center, (radius, radius), 0.0)


def _template_of(path: PhasePath, past: SearchWindow, p: TrackerParameters) -> Template:
    """Template of the rotor in the frame that turns along the path."""
    disc = DiscMap.of(path.ellipse, past.events.size, p.rings, p.hub_radius, p.rim_radius)
    bins = math.ceil(_BINS_PER_TURN * max(abs(path.turns), 1.0))
    counts = angle_time_histogram(past.events, disc, past.start_us, past.span_us, bins, ANGLE_BINS)
    middles_us = past.start_us + (np.arange(bins) + 0.5) * (past.span_us / bins)
    orders = np.arange(ANGLE_BINS // 2 + 1)
    turning: NDArray[np.complex128] = np.exp(1j * np.outer(path.phase_at(middles_us), orders))
    still = (scipy.fft.rfft(counts.astype(np.float64), axis=2) * turning).sum(axis=1)
    seen = np.maximum(scipy.fft.irfft(still, ANGLE_BINS, axis=1), 0.0)
    by_ring = seen.reshape(2, p.rings, ANGLE_BINS).transpose(1, 0, 2)
    radii = ring_radii(p.rings, p.hub_radius)
    return Template(by_ring if path.turns > 0 else by_ring[:, ::-1], radii)


def _motion_of(path: PhasePath, t_us: int, span_us: tuple[int, int]) -> Motion:
    """The motion at a time, from a parabola fitted to the path from then on."""
    start_us, end_us = span_us
    first_us = float(np.clip(t_us, start_us, max(end_us - _FITTED_US, start_us)))
    times_us = first_us + np.linspace(0.0, min(_FITTED_US, end_us - first_us), _FITTED_POINTS)
    bend, speed, phase = np.polyfit(1e-6 * (times_us - t_us), path.phase_at(times_us), 2).tolist()
    usual = 2 * math.pi * abs(path.turns) / (1e-6 * (end_us - start_us))
    deviations = _PHASE_STD_RAD, _SPEED_STD_SHARE * usual, _CHANGE_STD_HZ * usual
    return Motion(t_us, (phase, speed, 2 * bend), deviations)
