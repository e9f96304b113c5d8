"""Pull-in: from a candidate to a first template and motion, by the angle-time spectrum.

Like the pull-in of a phase-locked loop (Gardner, Phaselock Techniques, 2005), it brings phase and
speed so close that the tracker's narrow filters can hold them. The speed is the one with the most
power on its line of the spectrum of the latest turns; the template is the pattern in the frame that
turns at this speed, see `spectrum`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from evio_ros.explanation import Reason, Rejection
from evio_ros.rotation.acquisition.region_events import RegionEvents, SearchWindow
from evio_ros.rotation.acquisition.spectrum import SpectrumFit, fit_line, line_power
from evio_ros.rotation.acquisition.winding import RotorCandidate
from evio_ros.rotation.acquisition.work_units import Work
from evio_ros.rotation.angle_time import FEWEST_BINS, harmonics_of_events
from evio_ros.rotation.tracking.disc_map import DiscMap, ring_radii
from evio_ros.rotation.tracking.phase_filter import Motion
from evio_ros.rotation.tracking.slice_counts import ANGLE_BINS
from evio_ros.rotation.tracking.template import ORDERS, Template
from evio_ros.rotation.tracking.tracker_parameters import TrackerParameters
from evio_ros.time_stamps import time_step_us

__all__ = ["pull_in"]

_BINS_PER_TURN, _BINS_PER_PERIOD = 64, 32
"""Minimum number of time bins in a turn and in a blade's period: coarser ones blur the first
template."""
_SHORTEST_BIN_US = 20
"""Minimum length of a bin: many camera clocks have a resolution of some microseconds."""
_TURNS = 2.5
"""Number of turns used: an error of the hub repeats with each turn, so it shows after more than
one."""
_SHORTEST_US = 50_000
"""Minimum time span: shorter ones have too few events to fit a line, however fast the rotor is."""
_LEAST_EVENTS = 200
"""Minimum number of events of a template: fewer are less than one for each ring and ten degrees."""
_SPEEDS = np.linspace(-0.6, 0.6, 25)
"""Speeds tried, as differences from the candidate's in turns over the events' span. The candidate's
speed is known to a bin of its spectrum, which is less."""
_SPEEDS_A_UNIT = 10
"""Number of speeds in one work unit, a millisecond."""
_LEAST_SIGNAL_TO_NOISE = 1.6
"""Minimum power on the line relative to noise, which has a mean of 1 and a standard deviation of
0.07: a line of 24 orders and 8 channels sums 192 powers."""
_CONTRAST_MARGIN = 1.1
"""Margin for the uncertainty of a contrast, which 200 events determine to 0.05."""
_PHASE_STD_RAD = 0.05
_SPEED_STD_SHARE = 0.003
_STD_RAD = 0.02
"""Initial standard deviations of the tracker: of the phase; of the speed as a share of it; and of
the angles by which errors of speed and acceleration turn the pattern over half the window. Set by
hand, and wider than those of the fit, because the hub is a guess."""


@dataclass(frozen=True, slots=True)
class _InitialLock:
    """First template and motion of a rotor.

    Attributes:
        template: its template.
        motion: its motion at the start of the window.
        window: the events used, whole slices.
    """

    template: Template
    motion: Motion
    window: SearchWindow


def pull_in(
    events: RegionEvents, candidate: RotorCandidate, parameters: TrackerParameters
) -> Work[_InitialLock | Rejection]:
    """Measure a candidate in the latest events.

    Args:
        events: the events.
        candidate: disc and speed.
        parameters: rings of the disc.

    Returns:
        First template and motion; a rejection if the candidate does not turn.
    """
    speed_hz = abs(candidate.frequency_hz)
    window = yield from events.last_slices(max(int(_TURNS * 1e6 / speed_hz), _SHORTEST_US))
    length_us = window.span_us
    disc = DiscMap.of(
        candidate.ellipse,
        window.events.size,
        parameters.rings,
        parameters.hub_radius,
        parameters.rim_radius,
    )
    length_s = length_us * 1e-6
    bins_per_turn = max(_BINS_PER_TURN, _BINS_PER_PERIOD * candidate.order)
    bins = math.ceil(length_s * speed_hz * bins_per_turn)
    bins = int(np.clip(bins, FEWEST_BINS, length_us // _SHORTEST_BIN_US))
    harmonics = yield from harmonics_of_events(
        window.events, disc, window.start_us, length_us, bins, ORDERS
    )
    on_disc = float(harmonics[:, :, 0].real.sum())
    if on_disc < _LEAST_EVENTS:
        return Rejection(Reason.FEW_EVENTS, on_disc, _LEAST_EVENTS)
    near = candidate.frequency_hz + _SPEEDS / length_s
    near = near[np.abs(near - candidate.frequency_hz) < 0.5 * speed_hz]
    power = []
    for first in range(0, len(near), _SPEEDS_A_UNIT):
        power.append(line_power(harmonics, length_s, near[first : first + _SPEEDS_A_UNIT]))
        yield
    fit = fit_line(harmonics, length_s, float(near[np.argmax(np.concatenate(power))]))
    yield
    if not math.isfinite(fit.frequency_std_hz) or fit.signal_to_noise < _LEAST_SIGNAL_TO_NOISE:
        return Rejection(Reason.UNEVEN, fit.signal_to_noise, _LEAST_SIGNAL_TO_NOISE)
    contrast, blurred = _contrasts(fit, candidate.order, time_step_us(window.events.t))
    if contrast < blurred:
        return Rejection(Reason.MIRROR_IMAGE, contrast, blurred, speed_hz=fit.frequency_hz)
    return _InitialLock(
        _template_of(fit, ring_radii(parameters.rings, parameters.hub_radius)),
        _motion_of(fit, window.start_us, 0.5 * length_s),
        window,
    )


def _contrasts(fit: SpectrumFit, order: int, step_us: float) -> tuple[float, float]:
    """Contrast of a pattern, and the maximum contrast of the mirror image of a faster one.

    If time stamps have a period T, a line at F looks like those at 1 / T - F, 1 / T + F, ... But a
    pattern is blurred by its rotation within T: of its contrast at the frequency F, the share
    sin(pi F T) / (pi F T) is left.

    Args:
        fit: the pattern.
        order: angular order of the line on which it was seen.
        step_us: T in µs.
    """
    events = fit.pattern[:, 0].real.sum()
    # Of harmonics without a pattern each has the power of its events.
    # Copied, because numpy's abs of a strided view rounds differently if its result happens to lie
    # close behind the view in memory.
    amplitude = np.abs(np.ascontiguousarray(fit.pattern[:, order]))
    power = float((amplitude**2).sum() - events)
    contrast = math.sqrt(max(power, 0.0) / float((fit.pattern[:, 0].real ** 2).sum()))
    mirrored = 1.0 - 1e-6 * step_us * order * abs(fit.frequency_hz)
    return contrast, _CONTRAST_MARGIN * abs(float(np.sinc(mirrored)))


def _template_of(fit: SpectrumFit, radii: NDArray[np.float64]) -> Template:
    """Template in the co-rotating frame, which has angle 0 in the middle of the fit's window."""
    counts = scipy.fft.irfft(fit.pattern, ANGLE_BINS, axis=1)
    by_ring = np.maximum(counts, 0.0).reshape(2, len(radii), ANGLE_BINS).transpose(1, 0, 2)
    return Template(by_ring if fit.frequency_hz > 0 else by_ring[:, ::-1], radii)


def _motion_of(fit: SpectrumFit, start_us: int, half_s: float) -> Motion:
    """Motion at the start of the fit's window, whose half is `half_s` long."""
    speed, acceleration = 2 * math.pi * fit.frequency_hz, 2 * math.pi * fit.frequency_rate
    state = (
        -speed * half_s + 0.5 * acceleration * half_s**2,
        speed - acceleration * half_s,
        acceleration,
    )
    deviations = (
        _PHASE_STD_RAD,
        _SPEED_STD_SHARE * abs(speed) + _STD_RAD / half_s,
        _STD_RAD / half_s**2,
    )
    return Motion(start_us, state, deviations)
