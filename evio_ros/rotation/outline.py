"""Rotors without blades to speak of: a disc-shaped region and the angle-time spectrum inside it.

A fine texture or a single mark gives no line that winds about a hub. But where a region has the
outline of a disc, its centre and shape are known, and the angle-time spectrum tells whether what is
inside turns.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.events import EventBatch
from evio_ros.rotation.acquisition import RotorCandidate
from evio_ros.rotation.angle_time import angle_time_histogram, angular_harmonics
from evio_ros.rotation.disc_map import DiscMap
from evio_ros.rotation.regions import Region

__all__ = ["outline_candidate", "outline_ellipse"]

ANGLE_BINS = 256
ORDERS = 32
RINGS = 4
BIN_US = 250
ZERO_PADDING = 4
FASTEST_HZ = 100.0
LEAST_POWER = 4.0
"""Power on the line of the spectrum over that of noise."""
LEAST_ASYMMETRY = 3.0
"""The same over the power on the line of the opposite speed; a lamp has both alike."""
LEAST_FILLING = 0.8
"""Share of the ellipse that the region's cells cover, and of the cells that it covers."""


def outline_ellipse(region: Region) -> Ellipse | None:
    """The ellipse that has the region's second moments; None where the region is no ellipse."""
    points = region.cell_centers()
    values, vectors = np.linalg.eigh(np.cov(points.T))
    if values[0] <= 0.0:
        return None
    # A filled ellipse of semi-axis a has variance a^2 / 4 along it.
    minor, major = 2 * np.sqrt(values)
    tilt = math.atan2(vectors[1, 1], vectors[0, 1])
    wrapped = (tilt + math.pi / 2) % math.pi - math.pi / 2
    x, y = points.mean(axis=0)
    ellipse = Ellipse((float(x), float(y)), (float(major), float(minor)), wrapped)
    radius, _ = ellipse.disc_coordinates(points[:, 0], points[:, 1])
    inside = float((radius < 1.1).mean())
    filling = len(points) * region.cell_px**2 / (math.pi * major * minor)
    return ellipse if min(inside, filling) >= LEAST_FILLING else None


def outline_candidate(
    events: EventBatch, start_us: int, span_us: int, region: Region
) -> RotorCandidate | None:
    """Look for something that turns in a disc-shaped region.

    Args:
        events: events of [start_us, start_us + span_us).
        start_us, span_us: time span in µs.
        region: where to look; the disc must have made a turn, or its outline is not there yet.

    Returns:
        The candidate, of order 1; its coherence is the share of power that is not noise.
    """
    ellipse = outline_ellipse(region)
    if ellipse is None:
        return None
    disc = DiscMap.of(ellipse, events.size, RINGS, 0.15, 1.0)
    bins = max(span_us // BIN_US, 16)
    counts = angle_time_histogram(events, disc, start_us, span_us, bins, ANGLE_BINS)
    harmonics = angular_harmonics(counts, ORDERS)
    frequencies, power = speed_spectrum(harmonics, span_us * 1e-6, FASTEST_HZ)
    best = int(power.argmax())
    opposite = float(power[len(power) - 1 - best])
    if power[best] < max(LEAST_POWER, LEAST_ASYMMETRY * opposite):
        return None
    if abs(frequencies[best]) * span_us * 1e-6 < 1.0:
        return None
    return RotorCandidate(ellipse, float(frequencies[best]), 1, float(1 - 1 / power[best]))


def speed_spectrum(
    harmonics: NDArray[np.complexfloating], length_s: float, fastest_hz: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Power along every line of the angle-time spectrum.

    Args:
        harmonics: complex (channels, bins, orders + 1) of `angular_harmonics`.
        length_s: length of the window.
        fastest_hz: greatest speed looked for.

    Returns:
        frequency_hz (n,), evenly from -fastest_hz to fastest_hz, and power (n,) relative to that
        of Poisson noise.
    """
    _, bins, columns = harmonics.shape
    rate = harmonics - harmonics.mean(axis=1, keepdims=True)
    padded = ZERO_PADDING * bins
    power = (np.abs(scipy.fft.fft(rate, padded, axis=1)) ** 2).sum(axis=0)
    orders = np.arange(1, columns)
    half = math.ceil(fastest_hz * length_s * ZERO_PADDING * columns)
    frequency = np.linspace(-fastest_hz, fastest_hz, 2 * half + 1)
    # A pattern that turns with f has its order k at the temporal frequency -k f.
    place = np.rint(-frequency[:, None] * orders * length_s * ZERO_PADDING).astype(np.int64)
    reachable = np.abs(place) < padded // 2
    summed = np.where(reachable, power[place % padded, orders], 0.0).sum(axis=1)
    noise = float(harmonics[:, :, 0].real.sum()) * len(orders)
    return frequency, summed / max(noise, 1.0)
