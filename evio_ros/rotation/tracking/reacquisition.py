"""Finding the motion of a rotor anew whose looks and place are known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evio_ros.events import EventBatch
from evio_ros.rotation.angle_time import (
    BIN_US,
    ORDERS,
    angle_time_histogram,
    angular_harmonics,
)
from evio_ros.rotation.tracking.disc_map import DiscMap
from evio_ros.rotation.tracking.matched_filter import vertex
from evio_ros.rotation.tracking.slice_histogram import ANGLE_BINS, BIN_RAD
from evio_ros.rotation.tracking.template import Template

__all__ = ["FoundMotion", "find_motion"]

FASTEST_SHARE = 2.0
"""Speeds up to this multiple of the usual one are looked for, in both senses."""
STEP_RAD = 0.12
"""By how much the pattern may turn too far over the span between neighbouring speeds."""
LEAST_SHARE = 0.5
"""Share of the evidence of a perfect match that must be found."""
LEAST_EVIDENCE = 30.0


@dataclass(frozen=True, slots=True)
class FoundMotion:
    """Motion at the end of a span of events.

    Attributes:
        phase, speed: in rad and rad/s; the phase is known up to a blade's pitch where blades are
            alike.
        deviations: standard deviations of phase, speed and acceleration.
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
) -> FoundMotion | None:
    """Match the template over a grid of speeds in both senses.

    Args:
        events: events of [start_us, end_us).
        start_us, end_us: a few hundredths of a second in which the speed hardly changes.
        disc: where the rotor is.
        template: its looks.
        usual_speed: size of the speed that it had, rad/s.

    Returns:
        The best motion, or None where no speed explains the events.
    """
    length_us = end_us - start_us
    bins = max(length_us // BIN_US, 2)
    counts = angle_time_histogram(events, disc, start_us, length_us, bins, ANGLE_BINS)
    total = int(counts.sum())
    if total * template.contrast < LEAST_EVIDENCE:
        return None
    length_s = length_us * 1e-6
    before_end_s = (np.arange(bins) + 0.5) * (length_s / bins) - length_s
    half = math.ceil(FASTEST_SHARE * usual_speed * length_s / STEP_RAD)
    speeds = np.linspace(-FASTEST_SHARE, FASTEST_SHARE, 2 * half + 1) * usual_speed
    harmonics = angular_harmonics(counts, ORDERS)
    likelihood = np.stack(
        [_likelihood(harmonics, speed, before_end_s, template) for speed in speeds]
    )
    best, offset = np.unravel_index(int(likelihood.argmax()), likelihood.shape)
    if likelihood[best, offset] < max(LEAST_EVIDENCE, LEAST_SHARE * total * template.contrast):
        return None
    step = usual_speed * FASTEST_SHARE / half
    speed = float(speeds[best])
    if 0 < best < len(speeds) - 1:
        speed += step * vertex(*map(float, likelihood[best - 1 : best + 2, offset]))
    return FoundMotion(
        float(offset) * BIN_RAD, speed, (2 * BIN_RAD, step, 2 * STEP_RAD / length_s**2)
    )


def _likelihood(
    harmonics: NDArray[np.complexfloating],
    speed: float,
    before_end_s: NDArray[np.float64],
    template: Template,
) -> NDArray[np.float64]:
    """Log likelihood for a phase at the end of each bin of angle, (ANGLE_BINS,)."""
    # At the end the pattern is farther round by speed times the time that is left.
    orders = np.arange(harmonics.shape[2])
    turning = np.exp(1j * np.outer(before_end_s, orders) * speed)
    stopped = (harmonics * turning).sum(axis=1)
    channels = stopped.reshape(2, -1, harmonics.shape[2]).transpose(1, 0, 2)
    if speed < 0:
        channels = channels[:, ::-1]
    return template.match_harmonics(channels)
