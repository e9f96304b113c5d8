"""Reacquisition: finding the motion of a lost rotor whose template and disc are known.

Method: a matched filter, as in `likelihood`, over a grid of speeds and all phases. Events of a
short span are counted over angle and time. For each speed, their angular harmonics are rotated to
the end of the span and summed over time; an inverse Fourier transform of their product with the
template's harmonics gives the log likelihoods of all phases.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from evio_ros.events import EventBatch
from evio_ros.rotation.angle_time import (
    BIN_US,
    angle_time_histogram,
    angular_harmonics,
)
from evio_ros.rotation.parabola import vertex
from evio_ros.rotation.tracking.disc_map import DiscMap
from evio_ros.rotation.tracking.slice_counts import ANGLE_BINS, BIN_RAD
from evio_ros.rotation.tracking.template import ORDERS, Template

__all__ = ["find_motion"]

_Harmonics = NDArray[np.complexfloating]

_FASTEST_SHARE = 2.0
"""Maximum speed that is tried in either sense, relative to the usual one: a lost rotor may have
accelerated. Fitted to simulated recordings."""
_STEP_RAD = 0.12
"""Difference between the angles by which a rotor turns in the span at neighbouring speeds: half of
the pitch of the highest order, `ORDERS`, so that no order is lost between them."""
_LEAST_SHARE = 0.5
"""Minimum log likelihood, as a share of that of a perfect match: less is a match of noise or of
another rotor. Fitted to simulated recordings."""
_LEAST_GAIN = 30.0
"""Minimum log likelihood: e^30 outweighs the ten thousand or so motions tried, and errors of the
template. Fitted to simulated recordings."""


@dataclass(frozen=True, slots=True)
class _FoundMotion:
    """Motion at the end of a span of events.

    Attributes:
        phase, speed: in rad and rad/s; if blades are alike, the phase is ambiguous by a blade's
            pitch.
        deviations: standard deviations of phase, speed and acceleration, in rad and s.
    """

    phase: float
    speed: float
    deviations: tuple[float, float, float]


def find_motion(
    events: EventBatch,
    start_us: int,
    end_us: int,
    disc: DiscMap,
    template: Template,
    usual_speed: float,
) -> _FoundMotion | None:
    """Find the motion that best explains the events, over a grid of speeds in both senses.

    Args:
        events: events of [start_us, end_us).
        start_us, end_us: time span in µs, a few hundredths of a second in which the speed hardly
            changes.
        disc: map of the rotor's disc.
        template: the rotor's template.
        usual_speed: magnitude of its usual speed, rad/s.

    Returns:
        The best motion, or None if no speed explains the events.
    """
    length_us = end_us - start_us
    bins = max(length_us // BIN_US, 2)
    counts = angle_time_histogram(events, disc, start_us, length_us, bins, ANGLE_BINS)
    perfect_gain = int(counts.sum()) * template.contrast
    if perfect_gain < _LEAST_GAIN:
        return None
    length_s = length_us * 1e-6
    before_end_s = (np.arange(bins) + 0.5) * (length_s / bins) - length_s
    half = math.ceil(_FASTEST_SHARE * usual_speed * length_s / _STEP_RAD)
    speeds = np.linspace(-_FASTEST_SHARE, _FASTEST_SHARE, 2 * half + 1) * usual_speed
    harmonics = angular_harmonics(counts, ORDERS)
    matched = np.conj(scipy.fft.rfft(template.tables.log_density, axis=2))[:, :, : ORDERS + 1]
    gain = np.stack([_gains(harmonics, speed, before_end_s, matched) for speed in speeds])
    best, offset = np.unravel_index(int(gain.argmax()), gain.shape)
    if gain[best, offset] < max(_LEAST_GAIN, _LEAST_SHARE * perfect_gain):
        return None
    step = usual_speed * _FASTEST_SHARE / half
    speed = float(speeds[best])
    if 0 < best < len(speeds) - 1:
        speed += step * vertex(*map(float, gain[best - 1 : best + 2, offset]))
    return _FoundMotion(
        float(offset) * BIN_RAD, speed, (2 * BIN_RAD, step, 2 * _STEP_RAD / length_s**2)
    )


def _gains(
    harmonics: _Harmonics, speed: float, before_end_s: NDArray[np.float64], matched: _Harmonics
) -> NDArray[np.float64]:
    """Log likelihood, relative to no pattern, of each phase at the end of the span, (ANGLE_BINS,).

    Args:
        harmonics: (2 * rings, time bins, orders + 1), OFF first.
        speed: rad/s.
        before_end_s: (time bins,) times of the bins relative to the end of the span, negative.
        matched: (rings, 2, orders + 1) conjugate harmonics of the template's log density.
    """
    # Until the end of the span, the pattern turns by the speed times the remaining time.
    orders = np.arange(harmonics.shape[2])
    turning = np.exp(1j * np.outer(before_end_s, orders) * speed)
    stopped = (harmonics * turning).sum(axis=1)
    channels = stopped.reshape(2, -1, harmonics.shape[2]).transpose(1, 0, 2)
    if speed < 0:
        channels = channels[:, ::-1]
    return scipy.fft.irfft((channels * matched).sum(axis=(0, 1)), ANGLE_BINS)
