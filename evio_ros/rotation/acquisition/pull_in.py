"""From a candidate to motion and template: the angle-time spectrum of the latest events."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.rotation.acquisition.region_events import RegionEvents
from evio_ros.rotation.acquisition.spectrum import SpectrumFit, fit_line, line_power
from evio_ros.rotation.acquisition.winding import RotorCandidate
from evio_ros.rotation.acquisition.work_units import Pieces
from evio_ros.rotation.angle_time import harmonics_of_events
from evio_ros.rotation.tracking.disc_map import DiscMap, ring_radii
from evio_ros.rotation.tracking.phase_filter import Motion
from evio_ros.rotation.tracking.slice_counts import ANGLE_BINS
from evio_ros.rotation.tracking.template import ORDERS, Template
from evio_ros.rotation.tracking.tracker_parameters import TrackerParameters

__all__ = ["FirstLock", "lock_on"]

BINS_PER_TURN, BINS_PER_PERIOD = 64, 32
"""Time bins of a turn and of a blade's period, at least: coarse ones blur the first looks."""
TURNS = 2.5
"""An error of the hub comes again with each turn: it shows after more than one."""
SHORTEST_US = 50_000
LEAST_EVENTS = 200
SPEEDS = np.linspace(-0.6, 0.6, 25)
"""Speeds that are tried: their difference from the candidate's, in turns over the events' span."""
SPEEDS_A_PIECE = 10
MINIMUM_SIGNAL_TO_NOISE = 1.6


@dataclass(frozen=True, slots=True)
class FirstLock:
    """A rotor's motion and looks as the first look at it gives them.

    Attributes:
        ellipse: its disc.
        template: its looks.
        motion: its motion at the start of the events that were used.
        signal_to_noise: power on the spectrum's line over that of noise.
    """

    ellipse: Ellipse
    template: Template
    motion: Motion
    signal_to_noise: float


def lock_on(
    recent: RegionEvents,
    candidate: RotorCandidate,
    parameters: TrackerParameters,
    slice_us: int,
) -> Pieces[FirstLock | None]:
    """Measure a candidate over the last of some events; None where it does not turn.

    Args:
        recent: the events.
        candidate: where and how fast.
        parameters: rings.
        slice_us: the span that is used is a whole number of these.
    """
    speed_hz = abs(candidate.frequency_hz)
    length_us = int(TURNS * 1e6 / speed_hz)
    length_us = min(max(length_us, SHORTEST_US), recent.span_us)
    length_us -= length_us % slice_us
    window = yield from recent.last(length_us)
    disc = DiscMap.of(
        candidate.ellipse,
        window.events.size,
        parameters.rings,
        parameters.hub_radius,
        parameters.rim_radius,
    )
    length_s = length_us * 1e-6
    bins_per_turn = max(BINS_PER_TURN, BINS_PER_PERIOD * candidate.order)
    bins = int(np.clip(math.ceil(length_s * speed_hz * bins_per_turn), 16, length_us // 20))
    harmonics = yield from harmonics_of_events(
        window.events, disc, window.start_us, length_us, bins, ORDERS
    )
    if harmonics[:, :, 0].real.sum() < LEAST_EVENTS:
        return None
    near = candidate.frequency_hz + SPEEDS / length_s
    near = near[np.abs(near - candidate.frequency_hz) < 0.5 * speed_hz]
    power = []
    for first in range(0, len(near), SPEEDS_A_PIECE):
        power.append(line_power(harmonics, length_s, near[first : first + SPEEDS_A_PIECE]))
        yield
    fit = fit_line(harmonics, length_s, float(near[np.argmax(np.concatenate(power))]))
    yield
    if not math.isfinite(fit.frequency_std_hz) or fit.signal_to_noise < MINIMUM_SIGNAL_TO_NOISE:
        return None
    return FirstLock(
        candidate.ellipse,
        _template_of(fit, ring_radii(parameters.rings, parameters.hub_radius)),
        _motion_of(fit, window.start_us, 0.5 * length_s),
        fit.signal_to_noise,
    )


def _template_of(fit: SpectrumFit, radii: NDArray[np.float64]) -> Template:
    """Looks in the turning frame, which has angle 0 in the middle of the fit's window."""
    counts = scipy.fft.irfft(fit.pattern, ANGLE_BINS, axis=1)
    by_ring = np.maximum(counts, 0.0).reshape(2, len(radii), ANGLE_BINS).transpose(1, 0, 2)
    return Template(by_ring if fit.frequency_hz > 0 else by_ring[:, ::-1], radii)


def _motion_of(fit: SpectrumFit, start_us: int, half_s: float) -> Motion:
    speed, acceleration = 2 * math.pi * fit.frequency_hz, 2 * math.pi * fit.frequency_rate
    state = (
        -speed * half_s + 0.5 * acceleration * half_s**2,
        speed - acceleration * half_s,
        acceleration,
    )
    deviations = (0.05, 0.003 * abs(speed) + 0.02 / half_s, 0.02 / half_s**2)
    return Motion(start_us, state, deviations)
